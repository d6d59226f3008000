// One connection to PostgreSQL, and one statement on it at a time.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "database/values.hpp"

struct pg_conn;

namespace sidecar::database
{

struct CloseConnection {
	void operator()(pg_conn *connection) const noexcept;
};
using ConnectionHandle = std::unique_ptr<pg_conn, CloseConnection>;

// Prepared under a name made from its text: behind a pooler, sessions of others
// are found under the same name with the same text, and with no other.
struct Statement {
	explicit Statement(std::string text);

	std::string sql;
	std::string name;
};

// The settings that a session makes first, as one text.
std::string session_settings(std::chrono::milliseconds statement);

class Session : public std::enable_shared_from_this<Session>
{
public:
	// `limit`: how long the server may take for an answer.
	Session(boost::asio::any_io_executor executor, ConnectionHandle connection,
			std::chrono::milliseconds limit);
	~Session();
	Session(const Session &) = delete;
	Session &operator=(const Session &) = delete;

	// These throw StoreError, and leave a session that is not usable if there
	// was no answer. The session has to live until they are done.
	// Call it first: logs in, within `limit`.
	boost::asio::awaitable<void> connect(std::chrono::milliseconds limit);
	boost::asio::awaitable<void> set_up(const std::string &settings);
	boost::asio::awaitable<Rows> run(const Statement &statement, const Parameters &parameters);

	// Whether it can take a statement: nothing is under way, and the server has
	// not hung up as far as the socket tells, nor said that it ends.
	bool is_usable();

	// Of the last statement. Then other sessions on this server are no better.
	bool has_expired() const noexcept { return has_expired_; } // no answer in time
	bool is_read_only() const noexcept { return is_read_only_; }

	unsigned generation = 0; // of the pool

	// While idle: calls `on_dead` when the server has closed the connection.
	void watch(std::function<void()> on_dead);
	void stop_watching();

private:
	class Deadline;

	boost::asio::awaitable<void> prepare(const Statement &statement);
	boost::asio::awaitable<Result> exchange();
	boost::asio::awaitable<void> flush();
	boost::asio::awaitable<Result> collect();
	boost::asio::awaitable<void> ready(boost::asio::posix::stream_descriptor::wait_type what);

	std::string name_of(const Statement &statement) const;
	bool is_stale(const Statement &statement, const Result &result);
	void must_send(int sent);
	void classify(const Result &result);
	void expire();
	void wait_for_end(std::function<void()> on_dead);

	const std::chrono::milliseconds limit_;
	ConnectionHandle connection_;
	// Of libpq's socket, which it lets go of and never closes. That stays the same
	// once connected, and not before.
	boost::asio::posix::stream_descriptor socket_;
	boost::asio::steady_timer timer_;
	std::unordered_set<std::string> prepared_;         // by name
	std::unordered_map<std::string, int> generations_; // of names whose plan went stale
	unsigned watch_ = 0;                               // which watch is on: an older one has no say
	unsigned deadline_ = 0;                            // likewise
	bool is_busy_ = false;
	bool is_broken_ = false;
	bool has_expired_ = false;
	bool is_read_only_ = false;
};

} // namespace sidecar::database
