// Whether row security lets the caller store a token of an identity, asked of
// oauth_tokens itself, whose policies are the user's own.
#pragma once

#include "tokens/token_table.hpp"

namespace oauth_tokens
{

bool row_security_applies(const TokenTable &table);

// Raises 42501, in the words of PostgreSQL, where a policy forbids it.
void check_may_store(const TokenTable &table, const Identity &identity);

// Whether it would not. Raises every other error of it.
bool may_store(const TokenTable &table, const Identity &identity);

// check_may_store() has said yes to this identity: the policies of our own tables
// need not ask again for each row. For the statements of one call; give null at
// its end, also where it fails.
void set_checked(const Identity *identity);

// The same for statements that touch nothing but what has expired: that is
// nobody's any more, and no policy is asked.
void set_checks_off(bool on);

} // namespace oauth_tokens
