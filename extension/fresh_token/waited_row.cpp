#include "fresh_token/waited_row.hpp"

#include "postgres/owner_query.hpp"
#include "tokens/token_codec.hpp"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

bool is_ours(TransactionId id)
{
	return TransactionIdIsCurrentTransactionId(id);
}

bool is_of_others(TransactionId id)
{
	return !is_ours(id) && TransactionIdIsInProgress(id);
}

// Or changed. A lock for the sake of a foreign key does not keep a refresh out.
bool is_locked(HeapTupleHeader row, bool (*by_whom)(TransactionId))
{
	const std::uint16_t mask = row->t_infomask;
	const TransactionId locker = HeapTupleHeaderGetRawXmax(row);
	if ((mask & HEAP_XMAX_INVALID) != 0 || !TransactionIdIsValid(locker))
		return false;
	if ((mask & HEAP_XMAX_IS_MULTI) == 0)
		return !HEAP_XMAX_IS_KEYSHR_LOCKED(mask) && by_whom(locker);
	if (HEAP_LOCKED_UPGRADED(mask))
		return false;
	MultiXactMember *members;
	const int count =
		GetMultiXactIdMembers(locker, &members, false, HEAP_XMAX_IS_LOCKED_ONLY(mask));
	for (int i = 0; i < count; i++)
		if (members[i].status != MultiXactStatusForKeyShare && by_whom(members[i].xid))
			return true;
	return false;
}

bool is_ours(HeapTupleHeader row)
{
	return is_ours(HeapTupleHeaderGetXmin(row)) || is_locked(row, is_ours);
}

// Calls with the row if it is in the table's own heap, and only one may have the identity.
template <typename Body>
void with_row(const TokenTable &table, const Identity &identity, Body body)
{
	if (!OidIsValid(table.identity_index) || !table.rows_are_here)
		return;
	ScanKeyData keys[kIdentityColumns];
	memcpy(keys, table.identity_keys, sizeof keys);
	for (int i = 0; i < kIdentityColumns; i++)
		keys[i].sk_argument = identity.values[i];

	Relation relation = table_open(table.relid, NoLock);
	Relation index = index_open(table.identity_index, AccessShareLock);
	IndexScanDesc scan = compat::index_beginscan(relation, index, SnapshotSelf, kIdentityColumns);
	TupleTableSlot *slot = table_slot_create(relation, nullptr);
	index_rescan(scan, keys, kIdentityColumns, nullptr, 0);
	if (index_getnext_slot(scan, ForwardScanDirection, slot))
		body(slot, ExecFetchSlotHeapTuple(slot, false, nullptr)->t_data);
	ExecDropSingleTupleTableSlot(slot);
	index_endscan(scan);
	index_close(index, NoLock);
	table_close(relation, NoLock);
}

bool opens(const TokenTable &table, const Identity &identity, TupleTableSlot *slot, int number,
		   Column column)
{
	bool is_null;
	const Datum value = slot_getattr(slot, table.attno[number], &is_null);
	return is_null || !is_damaged(DatumGetTextPP(value), {&identity, column});
}

} // namespace

WaitedRow find_waited_row(const TokenTable &table, const Identity &identity)
{
	WaitedRow found = {false, true, false, {}, 0};
	with_row(table, identity, [&](TupleTableSlot *slot, HeapTupleHeader row) {
		bool no_refresh_token;
		bool no_id;
		bool no_time;
		slot_getattr(slot, table.attno[kEncryptedRefreshToken], &no_refresh_token);
		const Datum id = slot_getattr(slot, table.attno[kId], &no_id);
		const Datum updated_at = slot_getattr(slot, table.attno[kUpdatedAt], &no_time);
		found.is_ours = is_ours(row);
		found.has_refresh_token = !no_refresh_token;
		found.is_known = !no_id && !no_time;
		if (found.is_known) {
			found.id = *DatumGetUUIDP(id);
			found.updated_at = DatumGetTimestampTz(updated_at);
		}
	});
	return found;
}

bool can_be_begun(const TokenTable &table, const Identity &identity)
{
	bool can = true;
	with_row(table, identity, [&](TupleTableSlot *slot, HeapTupleHeader row) {
		can = !is_locked(row, is_of_others) &&
			  opens(table, identity, slot, kEncryptedRefreshToken, Column::refresh_token) &&
			  opens(table, identity, slot, kEncryptedAccessToken, Column::access_token);
	});
	return can;
}

bool are_tables_locked_by_us(const TokenTable &table)
{
	bool are_locked = false;
	for (const Oid relid : {table.relid, table.details_relid}) {
		Relation relation = try_table_open(relid, AccessShareLock);
		if (relation == nullptr)
			continue; // dropped just now
		are_locked = are_locked || CheckRelationLockedByMe(relation, ShareLock, true);
		table_close(relation, NoLock);
	}
	return are_locked;
}

// Every version counts, also one that this transaction has deleted.
bool are_details_ours(const TokenTable &table, const pg_uuid_t &id)
{
	Relation details = try_table_open(table.details_relid, AccessShareLock);
	if (details == nullptr)
		return false;
	const Oid index_id = details_find_token_index(details);
	if (!OidIsValid(index_id)) {
		table_close(details, NoLock);
		return false;
	}
	ScanKeyData key;
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(&id));
	Relation index = index_open(index_id, AccessShareLock);
	IndexScanDesc scan = compat::index_beginscan(details, index, SnapshotAny, 1);
	TupleTableSlot *slot = table_slot_create(details, nullptr);
	index_rescan(scan, &key, 1, nullptr, 0);
	bool are_ours = false;
	while (!are_ours && index_getnext_slot(scan, ForwardScanDirection, slot))
		are_ours = is_ours(ExecFetchSlotHeapTuple(slot, false, nullptr)->t_data);
	ExecDropSingleTupleTableSlot(slot);
	index_endscan(scan);
	index_close(index, NoLock);
	table_close(details, NoLock);
	return are_ours;
}

bool has_written_clients()
{
	const Oid relid =
		get_relname_relid("refresh_clients", get_namespace_oid("oauth_tokens_internal", false));
	Relation clients = try_table_open(relid, AccessShareLock);
	if (clients == nullptr)
		return false;
	const bool is_locked = CheckRelationLockedByMe(clients, RowExclusiveLock, true);
	table_close(clients, NoLock);
	return is_locked;
}

bool find_refusal(const WaitedRow &row, RefreshRefusal &refusal)
{
	static MemberQuery statement = {
		"SELECT kind OPERATOR(pg_catalog.=) ANY ('{dead_grant,needs_interaction}'), reason,"
		" next_attempt_at FROM oauth_tokens_internal.refresh_states"
		" WHERE token_id OPERATOR(pg_catalog.=) $1 AND token_updated_at OPERATOR(pg_catalog.=) $2"
		" AND next_attempt_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()"
		" AND (lease_until OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()) IS NOT TRUE"};
	if (!row.is_known)
		return false;
	MemoryContext caller = CurrentMemoryContext;
	SPI_connect();
	const bool found =
		run_as_owner(statement, {as::uuid(&row.id), as::timestamptz(row.updated_at)}) > 0;
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
