// What a server's connections and listeners share.
#pragma once

#include <openssl/ssl.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <vector>

#include "server/connection_timeouts.hpp"
#include "server/server.hpp"

namespace sidecar::server
{

class Listener;

// Request ids: no two alike, and none that tells how many came before it.
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

	boost::asio::io_context &context;
	const Limits limits;
	const Handler handler;
	const Refusal refusal;
	const Observer observer;

	ConnectionTimeouts timeouts;
	RequestIds request_ids;
	int requests = 0;
	bool is_draining = false;
	bool is_stopped = false;
	boost::asio::steady_timer tick; // looks at the timeouts
	std::shared_ptr<SSL_CTX> tls;   // for the next listener
	std::vector<std::shared_ptr<Listener>> listeners;
};

} // namespace sidecar::server
