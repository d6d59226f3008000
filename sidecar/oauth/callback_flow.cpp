#include "oauth/callback_flow.hpp"

#include "common/ascii.hpp"
#include "common/provider_name.hpp"
#include "http/request.hpp"
#include "oauth/authorization_request.hpp"
#include "oauth/client_request.hpp"
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

constexpr std::size_t kMaxCodeBytes = 4096;  // the longest known are about 2,000
constexpr std::size_t kMaxIssuerChars = 200; // for the log

// The texts in oauth_error, log and metrics.
constexpr std::string_view kOutcomes[] = {"connected", "confirm",        "access_denied",
										  "expired",   "provider_error", "unavailable",
										  "no_attempt"};

bool is_code(std::string_view text) noexcept
{
	return text.size() <= kMaxCodeBytes && std::ranges::all_of(text, common::is_visible);
}

// Parameters that callback_extra does not keep, whatever the settings say.
bool is_protocol(std::string_view name) noexcept
{
	constexpr std::string_view kNames[] = {"code", "state"};
	return std::ranges::find(kNames, name) != std::end(kNames);
}

// How providers say that the user declined: RFC 6749 section 4.1.2.1, Facebook's
// error_reason, LinkedIn's two, Apple's, Microsoft's. (Not consent_required: an
// administrator, or another policy, has to consent.)
constexpr std::string_view kUsersNo[] = {"access_denied",          "user_denied",
										 "user_cancelled",         "user_canceled",
										 "user_cancelled_login",   "user_cancelled_authorize",
										 "authorization_declined", "consent_declined"};

Outcome outcome_of_error(std::string_view code) noexcept
{
	for (const std::string_view no : kUsersNo)
		if (common::equal_ignoring_case(code, no))
			return Outcome::access_denied;
	if (code == "temporarily_unavailable" || code == "server_error")
		return Outcome::unavailable;
	return Outcome::provider_error;
}

End no_attempt(std::string_view reason)
{
	return End{Outcome::no_attempt, reason, {}, {}};
}

} // namespace

std::string_view name_of(Outcome outcome) noexcept
{
	return kOutcomes[static_cast<std::size_t>(outcome)];
}

bool is_failure(Outcome outcome) noexcept
{
	return outcome == Outcome::expired || outcome == Outcome::provider_error ||
		   outcome == Outcome::unavailable;
}

CallbackFlow::CallbackFlow(Config config) : config_(std::move(config)) {}

ClaimAttempt CallbackFlow::start(std::string_view query, const http::FlowCookies &cookies)
{
	if (query.size() > http::kMaxTargetBytes)
		throw no_attempt("the query is too long");
	parameters_.emplace(http::Parameters::parse_only(query, wanted_parameters()));
	if (parameters_->fault() != http::Parameters::Fault::none)
		throw no_attempt("the query is malformed");
	const std::string_view state = parameters_->get("state").value_or("");
	if (!common::is_random_text(state))
		throw no_attempt("state is missing or malformed");
	state_ = state;
	// If one of them is empty, the other counts.
	const std::string_view code = parameters_->get("code").value_or("");
	const std::string_view error = parameters_->get("error").value_or("");
	if (code.empty() == error.empty())
		throw no_attempt(parameters_->has("code") == parameters_->has("error")
							 ? "not exactly one of code and error came"
							 : "code or error is empty");
	if (!is_code(code))
		throw no_attempt("the code is too long or not visible ASCII");
	const std::optional<common::Secret> secret = cookies.secret_of(state_);
	if (!secret)
		throw no_attempt("no cookie of this attempt came");
	// It is then not known how the client authenticates at the token endpoint, and the code
	// works once. So nothing is claimed, and the browser can load the address again.
	const bool needs_metadata = config_.provider.discovers && !config_.provider.token_auth_is_set;
	if (!code.empty() && needs_metadata && !config_.endpoints)
		throw failed("the provider's metadata cannot be read");
	claim_ = {common::sha256(state_), common::sha256(secret->reveal()), config_.provider.name};
	return *claim_;
}

http::Parameters::Wanted CallbackFlow::wanted_parameters() const
{
	http::Parameters::Wanted wanted{
		{"code", "state", "error", "iss", "scope", "scopes", "granted_scopes"}, {}};
	const auto &extra = config_.provider.callback_extra;
	wanted.names.insert(wanted.names.end(), extra.begin(), extra.end());
	wanted.prose.assign(std::begin(kProseParameters), std::end(kProseParameters));
	std::erase_if(wanted.prose, [&](std::string_view name) {
		return std::ranges::find(extra, name) != extra.end();
	});
	return wanted;
}

ProviderRequest CallbackFlow::claimed(std::optional<ClaimedAttempt> attempt)
{
	if (!attempt)
		throw no_attempt("no attempt with this state and browser is open");
	attempt_ = std::move(attempt);
	if (common::provider_base(attempt_->link.identity.provider) != config_.provider.name)
		throw end(Outcome::provider_error, "the attempt belongs to another provider");
	check_issuer();
	if (const auto error = parameters_->get("error").value_or(""); !error.empty())
		throw refused_by_provider(error);
	if (attempt_->client_id != config_.provider.client_id)
		throw end(Outcome::unavailable, "the client_id was changed during the attempt");
	if (!is_endpoint(attempt_->token_endpoint))
		throw end(Outcome::provider_error, "the recorded token endpoint is no endpoint");
	return code_for_token();
}

// RFC 9207 section 2.4. This is checked before everything else that the provider says, also
// before errors, because anybody could have sent them.
void CallbackFlow::check_issuer()
{
	const Provider &provider = config_.provider;
	if (const auto issuer = parameters_->get("iss"))
		return check_received_issuer(*issuer);
	if (!provider.require_iss && !config_.endpoints && provider.discovers)
		throw end(Outcome::unavailable, "the provider's metadata cannot be read");
	const ProviderEndpoints &endpoints =
		config_.endpoints ? *config_.endpoints : provider.endpoints;
	if (provider.require_iss.value_or(endpoints.iss_promised))
		throw end(Outcome::provider_error, "iss is missing");
}

// Compared as a string. If no issuer is known, iss is ignored: each provider has a redirect
// address of its own, which distinguishes them, and providers begin to send iss without
// notice.
void CallbackFlow::check_received_issuer(std::string_view issuer)
{
	const Provider &provider = config_.provider;
	const bool is_known = provider.issuer_per_tenant || !attempt_->issuer.empty();
	if (!is_known && provider.require_iss == true)
		throw end(Outcome::provider_error, "iss came, and no issuer is configured");
	const bool is_right =
		provider.issuer_per_tenant ? tenant_of(issuer).has_value() : issuer == attempt_->issuer;
	if (is_known && !is_right)
		throw end(Outcome::provider_error, "iss is not the attempt's issuer");
	if (is_known)
		return;
	Redactor redactor;
	hide_secrets(redactor);
	ignored_issuer_ = redactor.clean(issuer, kMaxIssuerChars);
}

End CallbackFlow::refused_by_provider(std::string_view code)
{
	// Microsoft's way to say that the user pressed "cancel".
	const bool is_cancelled = parameters_->get("error_subcode") == "cancel";
	const Outcome outcome = is_cancelled ? Outcome::access_denied : outcome_of_error(code);
	Redactor redactor;
	hide_secrets(redactor);
	return end(outcome, error_reason(code), words_of(*parameters_, redactor));
}

void CallbackFlow::hide_secrets(Redactor &redactor) const
{
	redactor.hide(config_.provider.client_secret.reveal());
	redactor.hide(state_);
	redactor.hide(code_.reveal());
	if (parameters_)
		redactor.hide(parameters_->get("code").value_or(""));
	if (attempt_) {
		redactor.hide(attempt_->code_verifier.reveal());
		redactor.hide(attempt_->nonce.reveal());
	}
}

// After this, nothing of the request is needed any more. It is wiped, except the code.
ProviderRequest CallbackFlow::code_for_token()
{
	const Provider &provider = config_.provider;
	for (const std::string &name : provider.callback_extra)
		if (const auto value = parameters_->get(name); value && !is_protocol(name))
			callback_extra_.emplace_back(name, *value);
	for (const std::string_view name : {"scope", "scopes", "granted_scopes"})
		if (const auto value = parameters_->get(name); value && callback_scope_.empty())
			callback_scope_ = *value;
	asked_ = asked_scopes(provider, attempt_->link.scopes);
	ProviderRequest request =
		token_request(provider, attempt_->token_endpoint,
					  redirect_uri(config_.public_url, provider.name), *parameters_->get("code"),
					  attempt_->code_verifier.reveal(), token_auth_of(provider, config_.endpoints));
	code_ = common::Secret(*parameters_->get("code"));
	parameters_.reset();
	return request;
}

Grant CallbackFlow::answered(const ProviderAnswer &answer, long long now)
{
	const Expected expected = {config_.provider,
							   attempt_->issuer,
							   attempt_->client_id,
							   attempt_->nonce.reveal(),
							   asked_,
							   callback_extra_,
							   now,
							   callback_scope_};
	auto read = read_token_answer(expected, answer);
	if (const auto *no_grant = std::get_if<NoGrant>(&read)) {
		Redactor redactor;
		hide_secrets(redactor);
		redactor.hide(basic_credentials(config_.provider).reveal());
		throw end(no_grant->kind == NoGrant::Kind::unavailable ? Outcome::unavailable
															   : Outcome::provider_error,
				  no_grant->reason, words_of(answer, redactor));
	}
	code_.wipe();
	attempt_->code_verifier.wipe();
	return std::move(std::get<Grant>(read));
}

End CallbackFlow::stored(StoreResult result)
{
	switch (result.kind) {
	case StoreResult::Kind::connected:
		return end(Outcome::connected, {});
	case StoreResult::Kind::confirm:
		return end(Outcome::confirm, {}, {}, result.flow.reveal());
	case StoreResult::Kind::expired:
		return end(Outcome::expired, "the link was used or has expired meanwhile");
	default:
		return end(Outcome::unavailable, "the grant could not be stored");
	}
}

End CallbackFlow::failed(std::string_view reason)
{
	return end(Outcome::unavailable, reason);
}

End CallbackFlow::end(Outcome outcome, std::string_view reason, ProviderWords words,
					  std::string_view flow)
{
	parameters_.reset();
	code_.wipe();
	if (!attempt_)
		return End{outcome, reason, std::move(words), {}};
	attempt_->code_verifier.wipe();
	const bool good = outcome == Outcome::connected || outcome == Outcome::confirm;
	const Result result = {attempt_->link.identity.provider, good ? "" : name_of(outcome), flow};
	return End{outcome, reason, std::move(words),
			   result_address(config_.public_url, attempt_->link.return_to,
							  config_.return_to_origins, result)};
}

} // namespace sidecar::oauth
