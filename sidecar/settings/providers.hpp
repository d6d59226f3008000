// All providers: the TOML file's [providers.NAME] blocks, and the presets that
// the environment makes by GOOGLE_CLIENT_ID and its like.
#pragma once

#include "settings/settings.hpp"
#include "settings/table_reader.hpp"

namespace sidecar::settings
{

// `top`: the TOML file's top level.
void read_providers(TableReader &top, Settings &settings);

} // namespace sidecar::settings
