#include "server/listener.hpp"

#include <linux/filter.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <cerrno>
#include <iterator>
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
using std::chrono::milliseconds;

constexpr int kAcceptedAtOnce = 64;      // then the others have their turn
constexpr int kAcceptedAtLast = 1 << 16; // more than a backlog holds
constexpr auto kBetweenWarnings = std::chrono::minutes(1);

enum class Accepted { nothing, broken, starved };

Accepted classify(int error)
{
	if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM)
		return Accepted::starved;
	return error == EAGAIN || error == EWOULDBLOCK ? Accepted::nothing : Accepted::broken;
}

// The kernel drops the packets that would begin a connection. Who sent one asks
// again after a second, and is refused then or reaches whoever listens next;
// while closing the socket resets those who were just let in.
void drop_beginnings(int descriptor)
{
	constexpr unsigned kFlags = 13; // offset in a TCP header
	constexpr unsigned kSyn = 2;
	sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kFlags),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, kSyn, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, ~0U),
	};
	const sock_fprog program{std::size(code), code};
	setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

} // namespace

Listener::Listener(ServerState &state, ListeningSocket socket, std::shared_ptr<SSL_CTX> tls,
				   http::Audience audience)
	: socket_(std::move(socket)), tls_(std::move(tls)), audience_(audience), pause_(state.context)
{
	socket_.acceptor.native_non_blocking(true);
}

asio::awaitable<void> Listener::run(std::shared_ptr<Listener> self,
									std::shared_ptr<ServerState> state)
{
	Acceptor &acceptor = self->socket_.acceptor;
	while (acceptor.is_open()) {
		co_await acceptor.async_wait(Acceptor::wait_read, asio::as_tuple(asio::deferred));
		if (!acceptor.is_open() || self->accept_waiting(state, kAcceptedAtOnce))
			continue;
		self->pause_.expires_after(self->make_room(*state));
		co_await self->pause_.async_wait(asio::as_tuple(asio::deferred));
	}
}

bool Listener::accept_waiting(const std::shared_ptr<ServerState> &state, int at_most)
{
	for (int i = 0; i < at_most; i++) {
		const int descriptor = accept4(socket_.acceptor.native_handle(), nullptr, nullptr,
									   SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (descriptor >= 0) {
			admit(state, descriptor);
			continue;
		}
		const Accepted accepted = classify(errno);
		if (accepted == Accepted::starved)
			return false;
		if (accepted == Accepted::nothing)
			return true;
		// One that broke before it was accepted.
	}
	return true;
}

// At the limit the one that has been idle longest goes, or else the new one.
void Listener::admit(const std::shared_ptr<ServerState> &state, int descriptor)
{
	Socket socket(state->context);
	boost::system::error_code error;
	socket.assign(socket_.acceptor.local_endpoint(error).protocol(), descriptor, error);
	if (error) {
		::close(descriptor);
		return;
	}
	if (state->timeouts.size() >= state->limits.connections) {
		HttpConnection *idle = state->timeouts.longest_idle();
		if (!idle)
			return;
		idle->cut();
	}
	try {
		auto connection =
			std::make_shared<HttpConnection>(state, std::move(socket), tls_.get(), audience_);
		start_task(state->context.get_executor(), "connection",
				   HttpConnection::run(std::move(connection)));
	} catch (const std::exception &) {
		log::error("no memory for a connection");
	}
}

// How long to wait before the next try.
milliseconds Listener::make_room(ServerState &state)
{
	const auto now = ConnectionTimeouts::Clock::now();
	if (last_warning_ == ConnectionTimeouts::Clock::time_point() ||
		now - last_warning_ > kBetweenWarnings) {
		last_warning_ = now;
		log::warning("no file descriptors or memory left for new connections");
	}
	HttpConnection *idle = state.timeouts.longest_idle();
	if (!idle)
		return milliseconds(100);
	idle->cut();
	return milliseconds(5);
}

void Listener::turn_away() noexcept
{
	if (!socket_.acceptor.is_open())
		return;
	if (socket_.file.path.empty())
		drop_beginnings(socket_.acceptor.native_handle());
	else
		socket_.file.remove();
}

void Listener::close(const std::shared_ptr<ServerState> &state)
{
	if (!socket_.acceptor.is_open())
		return;
	if (!state->is_stopped)
		accept_waiting(state, kAcceptedAtLast);
	socket_.file.remove();
	boost::system::error_code ignored;
	socket_.acceptor.close(ignored);
	pause_.cancel();
}

} // namespace sidecar::server
