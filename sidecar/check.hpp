// oauth-sidecar --check: would it start, and would it work?
#pragma once

#include "settings/settings.hpp"

namespace sidecar
{

// Looks at everything that the daemon will need: database, extension, migration,
// privileges, spool, providers' metadata. Prints a line each on standard output and
// returns the exit status: 0 where nothing is in the way.
int run_check(settings::Settings settings);

} // namespace sidecar
