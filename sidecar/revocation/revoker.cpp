#include "revocation/revoker.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "base/task.hpp"
#include "common/provider_name.hpp"

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace sidecar::revocation
{

namespace
{

// Between checks. Each is one statement, by an index that is empty if nothing waits.
constexpr std::chrono::milliseconds kPause{2000};
constexpr std::chrono::milliseconds kAfterFailure{5000};
// If an operator has to correct something, checks are rarer: each one fills the server's log.
constexpr std::chrono::milliseconds kAfterRefusal{60'000};
// Each of these reads the whole queue.
constexpr std::chrono::seconds kBetweenCounts{5};
constexpr std::chrono::seconds kBetweenIdleCounts{60};
constexpr int kMost = 16;
// A provider that hangs must leave room for the others.
constexpr int kMostOfProvider = 4;
// Metadata, both tokens, and the statement that stores the outcome.
constexpr int kCallsOfAttempt = 3;
constexpr std::chrono::seconds kSpare{30};

constexpr std::string_view kNotAdopted = "OT017";

} // namespace

Revoker::Revoker(asio::any_io_executor executor, Surroundings surroundings)
	: executor_(std::move(executor)), in_(std::move(surroundings)), timer_(executor_)
{
}

void Revoker::start()
{
	start_task(executor_, "revocations", run());
}

void Revoker::wake()
{
	is_awake_ = true;
	timer_.cancel();
}

void Revoker::close()
{
	is_closed_ = true;
	timer_.cancel();
}

Revoker::Awaitable<void> Revoker::pause(std::chrono::milliseconds duration)
{
	if (!std::exchange(is_awake_, false) && !is_closed_) {
		timer_.expires_after(duration);
		boost::system::error_code cancelled;
		co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
	}
	is_awake_ = false;
}

Revoker::Awaitable<void> Revoker::run()
{
	while (!is_closed_) {
		std::chrono::milliseconds next = kAfterFailure;
		try {
			next = co_await look();
			refusals_.clear();
		} catch (const database::StoreError &error) {
			log_failure(error);
			if (!error.sqlstate().empty() && !error.is_transient())
				next = kAfterRefusal;
		}
		co_await pause(next);
	}
}

// Claims what is due, and starts it. Returns how long to wait until the next check.
Revoker::Awaitable<std::chrono::milliseconds> Revoker::look()
{
	// All of them may be of the busiest provider.
	int most = kMost - under_way_;
	const std::vector<std::string> providers = free_providers();
	for (const std::string &name : providers)
		most = std::min(most, kMostOfProvider - under_way_at(name));
	if (most <= 0)
		co_return kPause; // the end of one wakes us
	const std::chrono::seconds lease = kCallsOfAttempt * in_.provider_timeout + kSpare;
	std::vector<database::ClaimedRevocation> claimed =
		co_await in_.store.claim(most, lease, providers);
	const bool found = !claimed.empty();
	if (static_cast<int>(claimed.size()) == most)
		is_awake_ = true;
	for (database::ClaimedRevocation &one : claimed)
		begin(std::move(one));
	if (found && waiting_ == 0)
		waiting_ = static_cast<std::int64_t>(claimed.size()); // at least
	if (Clock::now() - counted_ > (waiting_ == 0 ? kBetweenIdleCounts : kBetweenCounts))
		co_await count();
	co_return kPause;
}

Revoker::Awaitable<void> Revoker::count()
{
	waiting_ = co_await in_.store.waiting();
	counted_ = Clock::now();
}

std::vector<std::string> Revoker::free_providers() const
{
	std::vector<std::string> names;
	for (const auto &[name, provider] : in_.registry.all())
		if (under_way_at(name) < kMostOfProvider)
			names.push_back(name);
	return names;
}

int Revoker::under_way_at(std::string_view provider) const
{
	const auto found = under_way_at_.find(provider);
	return found == under_way_at_.end() ? 0 : found->second;
}

void Revoker::begin(database::ClaimedRevocation claimed)
{
	under_way_++;
	under_way_at_[std::string(common::provider_base(claimed.provider))]++;
	start_task(executor_, "revocation", revoke(std::move(claimed)));
}

Revoker::Awaitable<void> Revoker::revoke(database::ClaimedRevocation claimed)
{
	try {
		Outcome outcome = co_await attempt(claimed);
		co_await record(claimed, std::move(outcome));
	} catch (const database::StoreError &error) {
		log_failure(error); // it is tried again after the lease
	}
	under_way_--;
	const auto at = under_way_at_.find(common::provider_base(claimed.provider));
	if (at != under_way_at_.end() && --at->second == 0)
		under_way_at_.erase(at);
	if (waiting_.value_or(1) > 0)
		wake(); // there may be more
}

Revoker::Awaitable<Revoker::Outcome> Revoker::attempt(const database::ClaimedRevocation &claimed)
{
	if (claimed.is_shared)
		co_return Outcome{"skipped", "another token is of the same account", {}, {}, {}};
	const oauth::Provider *provider = in_.registry.find(claimed.provider);
	if (provider == nullptr)
		co_return Outcome{"given_up", "no such provider is configured", {}, {}, {}};
	if (claimed.refresh_token.empty() && claimed.access_token.empty())
		co_return Outcome{
			{}, "the database opens neither token: oauth_doctor() says why", {}, {}, {}};
	if (!claimed.client_id.empty() && claimed.client_id != provider->client_id)
		co_return Outcome{{}, "another client than the configured one made the grant", {}, {}, {}};
	const std::optional<oauth::ProviderEndpoints> endpoints =
		co_await in_.registry.endpoints(*provider);
	if (!endpoints)
		co_return Outcome{{}, "the provider's metadata cannot be read", {}, {}, {}};
	// No other issuer may see the token.
	if (!provider->issuer_per_tenant && !claimed.issuer.empty() && !endpoints->issuer.empty() &&
		claimed.issuer != endpoints->issuer)
		co_return Outcome{{}, "another issuer than the configured one made the grant", {}, {}, {}};
	if (endpoints->revocation.empty())
		co_return Outcome{"unsupported", "the provider has no revocation endpoint", {}, {}, {}};
	co_return co_await ask(*provider, *endpoints, claimed);
}

// The refresh token first: this also ends the access tokens of the grant (RFC 7009 section
// 2.1). The access token if there is no refresh token, or if it cannot be revoked.
Revoker::Awaitable<Revoker::Outcome> Revoker::ask(const oauth::Provider &provider,
												  const oauth::ProviderEndpoints &endpoints,
												  const database::ClaimedRevocation &claimed)
{
	using Kind = oauth::RevocationAnswer::Kind;
	oauth::RevocationAnswer answer{Kind::unsupported, {}, {}, {}};
	if (!claimed.refresh_token.empty())
		answer = co_await send(provider, endpoints, claimed.refresh_token,
							   oauth::TokenHint::refresh_token);
	if (answer.kind == Kind::unsupported && !claimed.access_token.empty())
		answer = co_await send(provider, endpoints, claimed.access_token,
							   oauth::TokenHint::access_token);
	Outcome outcome{{}, answer.reason, {}, answer.detail(), answer.retry_after};
	outcome.words = std::move(answer.words);
	if (answer.kind != Kind::retry)
		outcome.name = answer.kind == Kind::done      ? "revoked"
					   : answer.kind == Kind::refused ? "refused"
													  : "unsupported";
	co_return outcome;
}

Revoker::Awaitable<oauth::RevocationAnswer> Revoker::send(const oauth::Provider &provider,
														  const oauth::ProviderEndpoints &endpoints,
														  const common::Secret &token,
														  oauth::TokenHint hint)
{
	oauth::ProviderRequest request =
		oauth::revocation_request(provider, endpoints, token.reveal(), hint);
	const auto started = Clock::now();
	const oauth::ProviderAnswer answer = co_await in_.client.send(std::move(request));
	in_.metrics.provider_call(
		provider.name, "revocation",
		std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - started));
	co_return oauth::read_revocation_answer(provider, token.reveal(), answer, in_.now() / 1000);
}

Revoker::Awaitable<void> Revoker::record(const database::ClaimedRevocation &claimed,
										 Outcome outcome)
{
	using Ended = database::Revocations::Ended;
	if (outcome.name.empty()) {
		const std::string detail =
			outcome.detail.empty() ? std::string(outcome.reason) : outcome.detail;
		const Ended ended = co_await in_.store.retry(claimed.id, detail, outcome.retry_after);
		outcome.name = ended == Ended::retry ? "retry" : "given_up";
	} else {
		co_await in_.store.done(claimed.id);
	}
	const std::string label = label_of(claimed.provider);
	in_.metrics.revocation(label, outcome.name);
	const bool is_well = outcome.name == "revoked" || outcome.name == "skipped";
	const log::Level level = is_well ? log::Level::info : log::Level::warning;
	const oauth::ProviderWords &words = outcome.words;
	if (words.code.empty() && words.description.empty() && words.status == 0)
		log::write(level, "a revocation has ended",
				   {{"provider", label},
					{"outcome", outcome.name},
					{"attempt", std::int64_t(claimed.attempts)},
					{"reason", outcome.reason}});
	else
		log::write(level, "a revocation has ended",
				   {{"provider", label},
					{"outcome", outcome.name},
					{"attempt", std::int64_t(claimed.attempts)},
					{"reason", outcome.reason},
					{"provider_error", words.code},
					{"provider_description", words.description},
					{"provider_status", std::int64_t(words.status)}});
}

// Metrics have a bounded number of labels.
std::string Revoker::label_of(std::string_view provider) const
{
	const oauth::Provider *known = in_.registry.find(provider);
	return known == nullptr ? "unknown" : known->name;
}

void Revoker::log_failure(const database::StoreError &error)
{
	if (error.sqlstate() == kNotAdopted)
		refusals_.add(error, "deleted grants wait to be revoked until this database is adopted",
					  log::Level::warning);
	else
		refusals_.add(error, "the database does not say which grants are to be revoked");
}

} // namespace sidecar::revocation
