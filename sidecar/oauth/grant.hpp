// A grant, as it will be stored.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/secret_string.hpp"

namespace sidecar::oauth
{

struct Grant {
	common::Secret access_token;
	std::optional<common::Secret> refresh_token;
	std::optional<int> expires_in; // seconds from the answer; nothing: unknown
	// The same for the grant itself: when its refresh token ends.
	std::optional<int> refresh_expires_in;
	// Space-separated, as granted. Nothing: unknown; in a refresh: unchanged.
	std::optional<std::string> scopes;
	// The details of oauth_store(): account_id, account_label, issuer (only if
	// an ID token was checked), client_id, extra, lifetime; a JSON object.
	std::string details;
	// Parts of the answer that were left out or not understood, for the log. They contain no
	// value of the answer.
	std::vector<std::string> warnings;
};

} // namespace sidecar::oauth
