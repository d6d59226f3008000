// oauth_tokens_internal.record_change(): the trigger on oauth_tokens that records each
// changed identity for caches (docs/design/cache.md, "Invalidations").

#include "invalidation/change_trigger.hpp"

#include "fresh_token/changed_tokens.hpp"
#include "fresh_token/refresh_requests.hpp"
#include "invalidation/change_notification.hpp"
#include "invalidation/invalidation.hpp"
#include "invalidation/registration.hpp"
#include "postgres/function.hpp"
#include "schema/table_definition.hpp"

extern "C" {
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

// If nobody acknowledges invalidations for so long, the registration ends, so that they do not
// pile up. The cache then begins a new epoch, without entries.
constexpr std::int64_t kUnacknowledged = 10 * SECS_PER_MINUTE * USECS_PER_SEC;

// It also ends if the table has room for more than a million, even if they are acknowledged:
// every reader goes through that room, and an old snapshot may keep it from being freed. The
// size is not checked during the first minute of a registration.
constexpr std::int64_t kMinuteOfMany = SECS_PER_MINUTE * USECS_PER_SEC;
constexpr std::uint64_t kManyBytes = 128 * 1024 * 1024;

// Past that many, one invalidation for everything is cheaper for all.
constexpr std::int64_t kInvalidationsOfTransaction = 100'000;

// An invalidation's id is unique among those of all transactions whose invalidations can be there
// at one time: none makes two thousand million.
constexpr int kCounterBits = 31;

struct Transaction {
	bool asked;      // whether a cache is registered:
	bool registered; // the answer
	bool everything; // there is an invalidation for everything
	std::int64_t invalidations;
};

Transaction ours; // the one that is under way

void end_of_transaction(XactEvent event, void *)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		end_changed_tokens(event == XACT_EVENT_COMMIT);
	switch (event) {
	case XACT_EVENT_COMMIT: // what it wrote is visible by now
		if (ours.invalidations > 0)
			notify_change();
		[[fallthrough]];
	case XACT_EVENT_ABORT:
		ours = {};
		break;
	case XACT_EVENT_PREPARE: // nobody can end it before this has returned
		if (ours.invalidations > 0)
			notify_change_of_prepared();
		ours = {};
		break;
	default:
		break;
	}
}

// A rollback to a savepoint lets go of the lock that kept registrations out, and
// may take back the invalidation for everything. What was positive stays so: an invalidation that
// nobody needs does no harm.
void end_of_subtransaction(SubXactEvent event, SubTransactionId, SubTransactionId, void *)
{
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	ours.asked = ours.registered;
	ours.everything = false;
}

void end_if_undrained(const CacheTables &tables, const Registration &registration)
{
	const TimestampTz now = GetCurrentTimestamp();
	if (now - registration.row.acknowledged_at > kUnacknowledged ||
		(now - registration.row.registered_at > kMinuteOfMany &&
		 invalidations_size(tables) > kManyBytes))
		end_registrations(tables, Wait::no);
}

// A session that registers a cache waits until all transactions that may have been told "no"
// have ended, by the lock on the table that they hold. So the answer must be as of now, not of
// the snapshot.
bool is_cache_registered(const CacheTables &tables)
{
	if (!ours.asked) {
		const Registration registration = latest_registration(tables);
		ours.registered = registration.valid;
		ours.asked = true;
		if (registration.valid)
			end_if_undrained(tables, registration);
	}
	return ours.registered;
}

void invalidation(const CacheTables &tables, const InvalidatedIdentity *identity)
{
	if (ours.everything)
		return;
	if (identity == nullptr || ours.invalidations >= kInvalidationsOfTransaction ||
		!fits_invalidation(*identity)) {
		identity = nullptr;
		ours.everything = true;
	}
	const auto transaction = static_cast<std::int64_t>(GetTopTransactionId());
	write_invalidation(tables, transaction << kCounterBits | ours.invalidations++, identity);
}

struct RowIdentity {
	Datum values[kIdentityColumns];
};

// False if a column is missing, of another type, or null.
bool read_identity(const CacheTables &tables, TupleTableSlot *row, RowIdentity &identity)
{
	for (int i = 0; i < kIdentityColumns; i++) {
		bool is_null;
		if (tables.identity[i] == 0)
			return false;
		identity.values[i] = slot_getattr(row, tables.identity[i], &is_null);
		if (is_null)
			return false;
	}
	return true;
}

bool is_same_text(Datum one, Datum other)
{
	return DatumGetBool(DirectFunctionCall2Coll(texteq, DEFAULT_COLLATION_OID, one, other));
}

bool is_same(const RowIdentity &one, const RowIdentity &other)
{
	return memcmp(DatumGetUUIDP(one.values[0]), DatumGetUUIDP(other.values[0]),
				  sizeof(pg_uuid_t)) == 0 &&
		   is_same_text(one.values[1], other.values[1]) && one.values[2] == other.values[2] &&
		   is_same_text(one.values[3], other.values[3]);
}

void invalidate_identity(const CacheTables &tables, const RowIdentity &identity)
{
	const char *label = DatumGetCString(DirectFunctionCall1(enum_out, identity.values[2]));
	const InvalidatedIdentity invalidated = {identity.values[0], identity.values[1],
											 PointerGetDatum(cstring_to_text(label)),
											 identity.values[3]};
	invalidation(tables, &invalidated);
}

void invalidate_row(const CacheTables &tables, const TriggerData *trigger)
{
	RowIdentity before;
	RowIdentity after;
	if (!read_identity(tables, trigger->tg_trigslot, before)) {
		invalidation(tables, nullptr);
		return;
	}
	invalidate_identity(tables, before);
	if (!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		return;
	if (!read_identity(tables, trigger->tg_newslot, after))
		invalidation(tables, nullptr);
	else if (!is_same(before, after))
		invalidate_identity(tables, after);
}

// For callers that wait for a fresh token (docs/refresh-requests.md).
void note_change(const CacheTables &tables, const TriggerData *trigger)
{
	RowIdentity before;
	RowIdentity after;
	if (!is_refresh_awaited() || TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) ||
		!read_identity(tables, trigger->tg_trigslot, before)) {
		note_changed_tokens();
		return;
	}
	note_changed_token(identity_hash(before.values));
	if (!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		return;
	if (read_identity(tables, trigger->tg_newslot, after))
		note_changed_token(identity_hash(after.values));
	else
		note_changed_tokens();
}

const TriggerData *trigger_data(FunctionCallInfo fcinfo)
{
	const auto *trigger = CALLED_AS_TRIGGER(fcinfo)
							  ? reinterpret_cast<const TriggerData *>(fcinfo->context)
							  : nullptr;
	if (trigger == nullptr || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		(TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) &&
		 !TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event)))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("record_change() is called only by the triggers that "
							   "oauth_tokens_upgrade() makes")));
	return trigger;
}

void check_table(const CacheTables &tables, Relation table)
{
	if (RelationGetRelid(table) != tables.tokens)
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("table %s is not the one whose changes record_change() records",
							   RelationGetRelationName(table)),
						errhint("Drop the trigger from this table; oauth_tokens_upgrade() makes "
								"those that are needed.")));
}

} // namespace

void change_trigger_init()
{
	RegisterXactCallback(end_of_transaction, nullptr);
	RegisterSubXactCallback(end_of_subtransaction, nullptr);
}

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_INNER_FUNCTION(oauth_record_change)
{
	const TriggerData *trigger = trigger_data(fcinfo);
	const CacheTables &tables = cache_tables();
	check_table(tables, trigger->tg_relation);
	if (can_request_refresh())
		note_change(tables, trigger);
	if (is_cache_registered(tables)) {
		if (TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event))
			invalidation(tables, nullptr);
		else
			invalidate_row(tables, trigger);
	}
	PG_RETURN_POINTER(nullptr);
}
