// The connection's inside: the present session, and what to do without one.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <list>

#include "base/backoff.hpp"
#include "redis/client.hpp"
#include "redis/connection.hpp"
#include "redis/connector.hpp"

namespace sidecar::redis
{

struct Client::Impl : std::enable_shared_from_this<Impl> {
	Impl(boost::asio::any_io_executor on, RedisAddress endpoint, const Limits &bounds,
		 std::string ca_file, std::string own_name)
		: executor(on), limits(bounds), name(own_name),
		  connector(on, std::move(endpoint), bounds, std::move(ca_file), std::move(own_name)),
		  pause(on)
	{
	}

	static boost::asio::awaitable<void> keep_up(std::shared_ptr<Impl> self);
	static boost::asio::awaitable<void> wait_connected(std::shared_ptr<Impl> self,
													   std::chrono::milliseconds timeout);

	void send(WaiterPtr waiter, const Command *commands, std::size_t count,
			  std::chrono::milliseconds timeout);
	boost::asio::awaitable<void> try_once();
	void go_up(Connector::Opened opened);
	void go_down(const std::string &why);
	void close();

	// Stands in the list as long as it lives.
	struct Waiting {
		Waiting(Impl &connection, std::chrono::milliseconds timeout)
			: list(connection.waiting), timer(connection.executor, timeout),
			  place(list.insert(list.end(), &timer))
		{
		}
		~Waiting() { list.erase(place); }
		Waiting(const Waiting &) = delete;
		Waiting &operator=(const Waiting &) = delete;

		std::list<boost::asio::steady_timer *> &list;
		boost::asio::steady_timer timer;
		const std::list<boost::asio::steady_timer *>::iterator place;
	};

	const boost::asio::any_io_executor executor;
	const Limits limits;
	const std::string name;
	Connector connector;
	boost::asio::steady_timer pause; // while there is nothing to do for keep_up()
	database::Backoff backoff;
	std::shared_ptr<Connection> session; // null while not connected
	ServerInfo server;
	Clock::time_point since; // when it became connected
	unsigned generation = 0;
	std::string fault;
	std::list<boost::asio::steady_timer *> waiting; // for a connection
	bool is_reachable = true;
	bool is_started = false;
	bool is_closed = false;
};

} // namespace sidecar::redis
