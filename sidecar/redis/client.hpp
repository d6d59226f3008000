// A Redis client that stays connected: it connects, checks the server, and connects again
// with back-off if the connection is lost. Everything runs on the event loop's thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "address/redis_address.hpp"
#include "base/backoff.hpp"
#include "base/outage.hpp"
#include "redis/connector.hpp"

namespace sidecar::redis
{

// What a command led to. (The asio of Boost 1.81 cannot hand a coroutine an exception or a value.)
class Answer
{
public:
	Answer(std::exception_ptr failure, Replies replies)
		: failure_(std::move(failure)), replies_(std::move(replies))
	{
	}
	// Throws Error, also if Redis refused the command.
	Reply take();

private:
	std::exception_ptr failure_;
	Replies replies_;
};

// The commands of many coroutines share the connection. A command is never sent twice. If one
// is not answered in time, the connection ends, and with it all commands that wait.
class Client
{
public:
	// `ca_file`: the authorities for the server's certificate; empty: the system's store. `name`:
	// for CLIENT SETNAME and the log. `outage`: of all that the log tells of together.
	Client(boost::asio::any_io_executor executor, address::RedisAddress address,
		   const Limits &limits, std::string ca_file, std::string name,
		   std::shared_ptr<Outage> outage = std::make_shared<Outage>());
	~Client() { close(); }
	Client(const Client &) = delete;
	Client &operator=(const Client &) = delete;

	// Once. From then on it has to live until its event loop has ended.
	void start();

	bool is_connected() const noexcept { return connection_ != nullptr; }
	// The server at the other end; null while not connected.
	const ServerInfo *server() const noexcept { return connection_ ? &server_ : nullptr; }
	// Why the last attempt failed or the last connection ended; for the log.
	const std::string &fault() const noexcept { return fault_; }

	Outage &outage() noexcept { return *outage_; }

	// These throw Error, at once while not connected. Make commands named locals, and move
	// them in.
	boost::asio::awaitable<Reply> run(Command command);
	// The same without a coroutine, for the read that every request may make:
	//     auto asking = client.ask(std::move(command));
	//     Answer answer = co_await std::move(asking);
	auto ask(Command command)
	{
		return boost::asio::async_initiate<const boost::asio::deferred_t &, void(Answer)>(
			[this](auto handler, const Command &asked) {
				send(
					[handler = std::move(handler)](std::exception_ptr failure,
												   Replies replies) mutable {
						std::move(handler)(Answer(std::move(failure), std::move(replies)));
					},
					asked);
			},
			boost::asio::deferred, std::move(command));
	}
	// One pipeline. If Redis refuses a command, its reply is an error; the others count.
	boost::asio::awaitable<Replies> run(std::vector<Command> commands);

	// Waits for a connection. Throws Error if there is none in time.
	boost::asio::awaitable<void> wait_connected(std::chrono::milliseconds timeout);

	// Gives up the present connection, and connects again.
	void drop();
	// Closes it finally. Commands under way end with Error.
	void close();

private:
	void send(Connection::Handler handler, const Command &command);
	boost::asio::awaitable<void> keep_connected();
	boost::asio::awaitable<void> try_once();
	std::string absence() const; // why there is no connection
	void go_up(Connector::Opened opened);
	void go_down(const std::string &why);

	const std::string name_;
	const std::shared_ptr<Outage> outage_;
	Connector connector_;
	boost::asio::steady_timer pause_; // while keep_connected() has nothing to do
	Backoff backoff_;
	std::shared_ptr<Connection> connection_; // null while not connected
	ServerInfo server_;
	Clock::time_point since_; // when it became connected
	std::string fault_;
	bool is_reachable_ = true;
	bool is_closed_ = false;
};

} // namespace sidecar::redis
