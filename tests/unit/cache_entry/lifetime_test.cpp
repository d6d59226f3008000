#include "cache_entry/lifetime.hpp"

#include <limits>

#include <gtest/gtest.h>

using sidecar::cache_entry::entry_life;
using std::chrono::seconds;

// C5
TEST(Lifetime, Table)
{
	constexpr double kInfinite = std::numeric_limits<double>::infinity();
	constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
	constexpr double kHuge = std::numeric_limits<double>::max();
	constexpr double kNow = 1795339957.25;
	struct Case {
		std::optional<double> expires_at;
		double now;
		int max_ttl;
		long long life; // milliseconds; -1: not to be cached
	};
	const Case cases[] = {
		// Thirty seconds before the token.
		{kNow + 100, kNow, 3600, 70'000},
		{kNow + 30.5, kNow, 3600, 500},
		{kNow + 30 + 1.0 / 512, kNow, 3600, 1},
		{kNow + 30 + 1.0 / 2048, kNow, 3600, -1},
		{kNow + 30, kNow, 3600, -1},
		{kNow + 29, kNow, 3600, -1},
		{kNow, kNow, 3600, -1},
		{kNow - 1, kNow, 3600, -1},
		{0, kNow, 3600, -1},
		// At most max_ttl.
		{kNow + 3600, kNow, 3600, 3'570'000},
		{kNow + 3630, kNow, 3600, 3'600'000},
		{kNow + 3631, kNow, 3600, 3'600'000},
		{kNow + 86'400, kNow, 1, 1000},
		{kNow + 31, kNow, 1, 1000},
		// Unknown expiry.
		{std::nullopt, kNow, 3600, 300'000},
		{std::nullopt, kNow, 300, 300'000},
		{std::nullopt, kNow, 299, 299'000},
		{std::nullopt, kNow, 1, 1000},
		{std::nullopt, kNow, 86'400, 300'000},
		// Numbers that are none.
		{kInfinite, kNow, 3600, 3'600'000},
		{-kInfinite, kNow, 3600, -1},
		{kNaN, kNow, 3600, -1},
		{kHuge, kNow, 86'400, 86'400'000},
		{-kHuge, kNow, 86'400, -1},
		{kNow, kNaN, 3600, -1},
		{kNow, kInfinite, 3600, -1},
		{kInfinite, kInfinite, 3600, -1},
		{kHuge, -kHuge, 3600, 3'600'000},
		{std::nullopt, kNow, 0, -1},
		{kNow + 100, kNow, 0, -1},
		{kNow + 100, kNow, -1, -1},
	};
	for (const Case &test : cases) {
		const auto life = entry_life(test.expires_at, test.now, seconds(test.max_ttl));
		EXPECT_EQ(life ? life->count() : -1, test.life)
			<< test.expires_at.value_or(-1) - kNow << " " << test.max_ttl;
	}
}
