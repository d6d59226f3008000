// What is kept of a token whose refresh is under way or has failed: table
// refresh_states. The caller holds the lock of the token's row. Within an SPI
// connection.
#pragma once

#include "fresh_token/waited_row.hpp"
#include "postgres/compat.hpp"
#include "refresh/locked_token.hpp"

namespace oauth_tokens
{

struct RefreshState {
	int failures;             // in a row
	const char *kind;         // of the last one; null: none
	const text *reason;       // the same
	TimestampTz since;        // when the first one of its kind was
	TimestampTz next_attempt; // 0: at any time
};

// Whether a kind of failure asks for the user: dead_grant, needs_interaction. Null does not.
bool needs_reauthorization(const char *kind);

// Whether something is kept of this token, of whatever refresh token. Needs no SPI connection.
bool has_state(const pg_uuid_t &token_id, Snapshot snapshot);

// Nothing of it if the row has got another refresh token since. `token` has one.
RefreshState find_state(const LockedToken &token);

// `lease_until` 0: nobody refreshes it.
void save_state(const LockedToken &token, const RefreshState &state, TimestampTz lease_until);

// Of a token that has been refreshed: its state and its attempts.
void forget_refresh(const pg_uuid_t &token_id);
void forget_state(const pg_uuid_t &token_id);

// Of a token that somebody has stored: its state, and no attempt of before commits. But if
// the refresh token is still the one that an attempt has spent, its answer is needed. If
// there is nothing to forget, which is most often so, that costs a look into an index.
void token_was_stored(const pg_uuid_t &token_id);

// A move changes updated_at. `before`: what find_waited_row() said of the row.
void token_was_moved(const WaitedRow &before, const pg_uuid_t &token_id, TimestampTz updated_at);

// Of all tokens.
void forget_all_refreshes();

} // namespace oauth_tokens
