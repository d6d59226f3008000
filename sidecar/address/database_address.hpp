// The address of the database, as a URL or in libpq's key=value form.
#pragma once

#include <optional>
#include <string>

#include "common/secret_string.hpp"

namespace sidecar::address
{

// What is wrong with it, to follow "DATABASE_URL …". Nothing if libpq accepts it. The text
// contains no part of the address. Also refuses a password with a bare @ or /, which libpq
// would misread, and quote in its errors.
std::optional<std::string> error_of_url(const common::Secret &url);

} // namespace sidecar::address
