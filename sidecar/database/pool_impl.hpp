// The pool's inside: sessions that are idle, those who wait for one, and how more
// are opened. pool.cpp has the queue, pool_growth.cpp the opening.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <list>
#include <unordered_map>

#include "base/backoff.hpp"
#include "database/connector.hpp"
#include "database/pool.hpp"
#include "database/session.hpp"

namespace sidecar::database
{

struct Pool::Impl : std::enable_shared_from_this<Impl> {
	using SessionPtr = std::shared_ptr<Session>;

	struct Idle {
		SessionPtr session;
		Backoff::Clock::time_point since;
	};

	// Stands in the queue as long as it lives.
	struct Waiter {
		explicit Waiter(Impl &pool)
			: queue(pool.waiters), place(queue.insert(queue.end(), this)), timer(pool.executor)
		{
			timer.expires_after(pool.limits.wait);
		}
		~Waiter() { leave(); }
		Waiter(const Waiter &) = delete;
		Waiter &operator=(const Waiter &) = delete;

		void leave()
		{
			if (is_queued)
				queue.erase(place);
			is_queued = false;
		}
		void end(SessionPtr given)
		{
			session = std::move(given);
			leave();
			timer.cancel();
		}

		std::list<Waiter *> &queue;
		std::list<Waiter *>::iterator place;
		bool is_queued = true;
		boost::asio::steady_timer timer;
		SessionPtr session;
	};

	// Gives a session back, whatever came of its statement.
	struct Checkout {
		Checkout(Impl &from, SessionPtr taken) : pool(from), session(std::move(taken)) {}
		~Checkout() { pool.give_back(session); }
		Checkout(const Checkout &) = delete;
		Checkout &operator=(const Checkout &) = delete;

		Impl &pool;
		const SessionPtr session;
	};

	Impl(boost::asio::any_io_executor on, Secret url, PoolLimits bounds)
		: executor(on), limits(bounds), settings(session_settings(bounds.statement)),
		  connector(std::make_unique<Connector>(on, std::move(url), bounds.connect)), retry(on),
		  idle_timer(on)
	{
	}

	static boost::asio::awaitable<Rows> query(std::shared_ptr<Impl> self, const std::string &sql,
											  std::vector<Parameter> parameters);
	static boost::asio::awaitable<void> introduce(std::shared_ptr<Impl> self, SessionPtr session);

	boost::asio::awaitable<SessionPtr> acquire();
	SessionPtr take_idle();
	void give_back(const SessionPtr &session);
	void hand_out(const SessionPtr &session);
	void lose(const SessionPtr &session);
	void forget_idle(const Session *session);
	void distrust();
	void leave_read_only();

	bool is_hopeless() const;
	void grow();
	void connect();
	void try_again();
	void connected(ConnectionHandle connection, const std::string &error);
	void succeeded(const SessionPtr &session);
	void failed(const std::string &error);
	StoreError unreachable() const;
	void refuse_waiters();
	void close_idle();
	void close();
	const Statement &statement_of(const std::string &sql);

	const boost::asio::any_io_executor executor;
	const PoolLimits limits;
	const std::string settings;
	std::unique_ptr<Connector> connector;
	boost::asio::steady_timer retry;
	boost::asio::steady_timer idle_timer;
	Backoff backoff;
	std::unordered_map<std::string, Statement> statements;
	std::list<Idle> idle; // the one used last at the end
	std::list<Waiter *> waiters;
	int open = 0;
	bool is_connecting = false;
	Backoff::Clock::time_point connecting_since;
	std::string last_failure;               // why there is no connection
	unsigned generation = 0;                // of the sessions that are trusted
	Backoff::Clock::time_point stays_until; // whatever says that the server is read-only
	bool is_reachable = true;
	bool is_watching_idle = false;
	bool is_closed = false;
};

} // namespace sidecar::database
