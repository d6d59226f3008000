// What is known of a row beside the token, before a caller waits for its refresh.
#pragma once

#include "postgres/compat.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "utils/uuid.h"
}

namespace oauth_tokens
{

struct WaitedRow {
	bool is_ours; // changed or locked by this transaction: a refresh would wait for it
	bool has_refresh_token;
	bool is_known; // else the rest is not
	pg_uuid_t id;
	TimestampTz updated_at;
};

// Of the row as it is now, found below SQL: no right is asked for, so the caller must
// have seen the row. If not all rows are in the table's own heap, or nothing keeps
// the identity unique: not ours, with a refresh token, and unknown.
WaitedRow find_waited_row(const TokenTable &table, const Identity &identity);

// Whether oauth_refresh_begin() can take up the row: another transaction has neither changed
// nor locked it, and a key opens its tokens. Found as above; true if the row is not.
bool can_be_begun(const TokenTable &table, const Identity &identity);

// Whether this transaction holds a lock on one of the tables that keeps writers out.
bool are_tables_locked_by_us(const TokenTable &table);

// Whether it has changed or locked the details of the token with this id.
bool are_details_ours(const TokenTable &table, const pg_uuid_t &id);

// Whether it has written what is known of providers' clients, as an attempt and its end
// do: another of the same client would wait for it.
bool has_written_clients();

// Why nobody will refresh the token now, as oauth_refresh_fail() has left it.
struct RefreshRefusal {
	bool needs_user;
	const char *reason;
	TimestampTz next_attempt;
};

// False if a refresh may be begun, or is under way.
bool find_refusal(const WaitedRow &row, RefreshRefusal &refusal);

} // namespace oauth_tokens
