#include "database/pool.hpp"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/call_on.hpp"
#include "base/log.hpp"
#include "base/task.hpp"
#include "database/connector.hpp"

namespace sidecar::database
{

namespace asio = boost::asio;

namespace
{

constexpr std::size_t kKeptIdle = 2;
constexpr std::chrono::minutes kIdleLife{3};
constexpr std::chrono::seconds kIdleCheck{30};
// Anybody's request may meet a read-only server, and would have sessions opened anew.
constexpr std::chrono::seconds kStay{2};

} // namespace

// Is in the queue as long as it lives, or until its wait is over.
struct Pool::Waiter {
	explicit Waiter(Pool &pool)
		: queue(pool.waiters_), place(queue.insert(queue.end(), this)),
		  timer(pool.executor_, pool.limits_.wait)
	{
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
	asio::steady_timer timer;
	SessionPtr session;
};

// Gives a session back, whatever came of its statement.
struct Pool::Checkout {
	Checkout(Pool &from, SessionPtr taken) : pool(from), session(std::move(taken)) {}
	~Checkout() { pool.give_back(session); }
	Checkout(const Checkout &) = delete;
	Checkout &operator=(const Checkout &) = delete;

	Pool &pool;
	const SessionPtr session;
};

Pool::Pool(asio::any_io_executor executor, common::Secret url, PoolLimits limits)
	: executor_(executor), limits_(limits),
	  connector_(
		  std::make_unique<Connector>(executor, std::move(url), limits.connect, limits.statement)),
	  retry_(executor), idle_timer_(executor)
{
}

Pool::~Pool() = default;

PoolStatistics Pool::statistics() const noexcept
{
	return {open_, open_ - static_cast<int>(idle_.size()), static_cast<int>(waiters_.size())};
}

// Statements that run or wait get their turn; their sessions go one by one.
void Pool::close()
{
	is_closed_ = true;
	retry_.cancel();
	idle_timer_.cancel();
	while (!idle_.empty())
		forget_idle(idle_.front().session.get());
}

// Sessions in use

asio::awaitable<Rows> Pool::query(const Statement &statement, Parameters parameters)
{
	auto here = [this, &statement, parameters = std::move(parameters)]() mutable {
		return query_here(statement, std::move(parameters));
	};
	return call_on(executor_, std::move(here));
}

asio::awaitable<Rows> Pool::query_here(const Statement &statement, Parameters parameters)
{
	SessionPtr session = co_await acquire();
	const Checkout lease(*this, std::move(session));
	co_return co_await lease.session->run(statement, parameters);
}

asio::awaitable<Pool::SessionPtr> Pool::acquire()
{
	if (is_closed_)
		throw StoreError({}, "the pool of connections is closed");
	SessionPtr session = take_idle();
	if (session)
		co_return session;
	if (is_hopeless()) {
		// If the last sessions were lost after the last try, no further one is planned.
		if (backoff_.is_due(Clock::now()))
			connect();
		throw unreachable();
	}
	if (waiters_.size() >= limits_.waiting)
		throw StoreError({}, "too many statements wait for the database");
	Waiter waiter(*this);
	grow();
	boost::system::error_code ignored;
	if (waiter.is_queued) // growing may have failed at once, and refused it
		co_await waiter.timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
	if (waiter.session)
		co_return std::move(waiter.session);
	throw waiter.is_queued ? StoreError({}, "no connection to the database became free in time")
						   : unreachable();
}

Pool::SessionPtr Pool::take_idle()
{
	while (!idle_.empty()) {
		SessionPtr session = std::move(idle_.back().session);
		idle_.pop_back();
		session->stop_watching();
		if (session->is_usable())
			return session;
		lose_one();
	}
	return nullptr;
}

void Pool::give_back(const SessionPtr &session)
{
	if (session->generation == generation_) {
		if (session->has_expired())
			distrust();
		else if (session->is_read_only())
			leave_read_only();
	}
	if (session->generation == generation_ && session->is_usable())
		hand_out(session);
	else
		lose_one();
}

void Pool::hand_out(const SessionPtr &session)
{
	if (!waiters_.empty()) {
		waiters_.front()->end(session);
		return;
	}
	if (is_closed_)
		return lose_one();
	idle_.push_back({session, Clock::now()});
	session->watch([this, dead = session.get()] { forget_idle(dead); });
	if (!is_watching_idle_)
		close_idle();
}

// It is not usable, or not wanted: the caller lets go of it.
void Pool::lose_one()
{
	open_--;
	grow();
}

// Those that are busy go when they are given back.
void Pool::distrust()
{
	generation_++;
	while (!idle_.empty())
		forget_idle(idle_.front().session.get());
}

// Another server may have taken its place (docs/design/threats.md, C20).
void Pool::leave_read_only()
{
	const Clock::time_point now = Clock::now();
	if (now < stays_until_)
		return;
	stays_until_ = now + kStay;
	distrust();
}

void Pool::forget_idle(const Session *session)
{
	const auto place =
		std::ranges::find(idle_, session, [](const Idle &one) { return one.session.get(); });
	if (place == idle_.end())
		return;
	idle_.erase(place);
	open_--;
}

void Pool::close_idle()
{
	is_watching_idle_ = true;
	while (idle_.size() > kKeptIdle && Clock::now() - idle_.front().since > kIdleLife)
		forget_idle(idle_.front().session.get());
	idle_timer_.expires_after(kIdleCheck);
	idle_timer_.async_wait([this](boost::system::error_code aborted) {
		if (!aborted && !is_closed_)
			close_idle();
	});
}

void Pool::refuse_waiters()
{
	while (!waiters_.empty())
		waiters_.front()->end(nullptr);
}

// More sessions

// No session is there, and none will be soon.
bool Pool::is_hopeless() const
{
	if (open_ > 0)
		return false;
	return backoff_.has_failed() ||
		   (is_connecting_ && Clock::now() - connecting_since_ > limits_.wait);
}

// A session more, if somebody waits for one.
void Pool::grow()
{
	if (!waiters_.empty() && open_ < limits_.connections && backoff_.is_due(Clock::now()))
		connect();
}

void Pool::connect()
{
	if (is_connecting_)
		return;
	is_connecting_ = true;
	connecting_since_ = Clock::now();
	start_task(executor_, "database session", open_session());
}

asio::awaitable<void> Pool::open_session()
{
	SessionPtr session;
	std::string error;
	try {
		session = co_await connector_->connect();
	} catch (const std::exception &caught) { // no server; no descriptor, no memory
		error = caught.what();
	}
	is_connecting_ = false;
	if (session)
		succeeded(session);
	else
		failed(error);
}

void Pool::succeeded(const SessionPtr &session)
{
	backoff_.succeed();
	if (!is_reachable_)
		log::info("database reachable again");
	is_reachable_ = true;
	last_failure_.clear();
	session->generation = generation_;
	open_++;
	hand_out(session);
	grow();
}

// If a session is open, waiters keep waiting. Otherwise they fail at once, and so do callers
// that come while we go on trying.
void Pool::failed(const std::string &error)
{
	backoff_.fail(Clock::now());
	last_failure_ = error;
	if (open_ == 0) {
		if (is_reachable_)
			log::error("database not reachable", {{"error", error}});
		is_reachable_ = false;
		refuse_waiters();
	}
	if (is_closed_)
		return;
	// Also while nobody asks, so that the next caller finds a connection.
	retry_.expires_at(backoff_.next());
	retry_.async_wait([this](boost::system::error_code aborted) {
		if (aborted || is_closed_)
			return;
		if (open_ == 0)
			connect();
		else
			grow();
	});
}

StoreError Pool::unreachable() const
{
	std::string text = "the database cannot be reached";
	if (!last_failure_.empty())
		text += ": " + last_failure_;
	return StoreError({}, text);
}

} // namespace sidecar::database
