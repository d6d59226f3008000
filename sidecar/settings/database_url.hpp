// DATABASE_URL: what other clients write there, and what libpq takes.
#pragma once

#include "common/secret_string.hpp"
#include "settings/diagnostics.hpp"

namespace sidecar::settings
{

// As libpq takes it: the schemes of drivers (postgresql+asyncpg://, jdbc:postgresql://)
// become postgresql://, ssl=… becomes sslmode=…, and parameters that are about another
// client alone are left out with a warning. "key=value …" stays. Faults name a parameter
// that libpq would refuse, or a value that it takes for nothing, and never show a value.
Secret database_url(Secret given, Diagnostics &diagnostics);

} // namespace sidecar::settings
