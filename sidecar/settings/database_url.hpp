// DATABASE_URL: what other clients write there, and what libpq takes.
#pragma once

#include "settings/settings_table.hpp"

namespace sidecar::settings
{

// Stored as libpq takes it: the schemes of drivers (postgresql+asyncpg://, jdbc:postgresql://)
// become postgresql://, ssl=… becomes sslmode=…, and parameters that are about another
// client alone are left out with a warning. "key=value …" stays. Faults name a parameter
// that libpq would refuse, or a value that it takes for nothing, and never show a value.
void database_url(Given &given);

} // namespace sidecar::settings
