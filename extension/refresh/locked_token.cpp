#include "refresh/locked_token.hpp"

#include "keys/refresh_token_digest.hpp"
#include "postgres/member_query.hpp"
#include "schema/owner_boundary.hpp"
#include "tokens/indexed_plan.hpp"
#include "tokens/table_query.hpp"
#include "tokens/token_codec.hpp"
#include "tokens/token_details.hpp"
#include "tokens/written_row.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

enum Column_ {
	kIdAt = kIdentityColumns + 1,
	kAccessAt,
	kRefreshAt,
	kScopesAt,
	kExpiresAt,
	kUpdatedAtAt
};

void read_row(LockedToken *token)
{
	bool is_null;
	token->identity = returned_identity();
	token->id = *DatumGetUUIDP(returned(kIdAt, &is_null));
	// A timestamp column holds UTC, and in UTC both types are the same number.
	token->expires_at = DatumGetTimestampTz(returned(kExpiresAt, &is_null));
	token->expires = !is_null;
	token->updated_at = DatumGetTimestampTz(returned(kUpdatedAtAt, &is_null));
	token->scopes = returned_text(kScopesAt);
	const Datum access = returned(kAccessAt, &is_null);
	token->access_token =
		open_token(DatumGetTextPP(access), {&token->identity, Column::access_token});
	const Datum refresh = returned(kRefreshAt, &is_null);
	token->refresh_token =
		is_null ? nullptr
				: open_token(DatumGetTextPP(refresh), {&token->identity, Column::refresh_token});
}

char *lock_statement(const TokenTable &table, const char *where)
{
	return psprintf("SELECT workspace_id, provider, actor_type, actor_id, id,"
					" encrypted_access_token, encrypted_refresh_token, scopes,"
					" access_token_expires_at, updated_at FROM %s WHERE %s FOR NO KEY UPDATE",
					table.name, where);
}

// Locking is writing, so the statement is no SPI_OK_SELECT that only reads.
bool lock_by(PlanCache &kept, const TokenTable &table, const char *where, SpiParameters parameters,
			 LockedToken *token)
{
	SPIPlanPtr plan = cached_plan(
		kept, table, [&] { return lock_statement(table, where); }, parameters.count,
		parameters.types);
	const int result = execute_indexed_plan(plan, parameters.values, parameters.nulls, false, 1);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not lock a row of oauth_tokens: %s", SPI_result_code_string(result));
	if (SPI_processed == 0)
		return false;
	read_row(token);
	return true;
}

char *update_statement(const TokenTable &table)
{
	return psprintf("UPDATE %s SET encrypted_access_token = $5, access_token_expires_at = $6,"
					" encrypted_refresh_token = COALESCE($7, encrypted_refresh_token),"
					" scopes = COALESCE($8, scopes), updated_at = %s WHERE %s",
					table.name,
					table.type[kUpdatedAt] == TIMESTAMPTZOID
						? "pg_catalog.clock_timestamp()"
						: "pg_catalog.timezone('UTC', pg_catalog.clock_timestamp())",
					kWhereIdentity);
}

// The identity that the row has now.
Identity update_row(const TokenTable &table, const LockedToken &token, const RefreshedGrant &grant)
{
	static PlanCache kept;
	const text *access = seal_token(grant.access_token, {&token.identity, Column::access_token});
	const text *refresh =
		grant.refresh_token == nullptr
			? nullptr
			: seal_token(grant.refresh_token, {&token.identity, Column::refresh_token});
	use_tables(Use::write);
	const std::uint64_t rows = run_on_tables(
		kept, table, [&] { return update_statement(table); },
		identity_parameters(table, token.identity,
							{as::text(access),
							 {table.type[kAccessTokenExpiresAt],
							  TimestampTzGetDatum(grant.expires_at), !grant.expires},
							 as::text(refresh),
							 as::text(grant.scopes)}),
		SPI_OK_UPDATE);
	if (rows != 1)
		raise_left_out("stored");
	return check_written_row(table, token.identity, token.id,
							 {access, refresh, true, refresh != nullptr}, "stored");
}

} // namespace

bool lock_token(const TokenTable &table, const Identity &identity, LockedToken *token)
{
	static PlanCache kept;
	return lock_by(kept, table, kWhereIdentity, identity_parameters(table, identity), token);
}

bool lock_moved_token(const TokenTable &table, const pg_uuid_t &id, LockedToken *token)
{
	static PlanCache kept;
	use_tables(Use::write);
	return lock_by(kept, table, "id OPERATOR(pg_catalog.=) $1", SpiParameters({as::uuid(&id)}),
				   token);
}

void wipe_token(const LockedToken &token)
{
	for (const text *value : {token.access_token, token.refresh_token})
		if (value != nullptr)
			common::wipe(const_cast<text *>(value), VARSIZE_ANY(value));
}

void update_token(const TokenTable &table, const LockedToken &token, const RefreshedGrant &grant,
				  TimestampTz now)
{
	const Identity identity = update_row(table, token, grant);
	const bytea *digest = grant.refresh_token == nullptr
							  ? nullptr
							  : refresh_token_digest(grant.refresh_token, token.id);
	// In whole seconds, as providers give it.
	const TimestampTz lifetime =
		grant.expires
			? (Max(grant.expires_at - now, 0) + USECS_PER_SEC - 1) / USECS_PER_SEC * USECS_PER_SEC
			: -1;
	details_refresh(table, identity, token.id, grant.details, digest, lifetime);
}

} // namespace oauth_tokens
