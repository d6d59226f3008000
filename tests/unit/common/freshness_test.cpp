#include "common/fernet.hpp"

#include <limits>

#include <gtest/gtest.h>

using common::fernet::is_fresh;

namespace
{

constexpr std::uint64_t kSecond = 1'000'000;
constexpr std::uint64_t kLast = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kHalf = std::uint64_t{1} << 63;

} // namespace

TEST(Freshness, EndsWithTheTtl)
{
	EXPECT_TRUE(is_fresh(1000, 1000, 0));
	EXPECT_FALSE(is_fresh(1000, 1001, 0));
	EXPECT_TRUE(is_fresh(1000, 1060, 60 * kSecond));
	EXPECT_FALSE(is_fresh(1000, 1061, 60 * kSecond));
	EXPECT_FALSE(is_fresh(1000, 1060, 60 * kSecond - 1));
	EXPECT_TRUE(is_fresh(1000, 1060, 60 * kSecond + 1));
	EXPECT_FALSE(is_fresh(1000, 1001, kSecond - 1));
}

TEST(Freshness, AllowsForClockSkew)
{
	EXPECT_TRUE(is_fresh(1060, 1000, 0));
	EXPECT_FALSE(is_fresh(1061, 1000, 0));
	EXPECT_FALSE(is_fresh(1061, 1000, kLast));
	EXPECT_TRUE(is_fresh(60, 0, 0));
	EXPECT_FALSE(is_fresh(61, 0, kLast));
}

// No sum or product may wrap around.
TEST(Freshness, HoldsAtTheEndsOf64Bits)
{
	for (const std::uint64_t end : {std::uint64_t{0}, kHalf - 1, kHalf, kLast}) {
		EXPECT_TRUE(is_fresh(end, end, 0)) << end;
		EXPECT_TRUE(is_fresh(end, end, kLast)) << end;
		if (end != 0) {
			EXPECT_TRUE(is_fresh(end, end - 1, 0)) << end;
			EXPECT_TRUE(is_fresh(end, end - 60, 0)) << end;
			EXPECT_FALSE(is_fresh(end, end - 61, kLast)) << end;
			EXPECT_FALSE(is_fresh(end, 0, kLast)) << end;
			EXPECT_FALSE(is_fresh(0, end, kLast)) << end;
		}
		if (end != kLast) {
			EXPECT_TRUE(is_fresh(end, end + 60, 60 * kSecond)) << end;
			EXPECT_FALSE(is_fresh(end, end + 61, 60 * kSecond)) << end;
			EXPECT_FALSE(is_fresh(kLast, end, kLast)) << end;
		}
	}
	EXPECT_TRUE(is_fresh(0, kLast / kSecond, kLast));
	EXPECT_FALSE(is_fresh(0, kLast / kSecond + 1, kLast));
}
