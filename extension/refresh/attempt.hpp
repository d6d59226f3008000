// One try to refresh a token: table refresh_attempts. Its fence says which; it holds
// while both tokens in the row are those that it began with. The key of its spool file
// lies in its row, so that a file opens as long as it may be of use. The caller holds the
// lock of the token's row. Within an SPI connection.
#pragma once

#include "common/fernet_key.hpp"
#include "postgres/compat.hpp"
#include "refresh/locked_token.hpp"
#include "tokens/token_details.hpp"

extern "C" {
#include "utils/uuid.h"
}

namespace oauth_tokens
{

struct Attempt {
	int64 fence;
	pg_uuid_t token_id;
	const bytea *access_token_digest;
	const bytea *refresh_token_digest;
	const text *sealed; // the spool key
	bool stored_over;   // oauth_store() came since
	TimestampTz began_at;
	TimestampTz lease_until;
	GrantOwner owner; // of the refresh token that it spends
};

using SpoolKey = char[common::fernet::kKeyChars];

// A new one, and its spool key, which the caller wipes.
int64 begin_attempt(const LockedToken &token, const GrantOwner &owner, TimestampTz now,
					TimestampTz lease_until, SpoolKey &key);

// Whether there is one with this fence that began with this identity, or is of this token:
// a label of the enum may have got another name since.
bool find_attempt(int64 fence, const Identity &identity, const pg_uuid_t &token_id,
				  Attempt *attempt);

// Whether this is the refresh token that it spent.
bool has_spent(const Attempt &attempt, const text *refresh_token);
// Whether the row still has that one, or both tokens.
bool has_spent_token(const Attempt &attempt, const LockedToken &token);
bool has_both_tokens(const Attempt &attempt, const LockedToken &token);

// Attempts that have spent the token's refresh token, but for the one with this fence.
struct Attempts {
	int64 last;                 // the greatest fence; 0: there are none
	TimestampTz lease_until;    // of one that is under way; 0: none is
	TimestampTz in_doubt_since; // when the oldest of the others began; 0: there is none
};

// Those that have spent another one are of no use any more, and go.
Attempts attempts_at(const LockedToken &token, TimestampTz now, int64 but);

void store_over_attempts(const pg_uuid_t &token_id);

// Nobody waits for it any more, and nobody knows what it did.
void leave_in_doubt(int64 fence, TimestampTz now);

void delete_attempt(int64 fence);
void delete_attempts(const pg_uuid_t &token_id);

// Opens what was sealed with the attempt's spool key: plaintext in memory that the caller
// wipes by wipe_spooled(). Raises OT018 if it does not open, and OT003 if no key opens
// the spool key.
struct Spooled {
	char *data;
	std::size_t size;
	std::size_t capacity;
};
Spooled open_spooled(const Attempt &attempt, const text *sealed);
void wipe_spooled(const Spooled &spooled);

} // namespace oauth_tokens
