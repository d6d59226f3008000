#include "refresh/attempt.hpp"

#include "base/boot_time.hpp"
#include "base/log.hpp"
#include "base/pause.hpp"
#include "oauth/refresh_request.hpp"
#include "refresh/again.hpp"

namespace sidecar::refresh
{

namespace
{

constexpr std::chrono::seconds kRetry{1};
constexpr int kTellings = 5;
// The database's own first back-off is 5 to 10 s.
constexpr std::chrono::seconds kBackOff{10};
// For this long, an answer that could not be written to the spool is committed again.
constexpr std::chrono::minutes kMemory{5};

constexpr std::string_view kNoSpool = "the spool does not work; the log of oauth-sidecar says why";
constexpr std::string_view kLate = "the lease is nearly over";

std::chrono::nanoseconds end_of(std::chrono::nanoseconds asked, std::chrono::duration<double> lease)
{
	return asked + std::chrono::duration_cast<std::chrono::nanoseconds>(lease);
}

} // namespace

Attempt::Attempt(const RefreshContext &context, Replayer &replayer, const oauth::Provider &provider,
				 const oauth::ProviderEndpoints &endpoints, const oauth::Identity &identity,
				 database::BegunRefresh begun, std::chrono::nanoseconds asked)
	: context_(context), replayer_(replayer), provider_(provider), endpoints_(endpoints),
	  identity_(identity), begun_(std::move(begun)),
	  stored_(oauth::read_stored_grant(begun_.scopes, begun_.details)),
	  lease_end_(end_of(asked, begun_.retry_in))
{
	entry_.cluster = begun_.cluster;
	entry_.identity = identity_;
	entry_.fence = begun_.fence;
}

Attempt::Awaitable<Outcome> Attempt::run()
{
	const bool has_place = co_await reserve();
	if (!has_place) {
		Outcome outcome = co_await refuse("spool_unavailable", kNoSpool);
		outcome.kind = Outcome::Kind::unavailable;
		co_return outcome;
	}
	if (boot_time() + context_.call_limit > lease_end_)
		co_return co_await refuse(oauth::name_of(oauth::FailureKind::not_sent), kLate);
	const oauth::ProviderAnswer answer = co_await call();
	const auto read = oauth::read_refresh_answer(provider_, stored_, answer, context_.now() / 1000);
	if (const auto *no_grant = std::get_if<oauth::NoGrant>(&read))
		co_return co_await failed(answer, *no_grant);
	co_return co_await keep(std::get<oauth::Grant>(read));
}

// Before the provider is called: there must be room for its answer.
Attempt::Awaitable<bool> Attempt::reserve()
{
	std::string fault;
	try {
		seal_.emplace(begun_.spool_key);
		begun_.spool_key.wipe();
		auto reserve = [spool = context_.spool, fence = begun_.fence] {
			return std::make_shared<spool::Reservation>(spool.reserve(fence));
		};
		reservation_ = co_await context_.workers.run(reserve);
		co_return true;
	} catch (const std::exception &error) {
		fault = error.what();
	}
	begun_.spool_key.wipe();
	lacked_spool_ = true;
	log::error("a refresh is refused, because its answer could not be kept",
			   {{"provider", provider_.name}, {"reason", fault}});
	co_return false;
}

Attempt::Awaitable<oauth::ProviderAnswer> Attempt::call()
{
	oauth::ProviderRequest request =
		oauth::refresh_request(provider_, endpoints_, begun_.refresh_token.reveal(), stored_);
	request.send_until = lease_end_ - context_.call_limit;
	const auto started = std::chrono::steady_clock::now();
	oauth::ProviderAnswer answer = co_await context_.client.send(std::move(request));
	context_.metrics.provider_call(provider_.name, "refresh",
								   std::chrono::duration_cast<std::chrono::microseconds>(
									   std::chrono::steady_clock::now() - started));
	co_return answer;
}

// Nothing was sent.
Attempt::Awaitable<Outcome> Attempt::refuse(std::string_view outcome, std::string_view reason)
{
	co_await remove();
	const std::string detail(reason);
	const std::string state = co_await tell(oauth::FailureKind::not_sent, detail, std::nullopt);
	log_end({outcome, reason, {}});
	Outcome result;
	result.kind = state == "superseded" ? Outcome::Kind::fresh : Outcome::Kind::backing_off;
	result.reason = "not_sent: " + detail;
	result.retry_in = kBackOff;
	co_return result;
}

Attempt::Awaitable<Outcome> Attempt::failed(const oauth::ProviderAnswer &answer,
											const oauth::NoGrant &no_grant)
{
	co_await remove();
	const oauth::RefreshCall call{provider_, stored_, begun_.refresh_token.reveal(),
								  context_.now() / 1000};
	const oauth::RefreshFailure failure = oauth::refresh_failure(call, answer, no_grant);
	const std::string_view kind = oauth::name_of(failure.kind);
	const std::string detail = failure.detail();
	const std::string state = co_await tell(failure.kind, detail, failure.retry_after);
	log_end({kind, failure.reason, failure.words});
	Outcome outcome;
	outcome.kind = state == "superseded"              ? Outcome::Kind::fresh
				   : state == "needs_reauthorization" ? Outcome::Kind::needs_reauthorization
													  : Outcome::Kind::backing_off;
	outcome.reason = std::string(kind) + ": " + detail;
	outcome.retry_in = failure.retry_after.value_or(kBackOff);
	outcome.in_doubt = failure.kind == oauth::FailureKind::no_answer;
	outcome.is_providers_fault = failure.kind == oauth::FailureKind::client_config ||
								 (outcome.in_doubt && answer.status != 0);
	co_return outcome;
}

// The state that follows. Empty: the failure could not be reported, and the database will
// treat the attempt as one without an answer.
Attempt::Awaitable<std::string> Attempt::tell(oauth::FailureKind kind, const std::string &detail,
											  std::optional<std::chrono::seconds> retry_after)
{
	for (int told = 1;; told++) {
		try {
			co_return co_await context_.store.fail(identity_, begun_.fence, oauth::name_of(kind),
												   detail, retry_after);
		} catch (const database::StoreError &error) {
			if (told == kTellings || !error.is_transient()) {
				const std::string text = error.text();
				log::error("the failure of a refresh could not be stored",
						   {{"provider", provider_.name}, {"reason", text}});
				co_return std::string();
			}
		}
		co_await pause(context_.executor, kRetry);
	}
}

Attempt::Awaitable<Outcome> Attempt::keep(const oauth::Grant &grant)
{
	for (const std::string &warning : grant.warnings)
		log::warning("parts of a refresh answer were not understood",
					 {{"provider", provider_.name}, {"detail", warning}});
	const bool is_kept = co_await write(grant, context_.now() / 1000);
	Outcome outcome = co_await commit(grant);
	if (is_kept)
		replayer_.release(file_);
	if (outcome.kind == Outcome::Kind::unsaved)
		replayer_.wake();
	co_return outcome;
}

// Whether the answer is safe on disk.
Attempt::Awaitable<bool> Attempt::write(const oauth::Grant &grant, long long answered)
{
	std::string fault;
	try {
		spool::Answer answer;
		answer.access_token = grant.access_token.reveal();
		if (grant.refresh_token)
			answer.refresh_token = grant.refresh_token->reveal();
		if (grant.expires_in)
			answer.expires_at = answered + *grant.expires_in;
		answer.scopes = grant.scopes;
		answer.details = grant.details;
		entry_.sealed = seal_->close(answer);
		seal_.reset();
		auto write = [reservation = std::move(reservation_), entry = entry_] {
			return reservation->write(entry);
		};
		file_ = co_await context_.workers.run(write);
		replayer_.hold(file_);
		co_return true;
	} catch (const std::exception &error) {
		fault = error.what();
	}
	log::error("a provider's answer could not be written to the spool: until it is stored in the "
			   "database, it is only in memory",
			   {{"provider", provider_.name}, {"reason", fault}});
	co_return false;
}

Attempt::Awaitable<Outcome> Attempt::commit(const oauth::Grant &grant)
{
	using End = database::RefreshEnd;
	const auto until = std::chrono::steady_clock::now() + kMemory;
	std::optional<End> end = co_await try_commit(grant);
	while (!end && file_.empty() && std::chrono::steady_clock::now() < until) {
		co_await pause(context_.executor, kRetry);
		end = co_await try_commit(grant);
	}
	// A newer attempt may have failed, or be under way.
	if (end == End::superseded && !file_.empty())
		end = co_await try_replay();
	Outcome outcome;
	outcome.kind = Outcome::Kind::unsaved;
	if (!end || end == End::busy) {
		outcome.reason = "the provider's answer waits for the database";
		outcome.retry_in = kRetry;
		log_end({"spooled",
				 file_.empty() ? std::string_view("the answer is lost") : outcome.reason,
				 {}});
		co_return outcome;
	}
	// Callers that wait must not read the old entry.
	if (end == End::committed)
		co_await context_.cache.evict(identity_);
	co_await remove();
	outcome.kind = end == End::deleted     ? Outcome::Kind::not_connected
				   : end == End::committed ? Outcome::Kind::refreshed
										   : Outcome::Kind::fresh;
	log_end({end == End::committed ? "committed"
			 : end == End::deleted ? "deleted"
								   : "superseded",
			 {},
			 {}});
	co_return outcome;
}

// Nothing if the database did not commit it, or that is not known.
Attempt::Awaitable<std::optional<database::RefreshEnd>>
Attempt::try_commit(const oauth::Grant &grant)
{
	try {
		const auto commit = [&] { return context_.store.commit(identity_, begun_.fence, grant); };
		co_return co_await again_if_rolled_back(commit);
	} catch (const database::StoreError &error) {
		const std::string text = error.text();
		log::error("the database did not accept a provider's answer",
				   {{"provider", provider_.name}, {"file", file_}, {"reason", text}});
	}
	co_return std::nullopt;
}

Attempt::Awaitable<std::optional<database::RefreshEnd>> Attempt::try_replay()
{
	try {
		const auto replay = [&] { return context_.store.replay(entry_); };
		co_return co_await again_if_rolled_back(replay);
	} catch (const database::StoreError &) { // the replayer gets the same error, and logs it
	}
	co_return std::nullopt;
}

// The answer, or the room for one.
Attempt::Awaitable<void> Attempt::remove()
{
	auto remove = [spool = context_.spool, file = file_,
				   reservation = std::move(reservation_)]() mutable {
		reservation.reset();
		if (!file.empty())
			spool.remove(file);
	};
	std::string fault;
	try {
		co_await context_.workers.run(remove);
		co_return;
	} catch (const std::exception &error) {
		fault = error.what();
	}
	log::error("a file of the spool could not be removed", {{"reason", fault}});
}

void Attempt::log_end(const End &end) const
{
	context_.metrics.refresh(provider_.name, end.outcome);
	if (end.reason.empty())
		return log::info("a refresh has ended", {{"provider", provider_.name},
												 {"workspace_id", identity_.workspace_id},
												 {"fence", begun_.fence},
												 {"outcome", end.outcome}});
	log::warning("a refresh has ended", {{"provider", provider_.name},
										 {"workspace_id", identity_.workspace_id},
										 {"fence", begun_.fence},
										 {"outcome", end.outcome},
										 {"reason", end.reason},
										 {"provider_error", end.words.code},
										 {"provider_description", end.words.description},
										 {"provider_status", std::int64_t(end.words.status)}});
}

} // namespace sidecar::refresh
