#include "refresh_ahead/due_page.hpp"

#include <algorithm>

#include "postgres/owner_query.hpp"
#include "refresh/client.hpp"
#include "schema/owner_boundary.hpp"
#include "tokens/token_codec.hpp"
#include "tokens/token_details.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

enum Column_ {
	kIdAt = 1,
	kWorkspaceIdAt,
	kProviderAt,
	kActorTypeAt,
	kActorIdAt,
	kAtAt,
	kExpiresAtAt,
	kUpdatedAtAt,
	kClientIdAt,
	kLifetimeAt,
	kExistsAt,
	kActorTypeEnumAt
};

constexpr float8 kLongestLife = 1e11; // seconds

char *access_statement(const TokenTable &table)
{
	return psprintf(
		"SELECT t.id, t.workspace_id, t.provider,"
		" pg_catalog.enum_out(t.actor_type)::pg_catalog.text, t.actor_id,"
		" t.access_token_expires_at, t.access_token_expires_at, t.updated_at, d.client_id,"
		" pg_catalog.date_part('epoch', d.lifetime), true, t.actor_type"
		" FROM (SELECT id, workspace_id, provider, actor_type, actor_id,"
		" access_token_expires_at, updated_at FROM %s"
		" WHERE pg_catalog.split_part(provider, '.', 1) OPERATOR(pg_catalog.=) $1"
		" AND ROW(access_token_expires_at, id) OPERATOR(pg_catalog.>) ROW($2, $3)"
		" AND ROW(access_token_expires_at, id) OPERATOR(pg_catalog.<=) ROW($4, $5)"
		" AND encrypted_refresh_token IS NOT NULL AND access_token_expires_at IS NOT NULL"
		" ORDER BY access_token_expires_at, id LIMIT $6) t LEFT JOIN %s d %s"
		" ORDER BY t.access_token_expires_at, t.id",
		table.name, table.details_name, kDetailsOfToken);
}

char *grant_statement(const TokenTable &table)
{
	return psprintf("SELECT d.token_id, d.workspace_id, d.provider,"
					" pg_catalog.enum_out(d.actor_type)::pg_catalog.text, d.actor_id,"
					" d.refresh_expires_at, t.access_token_expires_at, t.updated_at, d.client_id,"
					" pg_catalog.date_part('epoch', d.lifetime), t.id IS NOT NULL, d.actor_type"
					" FROM (SELECT token_id, workspace_id, provider, actor_type, actor_id,"
					" refresh_expires_at, client_id, lifetime FROM %s"
					" WHERE pg_catalog.split_part(provider, '.', 1) OPERATOR(pg_catalog.=) $1"
					" AND ROW(refresh_expires_at, token_id) OPERATOR(pg_catalog.>) ROW($2, $3)"
					" AND ROW(refresh_expires_at, token_id) OPERATOR(pg_catalog.<=) ROW($4, $5)"
					" AND refresh_expires_at IS NOT NULL"
					" ORDER BY refresh_expires_at, token_id LIMIT $6) d LEFT JOIN %s t %s"
					" AND t.encrypted_refresh_token IS NOT NULL"
					" ORDER BY d.refresh_expires_at, d.token_id",
					table.details_name, table.name, kDetailsOfToken);
}

SPIPlanPtr page_plan(const TokenTable &table, DueBy by)
{
	static PlanCache of_access;
	static PlanCache of_grants;
	const bool is_grant = by == DueBy::grant_end;
	const Oid time = is_grant ? TIMESTAMPTZOID : table.type[kAccessTokenExpiresAt];
	Oid types[] = {TEXTOID, time, UUIDOID, time, UUIDOID, INT8OID};
	return cached_plan(
		is_grant ? of_grants : of_access, table,
		[&] { return is_grant ? grant_statement(table) : access_statement(table); },
		lengthof(types), types);
}

DueRow read_row(HeapTuple tuple, TupleDesc descriptor)
{
	bool is_null;
	const auto column = [&](int number) {
		return SPI_getbinval(tuple, descriptor, number, &is_null);
	};
	DueRow row = {};
	row.token.id = *DatumGetUUIDP(column(kIdAt));
	row.identity = {{column(kWorkspaceIdAt), column(kProviderAt), column(kActorTypeEnumAt),
					 column(kActorIdAt)}};
	row.actor_type = column(kActorTypeAt);
	// A timestamp column holds UTC, and in UTC both types are the same number.
	row.token.at = DatumGetTimestampTz(column(kAtAt));
	row.token.expires_at = DatumGetTimestampTz(column(kExpiresAtAt));
	row.token.expires = !is_null;
	row.token.updated_at = DatumGetTimestampTz(column(kUpdatedAtAt));
	const Datum client_id = column(kClientIdAt);
	row.client_id = client_name(is_null ? "" : view_of(DatumGetTextPP(client_id)));
	const Datum lifetime = column(kLifetimeAt);
	if (!is_null)
		row.token.lifetime = static_cast<TimestampTz>(
			std::clamp(DatumGetFloat8(lifetime), 0.0, kLongestLife) * USECS_PER_SEC);
	row.token.is_there = DatumGetBool(column(kExistsAt));
	return row;
}

// A state that tells of the token as it is. In the order of the arrays.
void read_states(DuePage *page)
{
	static MemberQuery statement = {
		"SELECT s.lease_until, s.next_attempt_at FROM ROWS FROM (pg_catalog.unnest($1),"
		" pg_catalog.unnest($2)) WITH ORDINALITY u (id, updated_at, n)"
		" LEFT JOIN oauth_tokens_internal.refresh_states s"
		" ON s.token_id OPERATOR(pg_catalog.=) u.id"
		" AND s.token_updated_at OPERATOR(pg_catalog.=) u.updated_at ORDER BY u.n"};
	auto *ids = static_cast<Datum *>(palloc(sizeof(Datum) * page->size));
	auto *times = static_cast<Datum *>(palloc(sizeof(Datum) * page->size));
	for (int i = 0; i < page->size; i++) {
		ids[i] = UUIDPGetDatum(&page->rows[i].token.id);
		times[i] = TimestampTzGetDatum(page->rows[i].token.updated_at);
	}
	Datum values[] = {
		PointerGetDatum(construct_array(ids, page->size, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR)),
		PointerGetDatum(construct_array(times, page->size, TIMESTAMPTZOID, sizeof(TimestampTz),
										FLOAT8PASSBYVAL, TYPALIGN_DOUBLE))};
	if (run_as_owner(statement, {{UUIDARRAYOID, values[0]}, {TIMESTAMPTZARRAYOID, values[1]}}) !=
		static_cast<std::uint64_t>(page->size))
		elog(ERROR, "could not read states of refreshes");
	SPITupleTable *found = SPI_tuptable;
	for (int i = 0; i < page->size; i++) {
		DueToken &token = page->rows[i].token;
		bool is_null;
		const Datum lease = SPI_getbinval(found->vals[i], found->tupdesc, 1, &is_null);
		token.lease_until = is_null ? 0 : DatumGetTimestampTz(lease);
		const Datum next = SPI_getbinval(found->vals[i], found->tupdesc, 2, &is_null);
		token.next_attempt = is_null ? 0 : DatumGetTimestampTz(next);
	}
	SPI_freetuptable(found);
	for (Datum array : values)
		pfree(DatumGetPointer(array));
	pfree(ids);
	pfree(times);
}

} // namespace

DueCursor before_all_at(TimestampTz time)
{
	return {time, {}};
}

DueCursor after_all_at(TimestampTz time)
{
	DueCursor place = {time, {}};
	memset(place.id.data, 0xff, UUID_LEN);
	return place;
}

bool is_before(const DueCursor &one, const DueCursor &other)
{
	return one.time != other.time ? one.time < other.time
								  : memcmp(one.id.data, other.id.data, UUID_LEN) < 0;
}

DueCursor place_of(const DueRow &row)
{
	return {row.token.at, row.token.id};
}

DuePlans begin_due_plans()
{
	const DuePlans plans = {NewGUCNestLevel()};
	for (const char *name : {"enable_seqscan", "enable_bitmapscan", "enable_hashjoin",
							 "enable_mergejoin", "enable_sort", "enable_material", "jit"})
		set_config_option(name, "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return plans;
}

void end_due_plans(DuePlans plans)
{
	AtEOXact_GUC(true, plans.nest_level);
}

DuePage read_due_page(Datum provider, DueBy by, const DueCursor &after, const DueCursor &to,
					  int limit)
{
	SPIPlanPtr plan = page_plan(use_tables(Use::read), by);
	Datum values[] = {provider,
					  TimestampTzGetDatum(after.time),
					  UUIDPGetDatum(&after.id),
					  TimestampTzGetDatum(to.time),
					  UUIDPGetDatum(&to.id),
					  Int64GetDatum(limit)};
	const int result = SPI_execute_plan(plan, values, nullptr, false, 0);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not read oauth_tokens: %s", SPI_result_code_string(result));
	DuePage page = {nullptr, static_cast<int>(SPI_processed), SPI_tuptable};
	if (page.size == 0)
		return page;
	page.rows = static_cast<DueRow *>(palloc(sizeof(DueRow) * page.size));
	for (int i = 0; i < page.size; i++)
		page.rows[i] = read_row(page.table->vals[i], page.table->tupdesc);
	read_states(&page);
	return page;
}

void free_due_page(const DuePage &page)
{
	if (page.rows != nullptr)
		pfree(page.rows);
	SPI_freetuptable(page.table);
}

} // namespace oauth_tokens
