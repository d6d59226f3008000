#include "refresh/waited_row.hpp"

#include "refresh/member_statement.hpp"

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

WaitedRow find_waited_row(const TokenTable &table, const Identity &identity)
{
	WaitedRow found = {false, true, false, {}, 0};
	if (!OidIsValid(table.identity_index) || !table.rows_are_here)
		return found;
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
		bool no_refresh_token;
		bool no_id;
		bool no_time;
		slot_getattr(slot, table.attno[kEncryptedRefreshToken], &no_refresh_token);
		const Datum id = slot_getattr(slot, table.attno[kId], &no_id);
		const Datum updated_at = slot_getattr(slot, table.attno[kUpdatedAt], &no_time);
		found.is_ours = is_ours(ExecFetchSlotHeapTuple(slot, false, nullptr)->t_data);
		found.has_refresh_token = !no_refresh_token;
		found.is_known = !no_id && !no_time;
		if (found.is_known) {
			found.id = *DatumGetUUIDP(id);
			found.updated_at = DatumGetTimestampTz(updated_at);
		}
	}
	ExecDropSingleTupleTableSlot(slot);
	index_endscan(scan);
	index_close(index, NoLock);
	table_close(relation, NoLock);
	return found;
}

bool is_table_locked_by_us(const TokenTable &table)
{
	Relation relation = table_open(table.relid, NoLock);
	const bool is_locked = CheckRelationLockedByMe(relation, ShareLock, true);
	table_close(relation, NoLock);
	return is_locked;
}

bool find_refusal(const WaitedRow &row, RefreshRefusal &refusal)
{
	static FlowStatement<2> statement = {
		"SELECT kind OPERATOR(pg_catalog.=) ANY ('{dead_grant,needs_interaction}'), reason,"
		" next_attempt_at FROM oauth_tokens_internal.refresh_states"
		" WHERE token_id OPERATOR(pg_catalog.=) $1 AND token_updated_at OPERATOR(pg_catalog.=) $2"
		" AND next_attempt_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()"
		" AND (lease_until OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()) IS NOT TRUE",
		{UUIDOID, TIMESTAMPTZOID}};
	if (!row.is_known)
		return false;
	Datum values[] = {UUIDPGetDatum(&row.id), TimestampTzGetDatum(row.updated_at)};
	MemoryContext caller = CurrentMemoryContext;
	SPI_connect();
	const bool found = run_as_owner(statement, values) > 0;
	if (found) {
		bool is_null;
		MemoryContext ours = MemoryContextSwitchTo(caller);
		refusal.needs_user = DatumGetBool(returned(1, &is_null)) && !is_null;
		const Datum reason = returned(2, &is_null);
		refusal.reason = is_null ? "" : TextDatumGetCString(reason);
		refusal.next_attempt = DatumGetTimestampTz(returned(3, &is_null));
		MemoryContextSwitchTo(ours);
	}
	SPI_finish();
	return found;
}

} // namespace oauth_tokens
