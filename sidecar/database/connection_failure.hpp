// Why there is no connection, for a person.
#pragma once

#include <string>
#include <string_view>

namespace sidecar::database
{

// libpq's (verbose) message about a connection that failed, as one line with its
// SQLSTATE, if there is one, and what to do about it. It may name host, user and
// database, and never the password.
std::string explain(std::string_view message);

} // namespace sidecar::database
