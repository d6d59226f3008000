// Accepts connections from one listening socket.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>

#include "http/request.hpp"
#include "server/listening_socket.hpp"
#include "server/server_state.hpp"

namespace sidecar::server
{

class Listener
{
public:
	Listener(ServerState &state, ListeningSocket socket, std::shared_ptr<SSL_CTX> tls,
			 http::Audience audience);

	static boost::asio::awaitable<void> run(std::shared_ptr<Listener> self,
											std::shared_ptr<ServerState> state);

	// Lets no more connections begin; those that have begun can still be accepted.
	void turn_away() noexcept;
	// Accepts what waits and closes.
	void close(const std::shared_ptr<ServerState> &state);

private:
	// False where there is no descriptor for one more.
	bool accept_waiting(const std::shared_ptr<ServerState> &state, int at_most);
	void admit(const std::shared_ptr<ServerState> &state, int descriptor);
	std::chrono::milliseconds make_room(ServerState &state);

	ListeningSocket socket_;
	const std::shared_ptr<SSL_CTX> tls_;
	const http::Audience audience_;
	boost::asio::steady_timer pause_;
	ConnectionTimeouts::Clock::time_point last_warning_{};
};

} // namespace sidecar::server
