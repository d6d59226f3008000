#include "schema/row_permission.hpp"

#include "errors.hpp"
#include "postgres/subtransaction.hpp"
#include "schema/owner_boundary.hpp"
#include "tokens/token_store.hpp"

extern "C" {
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/rls.h"
}

namespace oauth_tokens
{

namespace
{

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

// Null, or why not. The user's triggers fire, since a policy may be about what they fill in;
// what they do is undone.
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

} // namespace oauth_tokens
