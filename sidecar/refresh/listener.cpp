#include "refresh/listener.hpp"

#include "base/backoff.hpp"
#include "base/log.hpp"
#include "base/pause.hpp"
#include "base/task.hpp"

namespace sidecar::refresh
{

namespace
{

constexpr std::chrono::seconds kSetupPause{30};
constexpr std::string_view kNoPreload = "55000";

// The outcome for oauth_tokens_internal.refresh_request_done(). Empty: nothing is reported,
// because a commit wakes the callers, or because they should keep waiting.
std::string_view answer_of(const Outcome &outcome)
{
	using Kind = Outcome::Kind;
	switch (outcome.kind) {
	case Kind::fresh:
		return "fresh";
	case Kind::no_refresh_token:
		return "no_refresh_token";
	case Kind::needs_reauthorization:
		return "needs_reauthorization";
	case Kind::not_connected:
		return "not_connected";
	case Kind::backing_off:
	case Kind::unavailable:
	case Kind::unsaved:
		return "backoff";
	case Kind::busy:
		return outcome.in_doubt ? "backoff" : "";
	default:
		return {};
	}
}

} // namespace

Listener::Awaitable<void> Listener::run()
{
	Backoff backoff;
	while (!is_stopped_) {
		std::chrono::milliseconds wait{0};
		try {
			co_await take();
			if (refusals_.clear())
				log::info("callers of oauth_fresh_access_token() are served");
			backoff.succeed();
		} catch (const database::StoreError &error) {
			// Without preloading, the operator may have chosen to do without.
			refusals_.add(error, "oauth_fresh_access_token() cannot have tokens refreshed",
						  error.sqlstate() == kNoPreload ? log::Level::info : log::Level::error);
			const auto again = backoff.fail(Backoff::Clock::now());
			wait = error.is_transient() ? again : kSetupPause;
		}
		if (!is_stopped_ && wait.count() > 0)
			co_await pause(context_.executor, wait);
	}
}

Listener::Awaitable<void> Listener::take()
{
	std::vector<database::WantedRefresh> requests = co_await context_.store.wait_for_requests();
	// Shared memory limits how many there are. A request that is offered again joins the
	// first one's flight.
	for (database::WantedRefresh &wanted : requests)
		start_task(context_.executor, "refresh for a caller in SQL", serve(std::move(wanted)));
}

Listener::Awaitable<void> Listener::serve(database::WantedRefresh wanted)
{
	const oauth::Identity identity = wanted.identity;
	const Outcome outcome = co_await refresher_.refresh(std::move(wanted), refresher_.patience());
	const std::string_view answer = answer_of(outcome);
	if (answer.empty())
		co_return;
	try {
		co_await context_.store.answer_request(identity, answer, outcome.reason);
	} catch (const database::StoreError &) { // the callers also check the row themselves
	}
}

} // namespace sidecar::refresh
