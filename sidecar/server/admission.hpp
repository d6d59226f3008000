// Gives the connections of one listener to the loops that serve them.
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "http/request.hpp"
#include "server/server_state.hpp"
#include "server/tls_socket.hpp"

namespace sidecar::server
{

using LoopStates = std::vector<std::shared_ptr<ServerState>>; // the first loop's first

class Admission : public std::enable_shared_from_this<Admission>
{
public:
	Admission(LoopStates loops, std::shared_ptr<SSL_CTX> tls, http::Audience audience)
		: loops_(std::move(loops)), tls_(std::move(tls)), audience_(audience)
	{
	}

	// On the first loop's thread: the loop with the fewest clients; among equals, they take turns.
	const std::shared_ptr<ServerState> &next_loop() noexcept;
	// From any thread. The socket is of the client's loop.
	void admit(Place client, Socket socket) const;

private:
	void serve(Place client, Socket socket, std::size_t tries) const;
	bool make_room(ServerState &loop) const;
	void pass_on(Place client, Socket socket, std::size_t tries) const;

	const LoopStates loops_;
	const std::shared_ptr<SSL_CTX> tls_;
	const http::Audience audience_;
	std::size_t last_ = 0;
};

} // namespace sidecar::server
