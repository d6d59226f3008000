// Accepts connections from one listening socket, on the first loop.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>

#include "server/admission.hpp"
#include "server/listening_socket.hpp"

namespace sidecar::server
{

class Listener
{
public:
	Listener(LoopStates loops, ListeningSocket socket, std::shared_ptr<SSL_CTX> tls,
			 http::Audience audience);

	static boost::asio::awaitable<void> run(std::shared_ptr<Listener> self);

	// Accepts connections that wait, unless the server has stopped, and closes the socket.
	void close();

private:
	boost::asio::awaitable<std::chrono::milliseconds> make_room();
	boost::asio::awaitable<bool> cut_an_idle_one();
	void warn();

	const LoopStates loops_;
	const std::shared_ptr<Admission> admission_;
	ListeningSocket socket_;
	boost::asio::steady_timer pause_;
	std::chrono::steady_clock::time_point next_warning_{};
};

} // namespace sidecar::server
