// The circuit breaker for Redis. It opens after three failures in a row. Then one request at a
// time tries, at growing intervals, and the first that gets an answer closes it.
#pragma once

#include "base/backoff.hpp"

namespace sidecar::cache
{

class Circuit
{
public:
	using Clock = Backoff::Clock;

	bool is_open() const noexcept { return failures_ >= kFailures; }

	// Whether this request may ask Redis.
	bool admit(Clock::time_point now)
	{
		if (!is_open())
			return true;
		if (!backoff_.is_due(now))
			return false;
		backoff_.fail(now); // the next probe, unless this one gets through
		return true;
	}
	void succeed() noexcept
	{
		failures_ = 0;
		backoff_.succeed();
	}
	// Whether it opens by that.
	bool fail(Clock::time_point now)
	{
		if (++failures_ != kFailures)
			return false;
		backoff_.fail(now);
		return true;
	}

private:
	static constexpr int kFailures = 3;

	int failures_ = 0;
	Backoff backoff_;
};

} // namespace sidecar::cache
