// Marks: one for each change of a token, until every cache has dropped its copy.
#pragma once

#include "cache/cache_tables.hpp"

namespace oauth_tokens
{

// An identity as a mark holds it: with the label of actor_type.
struct MarkedIdentity {
	Datum workspace_id;
	Datum provider;
	Datum actor_type; // text
	Datum actor_id;
};

// Appends one, with no identity for "everything". Needs no right, waits for
// nobody, and writes no WAL.
void write_mark(const CacheTables &tables, std::int64_t id, const MarkedIdentity *identity);

// How much room they take, in bytes.
std::uint64_t marks_size(const CacheTables &tables);

// Deletes those among `ids`, sorted, that are seen now and that nobody else is
// just deleting; how many.
std::int64_t delete_marks(const CacheTables &tables, const std::int64_t *ids, int count);

// Deletes all, at once where nobody reads or writes them.
void delete_all_marks(const CacheTables &tables);

} // namespace oauth_tokens
