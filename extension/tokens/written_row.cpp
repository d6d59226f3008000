#include "tokens/written_row.hpp"

#include "keys/key_ring.hpp"
#include "postgres/member_query.hpp"
#include "schema/owner_boundary.hpp"
#include "tokens/indexed_plan.hpp"
#include "tokens/table_query.hpp"
#include "tokens/token_codec.hpp"
#include "tokens/token_details.hpp"

extern "C" {
#include "utils/rls.h"
}

namespace oauth_tokens
{

namespace
{

bool is_same(const text *one, const text *other)
{
	if (one == nullptr || other == nullptr)
		return one == other;
	return view_of(one) == view_of(other);
}

// A row has an access token, or it is not there.
bool has(const SealedTokens &row, const WrittenTokens &written)
{
	return row.access_token != nullptr &&
		   (!written.sets_access_token || is_same(row.access_token, written.access_token)) &&
		   (!written.sets_refresh_token || is_same(row.refresh_token, written.refresh_token));
}

// As this transaction sees them. A role that writes rows of child tables may read them.
SealedTokens tokens_now(const TokenTable &table, const Identity &identity)
{
	static PlanCache kept;
	if (OidIsValid(table.identity_index)) {
		const SealedTokens tokens = locked_tokens(table, identity);
		if (table.rows_are_here || tokens.access_token != nullptr)
			return tokens;
	}
	use_tables(Use::write);
	SpiParameters parameters = identity_parameters(table, identity);
	SPIPlanPtr plan = cached_plan(
		kept, table,
		[&] {
			return psprintf("SELECT encrypted_access_token, encrypted_refresh_token FROM %s"
							" WHERE %s",
							table.name, kWhereIdentity);
		},
		parameters.count, parameters.types);
	const int result = execute_indexed_plan(plan, parameters.values, parameters.nulls, false, 1);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not read a row of oauth_tokens: %s", SPI_result_code_string(result));
	return SPI_processed == 0 ? SealedTokens{} : SealedTokens{returned_text(1), returned_text(2)};
}

// False if there is no such row.
bool find_identity(const TokenTable &table, const pg_uuid_t &id, Identity *identity)
{
	static PlanCache kept;
	use_tables(Use::write);
	SpiParameters parameters({as::uuid(&id)});
	SPIPlanPtr plan = cached_plan(
		kept, table,
		[&] {
			return psprintf("SELECT workspace_id, provider, actor_type, actor_id FROM %s"
							" WHERE id OPERATOR(pg_catalog.=) $1",
							table.name);
		},
		parameters.count, parameters.types);
	const int result = execute_indexed_plan(plan, parameters.values, parameters.nulls, false, 1);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not read a row of oauth_tokens: %s", SPI_result_code_string(result));
	if (SPI_processed == 0)
		return false;
	*identity = returned_identity();
	return true;
}

} // namespace

Identity check_written_row(const TokenTable &table, const Identity &identity, const pg_uuid_t &id,
						   const WrittenTokens &written, const char *done)
{
	if (likely(!table.triggers_write) || has(tokens_now(table, identity), written))
		return identity;
	Identity changed;
	if (!key_ring_binds() && find_identity(table, id, &changed) &&
		has(tokens_now(table, changed), written)) {
		details_move(table, identity, changed, id);
		return changed;
	}
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION), errmsg("the token was not %s", done),
			 errdetail("A trigger on oauth_tokens changed the row's identity or tokens."),
			 errhint("Have the trigger return NEW, and leave workspace_id, provider, "
					 "actor_type, actor_id and the encrypted columns as they are.")));
	pg_unreachable();
}

// Under row security a policy may be why; and others may have stored the row since the
// statement's snapshot.
void check_deleted_row(const TokenTable &table, const Identity &identity)
{
	if (unlikely(table.triggers_delete) && OidIsValid(table.identity_index) &&
		check_enable_rls(table.relid, InvalidOid, true) != RLS_ENABLED &&
		row_has_stayed(table, identity))
		raise_left_out("deleted");
}

void raise_left_out(const char *done)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION), errmsg("the token was not %s", done),
			 errdetail("A trigger on oauth_tokens left the row out.")));
	pg_unreachable();
}

} // namespace oauth_tokens
