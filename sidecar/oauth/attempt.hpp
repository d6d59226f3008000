// An attempt to connect, as the database keeps it (docs/design/flow.md, "Attempts"): opened for one
// browser by the link, and consumed by that browser's callback.
#pragma once

#include <optional>
#include <string>

#include "common/digest.hpp"
#include "common/secret_string.hpp"

namespace sidecar::oauth
{

struct Identity {
	std::string workspace_id;
	std::string provider; // with its label: google.work
	std::string actor_type;
	std::string actor_id;
};

// What the link was made for.
struct Link {
	Identity identity;
	std::optional<std::string> scopes; // space-separated; nothing: the configured ones
	std::optional<std::string> return_to;
	std::optional<bool> confirm; // nothing: as oauth_tokens.confirm_flows says
};

// A new attempt: what the browser and the provider get.
struct OpenedAttempt {
	Link link;
	common::Secret state;
	common::Secret browser_secret;
	common::Secret code_verifier;
	common::Secret nonce;
	int expires_in = 0; // seconds
};

// An attempt that its callback has consumed.
struct ClaimedAttempt {
	Link link;
	common::Digest ticket_hash{};
	common::Secret code_verifier;
	common::Secret nonce;
	std::string issuer; // when the attempt was opened; empty: none
	std::string token_endpoint;
	std::string client_id;
};

} // namespace sidecar::oauth
