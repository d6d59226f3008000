#include "server/listener.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <utility>

#include "base/call_on.hpp"
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
			const milliseconds wait = co_await self->make_room();
			self->pause_.expires_after(wait);
			co_await self->pause_.async_wait(asio::as_tuple(asio::deferred));
		}
	}
}

// How long to wait before the next try. Without a descriptor, accept() fails even if nobody waits,
// and then nobody is cut.
asio::awaitable<milliseconds> Listener::make_room()
{
	co_await socket_.acceptor.async_wait(Acceptor::wait_read, asio::as_tuple(asio::deferred));
	if (!socket_.acceptor.is_open())
		co_return milliseconds(0);
	warn();
	const bool is_made = co_await cut_an_idle_one();
	co_return milliseconds(is_made ? 5 : 100);
}

void Listener::warn()
{
	const auto now = std::chrono::steady_clock::now();
	if (now < next_warning_)
		return;
	next_warning_ = now + kBetweenWarnings;
	log::warning("no file descriptors or memory left for new connections");
}

// The one that has been idle longest on the loop with the most clients; if none is idle there, on
// the next one, and so on. False if none is anywhere.
asio::awaitable<bool> Listener::cut_an_idle_one()
{
	LoopStates loops = loops_;
	std::ranges::rotate(loops, std::ranges::max_element(
								   loops, {}, [](const auto &one) { return one->clients.load(); }));
	for (const auto &loop : loops) {
		auto cut = [&loop]() -> asio::awaitable<bool> {
			HttpConnection *idle = loop->longest_idle();
			if (idle != nullptr)
				idle->cut();
			co_return idle != nullptr;
		};
		const bool is_cut = co_await call_on(loop->context.get_executor(), std::move(cut));
		if (is_cut)
			co_return true;
	}
	co_return false;
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
