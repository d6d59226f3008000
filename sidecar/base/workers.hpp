// Threads for blocking calls, such as writing to a disk. The event loop continues meanwhile.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace sidecar
{

class Workers
{
public:
	// Several threads, so that fsyncs go to the disk together.
	explicit Workers(boost::asio::any_io_executor executor, unsigned threads = 4)
		: executor_(std::move(executor)), pool_(threads)
	{
	}
	// Waits until all submitted work is done, even if no caller waits for it.
	~Workers() { pool_.join(); }
	Workers(const Workers &) = delete;
	Workers &operator=(const Workers &) = delete;

	// Moves `work`, calls it in a thread, and continues in the loop with its result or
	// exception. If the caller's frame is destroyed meanwhile, the work is still finished, so it
	// must own everything that it uses. Name the lambda: if it is written within a co_await, g++
	// 12 destroys its captures twice.
	//
	//   auto write = [reservation = std::move(reservation), entry]() mutable { … };
	//   const std::string name = co_await workers.run(write);
	template <typename Work>
	boost::asio::awaitable<std::invoke_result_t<Work &>> run(Work &work)
	{
		auto call = std::make_shared<Call<std::invoke_result_t<Work &>>>(executor_);
		boost::asio::post(pool_, [call, executor = executor_, work = std::move(work)]() mutable {
			call->take(work);
			// In the loop, to which the timer belongs.
			boost::asio::post(executor, [call = std::move(call)] { call->end(); });
		});
		return wait(call);
	}

private:
	template <typename Result>
	struct Call {
		using Kept = std::conditional_t<std::is_void_v<Result>, std::monostate, Result>;

		explicit Call(const boost::asio::any_io_executor &executor)
			: done(executor, boost::asio::steady_timer::time_point::max())
		{
		}
		template <typename Work>
		void take(Work &work)
		{
			try {
				if constexpr (std::is_void_v<Result>)
					work();
				else
					result.emplace(work());
			} catch (...) {
				failure = std::current_exception();
			}
		}
		void end()
		{
			is_done = true;
			done.cancel();
		}

		boost::asio::steady_timer done; // never expires: it is cancelled
		bool is_done = false;
		std::optional<Kept> result;
		std::exception_ptr failure;
	};

	template <typename Result>
	static boost::asio::awaitable<Result> wait(std::shared_ptr<Call<Result>> call)
	{
		boost::system::error_code ignored;
		if (!call->is_done)
			co_await call->done.async_wait(
				boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
		if (call->failure)
			std::rethrow_exception(call->failure);
		if constexpr (!std::is_void_v<Result>)
			co_return std::move(*call->result);
	}

	boost::asio::any_io_executor executor_;
	boost::asio::thread_pool pool_;
};

} // namespace sidecar
