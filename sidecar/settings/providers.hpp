// All providers: the TOML file's [providers.NAME] blocks, and the presets that
// the environment makes by GOOGLE_CLIENT_ID and its like.
#pragma once

#include "settings/setting_reader.hpp"
#include "settings/settings.hpp"

namespace sidecar::settings
{

// `blocks`: what the TOML file has under providers, or null.
void read_providers(SettingReader &reader, TomlValue *blocks, Settings &settings);

} // namespace sidecar::settings
