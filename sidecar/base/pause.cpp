#include "base/pause.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sidecar
{

boost::asio::awaitable<void> pause(const boost::asio::any_io_executor &executor,
								   std::chrono::milliseconds duration)
{
	boost::asio::steady_timer timer(executor, duration);
	boost::system::error_code ignored;
	co_await timer.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
}

} // namespace sidecar
