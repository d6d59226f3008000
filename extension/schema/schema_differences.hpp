// How the two tables differ from what oauth_tokens_upgrade() makes.
#pragma once

#include "schema/table_definition.hpp"

namespace oauth_tokens
{

// Those of the table of tokens and of the table of details, as a list of Difference *. What they
// say begins with the table's name. A table that is missing differs, too.
List *schema_differences();

// The same of the triggers; none if the table is missing.
List *schema_trigger_differences();

} // namespace oauth_tokens
