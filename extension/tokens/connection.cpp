// oauth_tokens_internal.connection(): one row of oauth_connections by its identity.
// The view shows actor_type as text, which no index serves; here it is the
// column's own enum. Most tokens have no state: that and the provider's rule are looked up
// below SQL, and only of a token that has one the view's whole statement is executed.

#include "postgres/function.hpp"
#include "refresh/rules.hpp"
#include "refresh/state.hpp"
#include "schema/owner_boundary.hpp"
#include "tokens/indexed_plan.hpp"
#include "tokens/token_table.hpp"

namespace oauth_tokens
{

namespace
{

constexpr const char *kId = "/* and the id */";
constexpr const char *kJoins = "/* What connection() looks up by itself. */";
constexpr const char *kGuard = "WHERE $1";
constexpr int kColumns = 11;

// The body of the function that the view stands on: in it the table is `t`, and $1 the guard.
char *view_body()
{
	const Oid function = internal_function("connections", BOOLOID);
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	bool is_null;
	const Datum body = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &is_null);
	char *sql = TextDatumGetCString(body);
	ReleaseSysCache(tuple);
	return sql;
}

// The text without what stands between two places of it, the second of which stays.
char *replaced(const char *text, const char *from, const char *to, const char *replacement)
{
	const char *begin = strstr(text, from);
	const char *end = begin == nullptr ? nullptr : strstr(begin + strlen(from), to);
	if (end == nullptr)
		elog(ERROR, "the statement of oauth_connections is not as expected");
	return psprintf("%.*s%s%s", static_cast<int>(begin - text), text, replacement, end);
}

// What the view shows, narrowed to one identity.
char *narrowed(const char *body, const char *more)
{
	return psprintf("SELECT state, scopes, has_refresh_token, expires_at, details, created_at,"
					" updated_at, reason, since, next_attempt_at, refresh_expires_at%s FROM (%s"
					" AND t.workspace_id OPERATOR(pg_catalog.=) $2"
					" AND t.provider OPERATOR(pg_catalog.=) $3"
					" AND t.actor_type OPERATOR(pg_catalog.=) $4"
					" AND t.actor_id OPERATOR(pg_catalog.=) $5) c (workspace_id, provider,"
					" actor_type, actor_id, scopes, has_refresh_token, expires_at, state,"
					" details, created_at, updated_at, reason, since, next_attempt_at,"
					" refresh_expires_at%s)",
					more, body, more);
}

char *whole_statement()
{
	return narrowed(view_body(), "");
}

// Of a token without a state, where the provider's rule has the interval $6.
char *statement_without_state()
{
	const char *body = replaced(view_body(), kId, "\n", ", t.id");
	body = replaced(body, kJoins, kGuard,
					"CROSS JOIN (SELECT NULL::pg_catalog.timestamptz AS lease_until,"
					" NULL::pg_catalog.text AS kind, NULL::pg_catalog.text AS reason,"
					" NULL::pg_catalog.timestamptz AS since,"
					" NULL::pg_catalog.timestamptz AS next_attempt_at) s"
					" CROSS JOIN (SELECT $6 AS ahead) r ");
	// The guard has been asked; here it would be a node of the plan.
	return narrowed(replaced(body, kGuard, "\n", "WHERE true"), ", id");
}

bool execute(SPIPlanPtr plan, Datum *values, const char *nulls)
{
	if (execute_indexed_plan(plan, values, nulls, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read oauth_connections: %s", SPI_result_code_string(SPI_result));
	return SPI_processed > 0;
}

bool read_whole(const TokenTable &table, const Identity &identity)
{
	static PlanCache kept;
	Oid types[] = {BOOLOID, UUIDOID, TEXTOID, table.enum_type, TEXTOID};
	Datum values[lengthof(types)] = {BoolGetDatum(true)};
	memcpy(values + 1, identity.values, sizeof identity.values);
	return execute(cached_plan(kept, table, whole_statement, lengthof(types), types), values,
				   nullptr);
}

bool read_without_state(const TokenTable &table, const Identity &identity)
{
	static PlanCache kept;
	Oid types[] = {BOOLOID, UUIDOID, TEXTOID, table.enum_type, TEXTOID, INTERVALOID};
	Datum values[lengthof(types)] = {BoolGetDatum(true)};
	memcpy(values + 1, identity.values, sizeof identity.values);
	const Interval *ahead = refresh_ahead(identity.provider());
	values[5] = IntervalPGetDatum(ahead);
	const char nulls[] = {' ', ' ', ' ', ' ', ' ', ahead == nullptr ? 'n' : ' '};
	return execute(cached_plan(kept, table, statement_without_state, lengthof(types), types),
				   values, nulls);
}

// By the snapshot of the statement that found the row.
bool found_has_state()
{
	bool is_null;
	const Datum id =
		SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, kColumns + 1, &is_null);
	return !is_null && has_state(*DatumGetUUIDP(id), GetActiveSnapshot());
}

void put(const ReturnSetInfo *result)
{
	Datum values[kColumns + 1];
	bool nulls[kColumns + 1];
	heap_deform_tuple(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, values, nulls);
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
	const auto *result = reinterpret_cast<const ReturnSetInfo *>(fcinfo->resultinfo);
	SPI_connect();
	if (read_without_state(table, identity) && (!found_has_state() || read_whole(table, identity)))
		put(result);
	SPI_finish();
	return (Datum)0;
}
