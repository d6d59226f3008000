// One connection to Redis, from the moment that bytes can be sent on it until it
// ends. Commands go out in one write each turn of the event loop, and replies
// belong to them in their order.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "redis/buffer.hpp"
#include "redis/command.hpp"
#include "redis/decoder.hpp"
#include "redis/limits.hpp"
#include "redis/tls.hpp"
#include "redis/waiter.hpp"

namespace sidecar::redis
{

using Socket = boost::asio::generic::stream_protocol::socket;

class Connection : public std::enable_shared_from_this<Connection>
{
public:
	// The socket is connected, and TLS has shaken hands.
	Connection(Socket socket, std::unique_ptr<Tls> tls, const Limits &limits);
	Connection(const Connection &) = delete;
	Connection &operator=(const Connection &) = delete;

	void start();
	bool is_open() const noexcept { return !has_ended_; }
	// The greeting is over: from now on, an answer by which this Redis cannot serve
	// (READONLY and its like) ends the session. `on_end` is called once, with the
	// reason of the end.
	void serve(std::function<void(const std::string &fault)> on_end);

	void send(WaiterPtr waiter, const Command *commands, std::size_t count,
			  std::chrono::milliseconds timeout);
	boost::asio::awaitable<std::vector<Reply>> run(std::vector<Command> commands,
												   std::chrono::milliseconds timeout);

	// Those who wait get an Error of this text, in a later turn.
	void end(const std::string &fault, std::string_view code = {});

private:
	void flush_soon();
	void flush();
	void receive();
	void received(std::string_view wire);
	void take(std::string_view plain);
	void deliver(Reply reply);
	void arm(Clock::time_point when);
	void look_for_late();

	Socket socket_;
	const std::unique_ptr<Tls> tls_; // or null
	const std::size_t max_waiting_;
	boost::asio::steady_timer timer_;
	Clock::time_point armed_ = Clock::time_point::max(); // when the timer fires
	Decoder decoder_;
	std::vector<char> input_;
	Buffer output_;
	Buffer wire_; // the same, encrypted
	std::deque<WaiterPtr> waiters_;
	std::function<void(const std::string &)> on_end_;
	bool has_ended_ = false;
	bool is_serving_ = false;
	bool is_flush_due_ = false;
	bool is_blocked_ = false; // until the socket takes more
	bool is_second_look_ = false;
};

// Fails a waiter in a later turn, as an operation must not end before it has begun.
void fail_soon(const boost::asio::any_io_executor &executor, WaiterPtr waiter,
			   const std::string &fault);

} // namespace sidecar::redis
