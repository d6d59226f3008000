#include "base/task.hpp"

#include <boost/asio/co_spawn.hpp>
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <stdexcept>

#include "base/log.hpp"

namespace sidecar
{

namespace asio = boost::asio;

namespace
{

[[noreturn]] void fail(std::string_view name, std::string_view reason)
{
	log::error("a task has failed; the process ends", {{"task", name}, {"reason", reason}});
	_exit(1);
}

void end_task(std::string_view name, const std::exception_ptr &failure)
{
	if (!failure)
		return;
	try {
		std::rethrow_exception(failure);
	} catch (const std::exception &error) {
		fail(name, error.what());
	} catch (...) {
		fail(name, "an exception of an unknown type");
	}
}

// Tests build this again with a task that fails, for each task in turn.
#ifdef OAUTH_FAILING_TASK
asio::awaitable<void> prepared(std::string_view name, asio::awaitable<void> work)
{
	const char *failing = std::getenv("FAILING_TASK");
	if (failing != nullptr && failing == name)
		throw std::logic_error("a failure for the tests");
	co_await std::move(work);
}
#else
asio::awaitable<void> prepared(std::string_view, asio::awaitable<void> work)
{
	return work;
}
#endif

} // namespace

void start_task(const asio::any_io_executor &executor, std::string_view name,
				asio::awaitable<void> work)
{
	asio::co_spawn(executor, prepared(name, std::move(work)),
				   [name](const std::exception_ptr &failure) { end_task(name, failure); });
}

} // namespace sidecar
