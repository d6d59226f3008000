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
#include "server/connection.hpp"
#include "base/task.hpp"

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

Accepted judge(int error)
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

Listener::Listener(Core &core, ListeningSocket socket, std::shared_ptr<SSL_CTX> tls,
				   http::Surface surface)
	: socket_(std::move(socket)), tls_(std::move(tls)), surface_(surface), pause_(core.context)
{
	socket_.acceptor.native_non_blocking(true);
}

asio::awaitable<void> Listener::run(std::shared_ptr<Listener> self, std::shared_ptr<Core> core)
{
	Acceptor &acceptor = self->socket_.acceptor;
	while (acceptor.is_open()) {
		co_await acceptor.async_wait(Acceptor::wait_read, asio::as_tuple(asio::deferred));
		if (!acceptor.is_open() || self->accept_waiting(core, kAcceptedAtOnce))
			continue;
		self->pause_.expires_after(self->make_room(*core));
		co_await self->pause_.async_wait(asio::as_tuple(asio::deferred));
	}
}

bool Listener::accept_waiting(const std::shared_ptr<Core> &core, int at_most)
{
	for (int i = 0; i < at_most; i++) {
		const int descriptor = accept4(socket_.acceptor.native_handle(), nullptr, nullptr,
									   SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (descriptor >= 0) {
			admit(core, descriptor);
			continue;
		}
		const Accepted accepted = judge(errno);
		if (accepted == Accepted::starved)
			return false;
		if (accepted == Accepted::nothing)
			return true;
		// One that broke before it was accepted.
	}
	return true;
}

// At the limit the one that has been idle longest goes, or else the new one.
void Listener::admit(const std::shared_ptr<Core> &core, int descriptor)
{
	Socket socket(core->context);
	boost::system::error_code error;
	socket.assign(socket_.acceptor.local_endpoint(error).protocol(), descriptor, error);
	if (error) {
		::close(descriptor);
		return;
	}
	if (core->timetable.size() >= core->limits.connections) {
		Connection *idle = core->timetable.longest_idle();
		if (!idle)
			return;
		idle->cut();
	}
	try {
		auto connection =
			std::make_shared<Connection>(core, std::move(socket), tls_.get(), surface_);
		start_task(core->context.get_executor(), "connection",
				   Connection::run(std::move(connection)));
	} catch (const std::exception &) {
		log::error("no memory for a connection");
	}
}

// How long to wait before the next try.
milliseconds Listener::make_room(Core &core)
{
	const auto now = Timetable::Clock::now();
	if (last_warning_ == Timetable::Clock::time_point() || now - last_warning_ > kBetweenWarnings) {
		last_warning_ = now;
		log::warning("no file descriptors or memory left for new connections");
	}
	Connection *idle = core.timetable.longest_idle();
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

void Listener::close(const std::shared_ptr<Core> &core)
{
	if (!socket_.acceptor.is_open())
		return;
	if (!core->is_stopped)
		accept_waiting(core, kAcceptedAtLast);
	socket_.file.remove();
	boost::system::error_code ignored;
	socket_.acceptor.close(ignored);
	pause_.cancel();
}

} // namespace sidecar::server
