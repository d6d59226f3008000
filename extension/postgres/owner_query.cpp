#include "postgres/owner_query.hpp"

#include "postgres/extension_row.hpp"
#include "postgres/safe_settings.hpp"

extern "C" {
#include "miscadmin.h"
#include "utils/builtins.h"
}

namespace oauth_tokens
{

// An error undoes the change of user with the transaction.
std::uint64_t run_as_owner(MemberQuery &statement, Parameters parameters, bool only_read)
{
	Oid caller;
	int context;
	GetUserIdAndSecContext(&caller, &context);
	SetUserIdAndSecContext(find_extension().owner, context | SECURITY_LOCAL_USERID_CHANGE);
	const std::uint64_t rows = run(statement, parameters, only_read);
	SetUserIdAndSecContext(caller, context);
	return rows;
}

std::uint64_t look_as_owner(MemberQuery &statement, Parameters parameters)
{
	PushActiveSnapshot(GetLatestSnapshot());
	const std::uint64_t rows = run_as_owner(statement, parameters, true);
	PopActiveSnapshot();
	return rows;
}

// They are the ones for which a script of ours calls pg_extension_config_dump().
void let_dump(Oid role)
{
	if (superuser_arg(role))
		return;
	execute_safely("SELECT pg_catalog.string_agg(t.oid::pg_catalog.regclass::pg_catalog.text, ', ')"
				   " FROM pg_catalog.pg_extension e, pg_catalog.unnest(e.extconfig) t (oid)"
				   " WHERE e.extname = 'oauth_tokens'");
	const char *tables = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (tables == nullptr)
		return;
	Oid caller;
	int context;
	GetUserIdAndSecContext(&caller, &context);
	SetUserIdAndSecContext(find_extension().owner, context | SECURITY_LOCAL_USERID_CHANGE);
	const char *name = quote_identifier(GetUserNameFromId(role, false));
	execute_safely(psprintf("GRANT USAGE ON SCHEMA oauth_tokens_internal TO %s", name));
	execute_safely(psprintf("GRANT SELECT ON %s TO %s", tables, name));
	SetUserIdAndSecContext(caller, context);
}

} // namespace oauth_tokens
