// The access token of an identity, if it lives long enough.
#pragma once

#include <cstdint>

#include "tokens/identity.hpp"

namespace oauth_tokens
{

struct AccessToken {
	bool is_there; // a row that the caller may see
	bool has_expires_at;
	TimestampTz expires_at;
	text *token; // null if it has expired at the time that was asked for
};

// The least expires_at of a token that lives for so many microseconds from now, by the
// clock and not by the transaction.
TimestampTz expiry_after(std::uint64_t microseconds);

// For callers who hold lock_token_table(AccessShareLock), by the active snapshot. An
// unknown expiry satisfies any time.
AccessToken look_up_access_token(const Identity &identity, TimestampTz alive_at);

} // namespace oauth_tokens
