#include "invalidation/registration.hpp"

#include <cstddef>

#include "postgres/heap_pages.hpp"

extern "C" {
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

constexpr AttrNumber kCacheIdColumn = 8;

// From then on it need not be renewed again.
constexpr std::int64_t kRenewAfter = 1 * USECS_PER_SEC;

static_assert(offsetof(RegistrationRow, server_started) == 16 &&
				  offsetof(RegistrationRow, database) == 40 &&
				  offsetof(RegistrationRow, table_version) == 48 && sizeof(RegistrationRow) == 56,
			  "as PostgreSQL lays out the columns");

bool is_valid(const CacheTables &tables, const RegistrationRow &row)
{
	return tables.version != 0 && row.table_version == tables.version &&
		   row.server_started == PgStartTime && row.database == MyDatabaseId &&
		   row.token_table == tables.tokens;
}

const RegistrationRow *row_of(HeapTuple tuple)
{
	return reinterpret_cast<const RegistrationRow *>(GETSTRUCT(tuple));
}

text *cache_id_of(HeapTuple tuple, Relation relation)
{
	bool is_null;
	const Datum id = heap_getattr(tuple, kCacheIdColumn, RelationGetDescr(relation), &is_null);
	return DatumGetTextPCopy(id);
}

} // namespace

Registration find_registration(const CacheTables &tables, Snapshot snapshot)
{
	Registration found = {};
	Relation relation = table_open(tables.registrations, AccessShareLock);
	visit_tuples(relation, snapshot, Tidy::no, [&](HeapTuple tuple) {
		if (!is_valid(tables, *row_of(tuple)))
			return true;
		found.valid = true;
		found.tid = tuple->t_self;
		found.row = *row_of(tuple);
		found.cache_id = cache_id_of(tuple, relation);
		return false;
	});
	table_close(relation, AccessShareLock);
	return found;
}

Registration latest_registration(const CacheTables &tables)
{
	const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	const Registration found = find_registration(tables, snapshot);
	UnregisterSnapshot(snapshot);
	return found;
}

bool is_registration_id(const Registration &registration, const pg_uuid_t &registration_id)
{
	return registration.valid &&
		   memcmp(&registration.row.registration_id, &registration_id, sizeof registration_id) == 0;
}

// An UPDATE would leave a dead row each second. Beside a long transaction they would stay, and
// each transaction that writes tokens would read them all: 60 pages after an hour.
void renew_registration(const CacheTables &tables, const Registration &registration)
{
	const TimestampTz now = GetCurrentTimestamp();
	if (now - registration.row.acknowledged_at < kRenewAfter &&
		now >= registration.row.acknowledged_at)
		return;
	Relation relation = table_open(tables.registrations, RowExclusiveLock);
	const BlockNumber block = ItemPointerGetBlockNumber(&registration.tid);
	if (block >= RelationGetNumberOfBlocks(relation)) { // VACUUM FULL has moved it
		table_close(relation, RowExclusiveLock);
		return;
	}
	Buffer buffer = ReadBuffer(relation, block);
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	const Page page = BufferGetPage(buffer);
	const OffsetNumber offset = ItemPointerGetOffsetNumber(&registration.tid);
	if (offset <= PageGetMaxOffsetNumber(page) && ItemIdIsNormal(PageGetItemId(page, offset))) {
		const auto tuple = (HeapTupleHeader)PageGetItem(page, PageGetItemId(page, offset));
		auto *row =
			reinterpret_cast<RegistrationRow *>(reinterpret_cast<char *>(tuple) + tuple->t_hoff);
		// It may have been replaced meanwhile.
		if (memcmp(&row->registration_id, &registration.row.registration_id,
				   sizeof row->registration_id) == 0) {
			row->acknowledged_at = now;
			MarkBufferDirty(buffer);
		}
	}
	UnlockReleaseBuffer(buffer);
	table_close(relation, RowExclusiveLock);
}

pg_uuid_t add_registration(const CacheTables &tables, text *cache_id)
{
	const TimestampTz now = GetCurrentTimestamp();
	const Datum registration_id = DirectFunctionCall1(gen_random_uuid, (Datum)0);
	Datum values[] = {registration_id,
					  TimestampTzGetDatum(PgStartTime),
					  TimestampTzGetDatum(now),
					  TimestampTzGetDatum(now),
					  ObjectIdGetDatum(MyDatabaseId),
					  ObjectIdGetDatum(tables.tokens),
					  UInt64GetDatum(tables.version),
					  PointerGetDatum(cache_id)};
	bool nulls[lengthof(values)] = {};
	Relation relation = table_open(tables.registrations, RowExclusiveLock);
	simple_heap_insert(relation, heap_form_tuple(RelationGetDescr(relation), values, nulls));
	table_close(relation, NoLock);
	CommandCounterIncrement();
	return *DatumGetUUIDP(registration_id);
}

void end_registrations(const CacheTables &tables, Wait wait)
{
	const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	Relation relation = table_open(tables.registrations, RowExclusiveLock);
	const CommandId command = GetCurrentCommandId(true);
	visit_tuples(relation, snapshot, Tidy::no, [&](HeapTuple tuple) {
		TM_FailureData failure;
		// If another transaction deletes it, that is as good.
		table_tuple_delete(relation, &tuple->t_self, command, snapshot, InvalidSnapshot,
						   wait == Wait::yes, &failure, false);
		return true;
	});
	table_close(relation, NoLock);
	UnregisterSnapshot(snapshot);
	CommandCounterIncrement();
}

} // namespace oauth_tokens
