// The row of a token, locked until the transaction ends, with the caller's rights and
// under the caller's policies; and what is done to it by a refresh. Everything that changes
// what is kept of refreshes holds this lock, so that it changes for one at a time.
// Within an SPI connection.
#pragma once

#include "postgres/compat.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "utils/jsonb.h"
#include "utils/uuid.h"
}

namespace oauth_tokens
{

struct LockedToken {
	Identity identity;
	pg_uuid_t id;
	const text *access_token;  // in clear, as the next; wipe_token() wipes both
	const text *refresh_token; // null: there is none
	const text *scopes;        // the same
	bool expires;
	TimestampTz expires_at;
	TimestampTz updated_at;
};

// False if the caller sees no such row, or may not update it. Raises OT003 if no
// key opens a token.
bool lock_token(const TokenTable &table, const Identity &identity, LockedToken *token);

// The row with this id, whatever its identity is by now.
bool lock_moved_token(const TokenTable &table, const pg_uuid_t &id, LockedToken *token);

void wipe_token(const LockedToken &token);

// What a provider answered to a refresh. Null keeps what is stored.
struct RefreshedGrant {
	const text *access_token;
	const text *refresh_token;
	const text *scopes;
	const Jsonb *details;
	bool expires;
	TimestampTz expires_at;
};

// An UPDATE of the row, and of its details.
void update_token(const TokenTable &table, const LockedToken &token, const RefreshedGrant &grant,
				  TimestampTz now);

} // namespace oauth_tokens
