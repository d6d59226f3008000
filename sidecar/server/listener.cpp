#include "server/listener.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>
#include <utility>

#include "base/log.hpp"
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

Listener::Listener(LoopStates loops, ListeningSocket socket, std::shared_ptr<SSL_CTX> tls,
				   http::Audience audience)
	: loops_(std::move(loops)),
	  admission_(std::make_shared<Admission>(loops_, std::move(tls), audience)),
	  socket_(std::move(socket)), pause_(loops_.front()->context)
{
	socket_.acceptor.non_blocking(true);
}

asio::awaitable<void> Listener::run(std::shared_ptr<Listener> self)
{
	Acceptor &acceptor = self->socket_.acceptor;
	while (acceptor.is_open()) {
		const std::shared_ptr<ServerState> loop = self->admission_->next_loop();
		auto [error, socket] =
			co_await acceptor.async_accept(loop->context, asio::as_tuple(asio::deferred));
		if (!error) {
			self->admission_->admit(Place(loop), std::move(socket));
		} else if (acceptor.is_open() && is_starved(error)) {
			self->pause_.expires_after(self->make_room());
			co_await self->pause_.async_wait(asio::as_tuple(asio::deferred));
		}
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
	const auto &loop =
		*std::ranges::max_element(loops_, {}, [](const auto &one) { return one->clients.load(); });
	auto cut = [loop] {
		HttpConnection *idle = loop->longest_idle();
		if (idle != nullptr)
			idle->cut();
		return idle != nullptr;
	};
	if (loop != loops_.front())
		asio::post(loop->context, cut);
	else if (!cut())
		return milliseconds(100);
	return milliseconds(5);
}

void Listener::close()
{
	socket_.file.remove(); // no client can come after those that wait
	boost::system::error_code error;
	// One that was reset while it waited ends nothing for the others.
	while (!loops_.front()->is_stopped &&
		   (!error || error == boost::asio::error::connection_aborted)) {
		const std::shared_ptr<ServerState> loop = admission_->next_loop();
		Socket socket = socket_.acceptor.accept(loop->context, error);
		if (!error)
			admission_->admit(Place(loop), std::move(socket));
	}
	socket_.acceptor.close(error);
	pause_.cancel();
}

} // namespace sidecar::server
