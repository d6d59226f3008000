// oauth_rotate_keys: re-encrypts under the first key every value that another
// key of the ring opens, beside readers and writers.
//
// It walks the table in physical order, a batch a transaction. A row is locked
// without waiting and replaced below SQL, as logical replication applies an
// update: no trigger runs, so updated_at and caches stay as they are, and no
// plan is made per row. What is locked by others is left to the next pass, so
// rotation waits for nobody while it holds a lock and can be in no deadlock.
//
// The table is done when a whole pass finds nothing to do, after every
// transaction that might still commit a value under an older key has ended.

#include <algorithm>
#include <array>
#include <initializer_list>

#include "errors.hpp"
#include "function.hpp"
#include "key_ring.hpp"
#include "token_codec.hpp"
#include "token_table.hpp"

extern "C" {
#include "executor/nodeModifyTable.h"
#include "utils/wait_event.h"
}

namespace oauth_tokens
{

namespace
{

constexpr TableColumn kSealed[] = {kEncryptedAccessToken, kEncryptedRefreshToken};
// A batch ends after so many pages even where it has found nothing to do, so
// that each transaction stays short.
constexpr BlockNumber kPagesPerBatch = 4096;
constexpr long kPauseMilliseconds = 100;

using Fingerprint = std::array<char, fernet::kFingerprintChars>;

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
	int64 damaged; // values that no key opens, in this pass
	int64 to_do;   // values found under another key, in this pass
	int64 left;    // of these, in rows that were locked or changed by others
};

void execute_progress(const char *sql, int count, Datum *values)
{
	Oid types[] = {INT8OID, INT8OID, INT8OID};
	if (SPI_execute_with_args(sql, count, types, values, nullptr, false, 0) < 0)
		elog(ERROR, "could not write to oauth_tokens_internal.key_rotations");
}

void begin_progress(Progress &progress)
{
	const Fingerprint digits = first_key();
	execute_progress(psprintf("INSERT INTO oauth_tokens_internal.key_rotations (fingerprint)"
							  " VALUES ('%.*s') RETURNING id",
							  static_cast<int>(digits.size()), digits.data()),
					 0, nullptr);
	bool is_null;
	progress.id =
		DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
}

void record_progress(const Progress &progress, bool finished)
{
	Datum values[] = {Int64GetDatum(progress.id), Int64GetDatum(progress.rotated),
					  Int64GetDatum(progress.damaged)};
	execute_progress(finished
						 ? "UPDATE oauth_tokens_internal.key_rotations SET values_rotated = $2,"
						   " values_damaged = $3, updated_at = pg_catalog.clock_timestamp(),"
						   " finished_at = pg_catalog.clock_timestamp()"
						   " WHERE id OPERATOR(pg_catalog.=) $1"
						 : "UPDATE oauth_tokens_internal.key_rotations SET values_rotated = $2,"
						   " values_damaged = $3, updated_at = pg_catalog.clock_timestamp()"
						   " WHERE id OPERATOR(pg_catalog.=) $1",
					 3, values);
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

// The caller's rights, and every row: a policy makes this fail.
void check_rights(const TokenTable &table)
{
	if (table.has_children)
		ereport(ERROR, (errcode(ERRCODE_TABLE_DIFFERS), errmsg("%s has child tables", table.name),
						errdetail("Tokens in them would keep the old key."),
						errhint("Move their rows into %s, and drop them.", table.name)));
	for (AclMode mode : {ACL_SELECT, ACL_UPDATE}) {
		const AclResult result = pg_class_aclcheck(table.relid, GetUserId(), mode);
		if (result != ACLCHECK_OK)
			aclcheck_error(result, OBJECT_TABLE, kTableName);
	}
	if (check_enable_rls(table.relid, InvalidOid, true) == RLS_ENABLED)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("row security would hide tokens from the rotation"),
						errhint("Call it as a role with BYPASSRLS, or as the table's owner and "
								"without FORCE ROW LEVEL SECURITY.")));
}

Identity identity_of(const TokenTable &table, TupleTableSlot *slot)
{
	Identity identity;
	constexpr TableColumn columns[] = {kWorkspaceId, kProvider, kActorType, kActorId};
	bool is_null;
	for (int i = 0; i < kIdentityColumns; i++)
		identity.values[i] = slot_getattr(slot, table.attno[columns[i]], &is_null);
	return identity;
}

enum class Finding { current, outdated, damaged };

// Finds which key a value is under. One under another key than the first is
// sealed anew, with its own timestamp, to `sealed`.
Finding inspect(const text *token, const Place &place, text **sealed)
{
	const std::size_t capacity = fernet::decoded_capacity(view_of(token).size());
	auto *buffer = static_cast<unsigned char *>(palloc(capacity));
	// The HMAC tells that a value is current; only others are decrypted.
	const int position = key_ring_verify(view_of(token), place, {buffer, capacity}).position;
	if (position < 2)
		return position == 0 ? Finding::damaged : Finding::current;
	const Opened opened = key_ring_open(view_of(token), place, {buffer, capacity});
	if (opened.position == 0)
		return Finding::damaged;
	const std::size_t size = fernet::token_chars(opened.plaintext.size());
	*sealed = static_cast<text *>(palloc(VARHDRSZ + size));
	SET_VARSIZE(*sealed, VARHDRSZ + size);
	key_ring_seal({opened.plaintext.data(), opened.plaintext.size()}, opened.timestamp, place,
				  {VARDATA(*sealed), size});
	fernet::wipe(buffer, capacity);
	return Finding::outdated;
}

Column column_of(TableColumn column)
{
	return column == kEncryptedAccessToken ? Column::access_token : Column::refresh_token;
}

// What updates rows of the table within one batch.
struct Target {
	Relation relation;
	EState *estate;
	ResultRelInfo *result;
	TupleTableSlot *locked_row;
	TupleTableSlot *new_row;
};

Target open_target(Relation relation)
{
	Target target;
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

void close_target(Target &target)
{
	ExecDropSingleTupleTableSlot(target.locked_row);
	ExecDropSingleTupleTableSlot(target.new_row);
	ExecCloseIndices(target.result);
	FreeExecutorState(target.estate);
}

// Replaces `old_row`, as a scan found it, by `new_row`. False where others hold
// or have changed it.
bool replace_row(Target &target, TupleTableSlot *old_row, Snapshot snapshot)
{
	TM_FailureData failure;
	const CommandId command = GetCurrentCommandId(true);
	const ItemPointer tid = &old_row->tts_tid;
	// A row that is there unchanged is the one that was scanned.
	if (table_tuple_lock(target.relation, tid, snapshot, target.locked_row, command,
						 LockTupleNoKeyExclusive, LockWaitSkip, 0, &failure) != TM_Ok)
		return false;
	const TupleConstr *constraints = RelationGetDescr(target.relation)->constr;
	if (constraints != nullptr && constraints->has_generated_stored)
		ExecComputeStoredGenerated(target.result, target.estate, target.new_row, CMD_INSERT);

	LockTupleMode lock_mode;
	compat::UpdateIndexes update_indexes;
	// It cannot wait: the row is locked by this transaction.
	const TM_Result result =
		table_tuple_update(target.relation, tid, target.new_row, command, snapshot, InvalidSnapshot,
						   true, &failure, &lock_mode, &update_indexes);
	if (result != TM_Ok)
		return false;
	if (compat::needs_index_entries(update_indexes))
		compat::insert_index_entries(target.result, target.new_row, target.estate, update_indexes);
	ResetPerTupleExprContext(target.estate);
	return true;
}

// Whether there was anything to do for the row.
bool rotate_row(const TokenTable &table, Target &target, TupleTableSlot *row, Snapshot snapshot,
				Progress &progress)
{
	const Identity identity = identity_of(table, row);
	text *sealed[lengthof(kSealed)] = {};
	int outdated = 0;
	for (std::size_t i = 0; i < lengthof(kSealed); i++) {
		bool is_null;
		const Datum token = slot_getattr(row, table.attno[kSealed[i]], &is_null);
		if (is_null)
			continue;
		const Finding finding =
			inspect(DatumGetTextPP(token), {&identity, column_of(kSealed[i])}, &sealed[i]);
		outdated += finding == Finding::outdated;
		progress.damaged += finding == Finding::damaged;
	}
	if (outdated == 0)
		return false;

	slot_getallattrs(row);
	const int columns = RelationGetDescr(target.relation)->natts;
	ExecClearTuple(target.new_row);
	memcpy(target.new_row->tts_values, row->tts_values, columns * sizeof(Datum));
	memcpy(target.new_row->tts_isnull, row->tts_isnull, columns * sizeof(bool));
	for (std::size_t i = 0; i < lengthof(kSealed); i++)
		if (sealed[i] != nullptr)
			target.new_row->tts_values[table.attno[kSealed[i]] - 1] = PointerGetDatum(sealed[i]);
	ExecStoreVirtualTuple(target.new_row);
	progress.to_do += outdated;
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
void rotate_batch(const TokenTable &table, Relation relation, int batch_size, Position &position,
				  Progress &progress)
{
	MemoryContext batch = AllocSetContextCreate(CurrentMemoryContext, "oauth_rotate_keys batch",
												ALLOCSET_DEFAULT_SIZES);
	MemoryContext row =
		AllocSetContextCreate(batch, "oauth_rotate_keys row", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(batch);
	PushActiveSnapshot(GetTransactionSnapshot());
	const Snapshot snapshot = GetActiveSnapshot();

	Target target = open_target(relation);
	ItemPointerData last;
	ItemPointerSet(&last, MaxBlockNumber, MaxOffsetNumber);
	const BlockNumber first_block = ItemPointerGetBlockNumber(&position.next);
	TableScanDesc scan = table_beginscan_tidrange(relation, snapshot, &position.next, &last);
	TupleTableSlot *slot = table_slot_create(relation, nullptr);
	int rotated_rows = 0;
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
	close_target(target);
	PopActiveSnapshot();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(batch);
}

// One transaction: a batch, and the row that tells of it.
void run_batch(int batch_size, Position &position, Progress &progress)
{
	Relation relation = open_token_table(RowExclusiveLock);
	const TokenTable &table = token_table();
	check_rights(table);
	const int64 before = progress.rotated;
	rotate_batch(table, relation, batch_size, position, progress);
	table_close(relation, NoLock);
	if (progress.rotated > before) {
		PushActiveSnapshot(GetTransactionSnapshot());
		record_progress(progress, false);
		PopActiveSnapshot();
	}
	SPI_commit();
	if (progress.rotated > before)
		ereport(INFO, (errmsg("oauth_rotate_keys: " INT64_FORMAT " values re-encrypted",
							  progress.rotated)));
}

// The whole table once.
void run_pass(int batch_size, Progress &progress)
{
	Position position;
	ItemPointerSet(&position.next, 0, FirstOffsetNumber);
	position.at_end = false;
	progress.damaged = progress.to_do = progress.left = 0;
	while (!position.at_end)
		run_batch(batch_size, position, progress);
}

// A transaction that began to write before the ring changed may yet commit a
// value under an older key. Later ones encrypt under the first.
void wait_for_writers()
{
	LOCKTAG tag;
	SET_LOCKTAG_RELATION(tag, MyDatabaseId, token_table().relid);
	compat::wait_for_lockers(tag, ShareLock);
	SPI_commit();
}

void pause_for_others(const Progress &progress)
{
	ereport(INFO, (errmsg("oauth_rotate_keys: waiting for " INT64_FORMAT
						  " values in rows that other transactions hold",
						  progress.left)));
	(void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kPauseMilliseconds,
					PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_rotate_keys)
{
	refuse_unless_it_may_commit(fcinfo);
	if (PG_ARGISNULL(0) || PG_GETARG_INT32(0) < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("batch_size must be at least 1")));
	const int batch_size = PG_GETARG_INT32(0);
	PreventCommandIfReadOnly("CALL oauth_rotate_keys()");
	check_rights(token_table());
	key_ring_size(); // raises where there is no usable key

	SPI_connect_ext(SPI_OPT_NONATOMIC);
	Progress progress = {};
	begin_progress(progress);
	SPI_commit();
	Fingerprint waited_for = {};
	for (;;) {
		run_pass(batch_size, progress);
		if (progress.left > 0) {
			pause_for_others(progress);
		} else if (first_key() != waited_for) {
			waited_for = first_key();
			wait_for_writers();
		} else if (progress.to_do == 0) {
			break;
		}
	}
	record_progress(progress, true);
	SPI_commit();
	if (progress.damaged > 0)
		ereport(WARNING, (errmsg_plural(INT64_FORMAT " value opens under no key of the ring",
										INT64_FORMAT " values open under no key of the ring",
										progress.damaged, progress.damaged),
						  errhint("SELECT * FROM oauth_tokens_damaged() lists them.")));
	SPI_finish();
	PG_RETURN_VOID();
}
