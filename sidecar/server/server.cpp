#include "server/server.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <utility>

#include "server/connection.hpp"
#include "server/server_state.hpp"
#include "server/listener.hpp"
#include "server/tls_context.hpp"
#include "base/task.hpp"

namespace sidecar::server
{

namespace
{

namespace asio = boost::asio;
using Clock = Timetable::Clock;
using std::chrono::milliseconds;

// For a handshake that is under way when no more may begin.
constexpr milliseconds kRoundTrip{100};
constexpr milliseconds kDrainLook{5};

asio::awaitable<void> watch(std::shared_ptr<Core> core)
{
	while (!core->is_stopped) {
		core->tick.expires_after(core->timetable.interval());
		co_await core->tick.async_wait(asio::as_tuple(asio::deferred));
		core->timetable.expire_late();
	}
}

void stop(const std::shared_ptr<Core> &core)
{
	core->is_stopped = true;
	for (const auto &listener : core->listeners)
		listener->close(core);
	core->listeners.clear();
	core->timetable.cut_all();
	core->tick.cancel();
}

asio::awaitable<void> pause(asio::steady_timer &timer, milliseconds time)
{
	timer.expires_after(time);
	co_await timer.async_wait(asio::as_tuple(asio::deferred));
}

} // namespace

Server::Server(asio::io_context &context, Limits limits, Handler handler, Refusal refusal,
			   Observer observer)
	: core_(std::make_shared<Core>(context, limits, std::move(handler), std::move(refusal),
								   std::move(observer)))
{
	start_task(context.get_executor(), "clock of connections", watch(core_));
}

Server::~Server()
{
	stop(core_);
}

unsigned short Server::listen(const settings::Address &address, http::Surface surface)
{
	unsigned short port = 0;
	for (ListeningSocket &socket : open_listening(core_->context, address)) {
		port = socket.port;
		const auto tls = address.unix_path.empty() ? core_->tls : nullptr;
		auto listener = std::make_shared<Listener>(*core_, std::move(socket), tls, surface);
		core_->listeners.push_back(listener);
		start_task(core_->context.get_executor(), "listener",
				   Listener::run(std::move(listener), core_));
	}
	return port;
}

void Server::use_tls(const std::string &certificate_file, const std::string &key_file)
{
	core_->tls = make_tls_context(certificate_file, key_file);
	std::signal(SIGPIPE, SIG_IGN);
}

Statistics Server::statistics() const noexcept
{
	return {core_->timetable.size(), core_->requests};
}

asio::awaitable<void> Server::drain(milliseconds deadline)
{
	const std::shared_ptr<Core> core = core_; // the server may go first
	const auto begin = Clock::now();
	const milliseconds grace = std::min(core->limits.grace, deadline / 2);
	asio::steady_timer timer(core->context);
	core->is_draining = true;
	for (const auto &listener : core->listeners)
		listener->turn_away();
	if (!core->listeners.empty())
		co_await pause(timer, std::min(kRoundTrip, deadline / 4));
	for (const auto &listener : core->listeners)
		listener->close(core);
	core->listeners.clear();
	while (core->timetable.size() + core->requests > 0 && Clock::now() - begin < deadline) {
		if (Clock::now() - begin >= grace)
			core->timetable.expire_idle();
		co_await pause(timer, kDrainLook);
	}
	stop(core);
}

} // namespace sidecar::server
