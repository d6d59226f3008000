// The claims of an ID token that came straight from the token endpoint over
// verified TLS: its signature need not be checked then (OpenID Connect Core
// 3.1.3.7, point 6), its claims must be.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "oauth/provider.hpp"

namespace sidecar::oauth
{

inline constexpr long long kMaxClockSkewSeconds = 60;
inline constexpr std::size_t kMaxIdTokenBytes = 64 * 1024;

struct IdTokenClaims {
	std::string subject;
	std::string issuer;
	std::string email; // empty: none, or not a plain text
};

struct IdTokenExpected {
	std::string_view issuer;
	bool issuer_per_tenant; // see Provider
	std::string_view client_id;
	std::string_view nonce;
	long long now; // seconds since 1970 UTC
	IdTokenAllowances allow = {};
};

// The claims, or a fixed text that says which check failed: form, alg (none of
// the asymmetric ones), iss, aud, azp, exp, iat, nonce, sub. `allow` lets through
// exactly what it names.
std::variant<IdTokenClaims, std::string_view> check_id_token(std::string_view token,
															 const IdTokenExpected &expected);

} // namespace sidecar::oauth
