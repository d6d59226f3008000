#include "cache/circuit.hpp"

#include <gtest/gtest.h>

namespace sidecar::cache
{

namespace
{

using namespace std::chrono_literals;

// Longer than the longest distance between two probes.
constexpr auto kLong = 1min;

Circuit::Clock::time_point at(std::chrono::milliseconds time)
{
	return Circuit::Clock::time_point{} + 1h + time;
}

Circuit opened()
{
	Circuit circuit;
	for (int i = 0; i < 3; i++)
		circuit.fail(at(0ms));
	return circuit;
}

} // namespace

TEST(Circuit, OpensAfterThreeFailuresInARow)
{
	Circuit circuit;
	for (int i = 0; i < 10; i++) {
		circuit.fail(at(0ms));
		circuit.fail(at(0ms));
		EXPECT_TRUE(circuit.admit(at(0ms)));
		EXPECT_FALSE(circuit.is_open());
		circuit.succeed();
	}
	circuit.fail(at(0ms));
	circuit.fail(at(0ms));
	circuit.fail(at(0ms));
	EXPECT_TRUE(circuit.is_open());
	EXPECT_FALSE(circuit.admit(at(0ms)));
}

TEST(Circuit, LetsOneProbeThroughAtATime)
{
	Circuit circuit = opened();
	EXPECT_TRUE(circuit.admit(at(kLong)));
	EXPECT_FALSE(circuit.admit(at(kLong)));
	EXPECT_TRUE(circuit.is_open());
	circuit.fail(at(kLong));
	EXPECT_FALSE(circuit.admit(at(kLong)));
	EXPECT_TRUE(circuit.admit(at(2 * kLong)));
}

TEST(Circuit, ClosesWithTheFirstAnswer)
{
	Circuit circuit = opened();
	ASSERT_TRUE(circuit.admit(at(kLong)));
	circuit.succeed();
	EXPECT_FALSE(circuit.is_open());
	for (int i = 0; i < 10; i++)
		EXPECT_TRUE(circuit.admit(at(kLong)));
}

// Sixty-four requests that wait for one Redis fail at once.
TEST(Circuit, TakesManyFailuresOfOneMomentForOne)
{
	Circuit few = opened();
	Circuit many = opened();
	for (int i = 0; i < 1000; i++)
		many.fail(at(0ms));
	EXPECT_TRUE(few.admit(at(200ms)));
	EXPECT_TRUE(many.admit(at(200ms)));
}

} // namespace sidecar::cache
