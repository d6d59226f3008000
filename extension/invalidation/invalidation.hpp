// Invalidations: one for each change of a token, until every cache has dropped its copy.
#pragma once

#include "invalidation/cache_tables.hpp"
#include "postgres/compat.hpp"

namespace oauth_tokens
{

// An identity as an invalidation holds it: with the label of actor_type.
struct InvalidatedIdentity {
	Datum workspace_id;
	Datum provider;
	Datum actor_type; // text
	Datum actor_id;
};

// Whether an invalidation can hold it in its row. What is stored out of line would stay
// when the invalidations get a new file. Whatever oauth_store() takes fits.
bool fits_invalidation(const InvalidatedIdentity &identity);

// Appends one, with no identity for "everything". Needs no right, waits for
// nobody, and writes no WAL.
void write_invalidation(const CacheTables &tables, std::int64_t id,
						const InvalidatedIdentity *identity);

// How much room they take, in bytes.
std::uint64_t invalidations_size(const CacheTables &tables);

// Deletes those among `ids`, sorted, that are seen now and that nobody else is
// just deleting; how many.
std::int64_t delete_invalidations(const CacheTables &tables, const std::int64_t *ids, int count);

// Deletes all that are seen now.
void delete_all_invalidations(const CacheTables &tables);

// The same, and gives their room back if nobody reads or writes them just now.
// Only for callers that have locked writers out of oauth_tokens, or will soon end.
void empty_invalidations(const CacheTables &tables);

// If they took much room, and none is left or under way, gives it back: every
// reader would go through all of it.
void shrink_invalidations(const CacheTables &tables);

} // namespace oauth_tokens
