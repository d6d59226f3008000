// The event loop, and the order in which a program leaves it.
//
// A coroutine that still waits when the loop ends has a frame, whose locals refer to
// whatever its code uses. So these are destroyed in this order:
//
//   1. every frame, while all that they refer to lives (EndFirst, declared last);
//   2. the I/O objects and their owners (pools, clients, servers), on a loop that runs
//      nothing any more;
//   3. the loop itself, declared before them.
#pragma once

#include <boost/asio/io_context.hpp>

namespace sidecar
{

class EventLoop : public boost::asio::io_context
{
public:
	EventLoop() : io_context(1) {} // one thread

	// Destroys every handler and frame that waits for the loop. I/O objects of the loop
	// may be destroyed afterwards, and not be used otherwise.
	void end()
	{
		stop();
		shutdown();
	}

	class EndFirst
	{
	public:
		explicit EndFirst(EventLoop &loop) : loop_(loop) {}
		~EndFirst() { loop_.end(); }
		EndFirst(const EndFirst &) = delete;
		EndFirst &operator=(const EndFirst &) = delete;

	private:
		EventLoop &loop_;
	};
};

} // namespace sidecar
