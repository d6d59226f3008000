// Where the rows of a table are. This extension reads and rewrites tokens below SQL,
// and a look at a table's own heap misses rows that are somewhere else.
#pragma once

#include "postgres/compat.hpp"

namespace oauth_tokens
{

enum class Rows {
	here,         // all of them in the table's own heap
	seen_by_plan, // a plan finds all of them, a look at the heap does not
	elsewhere,    // the functions refuse the table
	gone,         // with the table, since somebody found its name
};

struct RowStorage {
	Rows rows;
	char *why;        // for a person, unless they are here: "it is a view"
	bool distributed; // by Citus
};

// Decides for a relation of any kind. Asks the catalog anew each time.
RowStorage find_rows(Relation relation);

// Raises OT005 if Citus distributes the relation.
void refuse_distributed(Relation relation, const RowStorage &storage);

// Raises OT005 if Citus has begun to distribute it. Costs nothing while Citus is not there.
void refuse_distributed_since(Oid relid);

// Raises OT005 if they are elsewhere. `name` is the relation's, qualified and quoted.
// Keeps an AccessShareLock. Rows::here, Rows::seen_by_plan or Rows::gone.
Rows refuse_rows_elsewhere(Oid relid, const char *name);

// Whether an invalidation in the cache of relation names (RELNAMENSP) may mean that
// Citus' catalog has come or gone: what find_rows() said before may be wrong then. For
// the rest, Citus itself invalidates the relation that it distributes.
bool concerns_citus(uint32 hash);

// Whether other tables inherit from it.
bool has_child_tables(Oid relid);

} // namespace oauth_tokens
