// Opens a session with the Redis that an endpoint means: looks up names, asks
// sentinels, shakes hands, logs in, and makes sure of who is there.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "address/redis_address.hpp"
#include "redis/connection.hpp"
#include "redis/server_info.hpp"

namespace sidecar::redis
{

class Connector
{
public:
	Connector(boost::asio::any_io_executor executor, RedisAddress endpoint, const Limits &limits,
			  std::string ca_file, std::string name);
	Connector(const Connector &) = delete;
	Connector &operator=(const Connector &) = delete;

	struct Opened {
		Opened(std::shared_ptr<Connection> opened, ServerInfo found)
			: session(std::move(opened)), server(std::move(found))
		{
		}
		std::shared_ptr<Connection> session;
		ServerInfo server;
	};
	// Throws std::exception with the reason. One at a time; the connector has to
	// live until it is done.
	boost::asio::awaitable<Opened> open();

	// Ends what is under way, soon, and refuses what comes.
	void close();

private:
	using ConnectionPtr = std::shared_ptr<Connection>;
	class Deadline;

	boost::asio::awaitable<Opened> open_by_sentinels();
	boost::asio::awaitable<HostPort> ask_sentinel(HostPort sentinel);
	boost::asio::awaitable<Opened> open_host(HostPort host);
	boost::asio::awaitable<Opened> greet(ConnectionPtr session);
	boost::asio::awaitable<std::vector<Reply>> run(ConnectionPtr session,
												   std::vector<Command> commands);
	boost::asio::awaitable<ConnectionPtr> reach(HostPort host);
	boost::asio::awaitable<ConnectionPtr> reach_socket();
	boost::asio::awaitable<void> connect(boost::asio::generic::stream_protocol::endpoint where);
	boost::asio::awaitable<std::unique_ptr<Tls>> shake_hands(std::string host);
	boost::asio::awaitable<std::vector<boost::asio::ip::tcp::endpoint>> resolve(HostPort host);
	void expire();
	ConnectionPtr make_session(std::unique_ptr<Tls> tls);

	const boost::asio::any_io_executor executor_;
	const RedisAddress endpoint_;
	const Limits limits_;
	const std::string ca_file_;
	const std::string name_;
	std::shared_ptr<SSL_CTX> tls_;
	boost::asio::ip::tcp::resolver resolver_;
	boost::asio::steady_timer timer_;
	Socket socket_;         // until there is a session
	ConnectionPtr greeted_; // until it is handed over
	unsigned deadline_ = 0;
	bool has_expired_ = false;
	bool is_closed_ = false;
};

} // namespace sidecar::redis
