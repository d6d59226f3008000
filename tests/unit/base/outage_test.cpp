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
