// The HTTP server: a coroutine for each connection, on one or more event loops. Everything is
// bounded (docs/design/threats.md, C8).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "http/request.hpp"
#include "http/response.hpp"
#include "settings/settings.hpp"

namespace sidecar::server
{

struct Limits {
	using Time = std::chrono::milliseconds;
	int connections = 10000; // at the limit, the one that has been idle longest is closed
	Time header = std::chrono::seconds(10); // from its first byte to the end of a request
	Time write = std::chrono::seconds(10);  // without progress; six times that in all
	Time idle = std::chrono::seconds(75);   // between requests
	Time handshake = std::chrono::seconds(10);
	Time handler = std::chrono::seconds(30); // for an endpoint to answer; then 503
	Time linger = std::chrono::seconds(1);   // for the other end to read a refusal
	Time grace = std::chrono::seconds(1);    // for idle connections when draining
};

struct Statistics {
	int connections = 0;
	int requests = 0; // being answered now
};

// Answers a request, which lives until then. It must not throw (an exception becomes a 500).
using Handler = std::function<boost::asio::awaitable<http::Response>(http::Request &&)>;
// The parts of a request that may be logged, and no others.
struct AccessRecord {
	std::string request_id;
	std::string_view method; // a known method, or "other"
	std::string path;        // as sent, at most 256 bytes, without query; may be hostile
	std::string_view endpoint;
	int status = 0;
	std::chrono::steady_clock::time_point begin;
	std::chrono::microseconds duration{};
};
// Called for each request when its answer is ready, before it is sent.
using Observer = std::function<void(const AccessRecord &)>;
// The response for a status (400, 408, 413, 414, 431, 503 …) if a request did not reach the
// handler.
using Refusal = std::function<http::Response(int status, const std::string &request_id)>;

// A loop that serves connections, each on its own thread. Both functions are called there.
struct Loop {
	boost::asio::io_context &context;
	Handler handler;
	Observer observer;
};

// Accepts on the first loop, and gives each connection to the loop that has the fewest. Everything
// here is called on the first loop's thread. The limits are of all loops together.
class Server
{
public:
	Server(std::vector<Loop> loops, const Limits &limits, const Refusal &refusal);
	// With one loop.
	Server(boost::asio::io_context &context, Limits limits, Handler handler, Refusal refusal,
		   Observer observer);
	~Server();

	// Throws std::runtime_error with a text that says what is wrong with the address.
	// A stale Unix socket is replaced, one in use is not. Returns the port, which is needed if
	// port 0 was asked for.
	unsigned short listen(const settings::Address &address, http::Audience audience);
	// TLS 1.2 and up on the TCP listeners made after this. Throws std::runtime_error
	// with a text that says what is wrong with certificate or key. Also ignores SIGPIPE,
	// because OpenSSL writes to sockets without MSG_NOSIGNAL.
	void use_tls(const std::string &certificate_file, const std::string &key_file);

	Statistics statistics() const noexcept;

	// Accepts connections that already wait, then no more. Answers requests on open connections
	// with Connection: close. Ends when all are closed, or at the deadline. No accepted client
	// is left without an answer (docs/design/threats.md, C9).
	boost::asio::awaitable<void> drain(std::chrono::milliseconds deadline);

private:
	struct Parts;

	std::shared_ptr<Parts> parts_;
};

} // namespace sidecar::server
