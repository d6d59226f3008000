// How long an entry may live (docs/design/cache.md, "Entries").
#pragma once

#include <chrono>
#include <optional>

namespace sidecar::cache_entry
{

// A token is not served from the cache in its last seconds.
inline constexpr std::chrono::seconds kExpiryMargin{30};
inline constexpr std::chrono::seconds kLifeOfUnknownExpiry{300};

// Both times are in seconds since 1970 UTC, by one clock. Nothing: do not cache it.
std::optional<std::chrono::milliseconds> entry_life(std::optional<double> expires_at, double now,
													std::chrono::seconds max_ttl);

} // namespace sidecar::cache_entry
