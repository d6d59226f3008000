// A Redis that answers as it is told, on a Unix socket, in the test's own loop.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <functional>
#include <memory>
#include <string>

#include "redis/reply.hpp"

namespace tests
{

class FakeRedis
{
public:
	// What to send for a command; "" for nothing, kHangUp to close.
	using Answer = std::function<std::string(const sidecar::redis::Reply &command)>;
	static const std::string kHangUp;

	// The greeting is answered as a primary of Redis 7 does, where `answer` says
	// kGreeting.
	static const std::string kGreeting;

	FakeRedis(boost::asio::io_context &io, Answer answer);
	~FakeRedis();
	FakeRedis(const FakeRedis &) = delete;
	FakeRedis &operator=(const FakeRedis &) = delete;

	std::string url() const { return "unix://" + path_; }
	int connections() const noexcept { return state_->connections; }

private:
	struct State {
		Answer answer;
		int connections = 0;
	};
	using Acceptor = boost::asio::local::stream_protocol::acceptor;
	using Socket = boost::asio::local::stream_protocol::socket;

	void accept();
	static boost::asio::awaitable<void> serve(std::shared_ptr<State> state, Socket socket);

	std::string path_;
	std::shared_ptr<State> state_;
	Acceptor acceptor_;
};

} // namespace tests
