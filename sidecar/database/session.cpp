#include "database/session.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <string_view>

#include "common/digest.hpp"
#include "database/connection_failure.hpp"

namespace sidecar::database
{

namespace asio = boost::asio;
using Socket = asio::posix::stream_descriptor;

namespace
{

constexpr std::size_t kNameBytes = 16; // of the digest
constexpr int kText = 0;               // format of results
// Of a statement on a standby, too ("cannot execute … during recovery").
constexpr std::string_view kReadOnly = "25006";

std::vector<const char *> pointers_to(const Parameters &parameters)
{
	std::vector<const char *> pointers;
	pointers.reserve(parameters.list().size());
	for (const std::optional<common::Secret> &parameter : parameters.list()) {
		// libpq would end the text there, and something else would be stored.
		if (parameter && parameter->reveal().find('\0') != std::string_view::npos)
			throw StoreError("22021", "a parameter contains a NUL character");
		pointers.push_back(parameter ? parameter->c_str() : nullptr);
	}
	return pointers;
}

// "cached plan must not change result type" shares its SQLSTATE with much else,
// and its text is translated.
bool is_outdated_plan(const Result &result)
{
	const char *function = PQresultErrorField(result.get(), PG_DIAG_SOURCE_FUNCTION);
	return function != nullptr && std::string_view(function) == "RevalidateCachedQuery";
}

std::string text_of(const char *text)
{
	return text == nullptr ? std::string() : std::string(text);
}

// As libpq would say it.
StoreError silence_of(const PGconn *connection)
{
	return StoreError({}, "connection to server at \"" + text_of(PQhost(connection)) + "\", port " +
							  text_of(PQport(connection)) + " failed: timeout expired");
}

bool is_copy(const Result &result)
{
	const ExecStatusType status = PQresultStatus(result.get());
	return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

} // namespace

void CloseConnection::operator()(pg_conn *connection) const noexcept
{
	PQfinish(connection);
}

Statement::Statement(std::string text) : sql(std::move(text))
{
	const common::Digest digest = common::sha256(sql);
	name =
		"oauth_sidecar_" + common::hex({reinterpret_cast<const char *>(digest.data()), kNameBytes});
}

// Nothing here depends on the settings of database or role. A statement that waits for a lock
// fails with an error that says so, before the general time-out. Names are looked up in
// pg_catalog only. Every statement is a look-up by identity: a generic plan by index is right
// for all values, and made once. A plan for one value may scan if few workspaces have all rows.
std::string session_settings(std::chrono::milliseconds statement)
{
	return fmt::format(
		"SET statement_timeout = {}; SET lock_timeout = {};"
		"SET idle_in_transaction_session_timeout = {}; SET search_path = '';"
		"SET default_transaction_read_only = off; SET default_transaction_isolation = 'read "
		"committed';"
		"SET default_transaction_deferrable = off; SET client_min_messages = error;"
		"SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres';"
		"SET client_encoding = 'UTF8'; SET bytea_output = 'hex'; SET plan_cache_mode = "
		"force_generic_plan; SET "
		"extra_float_digits = 1",
		statement.count(), statement.count() * 4 / 5, statement.count() * 2);
}

// Bounds what follows it in its block.
class Session::Deadline
{
public:
	Deadline(Session &session, std::chrono::milliseconds limit) : session_(session)
	{
		session_.has_expired_ = false;
		session_.timer_.expires_after(limit);
		session_.timer_.async_wait(
			[weak = session_.weak_from_this(),
			 number = ++session_.deadline_](boost::system::error_code error) {
				if (const auto alive = weak.lock(); !error && alive && alive->deadline_ == number)
					alive->expire();
			});
	}
	~Deadline()
	{
		session_.deadline_++;
		session_.timer_.cancel();
	}
	Deadline(const Deadline &) = delete;
	Deadline &operator=(const Deadline &) = delete;

private:
	Session &session_;
};

Session::Session(asio::any_io_executor executor, ConnectionHandle connection,
				 std::chrono::milliseconds limit)
	: limit_(limit), connection_(std::move(connection)), socket_(executor), timer_(executor)
{
}

Session::~Session()
{
	if (socket_.is_open())
		socket_.release();
}

// libpq runs no timer if it does not block, and goes on to another server only while
// it connects a socket. One that accepts and then is silent would keep it for ever: so
// there is one server a session, and a time for it.
asio::awaitable<void> Session::connect(std::chrono::milliseconds limit)
{
	PGconn *connection = connection_.get();
	const Deadline deadline(*this, limit);
	// As libpq's manual says: it starts as if it had said so.
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;
	while (status != PGRES_POLLING_OK) {
		if (PQstatus(connection) == CONNECTION_BAD)
			throw StoreError({}, explain(PQerrorMessage(connection)));
		socket_.assign(PQsocket(connection));
		try {
			co_await ready(status == PGRES_POLLING_READING ? Socket::wait_read
														   : Socket::wait_write);
		} catch (const StoreError &) {
			if (has_expired_)
				throw silence_of(connection);
			throw;
		}
		socket_.release(); // the next step may take another one
		status = PQconnectPoll(connection);
	}
	PQsetErrorVerbosity(connection, PQERRORS_DEFAULT);
	socket_.assign(PQsocket(connection));
	PQsetnonblocking(connection, 1);
}

asio::awaitable<void> Session::set_up(const std::string &settings)
{
	must_send(PQsendQuery(connection_.get(), settings.c_str()));
	const Result result = co_await exchange();
	if (has_failed(result))
		throw error_of(result);
}

// If the server does not know the statement, or its plan is out of date, it has not run. It is
// sent again, in a form that needs no prepared statement.
asio::awaitable<Rows> Session::run(const Statement &statement, const Parameters &parameters)
{
	const std::vector<const char *> values = pointers_to(parameters);
	const int count = static_cast<int>(values.size());
	if (!prepared_.contains(name_of(statement)))
		co_await prepare(statement);
	must_send(PQsendQueryPrepared(connection_.get(), name_of(statement).c_str(), count,
								  values.data(), nullptr, nullptr, kText));
	Result result = co_await exchange();
	if (is_stale(statement, result)) {
		must_send(PQsendQueryParams(connection_.get(), statement.sql.c_str(), count, nullptr,
									values.data(), nullptr, nullptr, kText));
		result = co_await exchange();
	}
	if (has_failed(result))
		throw error_of(result);
	co_return Rows(std::move(result));
}

asio::awaitable<void> Session::prepare(const Statement &statement)
{
	const std::string name = name_of(statement);
	must_send(PQsendPrepare(connection_.get(), name.c_str(), statement.sql.c_str(), 0, nullptr));
	const Result result = co_await exchange();
	// 42P05: another client of the pooler has prepared it in this session.
	if (has_failed(result) && sqlstate_of(result) != "42P05")
		throw error_of(result);
	prepared_.insert(name);
}

std::string Session::name_of(const Statement &statement) const
{
	const auto found = generations_.find(statement.name);
	if (found == generations_.end())
		return statement.name;
	return statement.name + "_" + std::to_string(found->second);
}

bool Session::is_stale(const Statement &statement, const Result &result)
{
	if (!has_failed(result))
		return false;
	const std::string state = sqlstate_of(result);
	const bool is_unknown = state == "26000";
	const bool is_outdated = state == "0A000" && is_outdated_plan(result);
	if (is_unknown || is_outdated)
		prepared_.erase(name_of(statement));
	// The old name is taken, so it is prepared under a new one.
	if (is_outdated)
		generations_[statement.name]++;
	return is_unknown || is_outdated;
}

void Session::must_send(int sent)
{
	is_busy_ = true;
	if (sent != 0)
		return;
	is_broken_ = true;
	throw StoreError({}, "the connection to the database was lost");
}

asio::awaitable<Result> Session::exchange()
{
	const Deadline deadline(*this, limit_);
	co_await flush();
	Result result = co_await collect();
	is_busy_ = false;
	classify(result);
	co_return result;
}

void Session::classify(const Result &result)
{
	is_read_only_ = false;
	if (!has_failed(result))
		return;
	const std::string state = sqlstate_of(result);
	is_read_only_ = state == kReadOnly;
	if (state.starts_with("08") || state.starts_with("57P"))
		is_broken_ = true;
}

// The server reads a whole message before it answers much, so it is enough to wait until it
// reads.
asio::awaitable<void> Session::flush()
{
	int left = 0;
	while ((left = PQflush(connection_.get())) > 0)
		co_await ready(Socket::wait_write);
	must_send(left == 0 ? 1 : 0);
}

// The first failure, or else the first result. A failure after rows outweighs
// them: the connection may have died before the transaction was committed.
asio::awaitable<Result> Session::collect()
{
	Result first;
	while (true) {
		while (PQisBusy(connection_.get()) != 0) {
			co_await ready(Socket::wait_read);
			// If it fails, libpq makes a result that says so.
			PQconsumeInput(connection_.get());
		}
		Result next(PQgetResult(connection_.get()));
		if (!next)
			break;
		// No statement of ours copies. libpq would return such a result without end.
		if (is_copy(next))
			must_send(0);
		if (!first || (has_failed(next) && !has_failed(first)))
			first = std::move(next);
	}
	if (!first)
		must_send(0);
	co_return first;
}

asio::awaitable<void> Session::ready(Socket::wait_type what)
{
	boost::system::error_code error;
	if (!has_expired_)
		co_await socket_.async_wait(what, asio::redirect_error(asio::use_awaitable, error));
	if (!has_expired_ && !error)
		co_return;
	is_broken_ = true;
	throw StoreError({}, has_expired_ ? "the database did not answer in time"
									  : "the connection to the database was lost");
}

void Session::expire()
{
	has_expired_ = true;
	socket_.cancel();
}

// An idle session receives a notice, or the server's last message before it closes.
bool Session::is_usable()
{
	PGconn *connection = connection_.get();
	if (is_busy_ || is_broken_)
		return false;
	pollfd socket{PQsocket(connection), POLLIN, 0};
	while (PQstatus(connection) == CONNECTION_OK && poll(&socket, 1, 0) > 0) {
		if (PQconsumeInput(connection) == 0)
			return false;
		PQisBusy(connection); // reads what has come
	}
	return PQstatus(connection) == CONNECTION_OK && PQtransactionStatus(connection) == PQTRANS_IDLE;
}

void Session::watch(std::function<void()> on_dead)
{
	watch_++;
	wait_for_end(std::move(on_dead));
}

void Session::stop_watching()
{
	watch_++;
	socket_.cancel();
}

void Session::wait_for_end(std::function<void()> on_dead)
{
	socket_.async_wait(Socket::wait_read,
					   [weak = weak_from_this(), number = watch_,
						on_dead = std::move(on_dead)](boost::system::error_code error) mutable {
						   const auto alive = weak.lock();
						   if (error || !alive || alive->watch_ != number)
							   return;
						   if (alive->is_usable())
							   alive->wait_for_end(std::move(on_dead));
						   else
							   on_dead();
					   });
}

} // namespace sidecar::database
