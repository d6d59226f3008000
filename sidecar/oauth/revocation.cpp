#include "oauth/revocation.hpp"

#include "common/ascii.hpp"
#include "oauth/client_request.hpp"
#include "oauth/redactor.hpp"
#include "oauth/refresh_failure.hpp"
#include "oauth/token_request.hpp"

#include <algorithm>

namespace sidecar::oauth
{

namespace
{

using Kind = RevocationAnswer::Kind;

struct Verdict {
	Kind kind;
	std::string_view reason;
};

constexpr Verdict kClient = {Kind::retry, "the provider refuses the client: check "
										  "client_id, client_secret and token_auth"};

bool has_code(const ProviderAnswer &answer, std::initializer_list<std::string_view> codes)
{
	const RawWords words = raw_words_of(answer);
	return std::ranges::any_of(words.codes, [&](const RawWords::Code &code) {
		return std::ranges::find(codes, common::trim(code.value)) != codes.end();
	});
}

// Slack answers 200 to everything, with "ok": false and an error.
bool has_error(const ProviderAnswer &answer)
{
	const RawWords words = raw_words_of(answer);
	return std::ranges::any_of(words.codes,
							   [](const RawWords::Code &code) { return code.name == "error"; });
}

// A 400, or an error in the answer, concerns the client, the server, or the token. If it says
// that the token is not valid, that is as good as a revocation.
Verdict verdict_of_error(const ProviderAnswer &answer)
{
	if (has_code(answer, {"unsupported_token_type"}))
		return {Kind::unsupported, "the provider does not revoke tokens of this type"};
	if (has_code(answer, {"invalid_client", "unauthorized_client", "invalid_client_id",
						  "bad_client_secret"}))
		return kClient;
	if (has_code(answer, {"temporarily_unavailable", "server_error", "internal_error",
						  "fatal_error", "service_unavailable", "ratelimited", "slow_down"}))
		return {Kind::retry, "the provider is not available"};
	if (has_code(answer, {"invalid_token", "invalid_grant", "invalid_auth", "not_authed",
						  "token_revoked", "token_expired"}))
		return {Kind::done, "the provider says that there is nothing to revoke"};
	return {Kind::refused, "the provider refused, and would refuse again: check whether the token "
						   "is still valid there"};
}

Verdict verdict_of_failure(const ProviderAnswer &answer)
{
	if (answer.failure == ProviderAnswer::Failure::timeout)
		return {Kind::retry, "the provider did not answer in time"};
	if (answer.failure == ProviderAnswer::Failure::too_large)
		return {Kind::retry, "the provider's answer is too large"};
	return {Kind::retry,
			answer.was_sent ? "the provider's answer broke off" : "the provider cannot be reached"};
}

// No redirect is followed: the token would go to an address that nobody has checked.
Verdict verdict_of(const ProviderAnswer &answer)
{
	const int status = answer.status;
	const bool is_success = status >= 200 && status <= 299;
	if (answer.failure != ProviderAnswer::Failure::none && !is_success)
		return verdict_of_failure(answer);
	if (is_success && !has_error(answer))
		return {Kind::done, {}};
	if (is_success || status == 400)
		return verdict_of_error(answer);
	if (status == 401)
		return kClient;
	if (status == 429 || status == 503)
		return {Kind::retry, "the provider asks us to try later"};
	if (status >= 500)
		return {Kind::retry, "the provider is not available"};
	if (status >= 300 && status <= 399)
		return {Kind::retry, "the revocation endpoint redirects, and redirects are not followed"};
	return {Kind::retry, "the revocation endpoint refused"};
}

} // namespace

ProviderRequest revocation_request(const Provider &provider, const ProviderEndpoints &endpoints,
								   std::string_view token, TokenHint hint)
{
	Fields fields = {
		{"token", token},
		{"token_type_hint", hint == TokenHint::refresh_token ? "refresh_token" : "access_token"}};
	return client_request(provider, endpoints.revocation, std::move(fields), {},
						  token_auth_of(provider, endpoints));
}

std::string RevocationAnswer::detail() const
{
	return RefreshFailure{FailureKind::transient, reason, words, {}}.detail();
}

RevocationAnswer read_revocation_answer(const Provider &provider, std::string_view token,
										const ProviderAnswer &answer, long long now)
{
	const Verdict verdict = verdict_of(answer);
	Redactor redactor;
	redactor.hide(provider.client_secret.reveal());
	redactor.hide(basic_credentials(provider).reveal());
	redactor.hide(token);
	RevocationAnswer read{verdict.kind, verdict.reason, {}, {}};
	if (verdict.kind != Kind::done || !verdict.reason.empty())
		read.words = words_of(answer, redactor);
	if (verdict.kind == Kind::retry)
		read.retry_after = read_retry_after(answer.retry_after, now);
	return read;
}

} // namespace sidecar::oauth
