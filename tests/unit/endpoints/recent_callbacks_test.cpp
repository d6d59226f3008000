#include "endpoints/recent_callbacks.hpp"

#include <gtest/gtest.h>

namespace sidecar::endpoints
{

namespace
{

using State = RecentCallbacks::State;

oauth::ClaimAttempt claim_of(int number, int browser = 1)
{
	oauth::ClaimAttempt claim{};
	claim.state_hash[0] = static_cast<unsigned char>(number);
	claim.state_hash[1] = static_cast<unsigned char>(number >> 8);
	claim.browser_hash[0] = static_cast<unsigned char>(browser);
	return claim;
}

} // namespace

TEST(RecentCallbacks, KnowsItsBrowserAlone)
{
	RecentCallbacks recent;
	const RecentCallbacks::Clock::time_point now{};
	EXPECT_EQ(recent.find(claim_of(1), now), std::nullopt);
	recent.begin(claim_of(1), now);
	EXPECT_EQ(recent.find(claim_of(1), now), State::under_way);
	EXPECT_EQ(recent.find(claim_of(1, 2), now), std::nullopt);
	recent.end(claim_of(1), true);
	EXPECT_EQ(recent.find(claim_of(1), now), State::finished);
	recent.begin(claim_of(2), now);
	recent.end(claim_of(2), false);
	EXPECT_EQ(recent.find(claim_of(2), now), std::nullopt);
	EXPECT_EQ(recent.find(claim_of(1), now + std::chrono::minutes(11)), std::nullopt);
}

TEST(RecentCallbacks, IsBounded)
{
	RecentCallbacks recent;
	const RecentCallbacks::Clock::time_point now{};
	for (int i = 0; i < 10005; i++)
		recent.begin(claim_of(i), now);
	EXPECT_EQ(recent.find(claim_of(4), now), std::nullopt);
	EXPECT_EQ(recent.find(claim_of(5), now), State::under_way);
	EXPECT_EQ(recent.find(claim_of(10004), now), State::under_way);
}

} // namespace sidecar::endpoints
