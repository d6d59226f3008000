// The indexes by which refreshes ahead of time find their work. Most tables need none, and
// an index costs with each store: so the table's owner makes them, and takes them away.
#pragma once

#include "tokens/token_table.hpp"

namespace oauth_tokens
{

// Whether both are there, valid, and as they are made here: a scan of anything else might
// read the whole table.
bool has_background_indexes(const TokenTable &table);

} // namespace oauth_tokens
