// What a table's owner can have run by the roles that use the table.
#pragma once

#include "postgres/compat.hpp"
#include "schema/owner_boundary.hpp"

namespace oauth_tokens
{

// The first thing on the table that runs code of its owner in a statement of
// ours, for a person: "an expression in index x". Null if nothing does.
//
// The planner simplifies expressions, and so runs what is IMMUTABLE with constant
// arguments, even if it only reads: so this looks at their raw trees.
// Keeps an AccessShareLock on each index.
// Columns for which `is_own` is true get a value from our statements, and no default.
char *find_owner_code(Relation table, Use use, bool (*is_own)(const char *column));

} // namespace oauth_tokens
