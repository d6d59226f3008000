// oauth_delete: forgets a token.

#include "errors.hpp"
#include "function.hpp"
#include "owner_boundary.hpp"
#include "token_details.hpp"
#include "token_table.hpp"

namespace oauth_tokens
{

namespace
{

bool delete_row(const TokenTable &table, const Identity &identity)
{
	static KeptPlan kept;
	Oid types[] = {UUIDOID, TEXTOID, table.enum_type, TEXTOID};
	Datum values[kIdentityColumns];
	memcpy(values, identity.values, sizeof values);
	SPIPlanPtr plan = kept_plan(
		kept, table,
		[&] { return psprintf("DELETE FROM %s WHERE %s", table.name, kWhereIdentity); },
		kIdentityColumns, types);
	const int result = SPI_execute_plan(plan, values, nullptr, false, 0);
	if (result != SPI_OK_DELETE)
		elog(ERROR, "could not delete from oauth_tokens: %s", SPI_result_code_string(result));
	return SPI_processed > 0;
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_delete)
{
	PreventCommandIfReadOnly("oauth_delete()");
	const TokenTable &table = use_tables(Use::write);
	const Identity identity = identity_from_arguments(fcinfo, 0, table);
	if (!PG_ARGISNULL(4) && PG_GETARG_BOOL(4))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("this version cannot revoke a token at its provider"),
						errdetail("Nothing was deleted."),
						errhint("Revoke it at the provider, then call oauth_delete() without "
								"revoke.")));
	SPI_connect();
	const bool deleted = delete_row(table, identity);
	if (deleted)
		details_delete(table, identity);
	SPI_finish();
	PG_RETURN_BOOL(deleted);
}
