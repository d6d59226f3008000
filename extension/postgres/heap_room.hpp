// Room in a heap's pages, as VACUUM would make it, but without its pass over the indexes: of a
// row's version that no snapshot needs any more the line pointer stays, four bytes, until VACUUM
// comes. A page that somebody else has pinned stays as it is.
#pragma once

#include "postgres/compat.hpp"

namespace oauth_tokens
{

void prune_page(Relation relation, BlockNumber block);

// Prunes pages and lets new rows find their room. A snapshot must be active.
void give_back_room(Relation relation, BlockNumber first, BlockNumber end);

// Pages of a heap in turn, again and again.
struct PageCursor {
	BlockNumber next;
};

// The same for so many pages from the cursor on; not more than there are.
void give_back_room_at(PageCursor &cursor, Relation relation, BlockNumber pages);

} // namespace oauth_tokens
