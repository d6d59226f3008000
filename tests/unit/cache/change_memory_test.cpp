// What is believed of sealed entries (C19).
#include "cache/change_memory.hpp"

#include <gtest/gtest.h>

#include <string>

namespace sidecar::cache
{

namespace
{

using namespace std::chrono_literals;

constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kNow = 1'700'000'000 * kSecond;

Fill fill(std::int64_t read_at, std::int64_t until = kNow + 3600 * kSecond)
{
	return {std::string(32, 'e'), read_at, until};
}

class ChangeMemoryTest : public testing::Test
{
protected:
	void look(std::int64_t now, std::chrono::milliseconds ago = 0ms)
	{
		memory_.looked(ChangeMemory::Clock::now() - ago, now);
	}
	bool allows(std::int64_t read_at) { return memory_.allows("ann", fill(read_at)); }

	ChangeMemory memory_;
};

} // namespace

TEST_F(ChangeMemoryTest, BelievesNothingBeforeItLooks)
{
	memory_.changed("bob", kNow);
	EXPECT_FALSE(allows(kNow));
	EXPECT_FALSE(allows(kNow + 1));
}

TEST_F(ChangeMemoryTest, BelievesWhatWasReadSinceItLooked)
{
	look(kNow);
	look(kNow + 10);
	EXPECT_FALSE(allows(kNow - 1));
	EXPECT_FALSE(allows(kNow));
	EXPECT_TRUE(allows(kNow + 1));
	memory_.lose_sight();
	EXPECT_FALSE(allows(kNow + 1));
	look(kNow + 20);
	EXPECT_FALSE(allows(kNow + 20));
	look(kNow + 30);
	EXPECT_TRUE(allows(kNow + 21));
}

TEST_F(ChangeMemoryTest, RemembersChanges)
{
	look(kNow);
	look(kNow + 10);
	memory_.changed("ann", kNow + 10);
	EXPECT_FALSE(allows(kNow + 1));
	EXPECT_FALSE(allows(kNow + 10));
	EXPECT_TRUE(memory_.allows("bob", fill(kNow + 1)));
	look(kNow + 20);
	EXPECT_TRUE(allows(kNow + 11));
	memory_.distrust(kNow + 11);
	EXPECT_FALSE(allows(kNow + 11));
}

TEST_F(ChangeMemoryTest, KnowsTheEndAndTheFuture)
{
	look(kNow);
	look(kNow + kSecond);
	EXPECT_TRUE(memory_.allows("ann", fill(kNow + 1, kNow + 100 * kSecond)));
	EXPECT_FALSE(memory_.allows("ann", fill(kNow + 1, kNow + kSecond)));
	EXPECT_FALSE(allows(kNow + 100 * kSecond));
}

TEST_F(ChangeMemoryTest, MayHaveMissedChanges)
{
	look(kNow);
	look(kNow + 10, ChangeMemory::kShownFor); // which it began then
	EXPECT_TRUE(allows(kNow + 5));
	look(kNow + 20);
	EXPECT_FALSE(allows(kNow + 20));
	look(kNow + 30);
	EXPECT_TRUE(allows(kNow + 25));
	look(kNow + 30 + 3 * kSecond); // by the database's clock alone: suspended, say
	EXPECT_FALSE(allows(kNow + 25));
}

TEST_F(ChangeMemoryTest, NeedsALookOfLate)
{
	look(kNow);
	look(kNow + 10, 2000ms);
	EXPECT_TRUE(allows(kNow + 5));
	look(kNow + 20, 5000ms);
	EXPECT_FALSE(allows(kNow + kSecond));
}

TEST_F(ChangeMemoryTest, TheDatabaseSetsItsClockBack)
{
	look(kNow);
	look(kNow + kSecond);
	EXPECT_TRUE(allows(kNow + kSecond));
	look(kNow - 60 * kSecond);
	look(kNow - 59 * kSecond);
	EXPECT_FALSE(allows(kNow - 59 * kSecond));
	look(kNow - 57 * kSecond);
	for (std::int64_t now = kNow - 55 * kSecond; now < kNow + 10 * kSecond; now += 2 * kSecond)
		look(now);
	EXPECT_FALSE(allows(kNow + kSecond));
	EXPECT_TRUE(allows(kNow + 2 * kSecond));
}

TEST_F(ChangeMemoryTest, ForgetsTheOldestWithAllOfItsTime)
{
	look(kNow);
	for (int i = 1; i <= 200'000; i++)
		memory_.changed(std::to_string(i), kNow + i);
	look(kNow + 200'000);
	EXPECT_TRUE(allows(kNow + 1));
	memory_.changed("one more", kNow + 200'000);
	EXPECT_FALSE(allows(kNow + 1));
	EXPECT_TRUE(allows(kNow + 2));
	EXPECT_FALSE(memory_.allows("2", fill(kNow + 2)));
}

} // namespace sidecar::cache
