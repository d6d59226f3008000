// oauth_store: stores a grant that the caller brings.

#include "errors.hpp"
#include "postgres/function.hpp"
#include "tokens/token_store.hpp"

extern "C" {
#include "executor/spi.h"
#include "utils/timestamp.h"
}

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

bool read_expiry(FunctionCallInfo fcinfo, TimestampTz *expires_at)
{
	const bool at = !PG_ARGISNULL(kExpiresAt);
	const bool in = !PG_ARGISNULL(kExpiresIn);
	if (at && in)
		ereport(ERROR, (errcode(ERRCODE_EXPIRY_INVALID),
						errmsg("both expires_at and expires_in are given"),
						errhint("Pass the one that the provider answered.")));
	if (at && TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMPTZ(kExpiresAt)))
		ereport(ERROR, (errcode(ERRCODE_EXPIRY_INVALID), errmsg("expires_at is infinite"),
						errhint("Pass NULL where the expiry is not known.")));
	if (at)
		*expires_at = PG_GETARG_TIMESTAMPTZ(kExpiresAt);
	else if (in)
		*expires_at = expiry_from_now(PG_GETARG_INT64(kExpiresIn));
	return at || in;
}

const text *text_argument(FunctionCallInfo fcinfo, Argument argument)
{
	return PG_ARGISNULL(argument) ? nullptr : PG_GETARG_TEXT_PP(argument);
}

Grant read_grant(FunctionCallInfo fcinfo, const TokenTable &table)
{
	Grant grant = {};
	grant.identity = identity_from_arguments(fcinfo, 0, table);
	identity_check_storable(grant.identity);
	refuse_null_argument(fcinfo, kAccessToken, "access_token");
	grant.access_token = text_argument(fcinfo, kAccessToken);
	grant.refresh_token = text_argument(fcinfo, kRefreshToken);
	grant.keep_refresh_token =
		grant.refresh_token == nullptr &&
		(PG_ARGISNULL(kKeepRefreshToken) || PG_GETARG_BOOL(kKeepRefreshToken));
	grant.scopes = text_argument(fcinfo, kNewScopes);
	grant.keep_scopes = grant.scopes == nullptr;
	grant.expires = read_expiry(fcinfo, &grant.expires_at);
	grant.details = PG_ARGISNULL(kDetails) ? nullptr : PG_GETARG_JSONB_P(kDetails);
	return grant;
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_SECRET_FUNCTION(oauth_store)
{
	PreventCommandIfReadOnly("oauth_store()");
	const TokenTable &table = lock_table_to_store();
	const Grant grant = read_grant(fcinfo, table);
	auto *id = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t)));
	SPI_connect();
	*id = store_grant(table, grant);
	SPI_finish();
	PG_RETURN_UUID_P(id);
}
