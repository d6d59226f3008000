// Whether row security lets the caller store a token of an identity, asked of
// oauth_tokens itself, whose policies are the user's own. A dummy is stored in a
// subtransaction and taken back: policies may differ by command and call anything, so
// nothing else answers as exactly. This is asked only if there is no row of the identity that
// a policy could decide by: before a link is made or a grant is kept for
// oauth_flow_confirm(), and before a deleted token is handed out to be revoked.
#pragma once

#include "tokens/token_table.hpp"

namespace oauth_tokens
{

// Whether policies may hide rows from the caller, or refuse some. False also for a role that a
// policy lets see and write all of them, if no restrictive one applies to it.
bool row_security_applies(const TokenTable &table);

// For what must see every row, or would lose tokens: raises 42501 if row security is in force for
// the caller, whatever the policies say.
void require_every_row(Oid table);

// Raises 42501, in the words of PostgreSQL, if a policy forbids it.
void check_may_store(const TokenTable &table, const Identity &identity);

// Whether it would not. Raises every other error of it.
bool may_store(const TokenTable &table, const Identity &identity);

} // namespace oauth_tokens
