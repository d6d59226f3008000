#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>

namespace sidecar
{

// `executor` must live until it returns.
boost::asio::awaitable<void> pause(const boost::asio::any_io_executor &executor,
								   std::chrono::milliseconds duration);

} // namespace sidecar
