// Calls a coroutine on another event loop.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <type_traits>
#include <utility>

namespace sidecar
{

// `make` is called on `loop`, its coroutine runs there, and the caller continues on its own loop
// with the result or the exception. On the same loop it is a plain call. What the coroutines use
// must outlive those of both loops (event_loops.hpp).
template <typename Make>
std::invoke_result_t<Make &> call_on(boost::asio::any_io_executor loop, Make make)
{
	using Result = typename std::invoke_result_t<Make &>::value_type;
	const boost::asio::any_io_executor here = co_await boost::asio::this_coro::executor;
	if (here == loop) {
		auto call = make();
		co_return co_await std::move(call);
	}
	// `make` and the result are in the caller's frame, which waits for the other loop's.
	if constexpr (std::is_void_v<Result>) {
		auto call = [&make] { return make(); };
		co_await boost::asio::co_spawn(loop, std::move(call), boost::asio::use_awaitable);
	} else {
		std::optional<Result> result;
		auto call = [&]() -> boost::asio::awaitable<void> {
			auto made = make();
			result.emplace(co_await std::move(made));
		};
		co_await boost::asio::co_spawn(loop, std::move(call), boost::asio::use_awaitable);
		co_return std::move(*result);
	}
}

} // namespace sidecar
