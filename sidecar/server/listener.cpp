#include "server/listener.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <stdexcept>
#include <utility>

#include "base/log.hpp"
#include "base/task.hpp"
#include "server/connection.hpp"

namespace sidecar::server
{

namespace
{

namespace asio = boost::asio;
namespace errc = boost::system::errc;
using std::chrono::milliseconds;

constexpr auto kBetweenWarnings = std::chrono::minutes(1);

// No descriptor or memory is left for another connection.
bool is_starved(const boost::system::error_code &error)
{
	return error == errc::too_many_files_open || error == errc::too_many_files_open_in_system ||
		   error == errc::no_buffer_space || error == errc::not_enough_memory;
}

} // namespace

Listener::Listener(std::shared_ptr<ServerState> state, ListeningSocket socket,
				   std::shared_ptr<SSL_CTX> tls, http::Audience audience)
	: state_(std::move(state)), socket_(std::move(socket)), tls_(std::move(tls)),
	  audience_(audience), pause_(state_->context)
{
	socket_.acceptor.non_blocking(true);
}

asio::awaitable<void> Listener::run(std::shared_ptr<Listener> self)
{
	Acceptor &acceptor = self->socket_.acceptor;
	while (acceptor.is_open()) {
		auto [error, socket] = co_await acceptor.async_accept(asio::as_tuple(asio::deferred));
		if (!error) {
			self->admit(std::move(socket));
		} else if (acceptor.is_open() && is_starved(error)) {
			self->pause_.expires_after(self->make_room());
			co_await self->pause_.async_wait(asio::as_tuple(asio::deferred));
		}
	}
}

// At the limit, the connection that has been idle longest is closed, or else the new one.
void Listener::admit(Socket socket)
{
	if (state_->connections.size() >= static_cast<std::size_t>(state_->limits.connections)) {
		HttpConnection *idle = state_->longest_idle();
		if (!idle)
			return;
		idle->cut();
	}
	try {
		auto connection =
			std::make_shared<HttpConnection>(state_, std::move(socket), tls_.get(), audience_);
		start_task(state_->context.get_executor(), "connection",
				   HttpConnection::run(std::move(connection)));
	} catch (const std::exception &) {
		log::error("no memory for a connection");
	}
}

// How long to wait before the next try.
milliseconds Listener::make_room()
{
	const auto now = std::chrono::steady_clock::now();
	if (now >= next_warning_) {
		next_warning_ = now + kBetweenWarnings;
		log::warning("no file descriptors or memory left for new connections");
	}
	HttpConnection *idle = state_->longest_idle();
	if (!idle)
		return milliseconds(100);
	idle->cut();
	return milliseconds(5);
}

void Listener::close()
{
	socket_.file.remove(); // no client can come after those that wait
	boost::system::error_code error;
	// One that was reset while it waited ends nothing for the others.
	while (!state_->is_stopped && (!error || error == boost::asio::error::connection_aborted)) {
		Socket socket = socket_.acceptor.accept(error);
		if (!error)
			admit(std::move(socket));
	}
	socket_.acceptor.close(error);
	pause_.cancel();
}

} // namespace sidecar::server
