// One row of the table, found by its identity with the caller's rights.
#pragma once

#include "postgres/compat.hpp"
#include "tokens/token_table.hpp"

namespace oauth_tokens
{

// What the reading functions take from a row. Datums point into the page or
// into a result and live while the visit lasts.
struct TokenRow {
	Datum encrypted_access_token;
	Datum encrypted_refresh_token;
	Datum scopes;
	TimestampTz expires_at;
	TimestampTz updated_at;
	bool has_refresh_token;
	bool has_scopes;
	bool has_expires_at;
};

// The columns that a function reads; the caller needs SELECT on these and on
// the identity.
enum class Reads { access_token, everything };

using RowVisitor = void (*)(const TokenRow &row, void *state);

// Calls `visit` for the row with this identity, in the memory context of the
// caller, who holds lock_token_table(AccessShareLock). False if no row is there, or none that
// row security shows.
//
// Opens the unique index itself. It leaves that to a kept plan if row security
// applies, if the rows are not all in the table's own heap, if the index does not
// serve this snapshot, and if an extension such as pgaudit wants to see each access.
bool visit_token_row(const Identity &identity, Reads reads, RowVisitor visit, void *state);

// The ciphertexts of a row, also if the caller may not read them: to be compared, or moved
// to where the caller may not read them, either; never to be returned. Null: there is none.
struct SealedTokens {
	const text *access_token;
	const text *refresh_token;
};

// Of the row as it is now, which this transaction has locked or written. Needs
// table.identity_index, whatever may_scan_index() says.
SealedTokens locked_tokens(const TokenTable &table, const Identity &identity);

// Whether the row was there when the caller's statement began, and the same one is there now:
// others may have deleted it and stored another. Needs table.identity_index.
bool row_has_stayed(const TokenTable &table, const Identity &identity);

// Of the row that a command of this transaction has deleted, whose number that is. Needs
// table.rows_are_here and table.identity_index.
SealedTokens tokens_deleted_by(CommandId command, const TokenTable &table,
							   const Identity &identity);

} // namespace oauth_tokens
