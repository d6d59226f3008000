// oauth_tokens_internal.connection(): one row of oauth_connections by its identity.
// The view shows actor_type as text, which no index serves; here it is the
// column's own enum. The two share connection_state() and connection_details(). Most tokens
// have nothing to tell of refreshes: that, and the provider's rule, are looked up below SQL.

#include "postgres/function.hpp"
#include "postgres/owner_query.hpp"
#include "refresh/rules.hpp"
#include "refresh/state.hpp"
#include "schema/owner_boundary.hpp"
#include "tokens/table_query.hpp"
#include "tokens/token_details.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"
}

namespace oauth_tokens
{

namespace
{

constexpr TimestampTz kExpiring = 120 * USECS_PER_SEC; // before the expiry, or refresh_ahead

// What decides on the state. A time that is null is none.
struct StateOf {
	NullableDatum kind;
	NullableDatum lease_until;
	NullableDatum next_attempt_at;
	NullableDatum expires_at;
	const Interval *ahead;
};

bool is_after(const NullableDatum &time, TimestampTz now)
{
	return !time.isnull && DatumGetTimestampTz(time.value) > now;
}

bool is_expiring(const StateOf &of, TimestampTz now)
{
	TimestampTz until = now + kExpiring;
	if (of.ahead != nullptr)
		until = Max(until, DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
																   TimestampTzGetDatum(now),
																   IntervalPGetDatum(of.ahead))));
	return !of.expires_at.isnull && DatumGetTimestampTz(of.expires_at.value) <= until;
}

const char *state_name(const StateOf &of)
{
	const TimestampTz now = GetCurrentStatementStartTimestamp();
	if (!of.kind.isnull && needs_reauthorization(TextDatumGetCString(of.kind.value)))
		return "needs_reauthorization";
	if (is_after(of.lease_until, now))
		return "refreshing";
	if (is_after(of.next_attempt_at, now))
		return "backing_off";
	if (!of.expires_at.isnull && !is_after(of.expires_at, now))
		return "expired";
	return is_expiring(of, now) ? "expiring" : "active";
}

// A timestamp column holds UTC, and in UTC both types are the same number.
char *select_statement(const TokenTable &table)
{
	return psprintf("SELECT t.scopes, t.encrypted_refresh_token IS NOT NULL,"
					" t.access_token_expires_at,"
					" oauth_tokens_internal.connection_details(d.token_id, d.account_id,"
					" d.account_label, d.issuer, d.client_id, d.lifetime, d.connected_at, d.extra),"
					" t.created_at,"
					" t.updated_at, d.refresh_expires_at, t.id"
					" FROM %s t LEFT JOIN %s d %s"
					" WHERE t.workspace_id OPERATOR(pg_catalog.=) $1"
					" AND t.provider OPERATOR(pg_catalog.=) $2"
					" AND t.actor_type OPERATOR(pg_catalog.=) $3"
					" AND t.actor_id OPERATOR(pg_catalog.=) $4",
					table.name, table.details_name, kDetailsOfToken);
}

bool find_row(const TokenTable &table, const Identity &identity)
{
	static PlanCache kept;
	return run_on_tables(
			   kept, table, [&] { return select_statement(table); },
			   identity_parameters(table, identity), SPI_OK_SELECT) > 0;
}

NullableDatum column(const SPITupleTable *table, int number)
{
	NullableDatum found;
	found.value = SPI_getbinval(table->vals[0], table->tupdesc, number, &found.isnull);
	return found;
}

// What is told of the token's refreshes, as it is now: by the snapshot of the statement that
// found the row. Null if nothing is.
const SPITupleTable *find_refresh(const NullableDatum &id, const NullableDatum &updated_at)
{
	static MemberQuery statement = {
		"SELECT kind, lease_until, reason, since, next_attempt_at"
		" FROM oauth_tokens_internal.refresh_states WHERE token_id OPERATOR(pg_catalog.=) $1"
		" AND token_updated_at OPERATOR(pg_catalog.=) $2"};
	if (id.isnull || updated_at.isnull || !has_state(*DatumGetUUIDP(id.value), GetActiveSnapshot()))
		return nullptr;
	const std::uint64_t rows =
		run_as_owner(statement, {{UUIDOID, id.value}, {TIMESTAMPTZOID, updated_at.value}}, true);
	return rows > 0 ? SPI_tuptable : nullptr;
}

void put_row(const ReturnSetInfo *result, const Identity &identity)
{
	constexpr NullableDatum kNone = {0, true};
	const SPITupleTable *row = SPI_tuptable;
	const NullableDatum expires_at = column(row, 3);
	const SPITupleTable *refresh = find_refresh(column(row, 8), column(row, 6));
	const auto told = [&](int number) {
		return refresh == nullptr ? kNone : column(refresh, number);
	};
	const char *state =
		state_name({told(1), told(2), told(5), expires_at, refresh_ahead(identity.provider())});
	const NullableDatum columns[] = {{CStringGetTextDatum(state), false},
									 column(row, 1),
									 column(row, 2),
									 expires_at,
									 column(row, 4),
									 column(row, 5),
									 column(row, 6),
									 told(3),
									 told(4),
									 told(5),
									 column(row, 7)};
	Datum values[lengthof(columns)];
	bool nulls[lengthof(columns)];
	for (std::size_t i = 0; i < lengthof(columns); i++) {
		values[i] = columns[i].value;
		nulls[i] = columns[i].isnull;
	}
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_connection)
{
	const TokenTable &table = use_tables(Use::read);
	const Identity identity = identity_from_arguments(fcinfo, 0, table);
	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	if (find_row(table, identity))
		put_row(reinterpret_cast<const ReturnSetInfo *>(fcinfo->resultinfo), identity);
	SPI_finish();
	return (Datum)0;
}

OAUTH_FUNCTION(oauth_connection_state)
{
	const NullableDatum *arguments = fcinfo->args;
	const Interval *ahead = PG_ARGISNULL(4) ? nullptr : PG_GETARG_INTERVAL_P(4);
	PG_RETURN_DATUM(CStringGetTextDatum(
		state_name({arguments[0], arguments[1], arguments[2], arguments[3], ahead})));
}
