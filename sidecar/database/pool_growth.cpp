#include "base/log.hpp"
#include "base/task.hpp"
#include "database/pool_impl.hpp"

namespace sidecar::database
{

namespace asio = boost::asio;

namespace
{

using Clock = Backoff::Clock;

// The server ends a statement by itself; who does not answer then is gone.
constexpr std::chrono::seconds kGrace{1};

} // namespace

// No session is there, and none will be soon.
bool Pool::Impl::is_hopeless() const
{
	if (open > 0)
		return false;
	return backoff.has_failed() || (is_connecting && Clock::now() - connecting_since > limits.wait);
}

// A connection more, if somebody waits for one.
void Pool::Impl::grow()
{
	if (!waiters.empty() && open < limits.connections && backoff.is_due(Clock::now()))
		connect();
}

// Tries go on while nobody asks, so that whoever asks next finds a connection.
void Pool::Impl::try_again()
{
	if (open == 0)
		connect();
	else
		grow();
}

void Pool::Impl::connect()
{
	if (is_connecting || !connector)
		return;
	is_connecting = true;
	connecting_since = Clock::now();
	connector->start([weak = weak_from_this()](ConnectionHandle connection, std::string error) {
		if (const auto self = weak.lock())
			self->connected(std::move(connection), error);
	});
}

void Pool::Impl::connected(ConnectionHandle connection, const std::string &error)
{
	if (!connection)
		return failed(error);
	try {
		auto session =
			std::make_shared<Session>(executor, std::move(connection), limits.statement + kGrace);
		start_task(executor, "database session", introduce(shared_from_this(), session));
	} catch (const std::exception &caught) { // no descriptor, no memory
		failed(caught.what());
	}
}

asio::awaitable<void> Pool::Impl::introduce(std::shared_ptr<Impl> self, SessionPtr session)
{
	std::string error;
	try {
		co_await session->set_up(self->settings);
	} catch (const std::exception &caught) {
		error = caught.what();
	}
	if (error.empty())
		self->succeeded(session);
	else
		self->failed(error);
}

void Pool::Impl::succeeded(const SessionPtr &session)
{
	is_connecting = false;
	backoff.succeed();
	if (!is_reachable)
		log::info("database reachable again");
	is_reachable = true;
	last_failure.clear();
	session->generation = generation;
	open++;
	hand_out(session);
	grow();
}

// Where other sessions live, those who wait go on waiting for them. Otherwise they
// learn it at once, and so do those who come while we go on trying.
void Pool::Impl::failed(const std::string &error)
{
	is_connecting = false;
	backoff.fail(Clock::now());
	last_failure = error;
	if (open == 0) {
		if (is_reachable)
			log::error("database not reachable", {{"error", error}});
		is_reachable = false;
		refuse_waiters();
	}
	if (is_closed)
		return;
	retry.expires_at(backoff.next());
	retry.async_wait([weak = weak_from_this()](boost::system::error_code aborted) {
		if (const auto self = weak.lock(); self && !aborted)
			self->try_again();
	});
}

} // namespace sidecar::database
