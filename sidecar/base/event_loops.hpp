// The daemon's event loops, each on a thread of its own. What event_loop.hpp says about the order
// of the end holds for all of them together: every frame of every loop is destroyed first, since a
// call from one loop to another (call_on.hpp) has frames of both.
//
// Objects with I/O are used on the thread of their loop alone.
#pragma once

#include <cstddef>
#include <deque>
#include <thread>
#include <vector>

#include "base/event_loop.hpp"

namespace sidecar
{

class EventLoops
{
public:
	explicit EventLoops(std::size_t count) : loops_(count) {}

	std::size_t size() const noexcept { return loops_.size(); }
	EventLoop &operator[](std::size_t i) noexcept { return loops_[i]; }

	// Runs the first loop in this thread and the others in threads of theirs, until stop(). An
	// exception that leaves a handler of the first is thrown; one of another ends the process.
	void run();
	// From any thread.
	void stop();
	// Stops them, and waits until no thread runs one.
	void halt();

	// Ends the threads, and then every loop, as EventLoop::EndFirst does.
	class EndFirst
	{
	public:
		explicit EndFirst(EventLoops &loops) : loops_(loops) {}
		~EndFirst() { loops_.end(); }
		EndFirst(const EndFirst &) = delete;
		EndFirst &operator=(const EndFirst &) = delete;

	private:
		EventLoops &loops_;
	};

private:
	void end();

	std::deque<EventLoop> loops_;
	std::vector<std::thread> threads_;
};

} // namespace sidecar
