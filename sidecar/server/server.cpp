#include "server/server.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <utility>

#include "base/task.hpp"
#include "server/listener.hpp"
#include "server/server_state.hpp"
#include "server/tls_context.hpp"

namespace sidecar::server
{

namespace
{

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kTick{100}; // between two checks of the time limits
constexpr milliseconds kDrainLook{5};

asio::awaitable<void> pause(asio::steady_timer &timer, milliseconds time)
{
	timer.expires_after(time);
	co_await timer.async_wait(asio::as_tuple(asio::deferred));
}

asio::awaitable<void> watch(std::shared_ptr<ServerState> state)
{
	asio::steady_timer timer(state->context);
	while (!state->is_stopped) {
		co_await pause(timer, kTick);
		state->expire_late();
	}
}

} // namespace

Server::Server(asio::io_context &context, Limits limits, Handler handler, Refusal refusal,
			   Observer observer)
	: state_(std::make_shared<ServerState>(context, limits, std::move(handler), std::move(refusal),
										   std::move(observer)))
{
	start_task(context.get_executor(), "clock of connections", watch(state_));
}

Server::~Server()
{
	state_->stop();
}

unsigned short Server::listen(const settings::Address &address, http::Audience audience)
{
	ListeningSocket socket = open_listening(state_->context, address);
	const unsigned short port = socket.port;
	const auto tls = address.unix_path.empty() ? state_->tls : nullptr;
	auto listener = std::make_shared<Listener>(state_, std::move(socket), tls, audience);
	state_->listeners.push_back(listener);
	start_task(state_->context.get_executor(), "listener", Listener::run(std::move(listener)));
	return port;
}

void Server::use_tls(const std::string &certificate_file, const std::string &key_file)
{
	state_->tls = make_tls_context(certificate_file, key_file);
	std::signal(SIGPIPE, SIG_IGN);
}

Statistics Server::statistics() const noexcept
{
	return {static_cast<int>(state_->connections.size()), state_->requests};
}

asio::awaitable<void> Server::drain(milliseconds deadline)
{
	const std::shared_ptr<ServerState> state = state_; // the server may be destroyed first
	const auto begin = Clock::now();
	const milliseconds grace = std::min(state->limits.grace, deadline / 2);
	asio::steady_timer timer(state->context);
	state->is_draining = true;
	for (const auto &listener : state->listeners)
		listener->close();
	state->listeners.clear();
	while ((!state->connections.empty() || state->requests > 0) &&
		   Clock::now() - begin < deadline) {
		if (Clock::now() - begin >= grace)
			state->expire_idle();
		co_await pause(timer, kDrainLook);
	}
	state->stop();
}

} // namespace sidecar::server
