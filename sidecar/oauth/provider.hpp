// A provider as the settings describe it (docs/design/flow.md, "Providers"): its quirks
// are data, and no code asks for a provider's name.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/secret_string.hpp"
#include "oauth/failure_rule.hpp"

namespace sidecar::oauth
{

enum class TokenAuth { basic, post, none }; // RFC 6749 section 2.3.1
enum class Body { form, json };
enum class Revoke { automatic, always, never };
// As settings and the API name it: auto, always, never.
constexpr std::string_view name_of(Revoke revoke) noexcept
{
	constexpr std::string_view kNames[] = {"auto", "always", "never"};
	return kNames[static_cast<int>(revoke)];
}

// The format of the member at `expires_path`. In each of them, a text that is no number is
// read as ISO 8601.
enum class ExpiryFormat {
	automatic, // a number below 10^9: a lifetime in seconds; otherwise a unix time
	seconds,   // a lifetime, as the next
	milliseconds,
	unix_seconds, // since 1970 UTC, as the next
	unix_milliseconds,
	iso8601, // a number: as `automatic`
};

// How a provider's ID tokens may differ from OpenID Connect Core. A claim that is there and
// wrong is still refused.
struct IdTokenAllowances {
	bool no_nonce = false;    // `nonce` may be missing
	bool hs256 = false;       // `alg` may be HS256
	bool numeric_sub = false; // `sub` may be an integer
};

// What a refresh does to the refresh token that it used.
struct Rotation {
	enum class Kind {
		none,       // it stays valid, even if a new one comes
		grace,      // it works for `grace` longer
		until_used, // it works until the new one is first used
		strict,     // it is dead
		automatic,  // depends on the client: as strict until an answer shows which
	} kind = Kind::strict;
	std::chrono::seconds grace{0};
};

// Which of these a provider's metadata offers (RFC 8414 section 2).
struct AuthMethods {
	bool basic = false;
	bool post = false;
	bool none = false;
};

using Pairs = std::vector<std::pair<std::string, std::string>>;

// A provider's endpoints, from settings, a preset or its metadata.
struct ProviderEndpoints {
	std::string issuer; // empty: the provider has none
	std::string authorization;
	std::string token;
	std::string refresh;       // empty: the token endpoint
	std::string revocation;    // empty: cannot revoke
	bool iss_promised = false; // authorization_response_iss_parameter_supported (RFC 9207)
	// token_endpoint_auth_methods_supported; nothing: not known.
	std::optional<AuthMethods> auth_methods;
};

struct Provider {
	std::string name; // [a-z0-9][a-z0-9_-]*
	ProviderEndpoints endpoints;
	// ProviderEndpoints that the settings leave open come from the issuer's metadata.
	bool discovers = false;

	std::string client_id;
	std::string client_id_parameter = "client_id"; // its name in requests
	common::Secret client_secret;

	std::vector<std::string> scopes;     // asked for if a link names none
	std::vector<std::string> own_scopes; // of the preset: always asked for
	std::string scope_separator = " ";
	Pairs authorize_params;
	Pairs token_params;
	Pairs refresh_params;

	TokenAuth token_auth = TokenAuth::basic;
	bool token_auth_is_set = false; // by block or preset: metadata does not change it
	Body body = Body::form;
	bool pkce = true;
	std::optional<bool> require_iss; // not set: as the metadata promises
	// An ID token may be missing although openid is asked for. If one comes, it is checked.
	bool id_token_optional = false;
	IdTokenAllowances id_token_allow;
	// Microsoft's multi-tenant endpoints: the token's issuer names the token's own
	// tenant, https://login.microsoftonline.com/<tid>/v2.0.
	bool issuer_per_tenant = false;

	// Paths in the token answer. Empty: beside the access token, under the usual names.
	std::string access_token_path; // "authed_user.access_token", "data.0.token"
	std::string refresh_token_path;
	std::string expires_path;
	ExpiryFormat expires_format = ExpiryFormat::automatic; // only with expires_path
	std::string scope_path;
	// Token types, in lower case, that need a proof of possession but are accepted.
	std::vector<std::string> allow_token_types;
	std::string account_id_path; // in the token answer, if no ID token says it
	std::string account_label_path;
	std::vector<std::string> extra;          // paths in the token answer to keep
	std::vector<std::string> callback_extra; // parameters of the callback to keep
	std::optional<int> default_expires_in;   // seconds
	// Life of a refresh token in seconds, if its answer does not say.
	std::optional<int> default_refresh_expires_in;
	Rotation rotation;
	bool refresh_scopes = false;           // a refresh names the granted scopes again
	bool refresh_kills_access = false;     // a refresh ends the old access token at once
	std::chrono::seconds refresh_ahead{0}; // before expiry, even if nobody asks; 0: never
	std::chrono::seconds keep_alive{0};    // a grant idle for so long ends; 0: never
	int refreshes_per_second = 5;          // of those ahead of time, for one client
	std::vector<FailureRule> failures;     // before those of every provider
	Revoke revoke = Revoke::automatic;

	// Whether there are refreshes ahead of time.
	bool is_refreshed_ahead() const noexcept
	{
		return refresh_ahead.count() > 0 || keep_alive.count() > 0;
	}
};

} // namespace sidecar::oauth
