// One connection: reads requests, has them answered one after another, and
// keeps to the time limits. Its coroutine keeps it alive.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>

#include "http/request.hpp"
#include "http/response.hpp"
#include "server/buffer.hpp"
#include "server/connection_timeouts.hpp"
#include "server/request_reader.hpp"
#include "server/server_state.hpp"
#include "server/tls_socket.hpp"

namespace sidecar::server
{

class HttpConnection : public std::enable_shared_from_this<HttpConnection>
{
public:
	// `tls` may be null.
	HttpConnection(std::shared_ptr<ServerState> state, Socket socket, SSL_CTX *tls,
				   http::Audience audience);
	~HttpConnection();
	HttpConnection(const HttpConnection &) = delete;
	HttpConnection &operator=(const HttpConnection &) = delete;

	static boost::asio::awaitable<void> run(std::shared_ptr<HttpConnection> self);

	// When its phase began.
	ConnectionTimeouts::Clock::time_point since() const noexcept { return since_; }
	// Its time is over: it ends as its phase demands.
	void expire();
	// Ends it without a word.
	void cut() noexcept;

private:
	// A request that is being answered, as far as it outlives being read.
	struct Exchange {
		Exchange(std::string request_id, const http::Request &request);

		std::string id;
		std::string path;
		std::string_view method;
		bool is_head;
		ConnectionTimeouts::Clock::time_point begin;
	};
	enum class Outcome { whole, refused, late, gone };

	boost::asio::awaitable<bool> secure();
	boost::asio::awaitable<bool> exchange(bool is_last);
	boost::asio::awaitable<Outcome> receive(RequestReader &reader, bool is_last);
	boost::asio::awaitable<http::Response> handled(http::Request request, const std::string &id);
	boost::asio::awaitable<void> refuse(RequestReader &reader, Outcome outcome);
	boost::asio::awaitable<bool> send(const http::Response &response, const Exchange &exchange,
									  bool closes);
	boost::asio::awaitable<void> linger();
	static boost::asio::awaitable<void> answer_late(std::shared_ptr<HttpConnection> self);

	void enter(Phase phase) noexcept;
	void observe(const Exchange &exchange, const http::Response &response);
	void end() noexcept;

	const std::shared_ptr<ServerState> state_;
	TlsSocket stream_;
	const http::Audience audience_;
	Buffer buffer_;

	Phase phase_ = Phase::idle;
	ConnectionTimeouts::Clock::time_point since_ = ConnectionTimeouts::Clock::now();
	ConnectionTimeouts::Position place_;
	bool is_late_ = false;       // the limit of the phase has passed
	bool is_taken_over_ = false; // by answer_late()
	bool is_over_ = false;
	const Exchange *current_ = nullptr; // while its handler runs
};

} // namespace sidecar::server
