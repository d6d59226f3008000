// What a provider grants, as it will be stored.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/secret_string.hpp"

namespace sidecar::oauth
{

struct Grant {
	Secret access_token;
	std::optional<Secret> refresh_token;
	std::optional<int> expires_in; // seconds from the answer; nothing: unknown
	// The same of the grant itself: the end of its refresh token.
	std::optional<int> refresh_expires_in;
	// Space-separated, as granted. Nothing: unknown, or in a refresh what is stored.
	std::optional<std::string> scopes;
	// The details of oauth_store(): account_id, account_label, issuer (only where
	// an ID token was checked), client_id, extra, lifetime; a JSON object.
	std::string details;
	// What of the answer was left out or could not be understood, for the log. None
	// has a value of the answer in it.
	std::vector<std::string> warnings;
};

} // namespace sidecar::oauth
