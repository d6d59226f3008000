// Who waits for replies: the completion of a run(), without its type.
#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <chrono>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include "redis/error.hpp"
#include "redis/reply.hpp"

namespace sidecar::redis
{

using Clock = std::chrono::steady_clock;

class Waiter
{
public:
	virtual ~Waiter() = default;

	// Whether this was the last that it waits for.
	virtual bool take(Reply reply) = 0;
	// Hands over what was taken, or the error. Once; the waiter is spent then.
	virtual void complete(std::exception_ptr error) = 0;

	Clock::time_point deadline;
};

using WaiterPtr = std::unique_ptr<Waiter>;

// Result: a Reply, or a vector of them.
template <typename Result, typename Handler>
class WaiterFor final : public Waiter
{
public:
	WaiterFor(Handler handler, std::size_t replies) : handler_(std::move(handler)), left_(replies)
	{
		if constexpr (!kIsOne)
			result_.reserve(replies);
	}

	bool take(Reply reply) override
	{
		if constexpr (kIsOne)
			result_ = std::move(reply);
		else
			result_.push_back(std::move(reply));
		return --left_ == 0;
	}

	void complete(std::exception_ptr error) override
	{
		if constexpr (kIsOne)
			if (!error && result_.is_error())
				error = std::make_exception_ptr(Error::refused(result_.error_code()));
		const auto executor = boost::asio::get_associated_executor(handler_);
		boost::asio::dispatch(executor, [handler = std::move(handler_), error = std::move(error),
										 result = std::move(result_)]() mutable {
			std::move(handler)(std::move(error), std::move(result));
		});
	}

private:
	static constexpr bool kIsOne = std::is_same_v<Result, Reply>;

	Handler handler_;
	std::size_t left_;
	Result result_;
};

} // namespace sidecar::redis
