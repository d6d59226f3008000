#include "base/outage.hpp"

#include <gtest/gtest.h>

#include <barrier>
#include <thread>
#include <vector>

namespace sidecar
{

TEST(Outage, TellsOfTheFirstAndOfTheLast)
{
	Outage outage;
	int begins = 0, ends = 0;
	const auto lose = [&] { outage.begin([&] { begins++; }); };
	const auto find = [&] { outage.end([&] { ends++; }); };
	for (int i = 1; i <= 2; i++) {
		lose();
		EXPECT_EQ(begins, i);
		lose();
		find();
		lose();
		find();
		EXPECT_EQ(begins, i);
		EXPECT_EQ(ends, i - 1);
		find();
		EXPECT_EQ(ends, i);
	}
}

// One that has lost it for long does not hide what happens to others.
TEST(Outage, ComplainsOnceAMinute)
{
	using namespace std::chrono_literals;
	const auto now = Outage::Clock::now();
	int told = 0, complaints = 0;
	const auto complain = [&](Outage &outage, Outage::Clock::duration later) {
		outage.complain([&] { complaints++; }, now + later);
		return complaints;
	};
	Outage never_lost;
	EXPECT_EQ(complain(never_lost, 0s), 1);
	EXPECT_EQ(complain(never_lost, 59s), 1);
	EXPECT_EQ(complain(never_lost, 60s), 2);
	Outage lost;
	lost.begin([&] { told++; });
	EXPECT_EQ(complain(lost, 59s), 2); // the outage's own line says it
	EXPECT_EQ(complain(lost, 61s), 3);
	lost.begin([&] { told++; });
	EXPECT_EQ(complain(lost, 120s), 3);
	EXPECT_EQ(complain(lost, 121s), 4);
	EXPECT_EQ(told, 1);
}

TEST(Outage, OfManyThreads)
{
	constexpr int kThreads = 4, kRounds = 1000;
	Outage outage;
	int told = 0; // begins without their end; the outage guards it
	std::barrier all(kThreads);
	std::vector<std::thread> threads;
	for (int i = 0; i < kThreads; i++)
		threads.emplace_back([&] {
			for (int round = 0; round < kRounds; round++) {
				all.arrive_and_wait();
				outage.begin([&] { EXPECT_EQ(++told, 1); });
				outage.end([&] { EXPECT_EQ(--told, 0); });
			}
		});
	for (std::thread &thread : threads)
		thread.join();
	EXPECT_EQ(told, 0);
}

} // namespace sidecar
