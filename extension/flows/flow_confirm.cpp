// oauth_flow_confirm: the application vouches that the user in its own session is
// the one whom a link was made for (docs/design/threats.md, F15).

#include "errors.hpp"
#include "flows/confirmation.hpp"
#include "postgres/function.hpp"
#include "postgres/member_query.hpp"
#include "tokens/token_codec.hpp"

using namespace oauth_tokens;

OAUTH_SECRET_FUNCTION(oauth_flow_confirm)
{
	constexpr int kFlow = kIdentityColumns;
	PreventCommandIfReadOnly("oauth_flow_confirm()");
	const TokenTable &table = lock_table_to_store();
	const Identity identity = identity_from_arguments(fcinfo, 0, table);
	refuse_null_argument(fcinfo, kFlow, "flow");
	auto *id = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t)));
	SPI_connect();
	if (!take_confirmation(table, identity, view_of(PG_GETARG_TEXT_PP(kFlow)), replace_grant, id))
		ereport(ERROR,
				(errcode(ERRCODE_FLOW_UNKNOWN), errmsg("there is no such flow to confirm"),
				 errdetail("It is unknown, used, expired, or was made for another identity."),
				 errhint("Pass the identity of the user in your own session. If it is, ask "
						 "the user to connect again.")));
	SPI_finish();
	PG_RETURN_UUID_P(id);
}
