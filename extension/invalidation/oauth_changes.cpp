// oauth_changes_pending, oauth_changes_ack, oauth_changes_wait: how a cache hears
// of changes (docs/design/cache.md, "Batch").

#include <algorithm>

#include "invalidation/change_notification.hpp"
#include "invalidation/invalidation.hpp"
#include "invalidation/registration.hpp"
#include "postgres/function.hpp"
#include "postgres/heap_pages.hpp"
#include "postgres/interval.hpp"

extern "C" {
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "funcapi.h"
#include "storage/latch.h"
#include "utils/array.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/wait_event.h"
}

namespace oauth_tokens
{

namespace
{

constexpr int kInvalidationColumns = 5;
constexpr std::int64_t kLongestWait = 1000; // ms: a sleeping statement holds back VACUUM
constexpr long kLookEvery = 5;              // ms

struct Ids {
	std::int64_t *values; // sorted
	int count;
};

Ids ids_argument(FunctionCallInfo fcinfo, int argument)
{
	ArrayType *array = PG_GETARG_ARRAYTYPE_P_COPY(argument);
	if (array_contains_nulls(array))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("an id is null")));
	const int count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	auto *values = reinterpret_cast<std::int64_t *>(ARR_DATA_PTR(array));
	std::sort(values, values + count);
	return {values, count};
}

// Tells one set of invalidations from another, in whatever order they are read.
struct Fingerprint {
	std::uint64_t count;
	std::uint64_t sum;

	bool operator==(const Fingerprint &) const = default;
};

Fingerprint fingerprint_of_invalidations()
{
	Fingerprint invalidations = {};
	if (RecoveryInProgress())
		return invalidations;
	const Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	Relation relation = table_open(cache_tables().invalidations, AccessShareLock);
	visit_tuples(relation, snapshot, Tidy::no, [&](HeapTuple tuple) {
		invalidations.count++;
		invalidations.sum += *reinterpret_cast<const std::uint64_t *>(GETSTRUCT(tuple));
		return true;
	});
	table_close(relation, AccessShareLock);
	UnregisterSnapshot(snapshot);
	return invalidations;
}

bool look_for_invalidations(std::int64_t milliseconds)
{
	static Fingerprint seen = {};
	const TimestampTz end = GetCurrentTimestamp() + milliseconds * 1000;
	for (;;) {
		const Fingerprint invalidations = fingerprint_of_invalidations();
		const bool is_new = invalidations.count > 0 && invalidations != seen;
		seen = invalidations;
		const long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);
		if (is_new || left <= 0)
			return is_new;
		WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
				  std::min(left, kLookEvery), PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_changes_pending)
{
	refuse_null_argument(fcinfo, 0, "max_rows");
	std::int64_t left = PG_GETARG_INT64(0);
	if (left < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("max_rows must not be negative")));
	InitMaterializedSRF(fcinfo, 0);
	if (RecoveryInProgress() || left == 0)
		return (Datum)0;
	ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
	Relation relation = table_open(cache_tables().invalidations, AccessShareLock);
	visit_tuples(relation, GetActiveSnapshot(), Tidy::no, [&](HeapTuple tuple) {
		Datum values[kInvalidationColumns];
		bool nulls[kInvalidationColumns];
		heap_deform_tuple(tuple, RelationGetDescr(relation), values, nulls);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		return --left > 0;
	});
	table_close(relation, AccessShareLock);
	return (Datum)0;
}

OAUTH_FUNCTION(oauth_changes_ack)
{
	refuse_null_argument(fcinfo, 0, "registration_id");
	refuse_null_argument(fcinfo, 1, "ids");
	PreventCommandIfReadOnly("oauth_changes_ack()");
	const Ids ids = ids_argument(fcinfo, 1);
	const CacheTables &tables = cache_tables();
	const Registration registration = latest_registration(tables);
	if (!is_registration_id(registration, *PG_GETARG_UUID_P(0)))
		PG_RETURN_NULL();
	if (!tables.rows_are_here) { // what is void for one who asked stays so
		end_registrations(tables, Wait::no);
		PG_RETURN_NULL();
	}
	renew_registration(tables, registration);
	const std::int64_t deleted =
		ids.count == 0 ? 0 : delete_invalidations(tables, ids.values, ids.count);
	if (!IsTransactionBlock()) // which would keep writers waiting
		shrink_invalidations(tables);
	PG_RETURN_INT64(deleted);
}

OAUTH_FUNCTION(oauth_changes_wait)
{
	refuse_null_argument(fcinfo, 0, "timeout");
	const std::uint64_t asked = microseconds_of(PG_GETARG_INTERVAL_P(0), "timeout") / 1000;
	const auto milliseconds =
		static_cast<std::int64_t>(std::min<std::uint64_t>(asked, kLongestWait));
	PG_RETURN_BOOL(can_notify_change() ? wait_for_change(milliseconds)
									   : look_for_invalidations(milliseconds));
}
