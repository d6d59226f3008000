// Replaces rows below SQL, as logical replication applies an update: with index
// entries, generated columns and WAL, but without triggers and without a plan
// for each row. Rotation needs that: an UPDATE would run the table's triggers, ours among them,
// those that are ENABLE ALWAYS even as a replica. For new versions that change no indexed column.
// Runs expressions of the table's owner: within begin_owner_rights().
#pragma once

#include "postgres/compat.hpp"

extern "C" {
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
}

namespace oauth_tokens
{

// What it takes, for as long as the table is open.
struct HeapUpdate {
	Relation relation;
	EState *estate;
	ResultRelInfo *result;
	TupleTableSlot *locked_row;
	TupleTableSlot *new_row; // to be filled by begin_replacement()
};

HeapUpdate open_row_replacement(Relation relation);
void close_row_replacement(HeapUpdate &replacement);

// Makes new_row a copy of `old_row`, and returns its values for changing.
Datum *begin_replacement(HeapUpdate &replacement, TupleTableSlot *old_row);

// Puts new_row in the place of `old_row`, which a scan under `snapshot` found.
// False if another transaction holds or has changed it: this never waits.
bool replace_row(HeapUpdate &replacement, TupleTableSlot *old_row, Snapshot snapshot);

} // namespace oauth_tokens
