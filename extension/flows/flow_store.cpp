// oauth_tokens_internal.flow_store: the end of a link, in one transaction with
// what it was made for.

#include "errors.hpp"
#include "flows/confirmation.hpp"
#include "flows/link.hpp"
#include "postgres/function.hpp"
#include "postgres/owner_query.hpp"
#include "schema/row_permission.hpp"
#include "tokens/token_codec.hpp"
#include "tokens/token_details.hpp"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

enum Argument { kTicketHash, kAccessToken, kRefreshToken, kExpiresIn, kScopesArgument, kDetails };

// The link, with its attempts, and what it was made for; false if another
// attempt was faster, or it has vanished.
struct EndedLink {
	Identity identity;
	bool confirm;
	int seconds;
};

bool end_link(const TokenTable &table, Datum ticket_hash, TimestampTz now, EndedLink *link)
{
	static MemberQuery statement = {
		"DELETE FROM oauth_tokens_internal.flow_links WHERE ticket_hash OPERATOR(pg_catalog.=) $1"
		" AND vanishes_at OPERATOR(pg_catalog.>) $2 RETURNING workspace_id, provider, actor_type,"
		" actor_id, confirm, attempt_seconds"};
	if (run_as_owner(statement, {{BYTEAOID, ticket_hash}, as::timestamptz(now)}) == 0)
		return false;
	link->identity.values[0] = returned(1);
	link->identity.values[1] = PointerGetDatum(DatumGetTextPP(returned(2)));
	link->identity.values[2] = actor_type_named(DatumGetTextPP(returned(3)), table);
	link->identity.values[3] = PointerGetDatum(DatumGetTextPP(returned(4)));
	link->confirm = DatumGetBool(returned(5));
	link->seconds = DatumGetInt32(returned(6));
	return true;
}

const text *text_argument(FunctionCallInfo fcinfo, Argument argument)
{
	return PG_ARGISNULL(argument) ? nullptr : PG_GETARG_TEXT_PP(argument);
}

// All but the identity, which is the link's.
Grant read_grant(FunctionCallInfo fcinfo)
{
	Grant grant = {};
	refuse_null_argument(fcinfo, kAccessToken, "access_token");
	grant.access_token = text_argument(fcinfo, kAccessToken);
	grant.refresh_token = text_argument(fcinfo, kRefreshToken);
	grant.scopes = text_argument(fcinfo, kScopesArgument);
	grant.expires = !PG_ARGISNULL(kExpiresIn);
	if (grant.expires)
		grant.expires_at = expiry_from_now(PG_GETARG_INT64(kExpiresIn));
	grant.details = PG_ARGISNULL(kDetails) ? nullptr : PG_GETARG_JSONB_P(kDetails);
	return grant;
}

// What would fail at the confirmation fails now, when the sidecar can still tell
// the user: sealing a token checks it, and so does a look at the details.
void check_storable(const Grant &grant)
{
	seal_token(grant.access_token, {&grant.identity, Column::access_token});
	if (grant.refresh_token != nullptr)
		seal_token(grant.refresh_token, {&grant.identity, Column::refresh_token});
	if (grant.details != nullptr)
		check_details(grant.details);
}

Datum make_result(FunctionCallInfo fcinfo, const char *outcome, const common::RandomSecret *code)
{
	TupleDesc descriptor;
	if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "flow_store() must return a row");
	Datum values[] = {CStringGetTextDatum(outcome), code == nullptr ? 0 : text_datum(*code)};
	bool nulls[] = {false, code == nullptr};
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls));
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_SECRET_FUNCTION(oauth_flow_store)
{
	PreventCommandIfReadOnly("flow_store()");
	refuse_null_argument(fcinfo, kTicketHash, "ticket_hash");
	const TokenTable &table = lock_table_to_store();
	Grant grant = read_grant(fcinfo);
	const TimestampTz now = GetCurrentTimestamp();
	const char *outcome = "expired";
	common::RandomSecret code;
	EndedLink link = {};
	SPI_connect();
	if (end_link(table, PG_GETARG_DATUM(kTicketHash), now, &link)) {
		grant.identity = link.identity;
		outcome = link.confirm ? "confirm" : "connected";
		if (link.confirm) {
			check_may_store(table, grant.identity);
			check_storable(grant);
			new_flow_secret(code);
			keep_confirmation(grant, code, now, link.seconds);
		} else {
			replace_grant(table, grant);
		}
	}
	SPI_finish();
	const Datum result = make_result(fcinfo, outcome, link.confirm ? &code : nullptr);
	if (link.confirm)
		common::wipe(&code, sizeof code);
	PG_RETURN_DATUM(result);
}
