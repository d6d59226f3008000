// Reads a token endpoint's answer to a code or a refresh token (RFC 6749 sections 5.1, 5.2
// and 6). The answer may be wrong in every way.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "oauth/grant.hpp"
#include "oauth/id_token.hpp"
#include "oauth/provider.hpp"
#include "oauth/provider_call.hpp"
#include "oauth/stored_grant.hpp"

namespace sidecar::oauth
{

inline constexpr std::size_t kMaxTokenBytes = 64 * 1024;
inline constexpr int kMaxJsonDepth = 16;

// Why there is no grant. `reason` is a fixed text for the log.
struct NoGrant {
	enum class Kind {
		unavailable,    // network, time-out, 5xx, 408, 425, 429: try again later
		refused,        // the provider answered with an error of RFC 6749 section 5.2
		invalid_answer, // the answer is not one that we believe
		other_account,  // in a refresh: the ID token is not of the stored account, as far as known
	} kind;
	std::string_view reason;
};

// What the answer is compared with.
struct Expected {
	const Provider &provider;
	std::string_view issuer; // recorded with the attempt
	std::string_view client_id;
	std::string_view nonce;
	// The scopes that were asked for. If the answer names none, these were granted.
	const std::vector<std::string> &asked;
	// Parameters of the callback to store (callback_extra).
	const Pairs &callback_extra;
	long long now; // seconds since 1970 UTC
	// The callback's own parameter `scope`; empty: there was none. Strava names the granted
	// scopes only there.
	std::string_view callback_scope = {};
	// In a refresh, the stored grant. A missing scope or refresh token then means that the
	// stored one stays. There is no callback.
	const StoredGrant *stored = nullptr;
};

std::variant<Grant, NoGrant> read_token_answer(const Expected &expected,
											   const ProviderAnswer &answer);

// The same for a refresh. Nothing in the grant means: keep what is stored. The details are
// those that oauth_refresh_commit() replaces. An ID token may be missing. If the stored
// grant's issuer is known, an ID token must be of the same issuer, account and client (OpenID
// Connect Core 12.2); otherwise it is ignored.
std::variant<Grant, NoGrant> read_refresh_answer(const Provider &provider,
												 const StoredGrant &stored,
												 const ProviderAnswer &answer, long long now);

} // namespace sidecar::oauth
