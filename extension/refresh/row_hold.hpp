// What is known of a row beside the token, before a caller waits for its refresh.
#pragma once

#include "token_table.hpp"

namespace oauth_tokens
{

struct RowHold {
	bool is_ours; // changed or locked by this transaction: a refresh would wait for it
	bool has_refresh_token;
};

// Of the row as it is now, found below SQL: no right is asked for, so the caller must
// have seen the row. Where not all rows are in the table's own heap, or nothing keeps
// the identity unique: not ours, with a refresh token.
RowHold find_row_hold(const TokenTable &table, const Identity &identity);

// Whether this transaction holds a lock on the table that keeps writers out.
bool is_table_locked_by_us(const TokenTable &table);

} // namespace oauth_tokens
