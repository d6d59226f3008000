#include "refresh/refresher.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <cmath>

#include "base/boot_time.hpp"
#include "base/call_on.hpp"
#include "base/log.hpp"
#include "base/pause.hpp"
#include "base/task.hpp"
#include "refresh/again.hpp"
#include "refresh/attempt.hpp"

namespace sidecar::refresh
{

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace
{

using Begun = database::BegunRefresh::Outcome;
using Kind = Outcome::Kind;

// A slow provider must leave room for the others. The client allows more calls than that
// (client/curl_client.hpp).
constexpr int kMost = 100;
constexpr int kMostOfProvider = 50;

// A lease is half a minute longer than the provider's time (docs/design/refresh.md, "Lease"), and
// some seconds more for begin and the disk.
constexpr auto kLeaseBesideCall = 35s;
// Added to the provider's time: begin, disk, commit.
constexpr auto kOwnTime = 5s;
// Between two checks of a row that another process refreshes.
constexpr auto kFirstLook = 100ms;
constexpr auto kLastLook = 1000ms;
constexpr auto kBetweenComplaints = 60s;

std::string key_of(const oauth::Identity &identity)
{
	// None of them has a NUL in it.
	std::string key = identity.workspace_id;
	for (const std::string *part : {&identity.provider, &identity.actor_type, &identity.actor_id})
		key.append(1, '\0').append(*part);
	return key;
}

Outcome outcome_of(Kind kind, std::string reason = {})
{
	Outcome outcome;
	outcome.kind = kind;
	outcome.reason = std::move(reason);
	return outcome;
}

// The outcome if no attempt was granted.
Outcome outcome_of(const database::BegunRefresh &begun)
{
	constexpr Kind kKinds[] = {Kind::refreshed,
							   Kind::fresh,
							   Kind::busy,
							   Kind::backing_off,
							   Kind::no_refresh_token,
							   Kind::needs_reauthorization,
							   Kind::not_connected};
	Outcome outcome = outcome_of(kKinds[static_cast<int>(begun.outcome)], begun.reason);
	outcome.in_doubt = begun.in_doubt;
	outcome.retry_in = std::chrono::seconds(
		std::max(1LL, static_cast<long long>(std::ceil(begun.retry_in.count()))));
	outcome.is_providers_fault =
		begun.outcome == Begun::backoff && begun.reason.starts_with("client_config");
	return outcome;
}

// Whether a refresh for `made` is also good enough for `wanted`.
bool covers(const database::WantedRefresh &made, const database::WantedRefresh &wanted)
{
	if (wanted.force)
		return made.force && made.if_token_sha256 == wanted.if_token_sha256;
	return made.min_ttl >= wanted.min_ttl;
}

} // namespace

struct Refresher::Waiter {
	Waiter(const asio::any_io_executor &executor, std::shared_ptr<Flight> of,
		   Clock::time_point until)
		: flight(std::move(of)), timer(executor, until),
		  at(flight->waiters.insert(flight->waiters.end(), this))
	{
	}
	~Waiter() { flight->waiters.erase(at); }
	Waiter(const Waiter &) = delete;
	Waiter &operator=(const Waiter &) = delete;

	const std::shared_ptr<Flight> flight;
	asio::steady_timer timer;
	std::list<Waiter *>::iterator at;
};

Refresher::Refresher(const RefreshContext &context, Replayer &replayer)
	: context_(context), replayer_(replayer), gate_(context.executor, kMost)
{
	for (const auto &[name, provider] : context.registry.all())
		provider_gates_.emplace(name, Gate(context.executor, kMostOfProvider));
}

std::chrono::milliseconds Refresher::patience() const noexcept
{
	return context_.call_limit + kOwnTime;
}

std::shared_ptr<Refresher::Flight> Refresher::join(const database::WantedRefresh &wanted)
{
	std::string key = key_of(wanted.identity);
	if (const auto found = flights_.find(key); found != flights_.end())
		return found->second;
	auto flight = std::make_shared<Flight>();
	flight->wanted = wanted;
	flights_.emplace(key, flight);
	start_task(context_.executor, "refresh of a token", fly(flight, std::move(key)));
	return flight;
}

Refresher::Awaitable<Outcome> Refresher::refresh(database::WantedRefresh wanted,
												 std::chrono::milliseconds limit)
{
	auto here = [this, wanted = std::move(wanted), limit]() mutable {
		return refresh_here(std::move(wanted), limit);
	};
	return call_on(context_.executor, std::move(here));
}

Refresher::Awaitable<Outcome> Refresher::refresh_here(database::WantedRefresh wanted,
													  std::chrono::milliseconds limit)
{
	const Clock::time_point until = Clock::now() + limit;
	for (;;) {
		const std::shared_ptr<Flight> flight = join(wanted);
		Waiter waiter(context_.executor, flight, until);
		boost::system::error_code ignored;
		if (!flight->outcome)
			co_await waiter.timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
		if (!flight->outcome) {
			Outcome outcome = outcome_of(Kind::busy, "a refresh is under way");
			outcome.retry_in = 2s;
			co_return outcome;
		}
		if (flight->outcome->kind != Kind::fresh || covers(flight->wanted, wanted))
			co_return *flight->outcome;
		// Fresh for a caller with a smaller min_ttl.
	}
}

Refresher::Awaitable<void> Refresher::drain(std::chrono::milliseconds limit)
{
	const Clock::time_point until = Clock::now() + limit;
	while (!flights_.empty() && Clock::now() < until)
		co_await pause(context_.executor, 20ms);
}

Refresher::Awaitable<void> Refresher::fly(std::shared_ptr<Flight> flight, std::string key)
{
	Outcome outcome;
	try {
		outcome = co_await make(flight->wanted);
	} catch (const database::StoreError &error) {
		outcome = refused(error);
	} catch (const std::exception &error) { // such as no memory: the lease will end
		log::error("a refresh has failed", {{"reason", error.what()}});
		outcome.reason = "the log of oauth-sidecar says why";
	}
	flight->outcome = std::move(outcome);
	flights_.erase(key);
	for (Waiter *waiter : flight->waiters)
		waiter->timer.cancel();
}

// If many ask, only one line is logged.
Outcome Refresher::refused(const database::StoreError &error)
{
	const auto now = Clock::now();
	// If the database does not answer, the pool logs it.
	if (!error.sqlstate().empty() &&
		(error.sqlstate() != last_refusal_ || now - refused_at_ > kBetweenComplaints)) {
		const std::string text = error.text();
		log::error("the database refuses a refresh",
				   {{"sqlstate", error.sqlstate()}, {"reason", text}});
		last_refusal_ = error.sqlstate();
		refused_at_ = now;
	}
	if (error.sqlstate() == "OT017")
		return outcome_of(Kind::unavailable,
						  "this database is a copy, and a copy refreshes nothing");
	return outcome_of(Kind::unavailable, error.is_transient()
											 ? "the database cannot be reached, or is busy"
											 : "the database refuses the refresh");
}

Refresher::Awaitable<Outcome> Refresher::make(const database::WantedRefresh &wanted)
{
	const oauth::Provider *provider = context_.registry.find(wanted.identity.provider);
	if (provider == nullptr)
		co_return outcome_of(Kind::unavailable, "no provider of this name is configured");
	const std::optional<oauth::ProviderEndpoints> endpoints =
		co_await context_.registry.endpoints(*provider);
	if (!endpoints)
		co_return outcome_of(Kind::unavailable, "the provider's metadata cannot be read");
	const bool has_place = co_await has_spool();
	if (!has_place) {
		context_.metrics.refresh(provider->name, "spool_unavailable");
		co_return outcome_of(Kind::unavailable, "the spool does not work");
	}

	const Clock::time_point until = Clock::now() + patience();
	std::chrono::milliseconds look = kFirstLook;
	std::optional<Outcome> before;
	for (;;) {
		Outcome outcome = co_await begin(wanted, *provider, *endpoints, before);
		// The provider may have refreshed. If its old refresh token still works, the database
		// grants another attempt at once.
		if (!before && outcome.kind == Kind::backing_off && outcome.in_doubt) {
			before = std::move(outcome);
			continue;
		}
		if (outcome.kind != Kind::busy || outcome.in_doubt || Clock::now() > until)
			co_return outcome;
		bool is_running = true;
		while (is_running && Clock::now() < until) {
			co_await pause(context_.executor, look);
			look = std::min<std::chrono::milliseconds>(look * 3 / 2, kLastLook);
			is_running = co_await context_.store.is_refreshing(wanted.identity);
		}
		if (is_running)
			co_return outcome;
	}
}

// `before`: the outcome of an attempt just now that had no answer. It stays if there is no
// later one.
Refresher::Awaitable<Outcome> Refresher::begin(const database::WantedRefresh &wanted,
											   const oauth::Provider &provider,
											   const oauth::ProviderEndpoints &endpoints,
											   const std::optional<Outcome> &before)
{
	const Gate::Slot of_provider = co_await provider_gates_.at(provider.name).enter();
	const Gate::Slot place = co_await gate_.enter();
	const std::chrono::nanoseconds asked = boot_time();
	const auto ask = [&] {
		return context_.store.begin(wanted, context_.call_limit + kLeaseBesideCall);
	};
	database::BegunRefresh begun = co_await again_if_rolled_back(ask);
	last_refusal_.clear();
	if (begun.outcome != Begun::granted) {
		const bool is_told = begun.outcome == Begun::busy || begun.outcome == Begun::backoff;
		if (before && is_told)
			co_return *before;
		co_return outcome_of(begun);
	}
	Attempt attempt(context_, replayer_, provider, endpoints, wanted.identity, std::move(begun),
					asked);
	Outcome outcome = co_await attempt.run();
	is_spool_suspect_ = attempt.lacked_spool();
	co_return outcome;
}

// After a failure, and at the start: no attempt begins that would only be counted as failed.
Refresher::Awaitable<bool> Refresher::has_spool()
{
	if (!is_spool_suspect_)
		co_return true;
	auto probe = [spool = context_.spool] { spool.probe(); };
	try {
		co_await context_.workers.run(probe);
		is_spool_suspect_ = false;
	} catch (const spool::Error &error) {
		log::error("a refresh is refused, because its answer could not be kept",
				   {{"reason", error.what()}});
	}
	co_return !is_spool_suspect_;
}

} // namespace sidecar::refresh
