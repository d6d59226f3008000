// oauth-sidecar --check: would it start, and would it work?
#pragma once

#include "settings/settings.hpp"

namespace sidecar
{

// Checks everything that the daemon needs: database, extension, migration,
// privileges, spool, providers' metadata. Prints one line for each, on standard output, and
// returns the exit status: 0 if the daemon would start.
int run_check(settings::Settings settings);

} // namespace sidecar
