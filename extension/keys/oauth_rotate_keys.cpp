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

#include "keys/token_rotation.hpp"
#include "keys/used_keys.hpp"
#include "postgres/durable_commit.hpp"
#include "postgres/function.hpp"
#include "postgres/next_transaction.hpp"

extern "C" {
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"
}

namespace oauth_tokens
{

namespace
{

constexpr long kFirstPauseMilliseconds = 50;
constexpr long kLastPauseMilliseconds = 2000;

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

Oid internal_table(const char *name)
{
	return get_relname_relid(name, get_namespace_oid("oauth_tokens_internal", false));
}

// Of the session, until end_rotation() or an error. Rotations with one kind of sealing go beside
// each other; the others would undo each other's work. To be called after a commit: an
// error that a caller's EXCEPTION clause catches would leave the lock.
struct RotationLock {
	LOCKTAG tag;
	LOCKMODE mode;
};

RotationLock begin_rotation()
{
	RotationLock lock;
	SET_LOCKTAG_OBJECT(lock.tag, MyDatabaseId, RelationRelationId, internal_table("key_rotations"),
					   0);
	// Each of the two goes with itself only.
	lock.mode = key_ring_binds() ? RowExclusiveLock : ShareLock;
	if (LockAcquire(&lock.tag, lock.mode, true, true) == LOCKACQUIRE_NOT_AVAIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("another session rotates keys with another oauth_tokens.key_binding"),
				 errhint("Let it end, or end it. If its setting is not the right one, call "
						 "oauth_rotate_keys() again then.")));
	return lock;
}

void end_rotation(const RotationLock &lock)
{
	LockRelease(&lock.tag, lock.mode, true);
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
	wait_for_writers_to(internal_table("flow_links"));
	next_transaction();
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
Resealed run_flow_batch(SealedPosition &position, RotationProgress &progress)
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
	next_transaction();
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
void rotate_flows(RotationProgress &progress)
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

// Passes until nothing is left.
void rotate_everything(std::int64_t batch_size, RotationProgress &progress)
{
	Fingerprint waited_for = {};
	for (int undone = 0;;) {
		const Fingerprint key = first_key();
		rotate_tokens(batch_size, progress);
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
		if (!tokens_are_rotated()) {
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
	check_rotation_rights(token_table());
	key_ring_size(); // raises if there is no usable key

	SPI_connect_ext(SPI_OPT_NONATOMIC);
	RotationProgress progress = {};
	progress.memory = CurrentMemoryContext;
	next_transaction();
	const RotationLock lock = begin_rotation();
	begin_progress(progress);
	record_used_keys();
	next_transaction();
	rotate_everything(batch_size, progress);
	record_progress(progress, true);
	commit_durably();
	SPI_commit();
	end_rotation(lock);
	warn_of_what_stays(progress);
	SPI_finish();
	PG_RETURN_VOID();
}
