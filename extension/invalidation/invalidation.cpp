#include "invalidation/invalidation.hpp"

#include <algorithm>

#include "postgres/heap_pages.hpp"

extern "C" {
#include "access/detoast.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "storage/lmgr.h"
#include "utils/snapmgr.h"
}

namespace oauth_tokens
{

namespace
{

std::int64_t id_of(HeapTuple tuple)
{
	return *reinterpret_cast<const std::int64_t *>(GETSTRUCT(tuple));
}

constexpr std::uint64_t kMuchRoom = 8 * 1024 * 1024;
constexpr Size kMaxIdentityBytes = 1900; // TOAST_TUPLE_THRESHOLD, less all the rest

template <typename Chosen>
std::int64_t delete_chosen(Relation relation, Chosen chosen)
{
	std::int64_t deleted = 0;
	const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	const CommandId command = GetCurrentCommandId(true);
	visit_tuples(relation, snapshot, Tidy::yes, [&](HeapTuple tuple) {
		TM_FailureData failure;
		if (chosen(tuple) && table_tuple_delete(relation, &tuple->t_self, command, snapshot,
												InvalidSnapshot, false, &failure, false) == TM_Ok)
			deleted++;
		return true;
	});
	UnregisterSnapshot(snapshot);
	CommandCounterIncrement();
	return deleted;
}

bool has_invalidations(const CacheTables &tables)
{
	bool has = false;
	const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	Relation relation = table_open(tables.invalidations, AccessShareLock);
	visit_tuples(relation, snapshot, Tidy::no, [&](HeapTuple) {
		has = true;
		return false;
	});
	table_close(relation, AccessShareLock);
	UnregisterSnapshot(snapshot);
	return has;
}

void give_new_file(const CacheTables &tables)
{
	Relation relation = table_open(tables.invalidations, NoLock);
	compat::set_new_storage(relation);
	table_close(relation, NoLock);
	CommandCounterIncrement();
}

} // namespace

bool fits_invalidation(const InvalidatedIdentity &identity)
{
	return toast_raw_datum_size(identity.provider) + toast_raw_datum_size(identity.actor_type) +
			   toast_raw_datum_size(identity.actor_id) <=
		   kMaxIdentityBytes;
}

void write_invalidation(const CacheTables &tables, std::int64_t id,
						const InvalidatedIdentity *identity)
{
	Datum values[5] = {Int64GetDatum(id)};
	bool nulls[5] = {false, true, true, true, true};
	if (identity != nullptr) {
		values[1] = identity->workspace_id;
		values[2] = identity->provider;
		values[3] = identity->actor_type;
		values[4] = identity->actor_id;
		std::fill(nulls + 1, nulls + 5, false);
	}
	Relation relation = table_open(tables.invalidations, RowExclusiveLock);
	HeapTuple tuple = heap_form_tuple(RelationGetDescr(relation), values, nulls);
	simple_heap_insert(relation, tuple);
	heap_freetuple(tuple);
	table_close(relation, NoLock);
}

std::uint64_t invalidations_size(const CacheTables &tables)
{
	Relation relation = table_open(tables.invalidations, AccessShareLock);
	const std::uint64_t blocks = RelationGetNumberOfBlocks(relation);
	table_close(relation, AccessShareLock);
	return blocks * BLCKSZ;
}

std::int64_t delete_invalidations(const CacheTables &tables, const std::int64_t *ids, int count)
{
	Relation relation = table_open(tables.invalidations, RowExclusiveLock);
	const std::int64_t deleted = delete_chosen(relation, [&](HeapTuple tuple) {
		return std::binary_search(ids, ids + count, id_of(tuple));
	});
	table_close(relation, NoLock);
	return deleted;
}

void empty_invalidations(const CacheTables &tables)
{
	if (ConditionalLockRelationOid(tables.invalidations, AccessExclusiveLock))
		give_new_file(tables);
	else
		delete_all_invalidations(tables);
}

// A transaction that has written an invalidation holds a lock on the table until it ends.
void shrink_invalidations(const CacheTables &tables)
{
	if (invalidations_size(tables) > kMuchRoom && !has_invalidations(tables) &&
		ConditionalLockRelationOid(tables.invalidations, AccessExclusiveLock) &&
		!has_invalidations(tables))
		give_new_file(tables);
}

void delete_all_invalidations(const CacheTables &tables)
{
	Relation relation = table_open(tables.invalidations, RowExclusiveLock);
	delete_chosen(relation, [](HeapTuple) { return true; });
	table_close(relation, NoLock);
}

} // namespace oauth_tokens
