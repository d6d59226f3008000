#include "schema/repair.hpp"

#include <algorithm>

#include "postgres/safe_settings.hpp"
#include "postgres/subtransaction.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
}

namespace oauth_tokens
{

namespace
{

// Longer than most transactions that read a token; what comes meanwhile waits.
constexpr int kMomentMilliseconds = 50;
constexpr int kDeadlockMilliseconds = 10;
constexpr int kDeadlocks = 3;
constexpr long kPauseMilliseconds = 500;

void tell(const Repair &repair, const Difference *difference)
{
	ereport(NOTICE,
			(errmsg("%s, repair %s table: %s", repair.doing, repair.relation, difference->what)));
}

void set(const char *setting, const char *value)
{
	// Some are for superusers.
	set_config_option(setting, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

// A transaction that waits for us has looked for a deadlock once, maybe while we paused. So we look
// each time, which also ends an autovacuum that is in the way. The log need not hear of each try.
void lock_within(int milliseconds, LOCKMODE mode, const List *tables)
{
	const int nest_level = NewGUCNestLevel();
	const TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), milliseconds);
	set("deadlock_timeout", psprintf("%d", kDeadlockMilliseconds));
	set("log_lock_waits", "off");
	const ListCell *cell;
	foreach (cell, tables) {
		// It counts for each lock by itself; what waits behind the first waits for the others, too.
		const long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);
		set("lock_timeout", psprintf("%ld", std::max(left, 1L)));
		LockRelationOid(lfirst_oid(cell), mode);
	}
	AtEOXact_GUC(true, nest_level);
}

// Whom we wait for, as a text; null: for nobody any more.
char *users_of(const List *tables, LOCKMODE mode)
{
	StringInfoData sql;
	initStringInfo(&sql);
	appendStringInfoString(&sql,
						   "SELECT pg_catalog.string_agg(DISTINCT COALESCE('process ' || l.pid,"
						   " 'a prepared transaction'), ', ') FROM pg_catalog.pg_locks l"
						   " WHERE l.granted AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()"
						   " AND l.locktype = 'relation'");
	if (mode != AccessExclusiveLock)
		appendStringInfoString(&sql, " AND l.mode NOT IN ('AccessShareLock', 'RowShareLock')");
	appendStringInfo(&sql, " AND l.database = %u AND l.relation IN (0", MyDatabaseId);
	const ListCell *cell;
	foreach (cell, tables)
		appendStringInfo(&sql, ", %u", lfirst_oid(cell));
	appendStringInfoChar(&sql, ')');
	execute_safely(sql.data);
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

[[noreturn]] void raise_deadlock(const List *tables, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_T_R_DEADLOCK_DETECTED),
					errmsg("a transaction that uses %s waits for this one",
						   get_rel_name(linitial_oid(tables))),
					errdetail("Both would wait for each other. Nothing was changed."),
					errhint("%s", hint)));
	pg_unreachable();
}

void tell_users(const List *tables, LOCKMODE mode)
{
	const char *users = users_of(tables, mode);
	if (users == nullptr)
		return;
	ereport(NOTICE,
			(errmsg("waiting for transactions that use %s", get_rel_name(linitial_oid(tables))),
			 errdetail("They are of %s. %s", users,
					   mode == AccessExclusiveLock ? "Readers go on meanwhile, writers wait."
												   : "Readers and writers go on meanwhile.")));
}

// Out of the way of others, so that they get on.
void pause_for_others()
{
	(void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kPauseMilliseconds,
					PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

// Within a try we wait for one table while we have another, as others may in the other order. That
// ends with the try; a deadlock over what we have kept is found each time.
void lock_patiently(LOCKMODE mode, const List *tables, const char *hint)
{
	const int allowed = LockTimeout; // 0: any time
	const int moment = allowed == 0 ? kMomentMilliseconds : std::min(allowed, kMomentMilliseconds);
	const TimestampTz began = GetCurrentTimestamp();
	int deadlocks = 0; // one after the other
	for (bool first = true;; first = false) {
		ErrorData *error = error_of(Keep::yes, [&] { lock_within(moment, mode, tables); });
		if (error == nullptr)
			return;
		const bool is_deadlock = error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
		deadlocks = is_deadlock ? deadlocks + 1 : 0;
		const bool is_over =
			allowed != 0 && TimestampDifferenceExceeds(began, GetCurrentTimestamp(), allowed);
		if (deadlocks == kDeadlocks || (is_deadlock && is_over))
			raise_deadlock(tables, hint);
		if ((!is_deadlock && error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE) || is_over)
			ReThrowError(error);
		FreeErrorData(error);
		if (first)
			tell_users(tables, mode);
		pause_for_others();
	}
}

} // namespace

void repair_beside_readers(const Repair &repair, const List *differences)
{
	const ListCell *cell;
	foreach (cell, differences) {
		const auto *found = static_cast<const Difference *>(lfirst(cell));
		if (found->beside_readers == nullptr)
			continue;
		tell(repair, found);
		execute_safely(found->beside_readers);
	}
}

void repair_rest(const Repair &repair, const List *differences)
{
	const ListCell *cell;
	foreach (cell, differences) {
		const auto *found = static_cast<const Difference *>(lfirst(cell));
		if (found->fix == nullptr)
			continue;
		if (found->beside_readers == nullptr)
			tell(repair, found);
		execute_safely(found->fix);
	}
}

bool has_rest(const List *differences)
{
	const ListCell *cell;
	foreach (cell, differences)
		if (static_cast<const Difference *>(lfirst(cell))->fix != nullptr)
			return true;
	return false;
}

void lock_out_writers(const List *tables, const char *hint)
{
	lock_patiently(ShareRowExclusiveLock, tables, hint);
}

void lock_out_readers(const List *tables, const char *hint)
{
	lock_patiently(AccessExclusiveLock, tables, hint);
}

void require_name(Oid relid, const char *relation, const char *name)
{
	if (get_relname_relid(relation, extension_schema()) != relid ||
		strcmp(extension_object_name(relation), name) != 0)
		raise_replaced(relation);
}

void raise_replaced(const char *relation)
{
	ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
					errmsg("table %s was dropped, replaced or renamed just now", relation),
					errhint("Try again.")));
	pg_unreachable();
}

} // namespace oauth_tokens
