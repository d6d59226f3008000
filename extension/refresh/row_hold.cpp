#include "refresh/row_hold.hpp"

extern "C" {
#include "access/multixact.h"
}

namespace oauth_tokens
{

namespace
{

// A lock for the sake of a foreign key does not keep a refresh out.
bool is_locked_by_us(HeapTupleHeader row)
{
	const std::uint16_t mask = row->t_infomask;
	const TransactionId locker = HeapTupleHeaderGetRawXmax(row);
	if ((mask & HEAP_XMAX_INVALID) != 0 || !TransactionIdIsValid(locker))
		return false;
	if ((mask & HEAP_XMAX_IS_MULTI) == 0)
		return !HEAP_XMAX_IS_KEYSHR_LOCKED(mask) && TransactionIdIsCurrentTransactionId(locker);
	if (HEAP_LOCKED_UPGRADED(mask))
		return false;
	MultiXactMember *members;
	const int count =
		GetMultiXactIdMembers(locker, &members, false, HEAP_XMAX_IS_LOCKED_ONLY(mask));
	for (int i = 0; i < count; i++)
		if (members[i].status != MultiXactStatusForKeyShare &&
			TransactionIdIsCurrentTransactionId(members[i].xid))
			return true;
	return false;
}

bool is_ours(HeapTupleHeader row)
{
	return TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(row)) || is_locked_by_us(row);
}

} // namespace

RowHold find_row_hold(const TokenTable &table, const Identity &identity)
{
	RowHold hold = {false, true};
	if (!OidIsValid(table.identity_index) || !table.rows_are_here)
		return hold;
	ScanKeyData keys[kIdentityColumns];
	memcpy(keys, table.identity_keys, sizeof keys);
	for (int i = 0; i < kIdentityColumns; i++)
		keys[i].sk_argument = identity.values[i];

	Relation relation = table_open(table.relid, NoLock);
	Relation index = index_open(table.identity_index, AccessShareLock);
	IndexScanDesc scan = compat::index_beginscan(relation, index, SnapshotSelf, kIdentityColumns);
	TupleTableSlot *slot = table_slot_create(relation, nullptr);
	index_rescan(scan, keys, kIdentityColumns, nullptr, 0);
	if (index_getnext_slot(scan, ForwardScanDirection, slot)) {
		bool is_null;
		slot_getattr(slot, table.attno[kEncryptedRefreshToken], &is_null);
		const HeapTuple row = ExecFetchSlotHeapTuple(slot, false, nullptr);
		hold = {is_ours(row->t_data), !is_null};
	}
	ExecDropSingleTupleTableSlot(slot);
	index_endscan(scan);
	index_close(index, NoLock);
	table_close(relation, NoLock);
	return hold;
}

bool is_table_locked_by_us(const TokenTable &table)
{
	Relation relation = table_open(table.relid, NoLock);
	const bool is_locked = CheckRelationLockedByMe(relation, ShareLock, true);
	table_close(relation, NoLock);
	return is_locked;
}

} // namespace oauth_tokens
