// When an access token expires, in every form in which providers say it.
#pragma once

#include <boost/json/value.hpp>
#include <string_view>
#include <variant>

#include "oauth/provider.hpp"

namespace sidecar::oauth
{

inline constexpr double kMaxLifetimeSeconds = 100.0 * 366 * 24 * 3600;

// Seconds from `now` (since 1970 UTC), at least 1; or a fixed text that says why the
// value is no expiry: "is …". Numbers may be texts. 0, negative or past values are no expiry:
// the token is new, so the provider means "never", or its clock is wrong.
std::variant<int, std::string_view> read_expiry(const boost::json::value &value,
												ExpiryFormat format, long long now);

// Whether a lifetime in seconds is a unix time within the next year.
bool looks_like_unix_time(const boost::json::value &value, long long now);

} // namespace sidecar::oauth
