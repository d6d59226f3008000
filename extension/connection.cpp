// oauth_tokens_internal.connection(): one row of oauth_connections by its identity.
// The view shows actor_type as text, which no index serves; here it is the
// column's own enum.

#include "function.hpp"
#include "indexed_plan.hpp"
#include "owner_boundary.hpp"
#include "token_table.hpp"

namespace oauth_tokens
{

namespace
{

// What the view shows, from the function that it stands on, narrowed to one
// identity: in its body the table is `t`, and $1 the guard.
char *connection_statement()
{
	const Oid function = internal_function("connections", BOOLOID);
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	bool is_null;
	const Datum body = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &is_null);
	char *sql = psprintf("SELECT state, scopes, has_refresh_token, expires_at, details, created_at,"
						 " updated_at, reason, since, next_attempt_at, refresh_expires_at FROM (%s "
						 "AND t.workspace_id "
						 "OPERATOR(pg_catalog.=) $2"
						 " AND t.provider OPERATOR(pg_catalog.=) $3"
						 " AND t.actor_type OPERATOR(pg_catalog.=) $4"
						 " AND t.actor_id OPERATOR(pg_catalog.=) $5) c (workspace_id, provider,"
						 " actor_type, actor_id, scopes, has_refresh_token, expires_at, state,"
						 " details, created_at, updated_at, reason, since, next_attempt_at,"
						 " refresh_expires_at)",
						 TextDatumGetCString(body));
	ReleaseSysCache(tuple);
	return sql;
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_connection)
{
	static KeptPlan kept;
	const TokenTable &table = use_tables(Use::read);
	const Identity identity = identity_from_arguments(fcinfo, 0, table);
	Oid types[] = {BOOLOID, UUIDOID, TEXTOID, table.enum_type, TEXTOID};
	Datum arguments[lengthof(types)] = {BoolGetDatum(true)};
	memcpy(arguments + 1, identity.values, sizeof identity.values);
	InitMaterializedSRF(fcinfo, 0);
	const auto *result = reinterpret_cast<const ReturnSetInfo *>(fcinfo->resultinfo);
	SPI_connect();
	SPIPlanPtr plan = kept_plan(kept, table, connection_statement, lengthof(types), types);
	if (execute_indexed_plan(plan, arguments, nullptr, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read oauth_connections: %s", SPI_result_code_string(SPI_result));
	if (SPI_processed > 0)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[0]);
	SPI_finish();
	return (Datum)0;
}
