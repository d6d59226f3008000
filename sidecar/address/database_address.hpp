// The address of the database, as a URL or in libpq's key=value form.
#pragma once

#include <optional>
#include <string>

#include "common/secret_string.hpp"

namespace sidecar::database
{

// What is wrong with it, as an end of "DATABASE_URL …"; nothing where libpq takes
// it. No part of the address is in the text. Also refuses what libpq would take
// for something else, and name in its errors: a password with a bare @ or /.
std::optional<std::string> error_of_url(const Secret &url);

} // namespace sidecar::database
