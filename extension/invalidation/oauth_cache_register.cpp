// oauth_cache_register, oauth_cache_unregister, and what tells of the cache that
// is registered.

#include "errors.hpp"
#include "invalidation/invalidation.hpp"
#include "invalidation/registration.hpp"
#include "postgres/function.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "access/htup_details.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "funcapi.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

constexpr int kMaxCacheIdBytes = 1024;
constexpr int kLockMilliseconds = 100;

// A cache that has drained its invalidations as lately is one that works.
constexpr std::int64_t kSeenLately = 30 * USECS_PER_SEC;

text *cache_id_argument(FunctionCallInfo fcinfo)
{
	refuse_null_argument(fcinfo, 0, "cache_id");
	text *id = PG_GETARG_TEXT_PP(0);
	const int size = VARSIZE_ANY_EXHDR(id);
	if (size == 0 || size > kMaxCacheIdBytes)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("cache_id must have 1 to %d bytes", kMaxCacheIdBytes)));
	return id;
}

bool is_of(const Registration &registration, const text *id)
{
	return VARSIZE_ANY_EXHDR(registration.cache_id) == VARSIZE_ANY_EXHDR(id) &&
		   memcmp(VARDATA_ANY(registration.cache_id), VARDATA_ANY(id), VARSIZE_ANY_EXHDR(id)) == 0;
}

void refuse_second_cache(const Registration &registration, const text *id)
{
	if (!registration.valid || is_of(registration, id) ||
		GetCurrentTimestamp() - registration.row.acknowledged_at > kSeenLately)
		return;
	ereport(ERROR, (errcode(ERRCODE_OTHER_CACHE), errmsg("another cache is registered"),
					errdetail("It is %s, and was seen within %d seconds.",
							  text_to_cstring(registration.cache_id),
							  static_cast<int>(kSeenLately / USECS_PER_SEC)),
					errhint("One database has one cache: stop what uses the other one and wait, or "
							"call oauth_cache_unregister().")));
}

void refuse_unmarked_changes(const CacheTables &tables)
{
	if (!tables.rows_are_here)
		ereport(ERROR,
				(errcode(ERRCODE_TABLE_DIFFERS), errmsg("changes of oauth_tokens are not recorded"),
				 errdetail("It has child tables, whose changes would not be."),
				 errhint("Move their rows into oauth_tokens, and drop them.")));
	if (tables.version == 0)
		ereport(ERROR,
				(errcode(ERRCODE_TABLE_DIFFERS), errmsg("changes of oauth_tokens are not recorded"),
				 errdetail("A trigger is missing, or is not ENABLE ALWAYS."),
				 errhint("SELECT oauth_tokens_upgrade() repairs it.")));
}

bool is_present(const Registration &registration, const text *id)
{
	return registration.valid && cache_tables().rows_are_here && is_of(registration, id);
}

// Not for long: all who want to write stand in the queue behind us.
int begin_short_wait()
{
	const int nest_level = NewGUCNestLevel();
	if (LockTimeout == 0 || LockTimeout > kLockMilliseconds)
		set_config_option("lock_timeout", psprintf("%d", kLockMilliseconds), PGC_USERSET,
						  PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return nest_level;
}

// After that, every writer under way sees what we are about to write.
void lock_out_writers()
{
	const Oid table = token_table().relid;
	refuse_unmarked_changes(cache_tables()); // it need not come to a lock
	if (!ConditionalLockRelationOid(table, ShareLock))
		lock_token_table(ShareLock);
	else if (token_table().relid != table)
		lock_token_table(ShareLock);
}

// All who register stand before writers, each for a while: so one at a time.
void lock_out_registrars()
{
	if (!ConditionalLockRelationOid(cache_tables().registrations, ShareUpdateExclusiveLock))
		ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
						errmsg("another session is registering a cache"), errhint("Try again.")));
}

pg_uuid_t register_cache(text *id)
{
	Registration registration = latest_registration(cache_tables());
	if (!is_present(registration, id)) {
		lock_out_registrars();
		registration = latest_registration(cache_tables()); // one may just have been at it
	}
	if (is_present(registration, id)) {
		renew_registration(cache_tables(), registration);
		return registration.row.registration_id;
	}
	refuse_second_cache(registration, id);
	lock_out_writers();
	const CacheTables &tables = cache_tables();
	refuse_unmarked_changes(tables);
	refuse_second_cache(latest_registration(tables), id); // it may just have come back
	end_registrations(tables, Wait::yes);
	empty_invalidations(tables);
	return add_registration(tables, id);
}

TimeLineID timeline()
{
	if (!RecoveryInProgress())
		return GetWALInsertionTimeLine();
	TimeLineID replayed;
	GetXLogReplayRecPtr(&replayed);
	return replayed;
}

// As the statement's snapshot sees it. A standby has no rows of unlogged tables.
Registration visible_registration()
{
	const CacheTables &tables = cache_tables();
	if (RecoveryInProgress() || !OidIsValid(tables.tokens) || !tables.rows_are_here)
		return {};
	return find_registration(tables, GetActiveSnapshot());
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_cache_register)
{
	text *id = cache_id_argument(fcinfo);
	PreventCommandIfReadOnly("oauth_cache_register()");
	const int nest_level = begin_short_wait();
	auto *registration_id = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t)));
	*registration_id = register_cache(id);
	AtEOXact_GUC(true, nest_level);
	PG_RETURN_UUID_P(registration_id);
}

OAUTH_FUNCTION(oauth_cache_unregister)
{
	text *id = cache_id_argument(fcinfo);
	PreventCommandIfReadOnly("oauth_cache_unregister()");
	const CacheTables &tables = cache_tables();
	const Registration registration = latest_registration(tables);
	if (!registration.valid || !is_of(registration, id))
		PG_RETURN_BOOL(false);
	end_registrations(tables, Wait::yes);
	delete_all_invalidations(tables);
	PG_RETURN_BOOL(true);
}

OAUTH_FUNCTION(oauth_cache_registration_id)
{
	const Registration registration = visible_registration();
	if (!registration.valid)
		PG_RETURN_NULL();
	auto *registration_id = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t)));
	*registration_id = registration.row.registration_id;
	PG_RETURN_UUID_P(registration_id);
}

OAUTH_FUNCTION(oauth_cache_registration)
{
	TupleDesc descriptor;
	if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "cache_registration() must return a row");
	const Registration registration = visible_registration();
	Datum values[] = {PointerGetDatum(registration.cache_id),
					  UUIDPGetDatum(&registration.row.registration_id),
					  CStringGetTextDatum(psprintf(UINT64_FORMAT, GetSystemIdentifier())),
					  Int32GetDatum(static_cast<int32>(timeline())),
					  ObjectIdGetDatum(MyDatabaseId),
					  TimestampTzGetDatum(PgStartTime),
					  TimestampTzGetDatum(registration.row.acknowledged_at)};
	const bool nobody = !registration.valid;
	bool nulls[lengthof(values)] = {nobody, nobody, false, false, false, false, nobody};
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}
