// What several threads lose and find again, each for itself. The log tells of the first that loses
// it, and of the last that has it again: an outage is one line, whatever the number of threads.
#pragma once

#include <mutex>

namespace sidecar
{

class Outage
{
public:
	// One more has lost it. `tell` is called if no other has.
	template <typename Tell>
	void begin(Tell tell)
	{
		const std::lock_guard lock(mutex_); // until it is told, so that lines are in order
		if (lost_++ == 0)
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
};

} // namespace sidecar
