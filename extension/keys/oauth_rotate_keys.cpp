// oauth_rotate_keys: re-encrypts under the first key every value that another
// key of the ring opens, beside readers and writers: the tokens, and what
// keys/sealed_columns.hpp lists. Tokens that are not sealed as oauth_tokens.key_binding
// says count as such, too; but what `bound` refuses stays as it is, or a ciphertext that was
// pasted into a row would be at home there after the next rotation.
//
// It walks the table in physical order, a batch a transaction. Rows are replaced
// below SQL: no trigger runs, so updated_at and caches stay as they are. What is
// locked by others is left to the next pass, so rotation waits for nobody while
// it holds a lock, and can be in no deadlock.
//
// The table is done when one snapshot of it, taken after every transaction that
// might still commit a value under an older key has ended, holds no such value.

#include <algorithm>
#include <array>
#include <initializer_list>

#include "errors.hpp"
#include "keys/bound_key.hpp"
#include "keys/sealed_columns.hpp"
#include "keys/sealed_token.hpp"
#include "keys/used_keys.hpp"
#include "postgres/function.hpp"
#include "postgres/heap_update.hpp"
#include "postgres/owner_rights.hpp"
#include "schema/row_permission.hpp"
#include "tokens/row_storage.hpp"
#include "tokens/token_codec.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"
}

namespace oauth_tokens
{

namespace
{

constexpr TableColumn kSealed[] = {kEncryptedAccessToken, kEncryptedRefreshToken};
// A batch ends after so many pages even if it has found nothing to do, so
// that each transaction stays short.
constexpr BlockNumber kPagesPerBatch = 4096;
constexpr long kFirstPauseMilliseconds = 50;
constexpr long kLastPauseMilliseconds = 2000;

using Fingerprint = std::array<char, common::fernet::kFingerprintChars>;

// A reload may change it while rotation runs.
Fingerprint first_key()
{
	Fingerprint fingerprint;
	std::ranges::copy(key_ring_fingerprint(1), fingerprint.begin());
	return fingerprint;
}

struct Progress {
	int64 id;      // of the row in key_rotations
	int64 rotated; // values
	// In this pass:
	int64 damaged;
	int64 refused;
	int64 unbindable;
	int64 left;           // values in rows that others held or changed
	MemoryContext memory; // of the call
	char *unbindable_row; // the first of them, in this memory
	Resealed flows;       // the last pass over what is not in the table
};

void execute_progress(const char *sql, int count, Oid *types, Datum *values)
{
	if (SPI_execute_with_args(sql, count, types, values, nullptr, false, 0) < 0)
		elog(ERROR, "could not write to oauth_tokens_internal.key_rotations");
}

void begin_progress(Progress &progress)
{
	const Fingerprint key = first_key();
	Oid types[] = {TEXTOID};
	Datum values[] = {PointerGetDatum(cstring_to_text_with_len(key.data(), key.size()))};
	execute_progress("INSERT INTO oauth_tokens_internal.key_rotations (fingerprint)"
					 " VALUES ($1) RETURNING id",
					 1, types, values);
	bool is_null;
	progress.id =
		DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
	// This session may not have seen a reload yet, so say which key is meant.
	ereport(INFO, (errmsg("oauth_rotate_keys: the key with fingerprint %.*s is the first",
						  static_cast<int>(key.size()), key.data())));
}

void record_progress(const Progress &progress, bool finished)
{
	Oid types[] = {INT8OID, INT8OID, INT8OID, BOOLOID};
	Datum values[] = {Int64GetDatum(progress.id), Int64GetDatum(progress.rotated),
					  Int64GetDatum(progress.damaged), BoolGetDatum(finished)};
	execute_progress("UPDATE oauth_tokens_internal.key_rotations SET values_rotated = $2,"
					 " values_damaged = $3, updated_at = pg_catalog.clock_timestamp(),"
					 " finished_at = CASE WHEN $4 THEN pg_catalog.clock_timestamp() END"
					 " WHERE id OPERATOR(pg_catalog.=) $1",
					 4, types, values);
}

void tell_of_progress(const Progress &progress)
{
	ereport(INFO,
			(errmsg("oauth_rotate_keys: " INT64_FORMAT " values re-encrypted", progress.rotated)));
}

void refuse_unless_it_may_commit(FunctionCallInfo fcinfo)
{
	const bool may_commit = fcinfo->context != nullptr && IsA(fcinfo->context, CallContext) &&
							!reinterpret_cast<CallContext *>(fcinfo->context)->atomic;
	if (!may_commit)
		ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
						errmsg("oauth_rotate_keys cannot run inside a transaction block"),
						errdetail("It commits after each batch."),
						errhint("Call it by itself, with autocommit on and not from a function.")));
}

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

// The caller's rights, and every row: a policy makes this fail.
void check_rights(const TokenTable &table)
{
	refuse_child_tables(table);
	for (AclMode mode : {ACL_SELECT, ACL_UPDATE}) {
		const AclResult result = pg_class_aclcheck(table.relid, GetUserId(), mode);
		if (result != ACLCHECK_OK)
			aclcheck_error(result, OBJECT_TABLE, kTableName);
	}
	require_every_row(table.relid);
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

// Finds who has sealed a value. One that is not under the first key, or not sealed as it is to
// be, is sealed anew to `sealed`.
Finding inspect(const text *token, const ValuePosition &place, text **sealed)
{
	const Finding finding = key_ring_judge(signer_of(token, place), place);
	if (finding != Finding::outdated)
		return finding;
	*sealed = seal_anew(token, place, place);
	return *sealed == nullptr ? Finding::damaged : Finding::outdated; // its padding may be bad
}

Column column_of(TableColumn column)
{
	return column == kEncryptedAccessToken ? Column::access_token : Column::refresh_token;
}

// Whether there was anything to do for the row.
bool rotate_row(const TokenTable &table, HeapUpdate &target, TupleTableSlot *row, Snapshot snapshot,
				Progress &progress)
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
		const Finding finding = inspect(DatumGetTextPP(token), place, &sealed[i]);
		outdated += finding == Finding::outdated;
		progress.damaged += finding == Finding::damaged;
		progress.refused += finding == Finding::refused;
		if (finding == Finding::unbindable && progress.unbindable++ == 0)
			progress.unbindable_row = MemoryContextStrdup(progress.memory, escaped_identity(place));
	}
	if (outdated == 0)
		return false;

	Datum *values = begin_replacement(target, row);
	for (std::size_t i = 0; i < lengthof(kSealed); i++)
		if (sealed[i] != nullptr)
			values[table.attno[kSealed[i]] - 1] = PointerGetDatum(sealed[i]);
	if (replace_row(target, row, snapshot))
		progress.rotated += outdated;
	else
		progress.left += outdated;
	return true;
}

// Where a pass stands: the next row to look at.
struct Position {
	ItemPointerData next;
	bool at_end;
};

// Looks at rows from `position` on and rotates up to `batch_size` of them.
void rotate_batch(const TokenTable &table, Relation relation, std::int64_t batch_size,
				  Position &position, Progress &progress)
{
	MemoryContext batch = AllocSetContextCreate(CurrentMemoryContext, "oauth_rotate_keys batch",
												ALLOCSET_DEFAULT_SIZES);
	MemoryContext row =
		AllocSetContextCreate(batch, "oauth_rotate_keys row", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(batch);
	PushActiveSnapshot(GetTransactionSnapshot());
	const Snapshot snapshot = GetActiveSnapshot();

	HeapUpdate target = open_row_replacement(relation);
	ItemPointerData last;
	ItemPointerSet(&last, MaxBlockNumber, MaxOffsetNumber);
	const BlockNumber first_block = ItemPointerGetBlockNumber(&position.next);
	TableScanDesc scan = table_beginscan_tidrange(relation, snapshot, &position.next, &last);
	TupleTableSlot *slot = table_slot_create(relation, nullptr);
	std::int64_t rotated_rows = 0;
	position.at_end = true;
	while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection, slot)) {
		CHECK_FOR_INTERRUPTS();
		if (rotated_rows >= batch_size ||
			ItemPointerGetBlockNumber(&slot->tts_tid) - first_block >= kPagesPerBatch) {
			position.next = slot->tts_tid;
			position.at_end = false;
			break;
		}
		MemoryContextSwitchTo(row);
		MemoryContextReset(row);
		rotated_rows += rotate_row(table, target, slot, snapshot, progress);
		MemoryContextSwitchTo(batch);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	close_row_replacement(target);
	PopActiveSnapshot();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(batch);
}

// One transaction: a batch, and the row that tells of it.
void run_batch(std::int64_t batch_size, Position &position, Progress &progress)
{
	Relation relation = open_token_table(RowExclusiveLock);
	const TokenTable &table = token_table();
	check_rights(table);
	const int64 before = progress.rotated;
	const CallersRights caller = begin_owner_rights(relation);
	rotate_batch(table, relation, batch_size, position, progress);
	end_owner_rights(caller);
	table_close(relation, NoLock);
	if (progress.rotated > before) {
		PushActiveSnapshot(GetTransactionSnapshot());
		record_progress(progress, false);
		PopActiveSnapshot();
	}
	SPI_commit();
	if (progress.rotated > before)
		tell_of_progress(progress);
}

// The whole table once.
void run_pass(std::int64_t batch_size, Progress &progress)
{
	Position position;
	ItemPointerSet(&position.next, 0, FirstOffsetNumber);
	position.at_end = false;
	progress.damaged = progress.refused = progress.unbindable = progress.left = 0;
	while (!position.at_end)
		run_batch(batch_size, position, progress);
}

void wait_for_writers_to(Oid relid)
{
	LOCKTAG tag;
	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
	WaitForLockers(tag, ShareLock, false);
}

// A transaction that began to write before the ring changed may yet commit a
// value under an older key. Later ones encrypt under the first.
void wait_for_writers()
{
	wait_for_writers_to(token_table().relid);
	wait_for_writers_to(
		get_relname_relid("flow_links", get_namespace_oid("oauth_tokens_internal", false)));
	SPI_commit();
}

// Whether one snapshot of the table shows no value under an older key. The
// passes cannot tell: each batch has a snapshot of its own, and a row may move
// behind the place that a pass has come to.
bool verify_table()
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
			done = done &&
				   (is_null || inspect(DatumGetTextPP(token), place, &sealed) != Finding::outdated);
		}
		MemoryContextSwitchTo(caller);
		MemoryContextReset(row);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	PopActiveSnapshot();
	MemoryContextDelete(row);
	table_close(relation, NoLock);
	SPI_commit();
	return done;
}

// Longer each time that the others still hold as much.
void pause_for_others(int64 left)
{
	static int64 last_left;
	static long pause;
	if (left != last_left) {
		ereport(INFO, (errmsg("oauth_rotate_keys: waiting for " INT64_FORMAT
							  " values in rows that other transactions hold",
							  left)));
		pause = kFirstPauseMilliseconds;
	}
	last_left = left;
	(void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, pause,
					PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	pause = std::min(pause * 2, kLastPauseMilliseconds);
}

// One transaction: some rows of flows, and the row that tells of them.
Resealed run_flow_batch(SealedPosition &position, Progress &progress)
{
	MemoryContext batch = AllocSetContextCreate(CurrentMemoryContext, "oauth_rotate_keys flows",
												ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(batch);
	PushActiveSnapshot(GetTransactionSnapshot());
	const Resealed resealed = reseal_rows(position);
	progress.rotated += resealed.done;
	if (resealed.done > 0)
		record_progress(progress, false);
	PopActiveSnapshot();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(batch);
	SPI_commit();
	if (resealed.done > 0)
		tell_of_progress(progress);
	return resealed;
}

// Sessions of before the change end some time; until then they could keep a rotation going for
// ever. An error, so that no script goes on and takes the older key away.
void count_undone(int &undone)
{
	constexpr int kMost = 10;
	if (++undone < kMost)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("another session keeps storing values that this rotation has to seal anew"),
			 errdetail("There were some after each of %d passes. What was sealed anew stays so.",
					   kMost),
			 errhint("It has an older key or another oauth_tokens.key_binding, or rotates with "
					 "one. End the sessions from before the change (backend_start in "
					 "pg_stat_activity), and call oauth_rotate_keys() again.")));
}

// Passes over the flows until one finds nothing under an older key. A row keeps
// its place there, so that such a pass proves it.
void rotate_flows(Progress &progress)
{
	for (int undone = 0;;) {
		Resealed pass = {};
		for (SealedPosition position = {}; !position.at_end;) {
			const Resealed batch = run_flow_batch(position, progress);
			pass.done += batch.done;
			pass.left += batch.left;
			pass.damaged += batch.damaged;
			pass.refused += batch.refused;
			pass.unbindable += batch.unbindable;
		}
		progress.flows = pass;
		if (pass.left > 0)
			pause_for_others(pass.left);
		else if (pass.done == 0)
			return;
		else
			count_undone(undone);
	}
}

void warn_of_table(const Progress &progress)
{
	if (progress.damaged > 0)
		ereport(WARNING, (errmsg_plural(INT64_FORMAT " value opens under no key of the ring",
										INT64_FORMAT " values open under no key of the ring",
										progress.damaged, progress.damaged),
						  errhint("SELECT * FROM oauth_tokens_damaged() lists them.")));
	if (progress.refused > 0)
		ereport(WARNING,
				(errmsg_plural(INT64_FORMAT " value is sealed for oauth_tokens.key_binding = "
											"shared, and is left as it is",
							   INT64_FORMAT " values are sealed for oauth_tokens.key_binding = "
											"shared, and are left as they are",
							   progress.refused, progress.refused),
				 errhint("If you trust them, set oauth_tokens.key_binding to migrating and call "
						 "oauth_rotate_keys() again. SELECT * FROM oauth_tokens_damaged() lists "
						 "them.")));
	if (progress.unbindable > 0)
		ereport(WARNING,
				(errmsg_plural(INT64_FORMAT " value cannot be bound to its row, and is left as "
											"it is: UTF-8 has not the characters of its identity",
							   INT64_FORMAT " values cannot be bound to their rows, and are left "
											"as they are: UTF-8 has not the characters of their "
											"identities",
							   progress.unbindable, progress.unbindable),
				 errdetail_internal("The first one: %s.", progress.unbindable_row),
				 errhint("Give these tokens another identity with oauth_move(), or delete them, "
						 "and call oauth_rotate_keys() again.")));
}

// The queue of revocations: nothing else outside the table stays as it is.
void warn_of_queue(const Resealed &flows)
{
	const int64 stuck = flows.damaged + flows.refused;
	if (stuck > 0)
		ereport(
			WARNING,
			(errmsg_plural(INT64_FORMAT " value of a deleted token that waits to be revoked does "
										"not open, and is left as it is",
						   INT64_FORMAT " values of deleted tokens that wait to be revoked do "
										"not open, and are left as they are",
						   stuck, stuck),
			 flows.refused > 0
				 ? errhint(
					   "Those that are sealed for oauth_tokens.key_binding = shared (" INT64_FORMAT
					   ") are revoked if you set it to migrating. Call oauth_rotate_keys() "
					   "then, before you set it to bound again.",
					   flows.refused)
				 : errhint("Put the key that they were written with back into the key ring.")));
	if (flows.unbindable > 0)
		ereport(WARNING,
				(errmsg_plural(INT64_FORMAT " value of a deleted token that waits to be revoked "
											"cannot be bound, and is left as it is",
							   INT64_FORMAT " values of deleted tokens that wait to be revoked "
											"cannot be bound, and are left as they are",
							   flows.unbindable, flows.unbindable),
				 errhint("Wait until they are revoked, before you set oauth_tokens.key_binding to "
						 "bound.")));
}

// Passes until nothing is left.
void rotate_everything(std::int64_t batch_size, Progress &progress)
{
	Fingerprint waited_for = {};
	for (int undone = 0;;) {
		const Fingerprint key = first_key();
		run_pass(batch_size, progress);
		if (progress.left > 0) {
			pause_for_others(progress.left);
			continue;
		}
		if (key != waited_for) {
			wait_for_writers();
			waited_for = key;
			undone = 0;
		}
		// In this order: a deleted token takes its ciphertext along to the queue of
		// revocations, and once the table has none under an older key, none can come.
		if (!verify_table()) {
			count_undone(undone);
			continue;
		}
		rotate_flows(progress);
		if (first_key() == waited_for)
			return;
	}
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_rotate_keys)
{
	refuse_unless_it_may_commit(fcinfo);
	if (PG_ARGISNULL(0) || PG_GETARG_INT64(0) < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("batch_size must be at least 1")));
	const std::int64_t batch_size = PG_GETARG_INT64(0);
	PreventCommandIfReadOnly("CALL oauth_rotate_keys()");
	check_rights(token_table());
	key_ring_size(); // raises if there is no usable key

	SPI_connect_ext(SPI_OPT_NONATOMIC);
	Progress progress = {};
	progress.memory = CurrentMemoryContext;
	begin_progress(progress);
	record_used_keys();
	SPI_commit();
	rotate_everything(batch_size, progress);
	record_progress(progress, true);
	SPI_commit();
	warn_of_table(progress);
	warn_of_queue(progress.flows);
	SPI_finish();
	PG_RETURN_VOID();
}
