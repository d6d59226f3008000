#include "cache_entry/lifetime.hpp"

#include <algorithm>
#include <cmath>

namespace sidecar::cache_entry
{

std::optional<std::chrono::milliseconds> entry_life(std::optional<double> expires_at, double now,
													std::chrono::seconds max_ttl)
{
	const auto longest = static_cast<double>(max_ttl.count());
	double life = std::min(static_cast<double>(kLifeOfUnknownExpiry.count()), longest);
	if (expires_at) {
		const double left = *expires_at - now - static_cast<double>(kExpiryMargin.count());
		life = left < longest ? left : longest;
		// Infinity minus infinity.
		if (std::isnan(left))
			return std::nullopt;
	}
	// Redis takes whole milliseconds, and 0 is an error.
	const double milliseconds = std::floor(life * 1000);
	if (!(milliseconds >= 1))
		return std::nullopt;
	return std::chrono::milliseconds(static_cast<long long>(milliseconds));
}

} // namespace sidecar::cache_entry
