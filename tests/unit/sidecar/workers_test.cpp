#include "workers.hpp"

#include <gtest/gtest.h>

#include <future>
#include <string>
#include <thread>

#include "../database/loop.hpp"
#include "event_loop.hpp"
#include "task.hpp"

using sidecar::EventLoop;
using sidecar::Workers;

namespace
{

namespace asio = boost::asio;

asio::awaitable<void> wait_for(Workers &workers, std::shared_future<void> until, bool &is_over)
{
	co_await workers.run([until] { until.wait(); });
	is_over = true;
}

} // namespace

TEST(Workers, WhatWorkReturnsAndThrows)
{
	EventLoop loop;
	Workers workers(loop.get_executor());
	const auto loop_thread = std::this_thread::get_id();
	const auto get_id = [] { return std::this_thread::get_id(); };
	EXPECT_NE(tests::finish(loop, workers.run(get_id)), loop_thread);
	auto moved = std::make_unique<std::string>("only moved");
	EXPECT_EQ(*tests::finish(loop, workers.run([moved = std::move(moved)]() mutable {
		return std::move(moved);
	})),
			  "only moved");
	EXPECT_THROW(tests::finish(loop, workers.run([] { throw std::runtime_error("full"); })),
				 std::runtime_error);
	EXPECT_THROW(
		tests::finish(loop, workers.run([]() -> int { throw std::runtime_error("full"); })),
		std::runtime_error);
}

// The loop goes on while a thread waits, and several threads work at a time.
TEST(Workers, TheLoopGoesOn)
{
	EventLoop loop;
	Workers workers(loop.get_executor(), 2);
	std::promise<void> promise;
	bool is_over = false;
	sidecar::start_task(loop.get_executor(), "test",
						wait_for(workers, promise.get_future().share(), is_over));
	tests::finish(loop, workers.run([] {}));
	EXPECT_FALSE(is_over);
	promise.set_value();
	while (!is_over)
		loop.run_one();
}

// The daemon ends: frames go, and what was handed in is done all the same.
TEST(Workers, WorkThatNobodyWaitsForIsDone)
{
	EventLoop loop;
	bool is_over = false, is_written = false;
	{
		Workers workers(loop.get_executor(), 1);
		const EventLoop::EndFirst end_first(loop);
		std::promise<void> promise;
		sidecar::start_task(loop.get_executor(), "test",
							wait_for(workers, promise.get_future().share(), is_over));
		sidecar::start_task(loop.get_executor(), "test", workers.run([&] { is_written = true; }));
		loop.poll();
		EXPECT_FALSE(is_written) << "the only thread waits";
		promise.set_value();
	}
	EXPECT_TRUE(is_written);
	EXPECT_FALSE(is_over) << "its frame was destroyed before";
}
