// oauth_move: gives a token another identity. What is sealed for the old one
// (oauth_tokens.key_binding) is sealed anew.

#include "keys/sealed_token.hpp"
#include "postgres/function.hpp"
#include "postgres/member_query.hpp"
#include "refresh/state.hpp"
#include "schema/owner_boundary.hpp"
#include "tokens/indexed_plan.hpp"
#include "tokens/table_query.hpp"
#include "tokens/token_codec.hpp"
#include "tokens/token_details.hpp"
#include "tokens/token_row.hpp"
#include "tokens/token_table.hpp"
#include "tokens/written_row.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

// Who moves need not have the right to read the ciphertexts, so the plan returns them only if
// nothing else gets at them.
char *lock_statement(const TokenTable &table, bool is_direct)
{
	return psprintf("SELECT id%s FROM %s WHERE %s FOR UPDATE",
					is_direct ? "" : ", encrypted_access_token, encrypted_refresh_token",
					table.name, kWhereIdentity);
}

// False if there is no such row.
bool lock_row(const TokenTable &table, const Identity &identity, SealedTokens *tokens)
{
	static PlanCache kept[2]; // by is_direct
	const bool is_direct = table.rows_are_here && OidIsValid(table.identity_index);
	SpiParameters parameters = identity_parameters(table, identity);
	SPIPlanPtr plan = cached_plan(
		kept[is_direct], table, [&] { return lock_statement(table, is_direct); }, parameters.count,
		parameters.types);
	const int result = execute_indexed_plan(plan, parameters.values, parameters.nulls, false, 1);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not lock a row of oauth_tokens: %s", SPI_result_code_string(result));
	if (SPI_processed == 0)
		return false;
	*tokens = is_direct ? locked_tokens(table, identity)
						: SealedTokens{returned_text(2), returned_text(3)};
	return true;
}

// Whether the token was sealed for its place, which it is not any more. What no key opens can be
// moved only if it need not be sealed.
bool seal_for(const text **token, const ValuePosition &from, const ValuePosition &to)
{
	if (*token == nullptr)
		return false;
	const Signer signer = signer_of(*token, from);
	const bool is_damaged = signer.position == 0;
	if (is_damaged ? key_ring_sealing(from) == Sealing::shared : signer.sealing == Sealing::shared)
		return false;
	text *sealed = seal_anew(*token, from, to);
	if (sealed == nullptr)
		open_token(*token, from); // raises
	*token = sealed;
	return true;
}

bool seal_tokens_for(SealedTokens *tokens, const Identity &from, const Identity &to)
{
	const bool access =
		seal_for(&tokens->access_token, {&from, Column::access_token}, {&to, Column::access_token});
	const bool refresh = seal_for(&tokens->refresh_token, {&from, Column::refresh_token},
								  {&to, Column::refresh_token});
	return access || refresh;
}

// False if there is no token to move. `to` is then what the row has.
bool move_row(const TokenTable &table, const Identity &from, Identity &to, pg_uuid_t *id)
{
	static PlanCache kept[2]; // by whether it is sealed anew
	SealedTokens tokens = {};
	if (!lock_row(table, from, &tokens))
		return false;
	const bool is_sealed_anew = seal_tokens_for(&tokens, from, to);
	use_tables(Use::write);
	const TimestampTz updated_at = GetCurrentTimestamp();
	const WaitedRow before = find_waited_row(table, from);
	const std::uint64_t rows = run_on_tables(
		kept[is_sealed_anew], table,
		[&] {
			return psprintf("UPDATE %s SET workspace_id = $5, provider = $6, actor_type = $7,"
							" actor_id = $8, updated_at = $9%s WHERE %s RETURNING id",
							table.name,
							is_sealed_anew
								? ", encrypted_access_token = $10, encrypted_refresh_token = $11"
								: "",
							kWhereIdentity);
		},
		identity_parameters(table, from,
							{{UUIDOID, to.workspace_id()},
							 {TEXTOID, to.provider()},
							 {table.enum_type, to.actor_type()},
							 {TEXTOID, to.actor_id()},
							 {table.type[kUpdatedAt], TimestampTzGetDatum(updated_at)},
							 as::text(tokens.access_token),
							 as::text(tokens.refresh_token)}),
		SPI_OK_UPDATE_RETURNING);
	if (rows == 0)
		raise_left_out("moved"); // it is locked, so it was there
	*id = *DatumGetUUIDP(returned(1));
	const Identity now =
		check_written_row(table, to, *id, {tokens.access_token, tokens.refresh_token}, "moved");
	if (is_same_identity(now, from) && !is_same_identity(to, from))
		raise_left_out("moved");
	to = now;
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
	Identity to = identity_from_arguments(fcinfo, kIdentityColumns, table);
	identity_check_storable(to);
	SPI_connect();
	pg_uuid_t id;
	const bool moved = move_row(table, from, to, &id);
	if (moved)
		details_move(table, from, to, id);
	SPI_finish();
	PG_RETURN_BOOL(moved);
}
