#include "database/pool.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "database/pool_impl.hpp"

namespace sidecar::database
{

namespace asio = boost::asio;

namespace
{

using Clock = Backoff::Clock;

constexpr std::size_t kKeptIdle = 2;
constexpr std::chrono::minutes kIdleLife{3};
constexpr std::chrono::seconds kIdleCheck{30};
// Anybody's request may meet a read-only server, and would have sessions opened anew.
constexpr std::chrono::seconds kStay{2};

StoreError closed()
{
	return StoreError({}, "the pool of connections is closed");
}

} // namespace

StoreError Pool::Impl::unreachable() const
{
	std::string text = "the database cannot be reached";
	if (!last_failure.empty())
		text += ": " + last_failure;
	return StoreError({}, text);
}

asio::awaitable<Rows> Pool::Impl::query(std::shared_ptr<Impl> self, const std::string &sql,
										std::vector<Parameter> parameters)
{
	const Statement &statement = self->statement_of(sql);
	SessionPtr session = co_await self->acquire();
	const Checkout lease(*self, std::move(session));
	co_return co_await lease.session->run(statement, parameters);
}

const Statement &Pool::Impl::statement_of(const std::string &sql)
{
	const auto found = statements.find(sql);
	return found != statements.end() ? found->second
									 : statements.emplace(sql, Statement(sql)).first->second;
}

asio::awaitable<Pool::Impl::SessionPtr> Pool::Impl::acquire()
{
	if (is_closed)
		throw closed();
	SessionPtr session = take_idle();
	if (session)
		co_return session;
	if (is_hopeless()) {
		// Where the last sessions went after the last try, no further one is planned.
		if (backoff.is_due(Clock::now()))
			connect();
		throw unreachable();
	}
	if (waiters.size() >= limits.waiting)
		throw StoreError({}, "too many statements wait for the database");
	Waiter waiter(*this);
	grow();
	boost::system::error_code ignored;
	co_await waiter.timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
	if (waiter.session)
		co_return std::move(waiter.session);
	throw waiter.is_queued ? StoreError({}, "no connection to the database became free in time")
						   : unreachable();
}

Pool::Impl::SessionPtr Pool::Impl::take_idle()
{
	while (!idle.empty()) {
		SessionPtr session = std::move(idle.back().session);
		idle.pop_back();
		session->stop_watching();
		if (session->is_usable())
			return session;
		lose(session);
	}
	return nullptr;
}

void Pool::Impl::give_back(const SessionPtr &session)
{
	if (session->generation == generation) {
		if (session->has_expired())
			distrust();
		else if (session->is_read_only())
			leave_read_only();
	}
	if (session->generation == generation && session->is_usable())
		hand_out(session);
	else
		lose(session);
}

// Those that are busy go when they are given back.
void Pool::Impl::distrust()
{
	generation++;
	while (!idle.empty())
		forget_idle(idle.front().session.get());
}

// Another server may have taken its place (docs/design/threats.md, C20).
void Pool::Impl::leave_read_only()
{
	const Clock::time_point now = Clock::now();
	if (now < stays_until)
		return;
	stays_until = now + kStay;
	distrust();
}

void Pool::Impl::hand_out(const SessionPtr &session)
{
	if (!waiters.empty()) {
		waiters.front()->end(session);
		return;
	}
	if (is_closed)
		return lose(session);
	idle.push_back({session, Clock::now()});
	session->watch([weak = weak_from_this(), dead = session.get()] {
		if (const auto self = weak.lock())
			self->forget_idle(dead);
	});
	if (!is_watching_idle)
		close_idle();
}

void Pool::Impl::forget_idle(const Session *session)
{
	for (auto place = idle.begin(); place != idle.end(); ++place)
		if (place->session.get() == session) {
			idle.erase(place);
			open--;
			return;
		}
}

// Not usable, or not wanted. Whoever holds it lets go of it.
void Pool::Impl::lose(const SessionPtr &)
{
	open--;
	grow();
}

void Pool::Impl::refuse_waiters()
{
	while (!waiters.empty())
		waiters.front()->end(nullptr);
}

void Pool::Impl::close_idle()
{
	is_watching_idle = true;
	while (idle.size() > kKeptIdle && Clock::now() - idle.front().since > kIdleLife)
		forget_idle(idle.front().session.get());
	idle_timer.expires_after(kIdleCheck);
	idle_timer.async_wait([weak = weak_from_this()](boost::system::error_code aborted) {
		if (const auto self = weak.lock(); self && !aborted)
			self->close_idle();
	});
}

// Statements that run or wait get their turn; their sessions go one by one.
void Pool::Impl::close()
{
	is_closed = true;
	retry.cancel();
	idle_timer.cancel();
	while (!idle.empty())
		forget_idle(idle.front().session.get());
}

Pool::Pool(asio::any_io_executor executor, Secret url, PoolLimits limits)
	: impl_(std::make_shared<Impl>(std::move(executor), std::move(url), limits))
{
}

Pool::~Pool()
{
	impl_->close();
	impl_->connector.reset();
	impl_->refuse_waiters();
}

asio::awaitable<Rows> Pool::query(const std::string &sql, std::vector<Parameter> parameters)
{
	return Impl::query(impl_, sql, std::move(parameters));
}

PoolStatistics Pool::statistics() const noexcept
{
	return {impl_->open, impl_->open - static_cast<int>(impl_->idle.size()),
			static_cast<int>(impl_->waiters.size())};
}

void Pool::leave_read_only()
{
	impl_->leave_read_only();
}

void Pool::close()
{
	impl_->close();
}

} // namespace sidecar::database
