// For functions that change how the tables are made, and so are for their owner alone.
#pragma once

#include "tokens/token_table.hpp"

namespace oauth_tokens
{

// Both tables, for a change of their indexes or policies: one at a time, and no migration
// meanwhile. Raises what use_tables() does, and 42501 if the caller does not own both.
const TokenTable &lock_for_change();

} // namespace oauth_tokens
