// Accepts connections from one listening socket.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>

#include "http/request.hpp"
#include "server/listening_socket.hpp"
#include "server/server_state.hpp"
#include "server/tls_socket.hpp"

namespace sidecar::server
{

class Listener
{
public:
	Listener(std::shared_ptr<ServerState> state, ListeningSocket socket,
			 std::shared_ptr<SSL_CTX> tls, http::Audience audience);

	static boost::asio::awaitable<void> run(std::shared_ptr<Listener> self);

	// Accepts connections that wait, unless the server has stopped, and closes the socket.
	void close();

private:
	void admit(Socket socket);
	std::chrono::milliseconds make_room();

	const std::shared_ptr<ServerState> state_;
	ListeningSocket socket_;
	const std::shared_ptr<SSL_CTX> tls_;
	const http::Audience audience_;
	boost::asio::steady_timer pause_;
	std::chrono::steady_clock::time_point next_warning_{};
};

} // namespace sidecar::server
