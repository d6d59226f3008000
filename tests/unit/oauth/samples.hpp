// A provider, an attempt and answers that are good, for tests to spoil.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "common/digest.hpp"
#include "http/cookies.hpp"
#include "oauth/attempt.hpp"
#include "oauth/provider.hpp"
#include "oauth/provider_call.hpp"

namespace samples
{

inline constexpr std::string_view kPublicUrl = "https://connect.example/base";
inline constexpr std::string_view kIssuer = "https://op.example";
inline constexpr std::string_view kTokenEndpoint = "https://op.example/token";
inline constexpr std::string_view kState = "S-ate_0123456789abcdefghijklmnopqrstuvwxyzA";
inline constexpr std::string_view kBrowserSecret = "B-owser_secret_0123456789abcdefghijklmnopqA";
inline constexpr std::string_view kNonce = "N-nce_0123456789abcdefghijklmnopqrstuvwxyzA";
// The verifier and challenge of RFC 7636 appendix B.
inline constexpr std::string_view kVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
inline constexpr std::string_view kChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
inline constexpr std::string_view kTenant = "9188040d-6c67-4c5b-b112-36a304b66dad";
inline constexpr long long kNow = 1'800'000'000;

inline sidecar::oauth::Provider provider()
{
	sidecar::oauth::Provider provider;
	provider.name = "op";
	provider.endpoints.issuer = kIssuer;
	provider.endpoints.authorization = "https://op.example/authorize";
	provider.endpoints.token = kTokenEndpoint;
	provider.client_id = "client";
	provider.client_secret = common::Secret("a secret");
	provider.scopes = {"calendar"};
	return provider;
}

inline sidecar::oauth::ClaimedAttempt claimed_attempt()
{
	sidecar::oauth::ClaimedAttempt attempt;
	attempt.link.identity = {"11111111-1111-4111-8111-111111111111", "op.work", "user", "alice"};
	attempt.link.return_to = "https://app.example/settings?tab=1#top";
	attempt.ticket_hash.fill(7);
	attempt.code_verifier = common::Secret(kVerifier);
	attempt.nonce = common::Secret(kNonce);
	attempt.issuer = kIssuer;
	attempt.token_endpoint = kTokenEndpoint;
	attempt.client_id = "client";
	return attempt;
}

inline sidecar::oauth::OpenedAttempt opened_attempt()
{
	sidecar::oauth::OpenedAttempt attempt;
	attempt.link.identity = {"11111111-1111-4111-8111-111111111111", "op.work", "user", "alice"};
	attempt.state = common::Secret(kState);
	attempt.browser_secret = common::Secret(kBrowserSecret);
	attempt.code_verifier = common::Secret(kVerifier);
	attempt.nonce = common::Secret(kNonce);
	attempt.expires_in = 600;
	return attempt;
}

// "__Host-oauth-…=…" of the attempt with this state.
inline std::string cookie(std::string_view state, std::string_view secret = kBrowserSecret,
						  long long made = 1000, std::string_view prefix = "__Host-oauth-")
{
	return std::string(prefix) + sidecar::http::cookie_tag(state) + "=" + std::to_string(made) +
		   "." + std::string(secret);
}

inline sidecar::oauth::ProviderAnswer answer(int status, std::string_view body,
											 std::string_view content_type = "application/json")
{
	sidecar::oauth::ProviderAnswer answer;
	answer.status = status;
	answer.content_type = content_type;
	answer.body = common::Secret(body);
	return answer;
}

// The claims of a good ID token as JSON, and a token of whatever claims.
inline std::string claims()
{
	return R"({"iss":"https://op.example","aud":"client","exp":1800000300,"iat":1799999990,)"
		   R"("nonce":")" +
		   std::string(kNonce) + R"(","sub":"alice-at-op","email":"alice@example.org"})";
}

inline std::string id_token(std::string_view claims, std::string_view header = R"({"alg":"RS256"})")
{
	return common::base64url(header) + "." + common::base64url(claims) + ".c2ln";
}

// `text` with the one place where `from` stands changed.
inline std::string replaced(std::string text, std::string_view from, std::string_view to)
{
	const std::size_t at = text.find(from);
	if (at == text.npos)
		throw std::logic_error("there is nothing to replace");
	return text.replace(at, from.size(), to);
}

} // namespace samples
