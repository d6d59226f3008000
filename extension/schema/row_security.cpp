#include "schema/row_security.hpp"

#include "errors.hpp"
#include "postgres/function.hpp"
#include "postgres/safe_settings.hpp"
#include "schema/capabilities.hpp"
#include "schema/details_policies.hpp"
#include "schema/repair.hpp"
#include "schema/row_permission.hpp"
#include "schema/table_owner.hpp"
#include "settings.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "access/table.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "commands/policy.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

namespace oauth_tokens
{

namespace
{

struct Policy {
	const char *name;
	const char *expression;
	bool is_for_all; // TO PUBLIC
};

// '' is what is left of SET LOCAL after its transaction. As pg_get_expr() writes it.
constexpr Policy kWorkspacePolicy = {
	kWorkspacePolicyName,
	"(workspace_id = (NULLIF(current_setting('oauth_tokens.workspace_id'::text, true),"
	" ''::text))::uuid)",
	true};
constexpr Policy kSidecarPolicy = {"oauth_tokens_sidecar", "true", false};
constexpr const char *kAfterDeadlock = "Try again when fewer transactions use the table.";

// Copies: a change of the tables may free what TokenTable has.
struct Tables {
	Oid tokens;
	const char *name;
	Oid details;
	const char *details_name;
};

Tables copy_names(const TokenTable &table)
{
	return {table.relid, pstrdup(table.name), table.details_relid, pstrdup(table.details_name)};
}

// A weaker lock that we held would be in the way of one that has read a token and stores one.
void lock_both(const Tables &tables)
{
	lock_out_readers(list_make2_oid(tables.tokens, tables.details), kAfterDeadlock);
	require_name(tables.tokens, kTableName, tables.name);
	require_name(tables.details, kDetailsName, tables.details_name);
}

bool has_policy(Oid table, const Policy &policy)
{
	return OidIsValid(get_relation_policy_oid(table, policy.name, true));
}

// Whether the policy of this name is as we make it. With functions of PostgreSQL's own, on which
// it does not depend: others may read the same.
bool is_ours(Oid table, const Policy &policy)
{
	execute_safely(
		psprintf("SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = %u AND p.polname = '%s'"
				 " AND p.polpermissive AND p.polcmd = '*' AND (0 = ANY (p.polroles)) = %s"
				 " AND pg_catalog.pg_get_expr(p.polqual, p.polrelid) = %s"
				 " AND COALESCE(pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid), %s) = %s"
				 " AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d"
				 " WHERE d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass"
				 " AND d.objid = p.oid AND d.refobjid <> p.polrelid)",
				 table, policy.name, policy.is_for_all ? "true" : "false",
				 quote_literal_cstr(policy.expression), quote_literal_cstr(policy.expression),
				 quote_literal_cstr(policy.expression)));
	return SPI_processed > 0;
}

char *create_statement(const char *table, const Policy &policy, const char *roles)
{
	return psprintf("CREATE POLICY %s ON %s TO %s USING (%s) WITH CHECK (%s)", policy.name, table,
					roles, policy.expression, policy.expression);
}

// "policy oauth_tokens_sidecar is another one", or nothing.
List *other_of_its_name(Oid table, const Policy &policy)
{
	if (!has_policy(table, policy) || is_ours(table, policy))
		return NIL;
	return list_make1(make_difference(psprintf("policy %s is another one", policy.name), nullptr));
}

// Rows that any permissive policy shows are shown, so these would make ours useless. Others are for
// certain roles, or take from what is shown.
List *policies_for_all(Oid table, bool (*is_of_us)(const char *name))
{
	execute_safely(psprintf("SELECT polname FROM pg_catalog.pg_policy WHERE polrelid = %u"
							" AND polpermissive AND 0 = ANY (polroles) ORDER BY polname",
							table));
	List *found = NIL;
	for (std::uint64_t i = 0; i < SPI_processed; i++) {
		const char *name = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		if (!is_of_us(name))
			found = lappend(found, make_difference(psprintf("policy %s shows rows to all roles, "
															"and is not AS RESTRICTIVE",
															quote_identifier(name)),
												   nullptr));
	}
	return found;
}

bool is_workspace_policy(const char *name)
{
	return strcmp(name, kWorkspacePolicy.name) == 0;
}

List *compare_flags(List *found, Oid table, const char *name)
{
	Relation relation = table_open(table, NoLock);
	if (!relation->rd_rel->relrowsecurity)
		found = lappend(
			found, make_difference(pstrdup("row security is not enabled"),
								   psprintf("ALTER TABLE %s ENABLE ROW LEVEL SECURITY", name)));
	if (!relation->rd_rel->relforcerowsecurity)
		found = lappend(found,
						make_difference(pstrdup("row security is not forced"),
										psprintf("ALTER TABLE %s FORCE ROW LEVEL SECURITY", name)));
	table_close(relation, NoLock);
	return found;
}

// What a person must decide comes first.
List *tokens_differences(const Tables &tables)
{
	List *found = list_concat(other_of_its_name(tables.tokens, kWorkspacePolicy),
							  other_of_its_name(tables.tokens, kSidecarPolicy));
	found = list_concat(found, policies_for_all(tables.tokens, is_workspace_policy));
	Relation tokens = table_open(tables.tokens, NoLock);
	found = list_concat(found, row_security_index_differences(tokens, tables.name));
	table_close(tokens, NoLock);
	if (!has_policy(tables.tokens, kWorkspacePolicy))
		found = lappend(found,
						make_difference(psprintf("policy %s is missing", kWorkspacePolicy.name),
										create_statement(tables.name, kWorkspacePolicy, "PUBLIC")));
	return compare_flags(found, tables.tokens, tables.name);
}

void refuse(const char *name, List *differences)
{
	const char *unsafe = without_fix(differences);
	if (unsafe != nullptr)
		ereport(ERROR, (errcode(ERRCODE_TABLE_DIFFERS),
						errmsg("row security cannot be enabled on table %s as it is", name),
						errdetail("What is in the way: %s.", unsafe),
						errhint("Nothing was changed. Drop or alter it, then call "
								"oauth_tokens_enable_row_security() again.")));
}

void repair(const char *relation, const List *differences)
{
	const Repair repair = {"Enabling row security", relation};
	repair_beside_readers(repair, differences);
	repair_rest(repair, differences);
}

// Twice: policies are compared if row security is enabled.
void repair_details(const Tables &tables)
{
	for (int round = 0; round < 2; round++) {
		Relation details = table_open(tables.details, NoLock);
		List *differences = policy_differences(details, tables.details_name, true);
		table_close(details, NoLock);
		repair(kDetailsName, differences);
	}
}

List *roles_of_sidecar_policy(Oid table)
{
	execute_safely(psprintf("SELECT pg_catalog.unnest(polroles) FROM pg_catalog.pg_policy"
							" WHERE polrelid = %u AND polname = '%s'",
							table, kSidecarPolicy.name));
	List *roles = NIL;
	for (std::uint64_t i = 0; i < SPI_processed; i++) {
		bool is_null;
		roles = lappend_oid(roles, DatumGetObjectId(SPI_getbinval(
									   SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &is_null)));
	}
	return roles;
}

// The capability admin contains that of a sidecar, and its holders are held to a workspace like
// others. One that was given both sees all rows if it got sidecar while row security was enabled.
List *roles_of_sidecars(List *now)
{
	List *roles = NIL;
	ListCell *cell;
	foreach (cell, capability_holders()) {
		const auto [role, held] = *static_cast<const CapabilityHolder *>(lfirst(cell));
		if ((held & kSidecar) != 0 && ((held & kAdmin) == 0 || list_member_oid(now, role)))
			roles = lappend_oid(roles, role);
	}
	return roles;
}

char *names_of(List *roles)
{
	StringInfoData names;
	initStringInfo(&names);
	ListCell *cell;
	foreach (cell, roles)
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "",
						 quote_identifier(GetUserNameFromId(lfirst_oid(cell), false)));
	return names.data;
}

void set_sidecar_roles(Oid table, const char *name, List *roles)
{
	lock_out_readers(list_make1_oid(table), kAfterDeadlock);
	require_name(table, kTableName, name);
	const bool exists = has_policy(table, kSidecarPolicy);
	if (roles == NIL && exists)
		execute_safely(psprintf("DROP POLICY %s ON %s", kSidecarPolicy.name, name));
	else if (exists)
		execute_safely(
			psprintf("ALTER POLICY %s ON %s TO %s", kSidecarPolicy.name, name, names_of(roles)));
	else if (roles != NIL)
		execute_safely(create_statement(name, kSidecarPolicy, names_of(roles)));
}

bool are_same(List *one, List *other)
{
	return list_difference_oid(one, other) == NIL && list_difference_oid(other, one) == NIL;
}

void repair_sidecar_roles(const char *doing, Oid table, const char *name)
{
	List *now = roles_of_sidecar_policy(table);
	List *wanted = roles_of_sidecars(now);
	if (are_same(now, wanted))
		return;
	ereport(NOTICE, (wanted == NIL ? errmsg("%s, repair %s table: no role sees every workspace",
											doing, kTableName)
								   : errmsg("%s, repair %s table: every workspace is shown to %s",
											doing, kTableName, names_of(wanted))));
	set_sidecar_roles(table, name, wanted);
}

bool drop_policy(const Tables &tables, const Policy &policy)
{
	if (!has_policy(tables.tokens, policy) || !is_ours(tables.tokens, policy))
		return false;
	ereport(NOTICE, (errmsg("Disabling row security, drop policy %s", policy.name)));
	execute_safely(psprintf("DROP POLICY %s ON %s", policy.name, tables.name));
	return true;
}

void drop_index(const Tables &tables)
{
	const Oid schema = get_rel_namespace(tables.tokens);
	const Oid found = get_relname_relid(kRowSecurityIndexName, schema);
	if (!OidIsValid(found) || IndexGetRelation(found, true) != tables.tokens)
		return;
	ereport(NOTICE, (errmsg("Disabling row security, drop index %s", kRowSecurityIndexName)));
	execute_safely(psprintf("DROP INDEX %s", quote_qualified_identifier(get_namespace_name(schema),
																		kRowSecurityIndexName)));
}

// Other policies hide rows that would be shown without it.
void drop_flags(const Tables &tables)
{
	execute_safely(psprintf("SELECT FROM pg_catalog.pg_policy WHERE polrelid = %u", tables.tokens));
	if (SPI_processed > 0) {
		ereport(NOTICE, (errmsg("row security stays enabled and forced on %s, which has other "
								"policies",
								tables.name),
						 errhint("To end it: ALTER TABLE %s DISABLE ROW LEVEL SECURITY, NO FORCE "
								 "ROW LEVEL SECURITY; ALTER TABLE %s NO FORCE ROW LEVEL SECURITY;",
								 tables.name, tables.details_name)));
		return;
	}
	ereport(NOTICE, (errmsg("Disabling row security, all rows of %s are shown to roles that may "
							"read it",
							tables.name)));
	execute_safely(psprintf("ALTER TABLE %s DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL "
							"SECURITY; ALTER TABLE %s NO FORCE ROW LEVEL SECURITY",
							tables.name, tables.details_name));
}

} // namespace

void show_all_workspaces(Oid role)
{
	const Oid table = get_relname_relid(kTableName, extension_schema());
	if (!OidIsValid(table) || !has_policy(table, kWorkspacePolicy))
		return;
	List *roles = roles_of_sidecar_policy(table);
	if (list_member_oid(roles, role))
		return;
	const char *name = extension_object_name(kTableName);
	if (other_of_its_name(table, kSidecarPolicy) != NIL)
		ereport(ERROR, (errcode(ERRCODE_TABLE_DIFFERS),
						errmsg("policy %s on table %s is not the one that shows every workspace to "
							   "sidecars",
							   kSidecarPolicy.name, name),
						errhint("Drop it, and call oauth_tokens_enable_row_security().")));
	set_sidecar_roles(table, name, lappend_oid(roles, role));
}

// Also from what is left of it, or DROP ROLE would fail.
void show_own_workspace(Oid role)
{
	const Oid table = get_relname_relid(kTableName, extension_schema());
	List *roles = OidIsValid(table) ? roles_of_sidecar_policy(table) : NIL;
	if (list_member_oid(roles, role))
		set_sidecar_roles(table, extension_object_name(kTableName), list_delete_oid(roles, role));
}

bool row_security_differs()
{
	const Oid table = get_relname_relid(kTableName, extension_schema());
	if (!has_policy(table, kWorkspacePolicy) || other_of_its_name(table, kSidecarPolicy) != NIL)
		return false;
	List *now = roles_of_sidecar_policy(table);
	return !are_same(now, roles_of_sidecars(now));
}

void repair_row_security(const char *doing)
{
	if (row_security_differs())
		repair_sidecar_roles(doing, get_relname_relid(kTableName, extension_schema()),
							 extension_object_name(kTableName));
}

List *row_security_differences()
{
	const Tables tables = copy_names(lock_token_table(AccessShareLock));
	if (!has_policy(tables.tokens, kWorkspacePolicy))
		return NIL;
	LockRelationOid(tables.details, AccessShareLock);
	List *found = list_concat(tokens_differences(tables),
							  policies_for_all(tables.details, is_details_policy));
	return compare_flags(found, tables.details, tables.details_name);
}

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_tokens_enable_row_security)
{
	PreventCommandIfReadOnly("oauth_tokens_enable_row_security()");
	const SafeSettings settings = begin_safe_settings();
	SPI_connect();
	const Tables tables = copy_names(lock_for_change());
	lock_both(tables);
	List *differences = tokens_differences(tables);
	refuse(tables.name, differences);
	refuse(tables.details_name, policies_for_all(tables.details, is_details_policy));
	repair(kTableName, differences);
	repair_sidecar_roles("Enabling row security", tables.tokens, tables.name);
	repair_details(tables);
	SPI_finish();
	end_safe_settings(settings);
	PG_RETURN_VOID();
}

OAUTH_FUNCTION(oauth_tokens_disable_row_security)
{
	PreventCommandIfReadOnly("oauth_tokens_disable_row_security()");
	const SafeSettings settings = begin_safe_settings();
	SPI_connect();
	const Tables tables = copy_names(lock_for_change());
	lock_both(tables);
	const bool was_enabled = drop_policy(tables, kWorkspacePolicy);
	drop_policy(tables, kSidecarPolicy);
	if (was_enabled) {
		drop_index(tables);
		drop_flags(tables);
	}
	SPI_finish();
	end_safe_settings(settings);
	PG_RETURN_VOID();
}

// For the sidecar's warnings.
OAUTH_FUNCTION(oauth_row_security_applies)
{
	PG_RETURN_BOOL(row_security_applies(token_table()));
}
