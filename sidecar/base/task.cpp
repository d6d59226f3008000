#include "base/task.hpp"

#include <boost/asio/co_spawn.hpp>
#include <unistd.h>

#include <exception>

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

asio::awaitable<void> begin(std::string_view name, asio::awaitable<void> work)
{
	before_each_task(name);
	co_await std::move(work);
}

} // namespace

void start_task(const asio::any_io_executor &executor, std::string_view name,
				asio::awaitable<void> work)
{
	if (before_each_task != nullptr)
		work = begin(name, std::move(work));
	asio::co_spawn(executor, std::move(work),
				   [name](const std::exception_ptr &failure) { end_task(name, failure); });
}

} // namespace sidecar
