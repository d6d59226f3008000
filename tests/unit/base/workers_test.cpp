#include "base/workers.hpp"

#include <gtest/gtest.h>

#include <future>
#include <string>
#include <thread>

#include "../database/loop.hpp"
#include "base/event_loop.hpp"
#include "base/task.hpp"

using sidecar::EventLoop;
using sidecar::Workers;

namespace
{

namespace asio = boost::asio;

asio::awaitable<void> wait_for(Workers &workers, std::shared_future<void> until, bool &is_over)
{
	auto work = [until] { until.wait(); };
	co_await workers.run(work);
	is_over = true;
}

} // namespace

TEST(Workers, WhatWorkReturnsAndThrows)
{
	EventLoop loop;
	Workers workers(loop.get_executor());
	const auto loop_thread = std::this_thread::get_id();
	auto get_id = [] { return std::this_thread::get_id(); };
	EXPECT_NE(tests::finish(loop, workers.run(get_id)), loop_thread);
	auto move = [moved = std::make_unique<std::string>("only moved")]() mutable {
		return std::move(moved);
	};
	EXPECT_EQ(*tests::finish(loop, workers.run(move)), "only moved");
	auto fail = [] { throw std::runtime_error("full"); };
	EXPECT_THROW(tests::finish(loop, workers.run(fail)), std::runtime_error);
	auto fail_at_number = []() -> int { throw std::runtime_error("full"); };
	EXPECT_THROW(tests::finish(loop, workers.run(fail_at_number)), std::runtime_error);
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
	auto nothing = [] {};
	tests::finish(loop, workers.run(nothing));
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
		loop.poll(); // it is handed in first
		auto write = [&] { is_written = true; };
		sidecar::start_task(loop.get_executor(), "test", workers.run(write));
		loop.poll();
		EXPECT_FALSE(is_written) << "the only thread waits";
		promise.set_value();
	}
	EXPECT_TRUE(is_written);
	EXPECT_FALSE(is_over) << "its frame was destroyed before";
}
