// An attempt whose outcome somebody brings, and the row that it is for. Within an SPI
// connection.
#pragma once

#include "postgres/compat.hpp"
#include "refresh/attempt.hpp"

namespace oauth_tokens
{

struct EndedAttempt {
	bool is_known;  // there is an attempt with this fence and identity
	bool has_row;   // the token is there, and locked
	bool is_hidden; // its token may be there all the same: the attempt is not the caller's to end
	Attempt attempt;
	LockedToken token;
};

// Finds both. The row is that of the attempt also if it has moved to another identity
// since; without an attempt, the one of this identity.
EndedAttempt find_ended(const TokenTable &table, const Identity &identity, int64 fence);

// What is answered if there is no row to write to: "deleted", or "superseded" if it may
// be there and be hidden. A new refresh token of a token that was deleted is revoked.
const char *end_without_row(const TokenTable &table, const EndedAttempt &ended,
							const Identity &identity, const text *refresh_token);

// Raises 42501 if a policy may hide the attempt's token.
void refuse_hidden_row(const EndedAttempt &ended);

} // namespace oauth_tokens
