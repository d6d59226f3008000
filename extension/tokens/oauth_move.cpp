// oauth_move: gives a token another identity.

#include "errors.hpp"
#include "postgres/function.hpp"
#include "refresh/state.hpp"
#include "schema/owner_boundary.hpp"
#include "tokens/indexed_plan.hpp"
#include "tokens/token_details.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

// False where there is no token to move.
bool move_row(const TokenTable &table, const Identity &from, const Identity &to, pg_uuid_t *id)
{
	static PlanCache kept;
	Oid types[] = {UUIDOID,         TEXTOID, table.enum_type,       TEXTOID, UUIDOID, TEXTOID,
				   table.enum_type, TEXTOID, table.type[kUpdatedAt]};
	Datum values[lengthof(types)];
	memcpy(values, from.values, sizeof from.values);
	memcpy(values + kIdentityColumns, to.values, sizeof to.values);
	const TimestampTz updated_at = GetCurrentTimestamp();
	values[2 * kIdentityColumns] = TimestampTzGetDatum(updated_at);
	const WaitedRow before = find_waited_row(table, from);
	SPIPlanPtr plan = cached_plan(
		kept, table,
		[&] {
			return psprintf("UPDATE %s SET workspace_id = $5, provider = $6, actor_type = $7,"
							" actor_id = $8, updated_at = $9 WHERE %s RETURNING id",
							table.name, kWhereIdentity);
		},
		lengthof(types), types);
	const int result = execute_indexed_plan(plan, values, nullptr, false, 0);
	if (result != SPI_OK_UPDATE_RETURNING)
		elog(ERROR, "could not update oauth_tokens: %s", SPI_result_code_string(result));
	if (SPI_processed == 0)
		return false;
	bool is_null;
	*id = *DatumGetUUIDP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
	token_was_moved(before, *id, updated_at);
	return true;
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_move)
{
	PreventCommandIfReadOnly("oauth_move()");
	const TokenTable &table = use_tables(Use::write);
	const Identity from = identity_from_arguments(fcinfo, 0, table);
	const Identity to = identity_from_arguments(fcinfo, kIdentityColumns, table);
	identity_check_storable(to);
	SPI_connect();
	pg_uuid_t id;
	const bool moved = move_row(table, from, to, &id);
	if (moved)
		details_move(table, from, to, id);
	SPI_finish();
	PG_RETURN_BOOL(moved);
}
