#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>

namespace sidecar::refresh
{

// `executor` lives as long as it takes.
boost::asio::awaitable<void> pause(const boost::asio::any_io_executor &executor,
								   std::chrono::milliseconds duration);

} // namespace sidecar::refresh
