#include "server/server.hpp"

#include <algorithm>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/dispatch.hpp>
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

// On each loop's thread. At once on the one that calls.
template <typename Action>
void on_each(const LoopStates &loops, Action action)
{
	for (const auto &loop : loops)
		asio::dispatch(loop->context, [loop, action] { action(*loop); });
}

} // namespace

struct Server::Parts {
	void close_listeners()
	{
		for (const auto &listener : listeners)
			listener->close();
		listeners.clear();
	}

	LoopStates loops;
	std::shared_ptr<SSL_CTX> tls; // for the next listener
	std::vector<std::shared_ptr<Listener>> listeners;
};

Server::Server(std::vector<Loop> loops, const Limits &limits, const Refusal &refusal)
	: parts_(std::make_shared<Parts>())
{
	const auto all = std::make_shared<std::atomic<int>>(0);
	for (Loop &loop : loops) {
		auto state = std::make_shared<ServerState>(std::move(loop), limits, refusal, all);
		start_task(state->context.get_executor(), "clock of connections", watch(state));
		parts_->loops.push_back(std::move(state));
	}
}

Server::Server(asio::io_context &context, Limits limits, Handler handler, Refusal refusal,
			   Observer observer)
	: Server({Loop{context, std::move(handler), std::move(observer)}}, limits, refusal)
{
}

// No loop runs any more, or this is the only one.
Server::~Server()
{
	for (const auto &loop : parts_->loops)
		loop->stop();
	parts_->close_listeners();
}

unsigned short Server::listen(const settings::Address &address, http::Audience audience)
{
	asio::io_context &context = parts_->loops.front()->context;
	ListeningSocket socket = open_listening(context, address);
	const unsigned short port = socket.port;
	const auto tls = address.unix_path.empty() ? parts_->tls : nullptr;
	auto listener = std::make_shared<Listener>(parts_->loops, std::move(socket), tls, audience);
	parts_->listeners.push_back(listener);
	start_task(context.get_executor(), "listener", Listener::run(std::move(listener)));
	return port;
}

void Server::use_tls(const std::string &certificate_file, const std::string &key_file)
{
	parts_->tls = make_tls_context(certificate_file, key_file);
	std::signal(SIGPIPE, SIG_IGN);
}

Statistics Server::statistics() const noexcept
{
	Statistics sum;
	for (const auto &loop : parts_->loops) {
		sum.connections += loop->clients;
		sum.requests += loop->requests;
	}
	return sum;
}

asio::awaitable<void> Server::drain(milliseconds deadline)
{
	const std::shared_ptr<Parts> parts = parts_; // the server may be destroyed first
	const LoopStates &loops = parts->loops;
	const auto begin = Clock::now();
	const milliseconds grace = std::min(loops.front()->limits.grace, deadline / 2);
	const auto is_busy = [](const auto &loop) { return loop->clients > 0 || loop->requests > 0; };
	asio::steady_timer timer(loops.front()->context);
	on_each(loops, [](ServerState &loop) { loop.is_draining = true; });
	parts->close_listeners();
	while (std::ranges::any_of(loops, is_busy) && Clock::now() - begin < deadline) {
		if (Clock::now() - begin >= grace)
			on_each(loops, [](ServerState &loop) { loop.expire_idle(); });
		co_await pause(timer, kDrainLook);
	}
	on_each(loops, [](ServerState &loop) { loop.stop(); });
}

} // namespace sidecar::server
