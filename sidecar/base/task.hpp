// Tasks: coroutines that nobody waits for.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <string_view>

namespace sidecar
{

// Starts a task. An exception that ends it is logged, and ends the process with
// status 1 at once (docs/design/threats.md, C21): a daemon without one of its tasks would
// look well and do nothing. Exceptions after which a task can continue, it catches itself. `name`,
// for the log, is a literal.
void start_task(const boost::asio::any_io_executor &executor, std::string_view name,
				boost::asio::awaitable<void> work);

// For tests: called within each task when it begins, if it is not null. What it throws ends
// the task.
inline void (*before_each_task)(std::string_view name) = nullptr;

} // namespace sidecar
