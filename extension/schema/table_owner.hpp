// For functions that change how the tables are made, and so are for their owner.
#pragma once

#include "tokens/token_table.hpp"

namespace oauth_tokens
{

// One migration, or change of rights or policies, at a time; released with the transaction.
void lock_migration();

// Both tables, after lock_migration(), for a change of their indexes or policies. Raises what
// use_tables() does, and 42501 if the caller does not own both.
const TokenTable &lock_for_change();

} // namespace oauth_tokens
