// What a provider says beside the tokens, as oauth_store() takes it
// (docs/design/flow.md, "What is stored").
#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "oauth/id_token.hpp"
#include "oauth/provider.hpp"
#include "oauth/stored_grant.hpp"

namespace sidecar::oauth
{

inline constexpr std::size_t kMaxExtraBytes = 4096; // of one field of `extra`, as JSON

struct GrantDetails {
	const Provider &provider;
	std::string_view client_id;
	const boost::json::value &answer; // of the token endpoint
	const std::optional<IdTokenClaims> &claims;
	const Pairs &callback_extra;
	std::optional<int> lifetime;           // of the access token, in seconds
	std::optional<int> refresh_expires_in; // the same for the grant
	// The grant's tokens: a field that contains one of them is left out.
	std::span<const std::string_view> tokens;
	// In a refresh: the stored grant. Its account stays, and so do fields of its `extra` that
	// the answer does not have.
	const StoredGrant *stored = nullptr;
};

// A JSON object of account_id, account_label, issuer, client_id, extra, lifetime,
// refresh_expires_in. Unknown ones are left out. In a refresh: those to replace.
std::string write_details(const GrantDetails &details);

} // namespace sidecar::oauth
