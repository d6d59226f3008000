#include "redis/connector.hpp"

#include <openssl/crypto.h>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/text.hpp"
#include "redis/greeting.hpp"

namespace sidecar::redis
{

namespace asio = boost::asio;
using asio::ip::tcp;
using Generic = asio::generic::stream_protocol;

namespace
{

constexpr std::size_t kHandshakeInput = 4096;
constexpr const char *kTimeout = "no answer in time";

std::string name_of(const HostPort &host)
{
	return (host.host.find(':') != std::string::npos ? '[' + host.host + ']' : host.host) + ':' +
		   std::to_string(host.port);
}

} // namespace

// Bounds what follows it in its block.
class Connector::Deadline
{
public:
	explicit Deadline(Connector &connector) : connector_(connector)
	{
		connector_.has_expired_ = false;
		connector_.timer_.expires_after(connector_.limits_.connect);
		connector_.timer_.async_wait(
			[&connector, number = ++connector_.deadline_](boost::system::error_code aborted) {
				if (!aborted && connector.deadline_ == number)
					connector.expire();
			});
	}
	~Deadline()
	{
		connector_.deadline_++;
		connector_.timer_.cancel();
	}
	Deadline(const Deadline &) = delete;
	Deadline &operator=(const Deadline &) = delete;

private:
	Connector &connector_;
};

Connector::Connector(asio::any_io_executor executor, RedisAddress endpoint, const Limits &limits,
					 std::string ca_file, std::string name)
	: executor_(executor), endpoint_(std::move(endpoint)), limits_(limits),
	  ca_file_(std::move(ca_file)), name_(std::move(name)), resolver_(executor), timer_(executor),
	  socket_(executor)
{
}

asio::awaitable<Connector::Opened> Connector::open()
{
	if (endpoint_.tls && !tls_)
		tls_ = make_tls_context(ca_file_);
	if (!endpoint_.sentinel_master.empty())
		co_return co_await open_by_sentinels();
	if (endpoint_.unix_path.empty())
		co_return co_await open_host(endpoint_.hosts.front());
	ConnectionPtr session = co_await reach_socket();
	co_return co_await greet(std::move(session));
}

void Connector::close()
{
	is_closed_ = true;
	expire();
	timer_.cancel();
	if (greeted_)
		greeted_->end("the connection to Redis is closed");
}

void Connector::expire()
{
	has_expired_ = true;
	resolver_.cancel();
	boost::system::error_code ignored;
	socket_.close(ignored);
}

// A sentinel may be behind the times, and then the next may know better.
asio::awaitable<Connector::Opened> Connector::open_by_sentinels()
{
	std::string faults;
	for (const HostPort &sentinel : endpoint_.hosts) {
		std::optional<Opened> opened;
		try {
			HostPort primary = co_await ask_sentinel(sentinel);
			opened.emplace(co_await open_host(std::move(primary)));
		} catch (const std::exception &error) {
			faults += (faults.empty() ? "" : "; ") + std::string("by sentinel ") +
					  name_of(sentinel) + ": " + error.what();
		}
		if (opened)
			co_return std::move(*opened);
	}
	throw Error::unavailable(faults);
}

// Our password is the primary's: a sentinel gets it only where it wants one.
asio::awaitable<HostPort> Connector::ask_sentinel(HostPort sentinel)
{
	bool wants_password = false;
	std::vector<Reply> replies;
	for (int attempt = 0; attempt < 2; attempt++) {
		std::vector<Command> commands;
		if (wants_password)
			commands.push_back(auth_command(endpoint_));
		commands.push_back({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", endpoint_.sentinel_master});
		ConnectionPtr session = co_await reach(sentinel);
		replies = co_await run(session, std::move(commands));
		session->end("asked");
		wants_password = replies.back().error_code() == "NOAUTH";
		if (!wants_password)
			break;
	}
	const Reply &address = replies.back();
	if (address.is_error())
		throw Error::unavailable("Redis Sentinel refused: " + std::string(address.error_code()));
	const auto port = settings::parse_number(address[1].text(), 1, 65535);
	if (address[0].text().empty() || !port)
		throw Error::unavailable("no primary of that name is known");
	co_return HostPort{std::string(address[0].text()), static_cast<unsigned short>(*port)};
}

asio::awaitable<Connector::Opened> Connector::open_host(HostPort host)
{
	std::string fault;
	try {
		ConnectionPtr session = co_await reach(host);
		co_return co_await greet(std::move(session));
	} catch (const Error &error) {
		fault = error.what();
	}
	throw Error::unavailable(name_of(host) + ": " + fault);
}

asio::awaitable<Connector::Opened> Connector::greet(ConnectionPtr session)
{
	std::vector<Command> commands = greeting(endpoint_, name_);
	std::vector<Reply> replies = co_await run(session, std::move(commands));
	try {
		co_return Opened(session, check_greeting(endpoint_, replies));
	} catch (const Error &error) {
		session->end(error.what());
		throw;
	}
}

// So that close() finds the session meanwhile.
asio::awaitable<std::vector<Reply>> Connector::run(ConnectionPtr session,
												   std::vector<Command> commands)
{
	greeted_ = session;
	std::exception_ptr failure;
	std::vector<Reply> replies;
	try {
		replies = co_await session->run(std::move(commands), limits_.connect);
	} catch (...) {
		failure = std::current_exception();
	}
	greeted_.reset();
	if (failure)
		std::rethrow_exception(failure);
	co_return replies;
}

asio::awaitable<Connector::ConnectionPtr> Connector::reach(HostPort host)
{
	const std::vector<tcp::endpoint> addresses = co_await resolve(host);
	std::string fault;
	for (const tcp::endpoint &address : addresses) {
		ConnectionPtr session;
		try {
			const Deadline deadline(*this);
			Generic::endpoint where(address);
			co_await connect(where);
			socket_.set_option(tcp::no_delay(true));
			std::unique_ptr<Tls> tls;
			if (endpoint_.tls)
				tls = co_await shake_hands(host.host);
			session = make_session(std::move(tls));
		} catch (const std::exception &error) {
			fault = error.what();
		}
		if (session)
			co_return session;
	}
	throw Error::unavailable(fault);
}

asio::awaitable<Connector::ConnectionPtr> Connector::reach_socket()
{
	const Deadline deadline(*this);
	const asio::local::stream_protocol::endpoint path(endpoint_.unix_path);
	Generic::endpoint where(path);
	co_await connect(where);
	co_return make_session(nullptr);
}

asio::awaitable<void> Connector::connect(Generic::endpoint where)
{
	if (is_closed_)
		throw Error::unavailable("the connection to Redis is closed");
	boost::system::error_code error;
	socket_ = Socket(executor_);
	co_await socket_.async_connect(where, asio::redirect_error(asio::use_awaitable, error));
	if (error || has_expired_)
		throw Error::unavailable(has_expired_ ? kTimeout : error.message());
}

asio::awaitable<std::unique_ptr<Tls>> Connector::shake_hands(std::string host)
{
	auto tls = std::make_unique<Tls>(tls_.get(), host);
	boost::system::error_code error;
	std::vector<char> input(kHandshakeInput);
	Buffer output;
	while (!error) {
		const bool is_done = tls->handshake();
		tls->send(output);
		auto bytes = asio::buffer(output.view().data(), output.size());
		co_await asio::async_write(socket_, bytes,
								   asio::redirect_error(asio::use_awaitable, error));
		output.clear();
		if (is_done && !error)
			co_return tls;
		if (error)
			break;
		auto room = asio::buffer(input);
		const std::size_t got = co_await socket_.async_read_some(
			room, asio::redirect_error(asio::use_awaitable, error));
		tls->receive({input.data(), got});
	}
	throw Error::unavailable("TLS failed: " + (has_expired_ ? kTimeout : error.message()));
}

asio::awaitable<std::vector<tcp::endpoint>> Connector::resolve(HostPort host)
{
	boost::system::error_code error;
	std::vector<tcp::endpoint> addresses;
	const asio::ip::address address = asio::ip::make_address(host.host, error);
	if (!error) {
		addresses.emplace_back(address, host.port);
		co_return addresses;
	}
	const Deadline deadline(*this);
	const std::string port = std::to_string(host.port);
	error.clear();
	const tcp::resolver::results_type found = co_await resolver_.async_resolve(
		host.host, port, asio::redirect_error(asio::use_awaitable, error));
	if (error || has_expired_)
		throw Error::unavailable(has_expired_ ? kTimeout : error.message());
	for (const auto &entry : found)
		addresses.push_back(entry.endpoint());
	co_return addresses;
}

Connector::ConnectionPtr Connector::make_session(std::unique_ptr<Tls> tls)
{
	auto session = std::make_shared<Connection>(std::move(socket_), std::move(tls), limits_);
	session->start();
	return session;
}

} // namespace sidecar::redis
