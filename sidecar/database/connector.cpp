#include "database/connector.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>

#include "address/database_address.hpp"
#include "database/connection_failure.hpp"
#include "database/hosts.hpp"

namespace sidecar::database
{

namespace
{

using Clock = std::chrono::steady_clock;

// How long a server that was silent is tried after all others.
constexpr std::chrono::seconds kDistrust{30};
constexpr std::chrono::seconds kPatience{1};

void drop_notice(void *, const char *) {}

} // namespace

struct Connector::Shared {
	Shared(boost::asio::any_io_executor on, Secret address, std::chrono::milliseconds limit)
		: executor(std::move(on)), url(std::move(address)), timeout(limit),
		  wake(eventfd(0, EFD_CLOEXEC))
	{
		if (wake < 0)
			throw std::system_error(errno, std::system_category(), "eventfd");
	}
	~Shared() { close(wake); }

	const boost::asio::any_io_executor executor;
	const Secret url;
	const std::chrono::milliseconds timeout;
	const int wake; // readable once the connector is closed

	std::mutex mutex;
	std::condition_variable finished;
	bool is_closed = false; // the executor may be gone
	bool is_running = false;

	// The thread's own: when a server was last silent.
	std::map<std::string, Clock::time_point> silent;
};

namespace
{

std::string name_of(const Host &host)
{
	return host.name + ' ' + host.address + ' ' + host.port;
}

// What stands before the URL can be set otherwise there, what follows cannot. libpq
// passes over what is empty.
ConnectionHandle begin(const Secret &url, const Host &host)
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
		return connection;
	// Before the log-in, in which a server may already have something to say, and
	// libpq would print it.
	PQsetNoticeProcessor(connection.get(), drop_notice, nullptr);
	PQsetErrorVerbosity(connection.get(), PQERRORS_VERBOSE); // it tells the SQLSTATE
	return connection;
}

// libpq's own functions run no timer where they do not block, and go on to the next
// server only while they connect a socket. One that accepts and then is silent would
// keep an attempt for ever; so each server has an attempt, and a time, of its own.
class Attempt
{
public:
	enum class Outcome { connected, failed, silent, closed };

	Attempt(Connector::Shared &shared, std::chrono::milliseconds limit, PGconn *connection)
		: shared_(shared), connection_(connection), deadline_(Clock::now() + limit)
	{
	}

	Outcome run()
	{
		// As libpq's manual says: it starts as if it had said so.
		PostgresPollingStatusType status = PGRES_POLLING_WRITING;
		if (PQstatus(connection_) == CONNECTION_BAD)
			return Outcome::failed;
		while (status != PGRES_POLLING_OK) {
			if (status == PGRES_POLLING_FAILED)
				return Outcome::failed;
			const Outcome waited = wait(status);
			if (waited != Outcome::connected)
				return waited;
			status = PQconnectPoll(connection_);
		}
		return Outcome::connected;
	}

private:
	Outcome wait(PostgresPollingStatusType status)
	{
		const short events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT;
		pollfd sockets[] = {{PQsocket(connection_), events, 0}, {shared_.wake, POLLIN, 0}};
		for (;;) {
			const auto left =
				std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - Clock::now());
			if (left.count() < 0)
				return Outcome::silent;
			const int ready = poll(sockets, 2, static_cast<int>(left.count()) + 1);
			if (ready < 0 && errno != EINTR)
				return Outcome::failed;
			if (ready > 0)
				return sockets[1].revents != 0 ? Outcome::closed : Outcome::connected;
		}
	}

	Connector::Shared &shared_;
	PGconn *connection_;
	const Clock::time_point deadline_;
};

std::string text_of(const char *text)
{
	return text == nullptr ? std::string() : std::string(text);
}

// As libpq would say it.
std::string silence_of(const PGconn *connection)
{
	return "connection to server at \"" + text_of(PQhost(connection)) + "\", port " +
		   text_of(PQport(connection)) + " failed: timeout expired";
}

// Those that were silent a moment ago come last.
void put_off_silent(Connector::Shared &shared, std::vector<Host> &hosts)
{
	std::erase_if(shared.silent,
				  [](const auto &entry) { return Clock::now() - entry.second > kDistrust; });
	std::stable_partition(hosts.begin(), hosts.end(), [&shared](const Host &host) {
		return !shared.silent.contains(name_of(host));
	});
}

void add_reason(std::string &all, const std::string &reason)
{
	if (all.find(reason) != all.npos)
		return;
	if (!all.empty())
		all += "; ";
	all += reason;
}

// Its address has been looked at first: libpq's complaints about one may quote it.
std::string connect(Connector::Shared &shared, ConnectionHandle &connection)
{
	using Outcome = Attempt::Outcome;
	if (const auto fault = error_of_url(shared.url))
		return "DATABASE_URL " + *fault;
	std::vector<Host> hosts = hosts_of(shared.url);
	const auto limit = attempt_limit(shared.url, hosts.size(), shared.timeout);
	put_off_silent(shared, hosts);
	std::string reasons;
	for (const Host &host : hosts) {
		connection = begin(shared.url, host);
		if (!connection)
			return "out of memory";
		const Outcome outcome = Attempt(shared, limit, connection.get()).run();
		if (outcome == Outcome::connected) {
			PQsetErrorVerbosity(connection.get(), PQERRORS_DEFAULT);
			shared.silent.erase(name_of(host));
			return {};
		}
		if (outcome == Outcome::silent)
			shared.silent[name_of(host)] = Clock::now();
		add_reason(reasons, outcome == Outcome::silent ? silence_of(connection.get())
													   : explain(PQerrorMessage(connection.get())));
		connection.reset();
		if (outcome == Outcome::closed)
			break;
	}
	return reasons;
}

void deliver(Connector::Shared &shared, const Connector::Handler &handler,
			 ConnectionHandle connection, std::string error)
{
	const std::lock_guard lock(shared.mutex);
	shared.is_running = false;
	if (!shared.is_closed)
		boost::asio::post(shared.executor, [handler, connection = std::move(connection),
											error = std::move(error)]() mutable {
			handler(std::move(connection), std::move(error));
		});
	shared.finished.notify_all();
}

} // namespace

Connector::Connector(boost::asio::any_io_executor executor, Secret url,
					 std::chrono::milliseconds timeout)
	: shared_(std::make_shared<Shared>(std::move(executor), std::move(url), timeout))
{
}

Connector::~Connector()
{
	std::unique_lock lock(shared_->mutex);
	shared_->is_closed = true;
	[[maybe_unused]] const int written = eventfd_write(shared_->wake, 1);
	shared_->finished.wait_for(lock, kPatience, [this] { return !shared_->is_running; });
}

void Connector::start(Handler handler)
{
	{
		const std::lock_guard lock(shared_->mutex);
		shared_->is_running = true;
	}
	try {
		std::thread([shared = shared_, handler] {
			ConnectionHandle connection;
			std::string error = connect(*shared, connection);
			deliver(*shared, handler, std::move(connection), std::move(error));
		}).detach();
	} catch (const std::system_error &) {
		deliver(*shared_, handler, nullptr, "no thread to connect in");
	}
}

} // namespace sidecar::database
