// Opens a connection to the Redis that an address means: looks up names, asks
// sentinels, logs in, and checks the server.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "address/redis_address.hpp"
#include "base/workers.hpp"
#include "redis/connection.hpp"
#include "redis/server_info.hpp"

namespace sidecar::redis
{

class Connector
{
public:
	Connector(boost::asio::any_io_executor executor, address::RedisAddress address,
			  const Limits &limits, std::string ca_file, std::string name)
		: executor_(std::move(executor)), address_(std::move(address)), limits_(limits),
		  ca_file_(std::move(ca_file)), name_(std::move(name))
	{
	}
	Connector(const Connector &) = delete;
	Connector &operator=(const Connector &) = delete;

	using ConnectionPtr = std::shared_ptr<Connection>;
	struct Opened {
		Opened(ConnectionPtr opened, ServerInfo found)
			: connection(std::move(opened)), server(std::move(found))
		{
		}
		ConnectionPtr connection;
		ServerInfo server;
	};
	// Throws std::exception with the reason. One at a time; the connector has to
	// live until it is done.
	boost::asio::awaitable<Opened> open();

	// Ends attempts under way soon, and refuses new ones.
	void close();

private:
	boost::asio::awaitable<std::vector<Connection::Endpoint>> look_up(address::HostPort host);
	boost::asio::awaitable<Opened> open_by_sentinels();
	boost::asio::awaitable<address::HostPort> ask_sentinel(address::HostPort sentinel);
	boost::asio::awaitable<Opened> open_host(address::HostPort host);
	boost::asio::awaitable<Opened> log_in(ConnectionPtr connection);
	boost::asio::awaitable<ConnectionPtr> reach(address::HostPort host);
	boost::asio::awaitable<ConnectionPtr> reach(Connection::Endpoint where, std::string host);

	const boost::asio::any_io_executor executor_;
	const address::RedisAddress address_;
	const Limits limits_;
	const std::string ca_file_;
	const std::string name_;
	std::optional<boost::asio::ssl::context> tls_;
	// Asio looks all names of a loop up in one thread, and a name server that is silent holds
	// it up for half a minute: the database's names must not wait for Redis'.
	std::optional<Workers> look_ups_;
	std::weak_ptr<Connection> last_; // for close()
	bool is_closed_ = false;
};

} // namespace sidecar::redis
