#include "base/event_loops.hpp"

#include <pthread.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <csignal>
#include <exception>

#include "base/log.hpp"

namespace sidecar
{

namespace
{

// Threads that are started meanwhile get none of the signals that the daemon handles: they are for
// the first one.
class BlockedSignals
{
public:
	BlockedSignals()
	{
		sigset_t handled;
		sigemptyset(&handled);
		sigaddset(&handled, SIGTERM);
		sigaddset(&handled, SIGINT);
		sigaddset(&handled, SIGHUP);
		sigaddset(&handled, SIGUSR1);
		sigaddset(&handled, SIGUSR2);
		pthread_sigmask(SIG_BLOCK, &handled, &before_);
	}
	~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
	BlockedSignals(const BlockedSignals &) = delete;
	BlockedSignals &operator=(const BlockedSignals &) = delete;

private:
	sigset_t before_;
};

// What another loop posts is run, even if nothing else waits here.
void run_until_stopped(EventLoop &loop)
{
	const auto work = boost::asio::make_work_guard(loop);
	loop.run();
}

void run_or_exit(EventLoop &loop)
{
	try {
		run_until_stopped(loop);
	} catch (const std::exception &error) {
		log::error("the daemon cannot continue", {{"reason", error.what()}});
		_exit(1);
	}
}

} // namespace

void EventLoops::run()
{
	{
		const BlockedSignals blocked;
		for (std::size_t i = 1; i < loops_.size(); i++)
			threads_.emplace_back([&loop = loops_[i]] { run_or_exit(loop); });
	}
	run_until_stopped(loops_.front());
	halt();
}

void EventLoops::stop()
{
	for (EventLoop &loop : loops_)
		loop.stop();
}

void EventLoops::halt()
{
	stop();
	for (std::thread &thread : threads_)
		thread.join();
	threads_.clear();
}

void EventLoops::end()
{
	halt();
	for (EventLoop &loop : loops_)
		loop.end();
}

} // namespace sidecar
