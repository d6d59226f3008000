// What must hold of a provider, however it was described (docs/design/threats.md, F3, F4, F18).
#pragma once

#include "oauth/provider.hpp"
#include "settings/table_reader.hpp"

namespace sidecar::settings
{

// Faults, named as keys of the provider's block; and warnings for what weakens
// the flow but some provider cannot do without.
void check_provider(const oauth::Provider &provider, const TableReader &block);

} // namespace sidecar::settings
