// Spans and points of time, always in UTC, not in the session's TimeZone.
#pragma once

#include <cstdint>

#include "postgres/compat.hpp"

namespace oauth_tokens
{

// The length of an interval, a day taken as 24 hours and a month as 30 days.
// Raises 22023 if it is negative and 22008 if it does not fit; `name` is
// the argument's.
std::uint64_t microseconds_of(const Interval *interval, const char *name);

// Raises 22008 if no timestamptz holds it.
TimestampTz timestamp_of_unix(std::uint64_t seconds_since_1970);

} // namespace oauth_tokens
