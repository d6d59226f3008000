#include "postgres/heap_update.hpp"

extern "C" {
#include "access/sysattr.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "utils/datum.h"
#include "utils/rel.h"
}

namespace oauth_tokens
{

HeapUpdate open_row_replacement(Relation relation)
{
	HeapUpdate target;
	target.relation = relation;
	target.estate = CreateExecutorState();
	target.result = makeNode(ResultRelInfo);
	// No range table: no column counts as updated, and no index is on these.
	InitResultRelInfo(target.result, relation, 0, nullptr, 0);
	ExecOpenIndices(target.result, false);
	CheckCmdReplicaIdentity(relation, CMD_UPDATE);
	target.locked_row = table_slot_create(relation, nullptr);
	target.new_row = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsVirtual);
	target.new_row->tts_tableOid = RelationGetRelid(relation);
	return target;
}

void close_row_replacement(HeapUpdate &target)
{
	ExecDropSingleTupleTableSlot(target.locked_row);
	ExecDropSingleTupleTableSlot(target.new_row);
	ExecCloseIndices(target.result);
	FreeExecutorState(target.estate);
}

Datum *begin_replacement(HeapUpdate &target, TupleTableSlot *old_row)
{
	slot_getallattrs(old_row);
	const int columns = RelationGetDescr(target.relation)->natts;
	ExecClearTuple(target.new_row);
	memcpy(target.new_row->tts_values, old_row->tts_values, columns * sizeof(Datum));
	memcpy(target.new_row->tts_isnull, old_row->tts_isnull, columns * sizeof(bool));
	return target.new_row->tts_values;
}

namespace
{

bool changes(const HeapUpdate &target, const TupleTableSlot *old_row, int column)
{
	const TupleTableSlot *new_row = target.new_row;
	const Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(target.relation), column);
	if (old_row->tts_isnull[column] || new_row->tts_isnull[column])
		return old_row->tts_isnull[column] != new_row->tts_isnull[column];
	return !datumIsEqual(old_row->tts_values[column], new_row->tts_values[column],
						 attribute->attbyval, attribute->attlen);
}

// As the update takes it: one that changes a column of a unique index waits even for those who
// only keep the row's keys as they are, as foreign keys do.
LockTupleMode lock_mode(const HeapUpdate &target, const TupleTableSlot *old_row)
{
	Bitmapset *keys = RelationGetIndexAttrBitmap(target.relation, INDEX_ATTR_BITMAP_KEY);
	for (int key = -1; (key = bms_next_member(keys, key)) >= 0;)
		if (changes(target, old_row, key + FirstLowInvalidHeapAttributeNumber - 1))
			return LockTupleExclusive;
	return LockTupleNoKeyExclusive;
}

} // namespace

bool replace_row(HeapUpdate &target, TupleTableSlot *old_row, Snapshot snapshot)
{
	ExecStoreVirtualTuple(target.new_row);
	const TupleConstr *constraints = RelationGetDescr(target.relation)->constr;
	if (constraints != nullptr && constraints->has_generated_stored)
		ExecComputeStoredGenerated(target.result, target.estate, target.new_row, CMD_INSERT);

	const CommandId command = GetCurrentCommandId(true);
	const ItemPointer tid = &old_row->tts_tid;
	const auto update = [&](bool wait) {
		return compat::update_row(target.result, target.estate, tid, target.new_row, command,
								  snapshot, wait);
	};
	TM_FailureData failure;
	// A lock is a WAL record, so only if somebody else has one on the row: it may be one that goes
	// with ours. Then the update cannot wait any more.
	const bool replaced =
		update(false) ||
		(table_tuple_lock(target.relation, tid, snapshot, target.locked_row, command,
						  lock_mode(target, old_row), LockWaitSkip, 0, &failure) == TM_Ok &&
		 update(true));
	ExecClearTuple(target.locked_row); // it pins the page, which could not be pruned
	ResetPerTupleExprContext(target.estate);
	return replaced;
}

} // namespace oauth_tokens
