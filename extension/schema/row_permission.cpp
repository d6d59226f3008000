#include "schema/row_permission.hpp"

#include "errors.hpp"
#include "postgres/subtransaction.hpp"
#include "schema/owner_boundary.hpp"
#include "tokens/token_store.hpp"

extern "C" {
#include "access/table.h"
#include "catalog/pg_policy.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/primnodes.h"
#include "rewrite/rowsecurity.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
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

bool is_for_caller(const RowSecurityPolicy *policy)
{
	const auto *roles = reinterpret_cast<const Oid *>(ARR_DATA_PTR(policy->roles));
	for (int i = 0; i < ARR_DIMS(policy->roles)[0]; i++)
		if (roles[i] == ACL_ID_PUBLIC || has_privs_of_role(GetUserId(), roles[i]))
			return true;
	return false;
}

bool is_true(const Expr *expression)
{
	if (expression == nullptr || !IsA(expression, Const))
		return false;
	const auto *constant = reinterpret_cast<const Const *>(expression);
	return !constant->constisnull && DatumGetBool(constant->constvalue);
}

// As the policies of the sidecar's roles do (schema/row_security.hpp).
bool lets_caller_do_all(Relation relation)
{
	bool lets = false;
	ListCell *cell;
	foreach (cell, relation->rd_rsdesc->policies) {
		const auto *policy = static_cast<RowSecurityPolicy *>(lfirst(cell));
		if (!is_for_caller(policy))
			continue;
		if (!policy->permissive)
			return false;
		lets = lets || (policy->polcmd == '*' && is_true(policy->qual) &&
						(policy->with_check_qual == nullptr || is_true(policy->with_check_qual)));
	}
	return lets;
}

} // namespace

bool row_security_applies(const TokenTable &table)
{
	if (check_enable_rls(table.relid, InvalidOid, true) != RLS_ENABLED)
		return false;
	Relation relation = table_open(table.relid, AccessShareLock);
	// It may have ended while we waited for the lock.
	const bool applies = relation->rd_rsdesc != nullptr && !lets_caller_do_all(relation);
	table_close(relation, AccessShareLock);
	return applies;
}

void require_every_row(Oid table)
{
	if (check_enable_rls(table, InvalidOid, true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row security could hide rows of table %s", get_rel_name(table)),
				 errdetail("This must see every row. Nothing was changed."),
				 errhint("Call it as a superuser or as a role with BYPASSRLS. The owner of the "
						 "table can call it after oauth_tokens_disable_row_security(), or ALTER "
						 "TABLE … NO FORCE ROW LEVEL SECURITY.")));
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
