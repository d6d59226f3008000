#include "tokens/token_store.hpp"

#include "errors.hpp"
#include "keys/refresh_token_digest.hpp"
#include "postgres/member_query.hpp"
#include "postgres/subtransaction.hpp"
#include "refresh/state.hpp"
#include "schema/owner_boundary.hpp"
#include "tokens/indexed_plan.hpp"
#include "tokens/table_query.hpp"
#include "tokens/token_codec.hpp"
#include "tokens/token_details.hpp"
#include "tokens/token_row.hpp"
#include "tokens/written_row.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

// What is kept is left out of SET, so that a writer needs no right to read it.
// For the same reason SET repeats the parameters, although EXCLUDED would do. Its
// updated_at is the time at which the row was locked, so that it never goes back.
char *upsert_statement(const TokenTable &table, bool keep_refresh_token, bool keep_scopes)
{
	return psprintf(
		"INSERT INTO %s AS t (workspace_id, provider, actor_type, actor_id,"
		" encrypted_access_token, encrypted_refresh_token, scopes, access_token_expires_at,"
		" created_at, updated_at, id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
		" ON CONFLICT (workspace_id, provider, actor_type, actor_id) DO UPDATE SET"
		" encrypted_access_token = $5, access_token_expires_at = $8, updated_at = %s%s%s"
		" RETURNING t.id",
		table.name,
		table.type[kUpdatedAt] == TIMESTAMPTZOID
			? "pg_catalog.clock_timestamp()"
			: "pg_catalog.timezone('UTC', pg_catalog.clock_timestamp())",
		keep_refresh_token ? "" : ", encrypted_refresh_token = $6",
		keep_scopes ? "" : ", scopes = $7");
}

SpiParameters upsert_parameters(const TokenTable &table, const Grant &grant, const pg_uuid_t *id)
{
	const text *access = seal_token(grant.access_token, {&grant.identity, Column::access_token});
	const text *refresh =
		grant.refresh_token == nullptr
			? nullptr
			: seal_token(grant.refresh_token, {&grant.identity, Column::refresh_token});
	const Datum now = TimestampTzGetDatum(GetCurrentTimestamp());
	// A timestamp column holds UTC, and in UTC both types are the same number.
	return identity_parameters(
		table, grant.identity,
		{as::text(access),
		 as::text(refresh),
		 as::text(grant.scopes),
		 {table.type[kAccessTokenExpiresAt], TimestampTzGetDatum(grant.expires_at), !grant.expires},
		 {table.type[kCreatedAt], now},
		 {table.type[kUpdatedAt], now},
		 as::uuid(id)});
}

// The statement before, or the try before, may have waited for a row.
int execute_guarded(SPIPlanPtr plan, SpiParameters &parameters)
{
	use_tables(Use::write);
	return SPI_execute_plan(plan, parameters.values, parameters.nulls, false, 0);
}

// In a subtransaction; 0 if it ended with a violation of uniqueness and was undone.
int execute_unless_taken(SPIPlanPtr plan, SpiParameters &parameters)
{
	int result = 0;
	ErrorData *error = error_of(Keep::yes, [&] { result = execute_guarded(plan, parameters); });
	if (error == nullptr)
		return result;
	if (error->sqlerrcode != ERRCODE_UNIQUE_VIOLATION)
		ReThrowError(error);
	FreeErrorData(error);
	return 0;
}

// ON CONFLICT does not know an index that REINDEX or CREATE INDEX CONCURRENTLY is
// building, and two who store the same new identity meet there (23505). The next try
// finds the row of the other. A subtransaction costs, so only then.
int execute_beside_reindex(SPIPlanPtr plan, SpiParameters &parameters)
{
	constexpr int kTries = 5;
	for (int tries = 1; tries < kTries; tries++)
		if (const int result = execute_unless_taken(plan, parameters); result != 0)
			return result;
	return execute_guarded(plan, parameters);
}

WrittenTokens written_tokens(const Grant &grant, const SpiParameters &parameters)
{
	constexpr int kAccess = kIdentityColumns;
	constexpr int kRefresh = kAccess + 1;
	const bool has_refresh = parameters.nulls[kRefresh] != 'n';
	return {DatumGetTextPP(parameters.values[kAccess]),
			has_refresh ? DatumGetTextPP(parameters.values[kRefresh]) : nullptr, true,
			!grant.keep_refresh_token};
}

// Whether the row was not there before, and its id. The grant's identity is then what it has.
bool upsert(const TokenTable &table, Grant &grant, pg_uuid_t *id)
{
	static PlanCache plans[2][2]; // by what is kept
	const auto *new_id = DatumGetUUIDP(DirectFunctionCall1(gen_random_uuid, (Datum)0));
	SpiParameters parameters = upsert_parameters(table, grant, new_id);
	SPIPlanPtr plan = cached_plan(
		plans[grant.keep_refresh_token][grant.keep_scopes], table,
		[&] { return upsert_statement(table, grant.keep_refresh_token, grant.keep_scopes); },
		parameters.count, parameters.types);
	const int result = table.identity_is_reindexed ? execute_beside_reindex(plan, parameters)
												   : execute_guarded(plan, parameters);
	if (result != SPI_OK_INSERT_RETURNING)
		elog(ERROR, "could not write to oauth_tokens: %s", SPI_result_code_string(result));
	if (SPI_processed != 1)
		raise_left_out("stored");
	*id = *DatumGetUUIDP(returned(1));
	grant.identity =
		check_written_row(table, grant.identity, *id, written_tokens(grant, parameters), "stored");
	const bool inserted = memcmp(id, new_id, sizeof *id) == 0;
	if (!inserted)
		token_was_stored(*id);
	return inserted;
}

void clear_refresh_token(const TokenTable &table, const Identity &identity, const pg_uuid_t &id)
{
	static PlanCache kept;
	use_tables(Use::write);
	run_on_tables(
		kept, table,
		[&] {
			return psprintf("UPDATE %s SET encrypted_refresh_token = NULL WHERE %s", table.name,
							kWhereIdentity);
		},
		identity_parameters(table, identity), SPI_OK_UPDATE);
	// A trigger may have left the row out because there was none.
	check_written_row(table, identity, id, {nullptr, nullptr, false, true}, "stored");
}

// The digest of the refresh token that the upsert kept, if that came with details of the account
// that the new ones name, and is not known to be another one since; else null.
const bytea *kept_token_digest(const TokenTable &table, const Grant &grant, const pg_uuid_t &id)
{
	// The upsert has locked the row; only now the details beside it hold still.
	const bytea *digest = details_digest(table, grant.identity, id, grant.details);
	if (digest == nullptr)
		return nullptr;
	const text *kept = locked_tokens(table, grant.identity).refresh_token;
	return kept != nullptr && can_be_digest_of(digest, kept, grant.identity, id) ? digest : nullptr;
}

// The digest of the refresh token that the new details tell of; null: of none.
const bytea *token_digest(const TokenTable &table, const Grant &grant, const pg_uuid_t &id,
						  bool inserted)
{
	if (grant.refresh_token != nullptr)
		return refresh_token_digest(grant.refresh_token, id);
	if (inserted || !grant.keep_refresh_token || !names_account(grant.details))
		return nullptr;
	return kept_token_digest(table, grant, id);
}

} // namespace

TimestampTz expiry_from_now(std::int64_t seconds)
{
	if (seconds < 0)
		ereport(ERROR, (errcode(ERRCODE_EXPIRY_INVALID), errmsg("expires_in is negative"),
						errhint("It is the number of seconds that the token still lives.")));
	const TimestampTz now = GetCurrentTimestamp();
	if (seconds > (END_TIMESTAMP - 1 - now) / USECS_PER_SEC)
		ereport(ERROR, (errcode(ERRCODE_EXPIRY_INVALID), errmsg("expires_in is out of range"),
						errdetail("The token would expire after the last day of a timestamp."),
						errhint("It is the number of seconds that the token still lives, not "
								"milliseconds or a point in time.")));
	return now + seconds * USECS_PER_SEC;
}

const TokenTable &lock_table_to_store()
{
	const TokenTable &table = use_tables(Use::write);
	if (!OidIsValid(table.identity_index))
		ereport(ERROR, (errcode(ERRCODE_TABLE_DIFFERS),
						errmsg("table %s is not as its migration made it", table.name),
						errdetail("Nothing keeps an identity unique."),
						errhint("SELECT oauth_tokens_upgrade() adds the constraint.")));
	return table;
}

pg_uuid_t store_grant(const TokenTable &table, Grant grant)
{
	pg_uuid_t id;
	const bool inserted = upsert(table, grant, &id);
	if (grant.details != nullptr)
		details_store(table, grant.identity, id, grant.details,
					  token_digest(table, grant, id, inserted));
	return id;
}

pg_uuid_t replace_grant(const TokenTable &table, Grant grant)
{
	grant.keep_scopes = false;
	grant.keep_refresh_token = grant.refresh_token == nullptr && names_account(grant.details);
	pg_uuid_t id;
	const bool inserted = upsert(table, grant, &id);
	if (grant.details == nullptr) {
		details_delete(table, grant.identity); // they told of the grant before
		return id;
	}
	const bytea *digest = token_digest(table, grant, id, inserted);
	if (digest == nullptr && grant.keep_refresh_token && !inserted)
		clear_refresh_token(table, grant.identity, id);
	details_store(table, grant.identity, id, grant.details, digest);
	return id;
}

} // namespace oauth_tokens
