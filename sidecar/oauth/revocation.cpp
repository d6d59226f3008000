#include "oauth/revocation.hpp"

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

constexpr Verdict kClient = {Kind::retry, "the provider does not take the client's word: look at "
										  "client_id, client_secret and token_auth"};

bool has_code(const ProviderAnswer &answer, std::initializer_list<std::string_view> codes)
{
	const RawWords words = raw_words_of(answer);
	return std::ranges::any_of(words.codes, [&](const RawWords::Code &code) {
		return std::ranges::find(codes, code.value) != codes.end();
	});
}

// An answer of 400 says that there is nothing to revoke, unless it is about the client,
// or the server, and not about the token.
Verdict verdict_of_bad_request(const ProviderAnswer &answer)
{
	if (has_code(answer, {"unsupported_token_type"}))
		return {Kind::unsupported, "the provider does not revoke tokens of this type"};
	if (has_code(answer, {"invalid_client", "unauthorized_client"}))
		return kClient;
	if (has_code(answer, {"temporarily_unavailable", "server_error"}))
		return {Kind::retry, "the provider is not available"};
	return {Kind::done, "the provider says that there is nothing to revoke"};
}

// No redirect is followed: the token would go where nobody has looked.
Verdict verdict_of(const ProviderAnswer &answer)
{
	const int status = answer.status;
	if (answer.failure != ProviderAnswer::Failure::none && answer.status == 0)
		return {Kind::retry, answer.failure == ProviderAnswer::Failure::timeout
								 ? "the provider did not answer in time"
								 : "the provider cannot be reached"};
	if (status >= 200 && status <= 299)
		return {Kind::done, {}};
	if (status == 400)
		return verdict_of_bad_request(answer);
	if (status == 401)
		return kClient;
	if (status == 429 || status == 503)
		return {Kind::retry, "the provider asks to come later"};
	if (status >= 500)
		return {Kind::retry, "the provider is not available"};
	if (status >= 300 && status <= 399)
		return {Kind::retry, "the revocation endpoint redirects, which is not followed"};
	return {Kind::retry, "the revocation endpoint refused"};
}

} // namespace

ProviderRequest revocation_request(const Provider &provider, const Endpoints &endpoints,
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
