// oauth_store: encrypts a grant and upserts it on its identity, in one
// statement, so that two writers never mix an access token with another's
// refresh token.

#include "errors.hpp"
#include "function.hpp"
#include "token_codec.hpp"
#include "token_details.hpp"
#include "token_table.hpp"

namespace oauth_tokens
{

namespace
{

// Arguments of oauth_store after the identity.
enum Argument {
	kAccessToken = 4,
	kRefreshToken,
	kExpiresAt,
	kNewScopes,
	kExpiresIn,
	kKeepRefreshToken,
	kDetails
};

constexpr int kParameters = 11; // of the statement, from $1 at index 0

struct Grant {
	Identity identity;
	Datum values[kParameters];
	char nulls[kParameters];
	bool keep_refresh_token;
	bool keep_scopes;
};

bool read_expiry(FunctionCallInfo fcinfo, TimestampTz now, TimestampTz *expires_at)
{
	const bool at = !PG_ARGISNULL(kExpiresAt);
	const bool in = !PG_ARGISNULL(kExpiresIn);
	if (at && in)
		ereport(ERROR, (errcode(ERRCODE_EXPIRY_INVALID),
						errmsg("both expires_at and expires_in are given"),
						errhint("Pass the one that the provider answered.")));
	if (in && PG_GETARG_INT32(kExpiresIn) < 0)
		ereport(ERROR, (errcode(ERRCODE_EXPIRY_INVALID), errmsg("expires_in is negative"),
						errhint("It is the number of seconds that the token still lives.")));
	if (at && TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMPTZ(kExpiresAt)))
		ereport(ERROR, (errcode(ERRCODE_EXPIRY_INVALID), errmsg("expires_at is infinite"),
						errhint("Pass NULL where the expiry is not known.")));
	if (at)
		*expires_at = PG_GETARG_TIMESTAMPTZ(kExpiresAt);
	else if (in)
		*expires_at = now + static_cast<int64>(PG_GETARG_INT32(kExpiresIn)) * USECS_PER_SEC;
	return at || in;
}

Grant read_grant(FunctionCallInfo fcinfo, const TokenTable &table, TimestampTz now)
{
	Grant grant;
	memset(grant.nulls, ' ', sizeof grant.nulls);
	grant.identity = identity_from_arguments(fcinfo, 0, table);
	identity_check_storable(grant.identity);
	if (PG_ARGISNULL(kAccessToken))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("access_token must not be null")));
	grant.keep_refresh_token = PG_ARGISNULL(kRefreshToken) && (PG_ARGISNULL(kKeepRefreshToken) ||
															   PG_GETARG_BOOL(kKeepRefreshToken));
	grant.keep_scopes = PG_ARGISNULL(kNewScopes);

	TimestampTz expires_at = 0;
	const bool expires = read_expiry(fcinfo, now, &expires_at);
	memcpy(grant.values, grant.identity.values, sizeof grant.identity.values);
	grant.values[4] = PointerGetDatum(
		seal_token(PG_GETARG_TEXT_PP(kAccessToken), {&grant.identity, Column::access_token}));
	if (PG_ARGISNULL(kRefreshToken))
		grant.nulls[5] = 'n';
	else
		grant.values[5] = PointerGetDatum(
			seal_token(PG_GETARG_TEXT_PP(kRefreshToken), {&grant.identity, Column::refresh_token}));
	if (grant.keep_scopes)
		grant.nulls[6] = 'n';
	else
		grant.values[6] = PG_GETARG_DATUM(kNewScopes);
	if (!expires)
		grant.nulls[7] = 'n';
	// A timestamp column holds UTC, and in UTC both types are the same number.
	grant.values[7] = TimestampTzGetDatum(expires_at);
	grant.values[8] = grant.values[9] = TimestampTzGetDatum(now);
	grant.values[10] = DirectFunctionCall1(gen_random_uuid, (Datum)0);
	return grant;
}

// What is kept is left out of SET, so that a writer needs no right to read it.
// For the same reason SET repeats the parameters where EXCLUDED would do. Its
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

pg_uuid_t upsert(const TokenTable &table, const Grant &grant)
{
	static KeptPlan plans[2][2]; // by what is kept
	Oid types[kParameters] = {UUIDOID,
							  TEXTOID,
							  table.enum_type,
							  TEXTOID,
							  TEXTOID,
							  TEXTOID,
							  TEXTOID,
							  table.type[kAccessTokenExpiresAt],
							  table.type[kCreatedAt],
							  table.type[kUpdatedAt],
							  UUIDOID};
	SPIPlanPtr plan = kept_plan(
		plans[grant.keep_refresh_token][grant.keep_scopes], table,
		[&] { return upsert_statement(table, grant.keep_refresh_token, grant.keep_scopes); },
		kParameters, types);
	const int result =
		SPI_execute_plan(plan, const_cast<Datum *>(grant.values), grant.nulls, false, 0);
	if (result != SPI_OK_INSERT_RETURNING)
		elog(ERROR, "could not write to oauth_tokens: %s", SPI_result_code_string(result));
	if (SPI_processed != 1)
		ereport(ERROR, (errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
						errmsg("the token was not stored"),
						errdetail("A trigger on oauth_tokens left the row out.")));
	bool is_null;
	const Datum id = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);
	return *DatumGetUUIDP(id);
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_store)
{
	PreventCommandIfReadOnly("oauth_store()");
	const TokenTable &table = lock_token_table(RowExclusiveLock);
	if (!OidIsValid(table.identity_index))
		ereport(ERROR, (errcode(ERRCODE_TABLE_DIFFERS),
						errmsg("table %s is not as its migration made it", table.name),
						errdetail("Nothing keeps an identity unique."),
						errhint("SELECT oauth_tokens_upgrade() adds the constraint.")));
	const Grant grant = read_grant(fcinfo, table, GetCurrentTimestamp());

	auto *id = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t)));
	SPI_connect();
	*id = upsert(table, grant);
	if (!PG_ARGISNULL(kDetails))
		details_store(table, grant.identity, *id, PG_GETARG_JSONB_P(kDetails));
	SPI_finish();
	PG_RETURN_UUID_P(id);
}
