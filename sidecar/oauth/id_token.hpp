// Checks the claims of an ID token. It came straight from the token endpoint over verified
// TLS, so its signature need not be checked (OpenID Connect Core 3.1.3.7, point 6).
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
	std::string email;      // empty: none, or not a plain text
	bool is_current = true; // exp and iat are right; only in a refresh may this be false
};

struct IdTokenExpected {
	std::string_view issuer;
	bool issuer_per_tenant; // see Provider
	std::string_view client_id;
	std::string_view nonce;
	long long now; // seconds since 1970 UTC
	IdTokenAllowances allow = {};
	// OpenID Connect Core 12.2: the token comes with a refresh. It must be of the same
	// account, and there is no nonce. Its exp and iat are advice: some providers send the first
	// token again, and a rotated refresh token must not be lost because of that.
	bool is_refresh = false;
	std::string_view subject = {}; // the stored one; empty: not known
};

// The claims, or a fixed text that says which check failed: form, alg (none of
// the asymmetric ones), iss, aud, azp, exp, iat, nonce, sub. `allow` permits exactly
// what it names.
std::variant<IdTokenClaims, std::string_view> check_id_token(std::string_view token,
															 const IdTokenExpected &expected);

} // namespace sidecar::oauth
