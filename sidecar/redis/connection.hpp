// One connection to Redis, over TCP, TLS or a Unix socket. Commands leave in one write
// each turn of the event loop, and replies belong to them in their order.
#pragma once

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "redis/command.hpp"
#include "redis/decoder.hpp"
#include "redis/error.hpp"

namespace sidecar::redis
{

using Clock = std::chrono::steady_clock;
using Replies = std::vector<Reply>;

struct Limits {
	std::chrono::milliseconds connect{2000}; // for each address: TCP and TLS, then log-in
	std::chrono::milliseconds command{100};  // for an answer
	std::size_t waiting = 10000;             // pipelines; beyond it: an error at once
	std::size_t reply = 16 << 20;            // bytes
};

// TLS 1.2 and up. `ca_file` (PEM), or the system's store if that is empty, must contain the
// certificate's authority. Throws Error.
boost::asio::ssl::context make_tls_context(const std::string &ca_file);

class Connection : public std::enable_shared_from_this<Connection>
{
public:
	using Socket = boost::asio::generic::stream_protocol::socket;
	using Endpoint = boost::asio::generic::stream_protocol::endpoint;

	Connection(boost::asio::any_io_executor executor, const Limits &limits);
	Connection(const Connection &) = delete;
	Connection &operator=(const Connection &) = delete;

	// Connects, with `tls` if that is not null: then the certificate must be that of `host`,
	// a name or an IP address. Throws Error.
	boost::asio::awaitable<void> open(Endpoint where, boost::asio::ssl::context *tls,
									  std::string host);
	bool is_open() const noexcept { return !has_ended_; }

	// The log-in is over: from now on, an answer by which this Redis cannot serve
	// (READONLY and its like) ends the connection. `on_end` is called once, with the
	// reason of the end.
	void serve(std::function<void(const std::string &fault)> on_end);

	// One pipeline. If Redis refuses a command, its reply is an error. Throws Error if there is
	// no answer.
	boost::asio::awaitable<Replies> run(std::vector<Command> commands);
	// The same, for one that has a handler of its own.
	using Handler = boost::asio::any_completion_handler<void(std::exception_ptr, Replies)>;
	void send(Handler handler, std::span<const Command> commands);

	// Callers that wait get an Error with this text, in a later turn of the loop.
	void end(const std::string &fault);

private:
	struct Pipeline {
		Handler handler;
		Replies replies;
		std::size_t size;
		Clock::time_point deadline;
	};

	template <typename Operation>
	void on_stream(Operation operation);
	boost::asio::awaitable<void> shake_hands(boost::asio::ssl::context &context,
											 const std::string &host);
	void fail_soon(Handler handler, const std::string &fault);
	void flush_soon();
	void flush();
	void receive();
	void take(std::string_view bytes);
	void deliver(Reply reply);
	void watch(Clock::time_point deadline);
	void look_for_late();

	Socket socket_;
	std::optional<boost::asio::ssl::stream<Socket &>> tls_;
	const Limits limits_;
	boost::asio::steady_timer timer_; // for the first of pipelines_, while there is one
	Decoder decoder_;
	std::vector<char> input_;
	common::Secret output_;
	common::Secret sent_; // while the socket takes it
	std::deque<Pipeline> pipelines_;
	std::function<void(const std::string &)> on_end_;
	std::string fault_;
	bool is_up_ = false;
	bool has_ended_ = false;
	bool is_serving_ = false;
	bool is_flush_due_ = false;
	bool is_watched_ = false;
	bool is_late_ = false;
};

} // namespace sidecar::redis
