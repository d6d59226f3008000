// The state that a server's connections on one loop share.
#pragma once

#include "server/server.hpp"
#include "server/tls_socket.hpp"
#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <list>
#include <memory>
#include <string>

namespace sidecar::server
{

class HttpConnection;

// Request ids. No two are equal, and none reveals how many came before it.
class RequestIds
{
public:
	RequestIds();
	using Id = std::array<char, 16>; // hexadecimal digits
	Id next() noexcept;

private:
	std::uint64_t state_;
};

// On the thread of its loop, but for `clients` and `requests`.
struct ServerState {
	ServerState(Loop loop, const Limits &wanted, Refusal refuses,
				std::shared_ptr<std::atomic<int>> all);

	// Nothing if none is idle.
	HttpConnection *longest_idle() const noexcept;
	// Ends the phase of each connection whose time limit has passed, and idle ones at once.
	void expire_late();
	void expire_idle();
	// Closes its connections. Handlers run to their end, and their answers are dropped.
	void stop();

	boost::asio::io_context &context;
	const Limits limits;
	const Handler handler;
	const Refusal refusal;
	const Observer observer;
	const std::shared_ptr<std::atomic<int>> clients_of_all; // of all loops
	std::atomic<int> clients = 0;                           // from accept to the end

	// In the order in which their phases began. One clock checks all of them, because a timer
	// for each would be set four times for a request.
	std::list<HttpConnection *> connections;
	RequestIds request_ids;
	std::atomic<int> requests = 0;
	bool is_draining = false;
	bool is_stopped = false;
};

// Counts a client of a loop, from accept to the end of its connection.
class Place
{
public:
	explicit Place(std::shared_ptr<ServerState> of) : state_(std::move(of))
	{
		state_->clients++;
		(*state_->clients_of_all)++;
	}
	Place(Place &&) = default;
	~Place()
	{
		if (!state_)
			return;
		state_->clients--;
		(*state_->clients_of_all)--;
	}
	Place &operator=(Place &&) = delete;

	const std::shared_ptr<ServerState> &state() const noexcept { return state_; }

private:
	std::shared_ptr<ServerState> state_;
};

} // namespace sidecar::server
