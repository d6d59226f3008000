// A client of Redis that keeps itself connected: it connects, asks who is there, and
// connects again with back-off after its connection was lost. All on the event loop's
// thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "address/redis_address.hpp"
#include "base/backoff.hpp"
#include "redis/connector.hpp"

namespace sidecar::redis
{

// Commands of many coroutines share the connection. A command is never sent twice. One
// that is not answered in time ends the connection, and with it all that wait.
class Client
{
public:
	// `ca_file`: who may vouch for the server's certificate; empty: the system's
	// store. `name`: for CLIENT SETNAME and the log.
	Client(boost::asio::any_io_executor executor, RedisAddress address, const Limits &limits,
		   std::string ca_file, std::string name);
	~Client() { close(); }
	Client(const Client &) = delete;
	Client &operator=(const Client &) = delete;

	// Once. From then on it has to live until its event loop has ended.
	void start();

	bool is_connected() const noexcept { return connection_ != nullptr; }
	// Who is at the other end; null while not connected.
	const ServerInfo *server() const noexcept { return connection_ ? &server_ : nullptr; }
	// Why the last attempt failed or the last connection ended; for the log.
	const std::string &fault() const noexcept { return fault_; }

	// These throw Error, and refuse at once while not connected. Let commands be
	// named locals, moved in.
	boost::asio::awaitable<Reply> run(Command command);
	// One pipeline. What Redis refuses is an error in its reply, and the others stand.
	boost::asio::awaitable<Replies> run(std::vector<Command> commands);

	// Until there is a connection; throws Error if there is none in time.
	boost::asio::awaitable<void> wait_connected(std::chrono::milliseconds timeout);

	// Gives up the present connection, and connects again.
	void drop();
	// For ever. Commands under way end with Error.
	void close();

private:
	boost::asio::awaitable<void> keep_connected();
	boost::asio::awaitable<void> try_once();
	void go_up(Connector::Opened opened);
	void go_down(const std::string &why);

	const std::string name_;
	Connector connector_;
	boost::asio::steady_timer pause_; // while keep_connected() has nothing to do
	database::Backoff backoff_;
	std::shared_ptr<Connection> connection_; // null while not connected
	ServerInfo server_;
	Clock::time_point since_; // when it became connected
	std::string fault_;
	bool is_reachable_ = true;
	bool is_closed_ = false;
};

} // namespace sidecar::redis
