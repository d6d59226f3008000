// What came of asking for a refresh.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace sidecar::refresh
{

struct Outcome {
	enum class Kind {
		refreshed,             // the row has what the provider answered
		fresh,                 // the row is good: somebody was faster, or it lives long enough
		busy,                  // somebody else refreshes it, or nobody knows what came of that
		backing_off,           // a refresh failed, now or before
		no_refresh_token,      // there is none
		needs_reauthorization, // the user must connect the account again
		not_connected,         // there is no token
		unsaved,               // the provider answered, and the database could not take it yet
		unavailable,           // it could not be tried: database, spool, settings
	};
	Kind kind = Kind::unavailable;
	// For the caller: "dead_grant: HTTP 400, invalid_grant", or a text of ours. No secret.
	std::string reason;
	std::optional<std::chrono::seconds> retry_in;
	bool in_doubt = false;
	// The provider refused the client, or gave an answer that nobody understands.
	bool is_providers_fault = false;
};

} // namespace sidecar::refresh
