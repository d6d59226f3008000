// One connection: reads requests, has them answered one after another, and keeps the time
// limits. Its coroutine keeps it alive.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <list>
#include <memory>
#include <string>

#include "http/request.hpp"
#include "http/response.hpp"
#include "server/buffer.hpp"
#include "server/request_reader.hpp"
#include "server/server_state.hpp"
#include "server/tls_socket.hpp"

namespace sidecar::server
{

enum class Phase { handshake, idle, request, handler, write, linger };

class HttpConnection : public std::enable_shared_from_this<HttpConnection>
{
public:
	using Clock = std::chrono::steady_clock;

	// `tls` may be null.
	HttpConnection(Place client, Socket socket, SSL_CTX *tls, http::Audience audience);
	~HttpConnection();
	HttpConnection(const HttpConnection &) = delete;
	HttpConnection &operator=(const HttpConnection &) = delete;

	static boost::asio::awaitable<void> run(std::shared_ptr<HttpConnection> self);

	Phase phase() const noexcept { return phase_; }
	// Of its phase.
	Clock::time_point deadline() const noexcept { return deadline_; }
	// The time limit has passed: it ends as its phase requires.
	void expire();
	// Closes it without an answer.
	void cut() noexcept;

private:
	enum class Outcome { whole, refused, late, gone };

	boost::asio::awaitable<void> serve();
	boost::asio::awaitable<bool> exchange(bool is_last);
	boost::asio::awaitable<Outcome> receive(RequestReader &reader, bool is_last);
	boost::asio::awaitable<void> refuse(RequestReader &reader, Outcome outcome);
	boost::asio::awaitable<bool> send(const http::Response &response, bool closes);
	boost::asio::awaitable<void> linger();
	static boost::asio::awaitable<void> answer_late(std::shared_ptr<HttpConnection> self);

	void enter(Phase phase) noexcept;
	void begin_record(http::Request &request);
	void observe(const http::Response &response);

	const Place client_;
	const std::shared_ptr<ServerState> state_;
	TlsSocket stream_;
	const http::Audience audience_;
	Buffer buffer_;

	const std::list<HttpConnection *>::iterator place_; // in the state's list
	Phase phase_ = Phase::idle;
	Clock::time_point deadline_;
	bool is_late_ = false;       // the limit of the phase has passed
	bool is_taken_over_ = false; // by answer_late()
	AccessRecord record_;        // of the request that is being answered
};

} // namespace sidecar::server
