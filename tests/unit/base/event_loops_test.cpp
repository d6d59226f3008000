#include "base/event_loops.hpp"

#include <gtest/gtest.h>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "base/call_on.hpp"
#include "base/task.hpp"

namespace sidecar
{

namespace
{

namespace asio = boost::asio;

using Text = asio::awaitable<std::unique_ptr<std::string>>;

struct Threads {
	std::thread::id called, continued;
};

asio::awaitable<void> ask(EventLoops &loops, std::size_t on, Threads &threads)
{
	auto tell = [&]() -> Text {
		threads.called = std::this_thread::get_id();
		co_return std::make_unique<std::string>("an answer");
	};
	const auto answer = co_await call_on(loops[on].get_executor(), std::move(tell));
	EXPECT_EQ(*answer, "an answer");
	auto fail = []() -> asio::awaitable<void> {
		throw std::runtime_error("a failure");
		co_return;
	};
	std::string failure;
	try {
		co_await call_on(loops[on].get_executor(), std::move(fail));
	} catch (const std::runtime_error &error) {
		failure = error.what();
	}
	EXPECT_EQ(failure, "a failure");
	threads.continued = std::this_thread::get_id();
	loops.stop();
}

// Tells when it is destroyed.
struct Guard {
	~Guard() { ends++; }
	int &ends;
};

asio::awaitable<void> wait_for_ever(EventLoops &loops, std::size_t on, int &ends)
{
	const Guard guard{ends};
	auto wait = [&]() -> asio::awaitable<void> {
		const Guard guard_there{ends};
		asio::steady_timer timer(loops[on], asio::steady_timer::time_point::max());
		loops.stop();
		co_await timer.async_wait(asio::use_awaitable);
	};
	co_await call_on(loops[on].get_executor(), std::move(wait));
	ADD_FAILURE() << "nothing ended the wait";
}

} // namespace

TEST(EventLoops, ACallRunsThereAndItsCallerContinuesHere)
{
	EventLoops loops(2);
	const EventLoops::EndFirst end_first(loops);
	Threads threads;
	start_task(loops[0].get_executor(), "test", ask(loops, 1, threads));
	loops.run();
	EXPECT_NE(threads.called, std::thread::id());
	EXPECT_NE(threads.called, std::this_thread::get_id());
	EXPECT_EQ(threads.continued, std::this_thread::get_id());
}

TEST(EventLoops, ACallOnTheSameLoop)
{
	EventLoops loops(2);
	const EventLoops::EndFirst end_first(loops);
	Threads threads;
	start_task(loops[1].get_executor(), "test", ask(loops, 1, threads));
	loops.run();
	EXPECT_NE(threads.called, std::this_thread::get_id());
	EXPECT_NE(threads.called, std::thread::id());
	EXPECT_EQ(threads.continued, threads.called);
}

// Whichever loop waits, and whichever loop is ended first.
TEST(EventLoops, TheEndDestroysCallsUnderWay)
{
	for (const std::size_t from : {0, 1}) {
		int ends = 0;
		{
			EventLoops loops(2);
			const EventLoops::EndFirst end_first(loops);
			start_task(loops[from].get_executor(), "test", wait_for_ever(loops, 1 - from, ends));
			loops.run();
			EXPECT_EQ(ends, 0);
		}
		EXPECT_EQ(ends, 2);
	}
}

// A loop that has nothing to do waits for what others post.
TEST(EventLoops, AnIdleLoopStaysUp)
{
	EventLoops loops(3);
	const EventLoops::EndFirst end_first(loops);
	asio::steady_timer timer(loops[0], std::chrono::milliseconds(50));
	timer.async_wait(
		[&](boost::system::error_code) { asio::post(loops[2], [&] { loops.stop(); }); });
	loops.run();
}

} // namespace sidecar
