// A connection to Redis that keeps itself up: it connects, asks who is there, and
// connects again with back-off when it is lost. All on the event loop's thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "address/redis_address.hpp"
#include "redis/command.hpp"
#include "redis/error.hpp"
#include "redis/limits.hpp"
#include "redis/reply.hpp"
#include "redis/server_info.hpp"

namespace sidecar::redis
{

// Commands of many coroutines share the connection: those of one turn of the
// event loop leave in one write. A command is never sent twice. One that is not
// answered in time ends the connection, and with it all that wait.
class Client
{
public:
	// `ca_file`: who may vouch for the server's certificate; empty: the system's
	// store. `name`: for CLIENT SETNAME and the log.
	Client(boost::asio::any_io_executor executor, RedisAddress endpoint, Limits limits,
		   std::string ca_file, std::string name);
	~Client(); // as close()
	Client(const Client &) = delete;
	Client &operator=(const Client &) = delete;

	void start();

	bool is_connected() const noexcept;
	// Who is at the other end; null while not connected.
	const ServerInfo *server() const noexcept;
	// How many connections there have been: the present one's number.
	unsigned generation() const noexcept;
	// Why the last attempt failed or the last connection ended; for the log.
	const std::string &fault() const noexcept;

	// These throw Error, and refuse at once while not connected. Let commands be
	// named locals, moved in.
	boost::asio::awaitable<Reply> run(Command command);
	boost::asio::awaitable<Reply> run(Command command, std::chrono::milliseconds timeout);
	// One pipeline. What Redis refuses is an error in its reply, and the others stand.
	boost::asio::awaitable<std::vector<Reply>> run(std::vector<Command> commands);
	boost::asio::awaitable<std::vector<Reply>> run(std::vector<Command> commands,
												   std::chrono::milliseconds timeout);

	// Until there is a connection; throws Error where there is none in time.
	boost::asio::awaitable<void> wait_connected(std::chrono::milliseconds timeout);

	// Lets go of the present connection, and connects again.
	void drop();
	// Ends it for good. Commands under way end with Error.
	void close();

private:
	struct Impl;
	std::shared_ptr<Impl> impl_;
};

} // namespace sidecar::redis
