// The outcome of a request for a refresh.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace sidecar::refresh
{

struct Outcome {
	enum class Kind {
		refreshed,   // the row has what the provider answered
		fresh,       // the stored token will do: another was faster, or it is valid long enough
		busy,        // somebody else refreshes it, or an attempt is in doubt
		backing_off, // a refresh failed, now or before
		no_refresh_token,      // there is none
		needs_reauthorization, // the user must connect the account again
		not_connected,         // there is no token
		unsaved,               // the provider answered, but the database could not store it yet
		unavailable,           // it could not be tried: database, spool, settings
	};
	Kind kind = Kind::unavailable;
	// For the caller: "dead_grant: HTTP 400, invalid_grant", or a text of ours. No secret.
	std::string reason;
	std::optional<std::chrono::seconds> retry_in;
	bool in_doubt = false;
	// The provider refused the client, or its answer was not understood.
	bool is_providers_fault = false;
};

} // namespace sidecar::refresh
