#include "refresh/state.hpp"

#include "keys/refresh_token_digest.hpp"
#include "postgres/function.hpp"
#include "postgres/owner_query.hpp"
#include "refresh/attempt.hpp"
#include "refresh/member_row.hpp"
#include "schema/owner_boundary.hpp"
#include "schema/row_permission.hpp"
#include "tokens/table_query.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

// Somebody has changed the row, but not its refresh token: it tells of this one.
void keep_state(const LockedToken &token)
{
	static MemberQuery statement = {
		"UPDATE oauth_tokens_internal.refresh_states SET token_updated_at = $2 WHERE token_id"
		" OPERATOR(pg_catalog.=) $1"};
	run_as_owner(statement, {as::uuid(&token.id), as::timestamptz(token.updated_at)});
}

} // namespace

bool needs_reauthorization(const char *kind)
{
	return kind != nullptr &&
		   (strcmp(kind, "dead_grant") == 0 || strcmp(kind, "needs_interaction") == 0);
}

bool has_state(const pg_uuid_t &token_id, Snapshot snapshot)
{
	return find_member_row({"refresh_states", F_UUID_EQ, UUIDPGetDatum(&token_id)}, snapshot);
}

RefreshState find_state(const LockedToken &token)
{
	static MemberQuery statement = {
		"SELECT refresh_token_digest, failures, kind, reason, since, next_attempt_at,"
		" token_updated_at"
		" FROM oauth_tokens_internal.refresh_states WHERE token_id OPERATOR(pg_catalog.=) $1"};
	RefreshState state = {};
	if (run_as_owner(statement, {as::uuid(&token.id)}) == 0)
		return state;
	if (!is_digest_of_plain(DatumGetByteaPP(returned(1)), token.refresh_token, token.id)) {
		forget_state(token.id);
		return state;
	}
	bool is_null;
	state.failures = DatumGetInt32(returned(2));
	const Datum kind = returned(3, &is_null);
	state.kind = is_null ? nullptr : TextDatumGetCString(kind);
	state.reason = returned_text(4);
	state.since = returned_time(5);
	state.next_attempt = returned_time(6);
	if (DatumGetTimestampTz(returned(7)) != token.updated_at)
		keep_state(token);
	return state;
}

void save_state(const LockedToken &token, const RefreshState &state, TimestampTz lease_until)
{
	static MemberQuery statement = {
		"INSERT INTO oauth_tokens_internal.refresh_states (token_id, refresh_token_digest,"
		" token_updated_at, lease_until, failures, kind, reason, since, next_attempt_at)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
		" ON CONFLICT (token_id) DO UPDATE SET refresh_token_digest = $2, token_updated_at = $3,"
		" lease_until = $4, failures = $5, kind = $6, reason = $7, since = $8,"
		" next_attempt_at = $9"};
	const bool has_failed = state.kind != nullptr;
	run_as_owner(statement, {as::uuid(&token.id),
							 as::bytea(refresh_token_digest(token.refresh_token, token.id)),
							 as::timestamptz(token.updated_at),
							 as::timestamptz_or_null(lease_until),
							 as::int4(state.failures),
							 as::text(has_failed ? cstring_to_text(state.kind) : nullptr),
							 as::text(state.reason),
							 {TIMESTAMPTZOID, TimestampTzGetDatum(state.since), !has_failed},
							 as::timestamptz_or_null(state.next_attempt)});
}

void forget_state(const pg_uuid_t &token_id)
{
	static MemberQuery statement = {
		"DELETE FROM oauth_tokens_internal.refresh_states WHERE token_id"
		" OPERATOR(pg_catalog.=) $1"};
	run_as_owner(statement, {as::uuid(&token_id)});
}

void forget_refresh(const pg_uuid_t &token_id)
{
	forget_state(token_id);
	delete_attempts(token_id);
}

void forget_all_refreshes()
{
	static MemberQuery states = {"DELETE FROM oauth_tokens_internal.refresh_states"};
	static MemberQuery attempts = {"DELETE FROM oauth_tokens_internal.refresh_attempts"};
	run_as_owner(states, {});
	run_as_owner(attempts, {});
}

// An attempt that may commit has a state beside it. What others have committed counts,
// whatever the snapshot: the row's lock is ours.
void token_was_stored(const pg_uuid_t &token_id)
{
	if (!has_state(token_id, SnapshotSelf))
		return;
	forget_state(token_id);
	store_over_attempts(token_id);
}

void token_was_moved(const WaitedRow &before, const pg_uuid_t &token_id, TimestampTz updated_at)
{
	static MemberQuery statement = {
		"UPDATE oauth_tokens_internal.refresh_states SET token_updated_at = $3 WHERE token_id"
		" OPERATOR(pg_catalog.=) $1 AND token_updated_at OPERATOR(pg_catalog.=) $2"};
	if (!before.is_known || memcmp(&before.id, &token_id, sizeof token_id) != 0 ||
		!has_state(token_id, SnapshotSelf))
		return;
	run_as_owner(statement, {as::uuid(&token_id), as::timestamptz(before.updated_at),
							 as::timestamptz(updated_at)});
}

} // namespace oauth_tokens

using namespace oauth_tokens;

// What oauth_connections tells of refreshes follows the policies of oauth_tokens.
OAUTH_INNER_FUNCTION(oauth_sees_token_id)
{
	static PlanCache kept;
	const TokenTable &locked = token_table();
	if (!row_security_applies(locked))
		PG_RETURN_BOOL(true);
	const TokenTable &table = use_tables(Use::read);
	SPI_connect();
	const bool found =
		run_on_tables(
			kept, table,
			[&] {
				return psprintf("SELECT 1 FROM %s WHERE id OPERATOR(pg_catalog.=) $1", table.name);
			},
			SpiParameters({{UUIDOID, PG_GETARG_DATUM(0)}}), SPI_OK_SELECT) > 0;
	SPI_finish();
	PG_RETURN_BOOL(found);
}
