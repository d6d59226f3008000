// One [providers.NAME] of the TOML file.
#pragma once

#include <string>

#include "oauth/provider.hpp"
#include "settings/settings.hpp"
#include "settings/table_reader.hpp"

namespace sidecar::settings
{

// Reads and checks the whole block; a table that is empty stands for a provider that the
// environment alone describes. `client`, which the environment has for a preset of this
// name, wins over the block.
oauth::Provider read_provider(const std::string &name, TableReader &block, PresetClient client);

// provider_rules.cpp. What must hold of a provider, however it was described
// (docs/design/threats.md, F3, F4, F18): errors, named as keys of the provider's block; and
// warnings for what weakens the flow but some provider cannot do without.
void check_provider(const oauth::Provider &provider, const TableReader &block);

} // namespace sidecar::settings
