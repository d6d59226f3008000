#include "refresh/ahead.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <random>

#include "base/backoff.hpp"
#include "base/log.hpp"
#include "base/task.hpp"

namespace sidecar::refresh
{

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace
{

// Half of the calls that a provider may have at once: callers have the rest.
constexpr int kMost = 25;
constexpr auto kBusyLook = 160ms; // and up to half as much more; so has the next
constexpr auto kIdleLook = 4000ms;
// If a check finds nothing, another daemon may have checked just then, or the rate was used
// up. So for this long after a find there is probably more.
constexpr auto kBusy = 10s;
// If nothing can be refreshed, or the database is not set up.
constexpr auto kRest = 30s;

// So that daemons which were started together do not check together.
std::chrono::milliseconds jittered(std::chrono::milliseconds time)
{
	static thread_local std::minstd_rand random{std::random_device{}()};
	return time + std::chrono::milliseconds(random() % (time.count() / 2 + 1));
}

} // namespace

Ahead::Ahead(const RefreshContext &context, Refresher &refresher)
	: context_(context), refresher_(refresher), timer_(context.executor)
{
	for (const auto &[name, provider] : context.registry.all())
		if (provider.is_refreshed_ahead())
			providers_.push_back(name);
}

void Ahead::stop()
{
	is_stopped_ = true;
	timer_.cancel();
}

Ahead::Awaitable<void> Ahead::run()
{
	Backoff backoff;
	while (!is_stopped_) {
		std::chrono::milliseconds wait = kRest;
		try {
			wait = co_await look();
			refusals_.clear();
			backoff.succeed();
		} catch (const database::StoreError &error) {
			refusals_.add(error, "tokens are not refreshed ahead of time");
			const auto again = backoff.fail(Clock::now());
			if (error.is_transient())
				wait = again;
		}
		if (is_stopped_)
			break;
		timer_.expires_after(wait);
		boost::system::error_code ignored;
		co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
	}
}

// Returns when to check again: soon, if something was found.
Ahead::Awaitable<std::chrono::milliseconds> Ahead::look()
{
	if (under_way_ >= kMost)
		co_return jittered(kBusyLook);
	if (const auto rest = resting_until_ - Clock::now(); rest.count() > 0)
		co_return std::chrono::ceil<std::chrono::milliseconds>(rest);
	std::vector<database::WantedRefresh> due =
		co_await context_.store.due(kMost - under_way_, providers_);
	if (is_stopped_)
		co_return kBusyLook;
	for (database::WantedRefresh &wanted : due) {
		under_way_++;
		start_task(context_.executor, "refresh ahead of time", refresh(std::move(wanted)));
	}
	if (!due.empty())
		found_ = Clock::now();
	const bool is_busy = found_ != Clock::time_point{} && Clock::now() - found_ < kBusy;
	co_return jittered(is_busy ? kBusyLook : kIdleLook);
}

// The refresher logs the outcome. Throws no StoreError.
Ahead::Awaitable<void> Ahead::refresh(database::WantedRefresh wanted)
{
	const Outcome outcome = co_await refresher_.refresh(std::move(wanted), refresher_.patience());
	under_way_--;
	if (outcome.kind == Outcome::Kind::unavailable)
		resting_until_ = Clock::now() + kRest;
}

} // namespace sidecar::refresh
