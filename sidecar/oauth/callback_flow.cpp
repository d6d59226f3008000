#include "oauth/callback_flow.hpp"

#include "flow/provider_name.hpp"
#include "http/characters.hpp"
#include "http/request.hpp"
#include "oauth/authorization_request.hpp"
#include "oauth/error_reason.hpp"
#include "oauth/metadata.hpp"
#include "oauth/result_address.hpp"
#include "oauth/scopes.hpp"
#include "oauth/tenant_issuer.hpp"
#include "oauth/token_answer.hpp"
#include "oauth/token_request.hpp"

#include <algorithm>

namespace sidecar::oauth
{

namespace
{

constexpr std::size_t kMaxCodeBytes = 4096; // the longest known are about 2,000

// The words of oauth_error, and of log and metrics.
constexpr std::string_view kOutcomes[] = {"connected", "confirm",        "access_denied",
										  "expired",   "provider_error", "unavailable",
										  "no_attempt"};

bool is_code(std::string_view text) noexcept
{
	return text.size() <= kMaxCodeBytes && std::ranges::all_of(text, http::is_visible);
}

// Parameters that callback_extra does not keep, whatever the settings say.
bool is_protocol(std::string_view name) noexcept
{
	constexpr std::string_view kNames[] = {"code", "state"};
	return std::ranges::find(kNames, name) != std::end(kNames);
}

Outcome outcome_of_error(std::string_view code) noexcept
{
	if (code == "access_denied")
		return Outcome::access_denied;
	if (code == "temporarily_unavailable" || code == "server_error")
		return Outcome::unavailable;
	return Outcome::provider_error;
}

End no_attempt(std::string_view reason)
{
	return End{Outcome::no_attempt, reason, {}};
}

} // namespace

std::string_view name_of(Outcome outcome) noexcept
{
	return kOutcomes[static_cast<std::size_t>(outcome)];
}

CallbackFlow::CallbackFlow(Site site) : site_(std::move(site)) {}

Action CallbackFlow::start(std::string_view query, const http::FlowCookies &cookies)
{
	if (step_ != Step::start)
		return failed("the callback's steps are out of order");
	step_ = Step::end;
	if (query.size() > http::kMaxTargetBytes)
		return no_attempt("the query is too long");
	parameters_.emplace(http::Parameters::parse(query));
	if (parameters_->fault() != http::Parameters::Fault::none)
		return no_attempt("the query is malformed");
	const std::string_view state = parameters_->get("state").value_or("");
	if (!is_random_text(state))
		return no_attempt("state is missing or malformed");
	state_ = state;
	if (parameters_->has("code") == parameters_->has("error"))
		return no_attempt("not exactly one of code and error came");
	const std::string_view code = parameters_->get("code").value_or("");
	if (code.empty() && parameters_->get("error").value_or("").empty())
		return no_attempt("code or error is empty");
	if (!is_code(code))
		return no_attempt("the code is too long or not visible ASCII");
	const std::optional<Secret> secret = cookies.secret_of(state_);
	if (!secret)
		return no_attempt("no cookie of this attempt came");
	step_ = Step::claim;
	return Claim{sha256(state_), sha256(secret->reveal()), site_.provider.name};
}

Action CallbackFlow::claimed(std::optional<ClaimedAttempt> attempt)
{
	if (step_ != Step::claim)
		return failed("the callback's steps are out of order");
	if (!attempt) {
		step_ = Step::end;
		return no_attempt("no attempt with this state and browser is open");
	}
	attempt_ = std::move(attempt);
	if (flow::provider_base(attempt_->link.identity.provider) != site_.provider.name)
		return end(Outcome::provider_error, "the attempt belongs to another provider");
	if (auto wrong = check_issuer())
		return std::move(*wrong);
	if (const auto error = parameters_->get("error"))
		return end(outcome_of_error(*error), error_reason(*error));
	if (attempt_->client_id != site_.provider.client_id)
		return end(Outcome::unavailable, "the client_id was changed during the attempt");
	if (!is_endpoint(attempt_->token_endpoint))
		return end(Outcome::provider_error, "the recorded token endpoint is no endpoint");
	return exchange();
}

// RFC 9207 section 2.4: what came is compared as a string, and where an issuer
// is promised none may be missing. It comes before everything else that the
// provider says, errors included, since anybody may have said it.
std::optional<End> CallbackFlow::check_issuer()
{
	const Provider &provider = site_.provider;
	if (const auto issuer = parameters_->get("iss")) {
		const bool good = provider.issuer_per_tenant
							  ? tenant_of(*issuer).has_value()
							  : !attempt_->issuer.empty() && *issuer == attempt_->issuer;
		if (good)
			return std::nullopt;
		return end(Outcome::provider_error, attempt_->issuer.empty() && !provider.issuer_per_tenant
												? "iss came, and no issuer is configured"
												: "iss is not the attempt's issuer");
	}
	if (!provider.require_iss && !site_.endpoints && provider.discovers)
		return end(Outcome::unavailable, "the provider's metadata cannot be had");
	const Endpoints &endpoints = site_.endpoints ? *site_.endpoints : provider.endpoints;
	if (provider.require_iss.value_or(endpoints.iss_promised))
		return end(Outcome::provider_error, "iss is missing");
	return std::nullopt;
}

// What the browser brought has been read after this, and is wiped.
Exchange CallbackFlow::exchange()
{
	const Provider &provider = site_.provider;
	for (const std::string &name : provider.callback_extra)
		if (const auto value = parameters_->get(name); value && !is_protocol(name))
			callback_extra_.emplace_back(name, *value);
	for (const std::string_view name : {"scope", "scopes", "granted_scopes"})
		if (const auto value = parameters_->get(name); value && callback_scope_.empty())
			callback_scope_ = *value;
	asked_ = asked_scopes(provider, attempt_->link.scopes);
	Exchange exchange{token_request(provider, attempt_->token_endpoint,
									redirect_uri(site_.public_url, provider.name),
									*parameters_->get("code"), attempt_->code_verifier.reveal())};
	parameters_.reset();
	attempt_->code_verifier.wipe();
	step_ = Step::exchange;
	return exchange;
}

Action CallbackFlow::answered(const ProviderAnswer &answer, long long now)
{
	if (step_ != Step::exchange)
		return failed("the callback's steps are out of order");
	const Expected expected = {site_.provider,
							   attempt_->issuer,
							   attempt_->client_id,
							   attempt_->nonce.reveal(),
							   asked_,
							   callback_extra_,
							   now,
							   callback_scope_};
	auto read = read_token_answer(expected, answer);
	if (const auto *no_grant = std::get_if<NoGrant>(&read))
		return end(no_grant->kind == NoGrant::Kind::unavailable ? Outcome::unavailable
																: Outcome::provider_error,
				   no_grant->reason);
	step_ = Step::store;
	return Store{attempt_->ticket_hash, std::move(std::get<Grant>(read))};
}

Action CallbackFlow::stored(StoreResult result)
{
	if (step_ != Step::store)
		return failed("the callback's steps are out of order");
	switch (result.kind) {
	case StoreResult::Kind::connected:
		return end(Outcome::connected, {});
	case StoreResult::Kind::confirm:
		return end(Outcome::confirm, {}, result.flow.reveal());
	case StoreResult::Kind::expired:
		return end(Outcome::expired, "the link was used or has expired meanwhile");
	default:
		return end(Outcome::unavailable, "the grant could not be stored");
	}
}

Action CallbackFlow::failed(std::string_view reason)
{
	return end(Outcome::unavailable, reason);
}

End CallbackFlow::end(Outcome outcome, std::string_view reason, std::string_view flow)
{
	step_ = Step::end;
	parameters_.reset();
	if (!attempt_)
		return End{outcome, reason, {}};
	const bool good = outcome == Outcome::connected || outcome == Outcome::confirm;
	const Result result = {attempt_->link.identity.provider, good ? "" : name_of(outcome), flow};
	return End{outcome, reason,
			   result_address(site_.public_url, attempt_->link.return_to, site_.return_to_origins,
							  result)};
}

} // namespace sidecar::oauth
