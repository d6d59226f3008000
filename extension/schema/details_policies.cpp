#include "schema/details_policies.hpp"

#include <algorithm>

#include "postgres/function.hpp"
#include "postgres/member_query.hpp"
#include "schema/owner_boundary.hpp"
#include "schema/row_permission.hpp"
#include "tokens/indexed_plan.hpp"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/policy.h"
#include "nodes/primnodes.h"
#include "rewrite/rowsecurity.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
}

namespace oauth_tokens
{

namespace
{

struct PolicyDefinition {
	const char *name;
	char command; // as in pg_policy
	const char *clause;
	const char *function;
	bool is_check;
};

constexpr PolicyDefinition kPolicies[] = {
	{"oauth_token_select", ACL_SELECT_CHR, "FOR SELECT USING", "sees_token", false},
	{"oauth_token_insert", ACL_INSERT_CHR, "FOR INSERT WITH CHECK", "may_update_token", true},
	{"oauth_token_update", ACL_UPDATE_CHR, "FOR UPDATE USING", "may_update_token", false},
	{"oauth_token_delete", ACL_DELETE_CHR, "FOR DELETE USING", "may_update_token", false},
};
constexpr const char *kArguments[] = {"workspace_id", "provider", "actor_type", "actor_id",
									  "token_id"};

// Whose details follow a token in the statement that runs.
struct Following {
	const Identity *from;
	const Identity *to;
};
Following following = {};

bool same_identity(const Identity &a, const Identity &b)
{
	return DatumGetBool(DirectFunctionCall2(uuid_eq, a.workspace_id(), b.workspace_id())) &&
		   a.actor_type() == b.actor_type() &&
		   DatumGetBool(DirectFunctionCall2(byteaeq, a.provider(), b.provider())) &&
		   DatumGetBool(DirectFunctionCall2(byteaeq, a.actor_id(), b.actor_id()));
}

bool follows(const Identity &identity)
{
	return following.from != nullptr &&
		   (same_identity(*following.from, identity) || same_identity(*following.to, identity));
}

Oid policy_function(const char *name)
{
	const Oid types[] = {UUIDOID, TEXTOID, ANYENUMOID, TEXTOID, UUIDOID};
	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name),
						   PointerGetDatum(buildoidvector(types, lengthof(types))),
						   ObjectIdGetDatum(get_namespace_oid("oauth_tokens_internal", false)));
}

// Whether an expression is the function over the columns of its names, and nothing else.
bool is_call(const Expr *expression, const PolicyDefinition &wanted, Oid details)
{
	if (expression == nullptr || !IsA(expression, FuncExpr))
		return false;
	const auto *call = reinterpret_cast<const FuncExpr *>(expression);
	if (call->funcid != policy_function(wanted.function) ||
		list_length(call->args) != static_cast<int>(lengthof(kArguments)))
		return false;
	for (int i = 0; i < static_cast<int>(lengthof(kArguments)); i++) {
		const auto *argument = static_cast<Node *>(list_nth(call->args, i));
		if (!IsA(argument, Var) ||
			reinterpret_cast<const Var *>(argument)->varattno != get_attnum(details, kArguments[i]))
			return false;
	}
	return true;
}

bool fits(RowSecurityPolicy *policy, const PolicyDefinition &wanted, Oid details)
{
	const Expr *expression = wanted.is_check ? policy->with_check_qual : policy->qual;
	const Expr *other = wanted.is_check ? policy->qual : policy->with_check_qual;
	return policy->polcmd == wanted.command && policy->permissive &&
		   ARR_DIMS(policy->roles)[0] == 1 &&
		   reinterpret_cast<Oid *>(ARR_DATA_PTR(policy->roles))[0] == ACL_ID_PUBLIC &&
		   other == nullptr && is_call(expression, wanted, details);
}

// Null if row security is off, or there is none of this name.
RowSecurityPolicy *find_policy(Relation details, const PolicyDefinition &wanted)
{
	if (details->rd_rsdesc == nullptr)
		return nullptr;
	ListCell *cell;
	foreach (cell, details->rd_rsdesc->policies) {
		auto *policy = static_cast<RowSecurityPolicy *>(lfirst(cell));
		if (strcmp(policy->policy_name, wanted.name) == 0)
			return policy;
	}
	return nullptr;
}

char *create_statement(const char *name, const PolicyDefinition &policy)
{
	return psprintf("CREATE POLICY %s ON %s %s (oauth_tokens_internal.%s(workspace_id, provider,"
					" actor_type, actor_id, token_id))",
					policy.name, name, policy.clause, policy.function);
}

void bind_policy(Oid policy, Oid extension)
{
	const ObjectAddress address = {PolicyRelationId, policy, 0};
	const ObjectAddress target = {ExtensionRelationId, extension, 0};
	recordDependencyOn(&address, &target, DEPENDENCY_AUTO_EXTENSION);
}

bool is_ours(Form_pg_policy policy)
{
	const char *table = get_rel_name(policy->polrelid);
	return table != nullptr && strcmp(table, kDetailsName) == 0 &&
		   get_rel_namespace(policy->polrelid) == extension_schema() &&
		   is_details_policy(NameStr(policy->polname));
}

// The row is there, and not yet visible to the command that made it.
void policy_created(Oid policy)
{
	const Oid extension = get_extension_oid("oauth_tokens", true);
	if (!OidIsValid(extension))
		return;
	Relation catalog = table_open(PolicyRelationId, AccessShareLock);
	ScanKeyData key;
	ScanKeyInit(&key, Anum_pg_policy_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(policy));
	SysScanDesc scan = systable_beginscan(catalog, PolicyOidIndexId, true, SnapshotSelf, 1, &key);
	const HeapTuple tuple = systable_getnext(scan);
	const bool ours =
		HeapTupleIsValid(tuple) && is_ours(reinterpret_cast<Form_pg_policy>(GETSTRUCT(tuple)));
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	if (ours)
		bind_policy(policy, extension);
}

object_access_hook_type next_hook = nullptr;

void object_accessed(ObjectAccessType access, Oid catalog, Oid object, int part, void *argument)
{
	if (next_hook != nullptr)
		next_hook(access, catalog, object, part, argument);
	if (access == OAT_POST_CREATE && catalog == PolicyRelationId)
		policy_created(object);
}

// The planner finds the row by its id. By a plan, with the caller's rights and so under the
// caller's policies.
bool finds_token(FunctionCallInfo fcinfo, const TokenTable &table, bool to_update)
{
	static PlanCache plans[2];
	const Identity identity = identity_from_arguments(fcinfo, 0, table);
	if (follows(identity))
		return true;
	Oid types[] = {UUIDOID, TEXTOID, table.enum_type, TEXTOID, UUIDOID};
	Datum values[lengthof(types)];
	memcpy(values, identity.values, sizeof identity.values);
	values[kIdentityColumns] = PG_GETARG_DATUM(kIdentityColumns);
	use_tables(Use::read);
	SPI_connect();
	SPIPlanPtr plan = cached_plan(
		plans[to_update], table,
		[&] {
			return psprintf("SELECT 1 FROM %s WHERE %s AND id OPERATOR(pg_catalog.=) $5%s",
							table.name, kWhereIdentity, to_update ? " FOR KEY SHARE" : "");
		},
		lengthof(types), types);
	const int result = execute_indexed_plan(plan, values, nullptr, !to_update, 1);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not read oauth_tokens: %s", SPI_result_code_string(result));
	const bool found = SPI_processed > 0;
	SPI_finish();
	return found;
}

} // namespace

bool is_details_policy(const char *name)
{
	return std::ranges::any_of(
		kPolicies, [name](const PolicyDefinition &ours) { return strcmp(name, ours.name) == 0; });
}

List *policy_differences(Relation details, const char *name, bool forced)
{
	List *found = NIL;
	if (!details->rd_rel->relrowsecurity)
		found = lappend(
			found, make_difference(pstrdup("row security is not enabled"),
								   psprintf("ALTER TABLE %s ENABLE ROW LEVEL SECURITY", name)));
	if (forced && !details->rd_rel->relforcerowsecurity)
		found = lappend(
			found,
			make_difference(psprintf("row security is not forced, as it is on %s", kTableName),
							psprintf("ALTER TABLE %s FORCE ROW LEVEL SECURITY", name)));
	const Oid relid = RelationGetRelid(details);
	for (const PolicyDefinition &wanted : kPolicies) {
		RowSecurityPolicy *policy = find_policy(details, wanted);
		if (policy != nullptr && fits(policy, wanted, relid))
			continue;
		const bool exists = OidIsValid(get_relation_policy_oid(relid, wanted.name, true));
		if (exists && policy == nullptr)
			continue; // the next look, with row security enabled, compares it
		char *create = create_statement(name, wanted);
		found = lappend(
			found,
			make_difference(
				psprintf(exists ? "policy %s is another one" : "policy %s is missing", wanted.name),
				exists ? psprintf("DROP POLICY %s ON %s; %s", wanted.name, name, create) : create));
	}
	return found;
}

char *policies_create_statement(const char *name, bool forced)
{
	StringInfoData sql;
	initStringInfo(&sql);
	appendStringInfo(&sql, "ALTER TABLE %s ENABLE ROW LEVEL SECURITY", name);
	if (forced)
		appendStringInfo(&sql, "; ALTER TABLE %s FORCE ROW LEVEL SECURITY", name);
	for (const PolicyDefinition &policy : kPolicies)
		appendStringInfo(&sql, "; %s", create_statement(name, policy));
	return sql.data;
}

void details_policies_init()
{
	next_hook = object_access_hook;
	object_access_hook = object_accessed;
}

void bind_policies_to_extension(Oid details)
{
	const Oid extension = get_extension_oid("oauth_tokens", false);
	for (const PolicyDefinition &wanted : kPolicies) {
		const Oid policy = get_relation_policy_oid(details, wanted.name, true);
		if (OidIsValid(policy) &&
			!list_member_oid(getAutoExtensionsOfObject(PolicyRelationId, policy), extension))
			bind_policy(policy, extension);
	}
	CommandCounterIncrement();
}

void execute_following(SPIPlanPtr plan, Datum *values, const char *nulls, const Identity &from,
					   const Identity &to)
{
	use_tables(Use::write); // anew: the statement before may have waited for a row
	// A trigger on details may store another token: that call follows its own.
	const Following outer = following;
	const int nest_level = begin_row_security();
	volatile int result = 0;
	PG_TRY();
	{
		following = {&from, &to};
		result = execute_indexed_plan(plan, values, nulls, false, 0);
	}
	PG_CATCH();
	{
		following = outer;
		PG_RE_THROW();
	}
	PG_END_TRY();
	following = outer;
	end_row_security(nest_level);
	if (result < 0)
		elog(ERROR, "could not write to oauth_token_details: %s", SPI_result_code_string(result));
}

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_INNER_FUNCTION(oauth_sees_token)
{
	const TokenTable &table = token_table();
	PG_RETURN_BOOL(!row_security_applies(table) || finds_token(fcinfo, table, false));
}

OAUTH_INNER_FUNCTION(oauth_may_update_token)
{
	const TokenTable &table = token_table();
	PG_RETURN_BOOL(!row_security_applies(table) || finds_token(fcinfo, table, true));
}
