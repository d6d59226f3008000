#include "database/connector.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <new>

#include "address/database_address.hpp"
#include "database/connection_failure.hpp"

namespace sidecar::database
{

namespace asio = boost::asio;
using asio::ip::tcp;

namespace
{

// How long a server that was silent is tried after all others.
constexpr std::chrono::seconds kDistrust{30};
constexpr std::size_t kAddresses = 8; // of one name
// The server ends a statement by itself; one that does not answer then is gone.
constexpr std::chrono::seconds kGrace{1};

void drop_notice(void *, const char *) {}

std::string name_of(const Host &host)
{
	return host.name + ' ' + host.address + ' ' + host.port;
}

bool is_to_be_looked_up(const Host &host)
{
	const bool is_socket = host.name.starts_with('/') || host.name.starts_with('@');
	return host.address.empty() && !host.name.empty() && !is_socket;
}

void add_reason(std::string &all, const std::string &reason)
{
	if (all.find(reason) != all.npos)
		return;
	if (!all.empty())
		all += "; ";
	all += reason;
}

// What stands before the URL can be set otherwise there, what follows cannot. libpq
// passes over what is empty.
ConnectionHandle begin(const common::Secret &url, const Host &host)
{
	const char *const keywords[] = {"fallback_application_name",
									"keepalives_idle",
									"keepalives_interval",
									"keepalives_count",
									"tcp_user_timeout",
									"dbname",
									"client_encoding",
									"host",
									"hostaddr",
									"port",
									"target_session_attrs",
									nullptr};
	const char *const values[] = {"oauth-sidecar",
								  "30",
								  "10",
								  "3",
								  "30000",
								  url.c_str(),
								  "UTF8",
								  host.name.c_str(),
								  host.address.c_str(),
								  host.port.c_str(),
								  host.session_attributes.c_str(),
								  nullptr};
	ConnectionHandle connection(PQconnectStartParams(keywords, values, 1));
	if (!connection)
		throw std::bad_alloc();
	// Before the log-in, in which a server may already have something to say, and
	// libpq would print it.
	PQsetNoticeProcessor(connection.get(), drop_notice, nullptr);
	PQsetErrorVerbosity(connection.get(), PQERRORS_VERBOSE); // it tells the SQLSTATE
	return connection;
}

} // namespace

Connector::Connector(asio::any_io_executor executor, common::Secret url,
					 std::chrono::milliseconds attempt, std::chrono::milliseconds statement)
	: executor_(executor), url_(std::move(url)), attempt_(attempt), statement_(statement),
	  resolver_(executor)
{
}

asio::awaitable<std::shared_ptr<Session>> Connector::connect()
{
	// First of all: libpq's complaints about an address may quote it.
	if (const auto fault = address::error_of_url(url_))
		throw StoreError({}, "DATABASE_URL " + *fault);
	reasons_.clear();
	const address::Conninfo address = address::Conninfo::effective(url_);
	std::vector<Host> listed = hosts_of(address);
	std::vector<Host> found = co_await look_up(std::move(listed));
	std::vector<Host> hosts = by_preference(address, std::move(found));
	put_off_silent(hosts);
	const auto limit = attempt_limit(address, hosts.size(), attempt_);
	const std::string settings = session_settings(statement_);
	for (const Host &host : hosts) {
		auto session = std::make_shared<Session>(executor_, begin(url_, host), statement_ + kGrace);
		try {
			co_await session->connect(limit);
			co_await session->set_up(settings);
			silent_.erase(name_of(host));
			co_return session;
		} catch (const std::exception &error) { // also of the event loop
			if (session->has_expired())
				silent_[name_of(host)] = Clock::now();
			add_reason(reasons_, error.what());
		}
	}
	throw StoreError({}, reasons_);
}

// libpq would look names up itself, and block. A name that has several addresses is as
// many hosts, so that each has its time.
asio::awaitable<std::vector<Host>> Connector::look_up(std::vector<Host> listed)
{
	std::vector<Host> hosts;
	for (const Host &host : listed) {
		if (!is_to_be_looked_up(host)) {
			hosts.push_back(host);
			continue;
		}
		boost::system::error_code error;
		const tcp::resolver::results_type found = co_await resolver_.async_resolve(
			host.name, "", asio::redirect_error(asio::use_awaitable, error));
		if (error)
			add_reason(reasons_, explain("could not translate host name \"" + host.name +
										 "\" to address: " + error.message()));
		std::size_t count = 0;
		for (auto at = found.begin(); at != found.end() && count < kAddresses; ++at, ++count)
			hosts.push_back({host.name, at->endpoint().address().to_string(), host.port, {}});
	}
	co_return hosts;
}

// Those that were silent a moment ago come last.
void Connector::put_off_silent(std::vector<Host> &hosts)
{
	std::erase_if(silent_,
				  [](const auto &entry) { return Clock::now() - entry.second > kDistrust; });
	std::stable_partition(hosts.begin(), hosts.end(),
						  [this](const Host &host) { return !silent_.contains(name_of(host)); });
}

} // namespace sidecar::database
