// The state that a server's connections and listeners share.
#pragma once

#include <openssl/ssl.h>

#include <boost/asio/io_context.hpp>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "server/server.hpp"

namespace sidecar::server
{

class HttpConnection;
class Listener;

// Request ids. No two are equal, and none reveals how many came before it.
class RequestIds
{
public:
	RequestIds();
	std::string next();

private:
	std::uint64_t state_;
};

struct ServerState {
	ServerState(boost::asio::io_context &io_context, Limits wanted, Handler answers,
				Refusal refuses, Observer observes);

	// Nothing if none is idle.
	HttpConnection *longest_idle() const noexcept;
	// Ends the phase of each connection whose time limit has passed, and idle ones at once.
	void expire_late();
	void expire_idle();
	// Closes everything. Handlers run to their end, and their answers are dropped.
	void stop();

	boost::asio::io_context &context;
	const Limits limits;
	const Handler handler;
	const Refusal refusal;
	const Observer observer;

	// In the order in which their phases began. One clock checks all of them, because a timer
	// for each would be set four times for a request.
	std::list<HttpConnection *> connections;
	RequestIds request_ids;
	int requests = 0;
	bool is_draining = false;
	bool is_stopped = false;
	std::shared_ptr<SSL_CTX> tls; // for the next listener
	std::vector<std::shared_ptr<Listener>> listeners;
};

} // namespace sidecar::server
