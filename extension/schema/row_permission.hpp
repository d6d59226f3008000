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

bool row_security_applies(const TokenTable &table);

// Raises 42501, in the words of PostgreSQL, if a policy forbids it.
void check_may_store(const TokenTable &table, const Identity &identity);

// Whether it would not. Raises every other error of it.
bool may_store(const TokenTable &table, const Identity &identity);

} // namespace oauth_tokens
