// Limits how many refreshes are made at once. The others wait in their order.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <list>
#include <utility>

namespace sidecar::refresh
{

class Gate
{
public:
	Gate(boost::asio::any_io_executor executor, int most)
		: executor_(std::move(executor)), free_(most)
	{
	}

	// A permit. Its destructor gives it back.
	class Slot
	{
	public:
		explicit Slot(Gate &gate) : gate_(&gate) {}
		Slot(Slot &&other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
		Slot &operator=(Slot &&) = delete;
		~Slot()
		{
			if (gate_ != nullptr)
				gate_->leave();
		}

	private:
		Gate *gate_;
	};

	boost::asio::awaitable<Slot> enter()
	{
		if (free_ > 0) {
			free_--;
			co_return Slot(*this);
		}
		Waiter waiter(*this);
		boost::system::error_code ignored;
		while (!waiter.is_given)
			co_await waiter.timer.async_wait(
				boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
		waiter.is_given = false; // it is the place's now
		co_return Slot(*this);
	}

private:
	struct Waiter {
		explicit Waiter(Gate &of)
			: gate(of), timer(of.executor_, boost::asio::steady_timer::time_point::max()),
			  at(of.waiters_.insert(of.waiters_.end(), this))
		{
		}
		~Waiter()
		{
			if (is_queued)
				gate.waiters_.erase(at);
			if (is_given)
				gate.leave();
		}
		Waiter(const Waiter &) = delete;
		Waiter &operator=(const Waiter &) = delete;

		Gate &gate;
		boost::asio::steady_timer timer;
		std::list<Waiter *>::iterator at;
		bool is_queued = true;
		bool is_given = false;
	};

	void leave()
	{
		if (waiters_.empty()) {
			free_++;
			return;
		}
		Waiter &next = *waiters_.front();
		waiters_.pop_front();
		next.is_queued = false;
		next.is_given = true;
		next.timer.cancel();
	}

	boost::asio::any_io_executor executor_;
	int free_;
	std::list<Waiter *> waiters_;
};

} // namespace sidecar::refresh
