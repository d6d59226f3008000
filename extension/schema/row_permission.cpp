#include "schema/row_permission.hpp"

#include "errors.hpp"
#include "postgres/function.hpp"
#include "postgres/subtransaction.hpp"
#include "schema/owner_boundary.hpp"
#include "tokens/token_store.hpp"

extern "C" {
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/rls.h"
}

namespace oauth_tokens
{

namespace
{

const Identity *checked = nullptr;
bool checks_are_off = false;

bool same_identity(const Identity &a, const Identity &b)
{
	return DatumGetBool(DirectFunctionCall2(uuid_eq, a.workspace_id(), b.workspace_id())) &&
		   a.actor_type() == b.actor_type() &&
		   DatumGetBool(DirectFunctionCall2(byteaeq, a.provider(), b.provider())) &&
		   DatumGetBool(DirectFunctionCall2(byteaeq, a.actor_id(), b.actor_id()));
}

void store_dummy(const TokenTable &table, const Identity &identity)
{
	Grant grant = {};
	grant.identity = identity;
	grant.access_token = cstring_to_text("none");
	use_tables(Use::write);
	SPI_connect();
	store_grant(table, grant);
	SPI_finish();
}

// Does what a callback would do, and takes it back. Nothing else answers as
// exactly: policies may differ by command, and call anything. Null, or why not.
ErrorData *try_to_store(const TokenTable &table, const Identity &identity)
{
	return error_of(Keep::no, [&] { store_dummy(table, identity); });
}

} // namespace

bool row_security_applies(const TokenTable &table)
{
	return check_enable_rls(table.relid, InvalidOid, true) == RLS_ENABLED;
}

void check_may_store(const TokenTable &table, const Identity &identity)
{
	if (!row_security_applies(table))
		return;
	if (ErrorData *refusal = try_to_store(table, identity))
		ReThrowError(refusal);
}

bool may_store(const TokenTable &table, const Identity &identity)
{
	if (!row_security_applies(table))
		return true;
	ErrorData *refusal = try_to_store(table, identity);
	if (refusal != nullptr && refusal->sqlerrcode != ERRCODE_INSUFFICIENT_PRIVILEGE)
		ReThrowError(refusal);
	return refusal == nullptr;
}

void set_checked(const Identity *identity)
{
	checked = identity;
}

void set_checks_off(bool on)
{
	checks_are_off = on;
}

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_may_store)
{
	if (checks_are_off)
		PG_RETURN_BOOL(true);
	const TokenTable &table = token_table();
	if (!row_security_applies(table))
		PG_RETURN_BOOL(true);
	const Identity identity = identity_from_arguments(fcinfo, 0, table);
	if (checked != nullptr && same_identity(*checked, identity))
		PG_RETURN_BOOL(true);
	PG_RETURN_BOOL(may_store(table, identity));
}
