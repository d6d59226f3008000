// Connections to PostgreSQL: libpq, asynchronous, on one event loop.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <list>
#include <memory>
#include <string>

#include "base/backoff.hpp"
#include "common/secret_string.hpp"
#include "database/values.hpp"

namespace sidecar::database
{

class Connector;
class Session;
struct Statement;

struct PoolStatistics {
	int open = 0;
	int busy = 0;
	int waiting = 0;
};

struct PoolLimits {
	int connections = 8;
	std::size_t waiting = 1000;           // beyond it: an error at once
	std::chrono::milliseconds wait{2000}; // for a free connection
	std::chrono::milliseconds statement{5000};
	std::chrono::seconds connect{5};
};

// Statements are prepared once a connection. One statement at a time on each,
// so that one that waits for a lock delays no other; each is a transaction of
// its own.
class Pool
{
public:
	Pool(boost::asio::any_io_executor executor, common::Secret url, PoolLimits limits = {});
	// Its coroutines have ended, or have been destroyed (base/event_loop.hpp).
	~Pool();
	Pool(const Pool &) = delete;
	Pool &operator=(const Pool &) = delete;

	// Throws StoreError. A statement that was sent is never sent again, unless the
	// server said that it has not run it. `statement` must live until it is done. May be called
	// on any loop; everything else is for the pool's own.
	boost::asio::awaitable<Rows> query(const Statement &statement, Parameters parameters);

	PoolStatistics statistics() const noexcept;

	// The server is read-only: gives up every session, so that the next statement gets
	// a new one, which may lead to another server. It does so now and then, however often
	// it is called: if no other server is, new sessions are no better.
	void leave_read_only();

	// Finishes what runs, refuses what comes, and lets go of every connection.
	void close();

private:
	using Clock = Backoff::Clock;
	using SessionPtr = std::shared_ptr<Session>;
	struct Waiter;
	struct Checkout;
	struct Idle {
		SessionPtr session;
		Clock::time_point since;
	};

	boost::asio::awaitable<Rows> query_here(const Statement &statement, Parameters parameters);
	boost::asio::awaitable<SessionPtr> acquire();
	SessionPtr take_idle();
	void give_back(const SessionPtr &session);
	void hand_out(const SessionPtr &session);
	void lose_one();
	void forget_idle(const Session *session);
	void distrust();
	void refuse_waiters();
	void close_idle();

	bool is_hopeless() const;
	void grow();
	void connect();
	boost::asio::awaitable<void> open_session();
	void succeeded(const SessionPtr &session);
	void failed(const std::string &error);
	StoreError unreachable() const;

	const boost::asio::any_io_executor executor_;
	const PoolLimits limits_;
	const std::unique_ptr<Connector> connector_;
	boost::asio::steady_timer retry_;
	boost::asio::steady_timer idle_timer_;
	Backoff backoff_;
	std::list<Idle> idle_; // the one used last at the end
	std::list<Waiter *> waiters_;
	int open_ = 0;
	bool is_connecting_ = false;
	Clock::time_point connecting_since_;
	std::string last_failure_;      // why there is no connection
	unsigned generation_ = 0;       // of the sessions that are trusted
	Clock::time_point stays_until_; // whatever says that the server is read-only
	bool is_reachable_ = true;
	bool is_watching_idle_ = false;
	bool is_closed_ = false;
};

} // namespace sidecar::database
