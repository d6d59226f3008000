// What libpq would complain of only when it connects.
#pragma once

#include "address/conninfo.hpp"
#include "settings/diagnostics.hpp"

namespace sidecar::settings
{

// Faults of DATABASE_URL: words and numbers that are none of those that there are, ports
// that do not go with the hosts, files of TLS that are not there.
void check_values(const database::Conninfo &options, Diagnostics &diagnostics);

} // namespace sidecar::settings
