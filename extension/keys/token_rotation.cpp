#include "keys/token_rotation.hpp"

#include <algorithm>
#include <cmath>

#include "errors.hpp"
#include "keys/bound_key.hpp"
#include "keys/sealed_token.hpp"
#include "postgres/durable_commit.hpp"
#include "postgres/heap_room.hpp"
#include "postgres/heap_update.hpp"
#include "postgres/next_transaction.hpp"
#include "postgres/owner_rights.hpp"
#include "postgres/row_rounds.hpp"
#include "schema/row_permission.hpp"
#include "tokens/row_storage.hpp"

extern "C" {
#include "access/table.h"
#include "access/tableam.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/acl.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

namespace oauth_tokens
{

namespace
{

constexpr TableColumn kSealed[] = {kEncryptedAccessToken, kEncryptedRefreshToken};

// The session may not have heard that the last one was dropped, so it asks anew.
void refuse_child_tables(const TokenTable &table)
{
	Relation relation = table_open(table.relid, AccessShareLock);
	if (find_rows(relation).rows != Rows::here)
		ereport(ERROR, (errcode(ERRCODE_TABLE_DIFFERS), errmsg("%s has child tables", table.name),
						errdetail("Tokens in them would keep the old key."),
						errhint("Move their rows into %s, and drop them.", table.name)));
	table_close(relation, NoLock);
}

// Null if a part of it is NULL: the row is of nobody, and its values count all the same.
const Identity *identity_of(const TokenTable &table, TupleTableSlot *slot, Identity &identity)
{
	constexpr TableColumn columns[] = {kWorkspaceId, kProvider, kActorType, kActorId};
	bool whole = true;
	for (int i = 0; i < kIdentityColumns; i++) {
		bool is_null;
		identity.values[i] = slot_getattr(slot, table.attno[columns[i]], &is_null);
		whole = whole && !is_null;
	}
	return whole ? &identity : nullptr;
}

Column column_of(TableColumn column)
{
	return column == kEncryptedAccessToken ? Column::access_token : Column::refresh_token;
}

enum class Row { current, replaced, left };

Row rotate_row(const TokenTable &table, HeapUpdate &target, TupleTableSlot *row, Snapshot snapshot,
			   RotationProgress &progress)
{
	Identity parts;
	const Identity *identity = identity_of(table, row, parts);
	text *sealed[lengthof(kSealed)] = {};
	int outdated = 0;
	for (std::size_t i = 0; i < lengthof(kSealed); i++) {
		bool is_null;
		const Datum token = slot_getattr(row, table.attno[kSealed[i]], &is_null);
		if (is_null)
			continue;
		const ValuePosition place = {identity, column_of(kSealed[i])};
		const Finding finding = seal_outdated(DatumGetTextPP(token), place, &sealed[i]);
		outdated += finding == Finding::outdated;
		progress.damaged += finding == Finding::damaged;
		progress.refused += finding == Finding::refused;
		if (finding == Finding::unbindable && progress.unbindable++ == 0)
			progress.unbindable_row = MemoryContextStrdup(progress.memory, escaped_identity(place));
	}
	if (outdated == 0)
		return Row::current;

	Datum *values = begin_replacement(target, row);
	for (std::size_t i = 0; i < lengthof(kSealed); i++)
		if (sealed[i] != nullptr)
			values[table.attno[kSealed[i]] - 1] = PointerGetDatum(sealed[i]);
	const bool replaced = replace_row(target, row, snapshot);
	(replaced ? progress.rotated : progress.left) += outdated;
	return replaced ? Row::replaced : Row::left;
}

// A pass over the table: the rows of some pages after the other.
struct Pass {
	RowRounds rounds;
	bool has_rows;     // of the pages that it has come to
	bool has_replaced; // some of them
	bool at_end;
	PageCursor toast;
};

// So few pages that what was moved away from them is little, and so many that most snapshots of
// before a round have ended when the next one comes.
BlockNumber pages_at_once(Relation relation)
{
	constexpr BlockNumber kFewest = 8;
	constexpr BlockNumber kMost = 4096;
	return std::clamp(RelationGetNumberOfBlocks(relation) / 8, kFewest, kMost);
}

// Rotates up to `batch_size` rows of a round.
void rotate_batch(const TokenTable &table, Relation relation, std::int64_t batch_size, Pass &pass,
				  RotationProgress &progress)
{
	const Snapshot snapshot = GetActiveSnapshot();
	MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "oauth_rotate_keys row",
											  ALLOCSET_DEFAULT_SIZES);
	HeapUpdate target = open_row_replacement(relation);
	TupleTableSlot *slot = table_slot_create(relation, nullptr);
	bool found = true;
	for (std::int64_t rows = 0;
		 rows < batch_size && (found = next_row(pass.rounds, relation, snapshot, slot));) {
		MemoryContext batch = MemoryContextSwitchTo(row);
		const Row done = rotate_row(table, target, slot, snapshot, progress);
		MemoryContextSwitchTo(batch);
		MemoryContextReset(row);
		rows += done != Row::current;
		if (done != Row::replaced)
			continue;
		row_was_replaced(pass.rounds);
		pass.has_replaced = true;
	}
	pass.has_rows = found || begin_next_round(pass.rounds);
	ExecDropSingleTupleTableSlot(slot);
	close_row_replacement(target);
}

// The values that were replaced lie anywhere in the TOAST table.
void give_back_toast(Pass &pass, Relation relation)
{
	constexpr double kTimesInAPass = 8;
	if (!OidIsValid(relation->rd_rel->reltoastrelid))
		return;
	Relation toast = table_open(relation->rd_rel->reltoastrelid, AccessShareLock);
	const double part = static_cast<double>(pass.rounds.end - pass.rounds.first) /
						RelationGetNumberOfBlocks(relation);
	const BlockNumber blocks = RelationGetNumberOfBlocks(toast);
	const double pages = std::min(1.0, part * kTimesInAPass) * blocks;
	give_back_room_at(pass.toast, toast, static_cast<BlockNumber>(std::ceil(pages)));
	table_close(toast, NoLock);
}

// Of the pages that the pass has just gone through.
void give_back(Pass &pass, Relation relation)
{
	if (!pass.has_replaced)
		return;
	pass.has_replaced = false;
	give_back_room(relation, pass.rounds.first, pass.rounds.end);
	give_back_toast(pass, relation);
}

void advance(const TokenTable &table, Relation relation, std::int64_t batch_size, Pass &pass,
			 RotationProgress &progress)
{
	MemoryContext batch = AllocSetContextCreate(CurrentMemoryContext, "oauth_rotate_keys batch",
												ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(batch);
	PushActiveSnapshot(GetTransactionSnapshot());
	if (pass.has_rows) {
		resume_rounds(pass.rounds, relation);
	} else {
		give_back(pass, relation);
		pass.at_end =
			!begin_rounds(pass.rounds, relation, GetActiveSnapshot(), pages_at_once(relation));
	}
	if (!pass.at_end)
		rotate_batch(table, relation, batch_size, pass, progress);
	PopActiveSnapshot();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(batch);
}

// One transaction: a batch, and the row that tells of it.
void run_batch(std::int64_t batch_size, Pass &pass, RotationProgress &progress)
{
	commit_lazily();
	Relation relation = open_token_table(RowExclusiveLock);
	const TokenTable &table = token_table();
	check_rotation_rights(table);
	const int64 before = progress.rotated;
	const CallersRights caller = begin_owner_rights(relation);
	advance(table, relation, batch_size, pass, progress);
	end_owner_rights(caller);
	table_close(relation, NoLock);
	if (progress.rotated > before) {
		PushActiveSnapshot(GetTransactionSnapshot());
		record_progress(progress, false);
		PopActiveSnapshot();
	}
	next_transaction();
	if (progress.rotated > before)
		tell_of_progress(progress);
}

} // namespace

void check_rotation_rights(const TokenTable &table)
{
	refuse_child_tables(table);
	for (AclMode mode : {ACL_SELECT, ACL_UPDATE}) {
		const AclResult result = pg_class_aclcheck(table.relid, GetUserId(), mode);
		if (result != ACLCHECK_OK)
			aclcheck_error(result, OBJECT_TABLE, kTableName);
	}
	require_every_row(table.relid);
}

void rotate_tokens(std::int64_t batch_size, RotationProgress &progress)
{
	progress.damaged = progress.refused = progress.unbindable = progress.left = 0;
	Pass pass = {};
	pass.rounds.memory = progress.memory;
	while (!pass.at_end)
		run_batch(batch_size, pass, progress);
	end_rounds(pass.rounds);
}

// A pass cannot tell: each batch has a snapshot of its own, and a row may move
// behind the place that a pass has come to.
bool tokens_are_rotated()
{
	Relation relation = open_token_table(AccessShareLock);
	const TokenTable &table = token_table();
	MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "oauth_rotate_keys row",
											  ALLOCSET_DEFAULT_SIZES);
	PushActiveSnapshot(GetTransactionSnapshot());
	TableScanDesc scan = table_beginscan(relation, GetActiveSnapshot(), 0, nullptr);
	TupleTableSlot *slot = table_slot_create(relation, nullptr);
	bool done = true;
	while (done && table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
		CHECK_FOR_INTERRUPTS();
		MemoryContext caller = MemoryContextSwitchTo(row);
		Identity parts;
		const Identity *identity = identity_of(table, slot, parts);
		for (TableColumn column : kSealed) {
			bool is_null;
			const Datum token = slot_getattr(slot, table.attno[column], &is_null);
			const ValuePosition place = {identity, column_of(column)};
			text *sealed;
			done = done && (is_null || seal_outdated(DatumGetTextPP(token), place, &sealed) !=
										   Finding::outdated);
		}
		MemoryContextSwitchTo(caller);
		MemoryContextReset(row);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	PopActiveSnapshot();
	MemoryContextDelete(row);
	table_close(relation, NoLock);
	next_transaction();
	return done;
}

} // namespace oauth_tokens
