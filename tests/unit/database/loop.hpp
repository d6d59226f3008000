// Runs coroutines to their end.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <utility>

namespace tests
{

// For coroutines that give each other turns.
inline boost::asio::awaitable<void> sleep_for(std::chrono::milliseconds time)
{
	boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, time);
	co_await timer.async_wait(boost::asio::use_awaitable);
}

// Serves the loop until `work` is done, and what else runs on it so long.
inline void finish(boost::asio::io_context &io, boost::asio::awaitable<void> work)
{
	std::exception_ptr failure;
	bool is_done = false;
	boost::asio::co_spawn(io, std::move(work), [&](std::exception_ptr error) {
		failure = error;
		is_done = true;
	});
	io.restart();
	while (!is_done)
		io.run_one();
	if (failure)
		std::rethrow_exception(failure);
}

template <typename T>
boost::asio::awaitable<void> keep(boost::asio::awaitable<T> work, std::optional<T> &result)
{
	result = co_await std::move(work);
}

template <typename T>
T finish(boost::asio::io_context &io, boost::asio::awaitable<T> work)
{
	std::optional<T> result;
	finish(io, keep(std::move(work), result));
	return std::move(*result);
}

} // namespace tests
