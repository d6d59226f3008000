// oauth_move: gives a token another identity.

#include "errors.hpp"
#include "postgres/function.hpp"
#include "postgres/member_query.hpp"
#include "refresh/state.hpp"
#include "schema/owner_boundary.hpp"
#include "tokens/table_query.hpp"
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

// False if there is no token to move.
bool move_row(const TokenTable &table, const Identity &from, const Identity &to, pg_uuid_t *id)
{
	static PlanCache kept;
	const TimestampTz updated_at = GetCurrentTimestamp();
	const WaitedRow before = find_waited_row(table, from);
	const std::uint64_t rows = run_on_tables(
		kept, table,
		[&] {
			return psprintf("UPDATE %s SET workspace_id = $5, provider = $6, actor_type = $7,"
							" actor_id = $8, updated_at = $9 WHERE %s RETURNING id",
							table.name, kWhereIdentity);
		},
		identity_parameters(table, from,
							{{UUIDOID, to.workspace_id()},
							 {TEXTOID, to.provider()},
							 {table.enum_type, to.actor_type()},
							 {TEXTOID, to.actor_id()},
							 {table.type[kUpdatedAt], TimestampTzGetDatum(updated_at)}}),
		SPI_OK_UPDATE_RETURNING);
	if (rows == 0)
		return false;
	*id = *DatumGetUUIDP(returned(1));
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
