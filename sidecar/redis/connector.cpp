#include "redis/connector.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <utility>

#include "base/text.hpp"
#include "redis/greeting.hpp"

namespace sidecar::redis
{

namespace asio = boost::asio;
using asio::ip::tcp;

namespace
{

std::string name_of(const address::HostPort &host)
{
	return (host.host.find(':') != std::string::npos ? '[' + host.host + ']' : host.host) + ':' +
		   std::to_string(host.port);
}

} // namespace

asio::awaitable<Connector::Opened> Connector::open()
{
	if (address_.tls && !tls_)
		tls_ = make_tls_context(ca_file_);
	if (!address_.sentinel_master.empty())
		co_return co_await open_by_sentinels();
	if (address_.unix_path.empty())
		co_return co_await open_host(address_.hosts.front());
	const asio::local::stream_protocol::endpoint path(address_.unix_path);
	ConnectionPtr connection = co_await reach(path, "");
	co_return co_await log_in(std::move(connection));
}

void Connector::close()
{
	is_closed_ = true;
	if (const auto connection = last_.lock())
		connection->end("the connection to Redis is closed");
}

asio::awaitable<std::vector<Connection::Endpoint>> Connector::look_up(address::HostPort host)
{
	std::vector<Connection::Endpoint> found;
	boost::system::error_code error;
	const asio::ip::address address = asio::ip::make_address(host.host, error);
	if (!error) {
		found.emplace_back(tcp::endpoint(address, host.port));
		co_return found;
	}
	if (!look_ups_)
		look_ups_.emplace(executor_, 1);
	auto blocking = [name = host.host, port = std::to_string(host.port)] {
		asio::io_context context;
		std::pair<tcp::resolver::results_type, boost::system::error_code> result;
		result.first = tcp::resolver(context).resolve(name, port, result.second);
		return result;
	};
	const auto result = co_await look_ups_->run(blocking);
	if (result.second)
		throw Error::unavailable(result.second.message());
	for (const auto &entry : result.first)
		found.emplace_back(entry.endpoint());
	co_return found;
}

// A sentinel may be out of date, and the next one right.
asio::awaitable<Connector::Opened> Connector::open_by_sentinels()
{
	std::string faults;
	for (const address::HostPort &sentinel : address_.hosts) {
		try {
			address::HostPort primary = co_await ask_sentinel(sentinel);
			co_return co_await open_host(std::move(primary));
		} catch (const std::exception &error) {
			faults += (faults.empty() ? "" : "; ") + std::string("by sentinel ") +
					  name_of(sentinel) + ": " + error.what();
		}
	}
	throw Error::unavailable(faults);
}

// The password is for the primary. A sentinel gets it only if it asks for one.
asio::awaitable<address::HostPort> Connector::ask_sentinel(address::HostPort sentinel)
{
	Replies replies;
	for (const bool with_password : {false, true}) {
		std::vector<Command> commands;
		if (with_password)
			commands.push_back(auth_command(address_));
		commands.push_back({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", address_.sentinel_master});
		const ConnectionPtr connection = co_await reach(sentinel);
		replies = co_await connection->run(std::move(commands));
		connection->end("asked");
		if (replies.back().error_code() != "NOAUTH")
			break;
	}
	const Reply &primary = replies.back();
	if (primary.is_error())
		throw Error::unavailable("Redis Sentinel refused: " + std::string(primary.error_code()));
	const auto port = parse_number(primary[1].text(), 1, 65535);
	if (primary[0].text().empty() || !port)
		throw Error::unavailable("no primary of that name is known");
	co_return address::HostPort{std::string(primary[0].text()), static_cast<unsigned short>(*port)};
}

asio::awaitable<Connector::Opened> Connector::open_host(address::HostPort host)
{
	std::string fault;
	try {
		ConnectionPtr connection = co_await reach(host);
		co_return co_await log_in(std::move(connection));
	} catch (const Error &error) {
		fault = error.what();
	}
	throw Error::unavailable(name_of(host) + ": " + fault);
}

asio::awaitable<Connector::Opened> Connector::log_in(ConnectionPtr connection)
{
	std::vector<Command> commands = greeting(address_, name_);
	const Replies replies = co_await connection->run(std::move(commands));
	try {
		co_return Opened(connection, check_greeting(address_, replies));
	} catch (const Error &error) {
		connection->end(error.what());
		throw;
	}
}

asio::awaitable<Connector::ConnectionPtr> Connector::reach(address::HostPort host)
{
	const std::vector<Connection::Endpoint> addresses = co_await look_up(host);
	std::string fault;
	for (const Connection::Endpoint &address : addresses) {
		try {
			co_return co_await reach(address, host.host);
		} catch (const std::exception &error) {
			fault = error.what();
		}
	}
	throw Error::unavailable(fault);
}

asio::awaitable<Connector::ConnectionPtr> Connector::reach(Connection::Endpoint where,
														   std::string host)
{
	if (is_closed_)
		throw Error::unavailable("the connection to Redis is closed");
	const auto connection = std::make_shared<Connection>(executor_, limits_);
	last_ = connection;
	co_await connection->open(where, tls_ ? &*tls_ : nullptr, std::move(host));
	co_return connection;
}

} // namespace sidecar::redis
