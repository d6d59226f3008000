#include "database/connector.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#include "database/url.hpp"

namespace sidecar::database
{

namespace
{

using Clock = std::chrono::steady_clock;

constexpr int kAddresses = 8; // that may stay silent before an attempt ends
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
};

namespace
{

// What stands before the URL can be set otherwise there, what follows cannot.
ConnectionHandle begin(const Secret &url)
{
	const char *const keywords[] = {
		"fallback_application_name", "keepalives_idle", "keepalives_interval", "keepalives_count",
		"tcp_user_timeout",          "dbname",          "client_encoding",     nullptr};
	const char *const values[] = {"oauth-sidecar", "30",        "10",   "3",
								  "30000",         url.c_str(), "UTF8", nullptr};
	ConnectionHandle connection(PQconnectStartParams(keywords, values, 1));
	// Before the log-in, in which a server may already have something to say, and
	// libpq would print it.
	if (connection)
		PQsetNoticeProcessor(connection.get(), drop_notice, nullptr);
	return connection;
}

// libpq runs no timer of its own here. A socket that is shut down is an error to
// it, and it goes on to the next address, if it has one.
class Attempt
{
public:
	Attempt(Connector::Shared &shared, PGconn *connection)
		: shared_(shared), connection_(connection)
	{
	}

	bool run()
	{
		// As libpq's manual says: it starts as if it had said so.
		PostgresPollingStatusType status = PGRES_POLLING_WRITING;
		if (PQstatus(connection_) == CONNECTION_BAD)
			return false;
		while (status != PGRES_POLLING_OK) {
			if (status == PGRES_POLLING_FAILED || !wait(status))
				return false;
			status = PQconnectPoll(connection_);
		}
		return true;
	}

	bool has_timed_out() const noexcept { return silent_ > 0; }

private:
	bool wait(PostgresPollingStatusType status)
	{
		const short events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT;
		pollfd sockets[] = {{PQsocket(connection_), events, 0}, {shared_.wake, POLLIN, 0}};
		const auto left =
			std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - Clock::now());
		const int ready = poll(sockets, 2, std::max(0, static_cast<int>(left.count()) + 1));
		if (ready < 0)
			return errno == EINTR;
		if (sockets[1].revents != 0)
			return false;
		if (ready == 0) {
			shutdown(PQsocket(connection_), SHUT_RDWR);
			deadline_ = Clock::now() + shared_.timeout;
			return ++silent_ < kAddresses;
		}
		return true;
	}

	Connector::Shared &shared_;
	PGconn *connection_;
	Clock::time_point deadline_ = Clock::now() + shared_.timeout;
	int silent_ = 0;
};

std::string one_line(std::string text)
{
	while (!text.empty() && text.back() == '\n')
		text.pop_back();
	return text;
}

// Its address has been looked at first: libpq's complaints about one may quote it.
std::string connect(Connector::Shared &shared, ConnectionHandle &connection)
{
	if (const auto fault = fault_of_url(shared.url))
		return "DATABASE_URL " + *fault;
	connection = begin(shared.url);
	if (!connection)
		return "out of memory";
	Attempt attempt(shared, connection.get());
	if (attempt.run())
		return {};
	std::string error = one_line(PQerrorMessage(connection.get()));
	connection.reset();
	return attempt.has_timed_out() ? "timeout expired: " + error : error;
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
