// What is believed of sealed entries (C19).
#include "cache/change_memory.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

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
		memory_.looked(ChangeMemory::Clock::now() - ago, now, {});
	}
	void find(std::int64_t now, const std::string &key)
	{
		memory_.looked(ChangeMemory::Clock::now(), now, {{ChangeMemory::hash(key)}, false});
	}
	bool allows(std::int64_t read_at) { return memory_.allows("ann", fill(read_at)); }

	ChangeMemory memory_;
};

} // namespace

TEST_F(ChangeMemoryTest, BelievesNothingBeforeItLooks)
{
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
	find(kNow + 10, "ann");
	EXPECT_FALSE(allows(kNow + 1));
	EXPECT_FALSE(allows(kNow + 10));
	EXPECT_TRUE(memory_.allows("bob", fill(kNow + 1)));
	look(kNow + 20);
	EXPECT_TRUE(allows(kNow + 11));
	memory_.looked(ChangeMemory::Clock::now(), kNow + 20, {{}, true});
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

// For what may take an hour, there is a word, once.
TEST_F(ChangeMemoryTest, SaysUntilWhenNothingIsBelieved)
{
	const auto said = [&](std::int64_t now) {
		testing::internal::CaptureStderr();
		look(now);
		return testing::internal::GetCapturedStderr();
	};
	EXPECT_EQ(said(kNow), "");
	EXPECT_EQ(said(kNow - kSecond), ""); // soon over
	EXPECT_EQ(said(kNow + kSecond), "");
	const std::string line = said(kNow - 3600 * kSecond);
	EXPECT_NE(line.find("\"until\":\"2023-11-14T22:13:21Z\""), std::string::npos) << line;
	EXPECT_EQ(said(kNow - 3599 * kSecond), "");
	EXPECT_EQ(said(kNow - 3598 * kSecond), "");
}

// What was read before that is not believed later, whatever else happens meanwhile.
TEST_F(ChangeMemoryTest, LosesSightWhileTheClockIsSetBack)
{
	look(kNow);
	look(kNow + kSecond);
	EXPECT_TRUE(allows(kNow + kSecond));
	for (int i = 0; i < 2; i++) {
		memory_.lose_sight();
		look(kNow - (60 - i) * kSecond);
	}
	for (std::int64_t now = kNow - 58 * kSecond; now < kNow + 10 * kSecond; now += 2 * kSecond)
		look(now);
	EXPECT_FALSE(allows(kNow + kSecond));
	EXPECT_TRUE(allows(kNow + 2 * kSecond));
}

// A reader of another thread never knows of a check, and not of what it has found.
TEST_F(ChangeMemoryTest, TellsOfACheckAndOfItsChangesAtOnce)
{
	using Clock = ChangeMemory::Clock;
	constexpr int kReads = 20'000;
	ChangeMemory::Changes many; // so that it takes a while to remember them
	for (int i = 0; i < 300; i++)
		many.hashes.push_back(ChangeMemory::hash(std::to_string(i)));
	many.hashes.push_back(ChangeMemory::hash("ann"));
	std::atomic<Clock::time_point> begun = Clock::now();
	std::atomic<std::int64_t> now = kNow;
	std::atomic<int> reads = 0;
	std::atomic<bool> is_believed = false;
	look(kNow);
	// A read of half a second after the last check. Unless that is over, it is in the future until
	// the next one, and then it was before the change.
	std::thread reader([&] {
		for (; reads < kReads; reads++)
			if (const auto since = begun.load();
				memory_.allows("ann", fill(now + kSecond / 2, INT64_MAX)) &&
				Clock::now() - since < 500ms)
				is_believed = true;
	});
	while (reads < kReads) {
		const auto begins = Clock::now();
		memory_.looked(begins, now + kSecond, many);
		begun = begins;
		now += kSecond;
	}
	reader.join();
	EXPECT_FALSE(is_believed);
}

TEST_F(ChangeMemoryTest, ForgetsTheOldestWithAllOfItsTime)
{
	look(kNow);
	for (int i = 1; i <= 200'000; i++)
		find(kNow + i, std::to_string(i));
	EXPECT_TRUE(allows(kNow + 1));
	find(kNow + 200'000, "one more");
	EXPECT_FALSE(allows(kNow + 1));
	EXPECT_TRUE(allows(kNow + 2));
	EXPECT_FALSE(memory_.allows("2", fill(kNow + 2)));
}

} // namespace sidecar::cache
