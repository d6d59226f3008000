// What several threads lose and find again, each for itself. The log tells of the first that loses
// it, and of the last that has it again: an outage is one line, whatever the number of threads.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>

namespace sidecar
{

class Outage
{
public:
	using Clock = std::chrono::steady_clock;

	// One more has lost it. `tell` is called if no other has.
	template <typename Tell>
	void begin(Tell tell)
	{
		const std::lock_guard lock(mutex_); // until it is told, so that lines are in order
		if (lost_++ > 0)
			return;
		told_at_ = Clock::now();
		tell();
	}
	// It is of no use now, lost or not. `tell` is called if nothing was told of for a minute: one
	// thread that has lost it for long must not hide what happens to the others.
	template <typename Tell>
	void complain(Tell tell, Clock::time_point now = Clock::now())
	{
		const std::lock_guard lock(mutex_);
		if (told_at_ && now - *told_at_ < std::chrono::minutes(1))
			return;
		told_at_ = now;
		tell();
	}
	// One of those has it again. `tell` is called if no other has lost it.
	template <typename Tell>
	void end(Tell tell)
	{
		const std::lock_guard lock(mutex_);
		if (--lost_ == 0)
			tell();
	}

private:
	std::mutex mutex_;
	int lost_ = 0;
	std::optional<Clock::time_point> told_at_;
};

} // namespace sidecar
