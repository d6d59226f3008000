#include "refresh/member_row.hpp"

extern "C" {
#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

namespace oauth_tokens
{

namespace
{

bool find_in_index(Relation relation, const MemberKey &wanted, Snapshot snapshot,
				   MemberVisitor visit, void *state)
{
	Relation index = index_open(compat::primary_key_index(relation), AccessShareLock);
	ScanKeyData key;
	ScanKeyEntryInitialize(&key, 0, 1, BTEqualStrategyNumber, InvalidOid, index->rd_indcollation[0],
						   wanted.equal, wanted.value);
	IndexScanDesc scan = compat::index_beginscan(relation, index, snapshot, 1);
	TupleTableSlot *slot = table_slot_create(relation, nullptr);
	index_rescan(scan, &key, 1, nullptr, 0);
	const bool found = index_getnext_slot(scan, ForwardScanDirection, slot);
	if (found && visit != nullptr)
		visit(RelationGetRelid(relation), slot, state);
	ExecDropSingleTupleTableSlot(slot);
	index_endscan(scan);
	index_close(index, NoLock);
	return found;
}

} // namespace

bool find_member_row(const MemberKey &key, Snapshot snapshot, MemberVisitor visit, void *state)
{
	const Oid relid =
		get_relname_relid(key.table, get_namespace_oid("oauth_tokens_internal", false));
	Relation relation = table_open(relid, AccessShareLock);
	const bool found = RelationGetNumberOfBlocks(relation) > 0 &&
					   find_in_index(relation, key, snapshot, visit, state);
	table_close(relation, NoLock);
	return found;
}

} // namespace oauth_tokens
