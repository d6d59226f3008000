#include "schema/row_security.hpp"

#include "errors.hpp"
#include "postgres/function.hpp"
#include "postgres/safe_settings.hpp"
#include "schema/capabilities.hpp"
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
	"oauth_tokens_workspace",
	"(workspace_id = (NULLIF(current_setting('oauth_tokens.workspace_id'::text, true),"
	" ''::text))::uuid)",
	true};
constexpr Policy kSidecarPolicy = {"oauth_tokens_sidecar", "true", false};

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

bool has_policy(Oid table, const Policy &policy)
{
	return OidIsValid(get_relation_policy_oid(table, policy.name, true));
}

// Whether the policy of this name is as we make it.
bool is_ours(Oid table, const Policy &policy)
{
	execute_safely(
		psprintf("SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = %u AND p.polname = '%s'"
				 " AND p.polpermissive AND p.polcmd = '*' AND (0 = ANY (p.polroles)) = %s"
				 " AND pg_catalog.pg_get_expr(p.polqual, p.polrelid) = %s"
				 " AND COALESCE(pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid), %s) = %s",
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
List *policies_for_all(Oid table)
{
	execute_safely(psprintf("SELECT pg_catalog.quote_ident(polname) FROM pg_catalog.pg_policy"
							" WHERE polrelid = %u AND polpermissive AND 0 = ANY (polroles)"
							" AND polname <> '%s' ORDER BY polname",
							table, kWorkspacePolicy.name));
	List *found = NIL;
	for (std::uint64_t i = 0; i < SPI_processed; i++)
		found = lappend(
			found,
			make_difference(psprintf("policy %s shows rows to all roles, and is not "
									 "AS RESTRICTIVE",
									 SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1)),
							nullptr));
	return found;
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
	found = list_concat(found, policies_for_all(tables.tokens));
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
	StringInfoData unsafe;
	initStringInfo(&unsafe);
	ListCell *cell;
	foreach (cell, differences) {
		const auto *found = static_cast<Difference *>(lfirst(cell));
		if (found->fix == nullptr)
			appendStringInfo(&unsafe, "%s%s", unsafe.len > 0 ? "; " : "", found->what);
	}
	if (unsafe.len > 0)
		ereport(ERROR, (errcode(ERRCODE_TABLE_DIFFERS),
						errmsg("row security cannot be enabled on table %s as it is", name),
						errdetail("What is in the way: %s.", unsafe.data),
						errhint("Nothing was changed. Drop or alter it, then call "
								"oauth_tokens_enable_row_security() again.")));
}

void repair(const char *relation, List *differences)
{
	ListCell *cell;
	foreach (cell, differences) {
		const auto *found = static_cast<Difference *>(lfirst(cell));
		ereport(NOTICE,
				(errmsg("Enabling row security, repair %s table: %s", relation, found->what)));
		execute_safely(found->fix);
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
	foreach (cell, roles_with_rights()) {
		const Oid role = lfirst_oid(cell);
		const unsigned held = capabilities_held(role);
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
	const bool exists = has_policy(table, kSidecarPolicy);
	if (roles == NIL && exists)
		execute_safely(psprintf("DROP POLICY %s ON %s", kSidecarPolicy.name, name));
	else if (exists)
		execute_safely(
			psprintf("ALTER POLICY %s ON %s TO %s", kSidecarPolicy.name, name, names_of(roles)));
	else if (roles != NIL)
		execute_safely(create_statement(name, kSidecarPolicy, names_of(roles)));
}

void repair_sidecar_roles(const Tables &tables)
{
	List *now = roles_of_sidecar_policy(tables.tokens);
	List *wanted = roles_of_sidecars(now);
	if (list_difference_oid(now, wanted) == NIL && list_difference_oid(wanted, now) == NIL)
		return;
	ereport(NOTICE,
			(wanted == NIL
				 ? errmsg("Enabling row security, repair %s table: no role sees every workspace",
						  kTableName)
				 : errmsg("Enabling row security, repair %s table: every workspace is shown to %s",
						  kTableName, names_of(wanted))));
	set_sidecar_roles(tables.tokens, tables.name, wanted);
}

bool drop_policy(const Tables &tables, const Policy &policy)
{
	if (!has_policy(tables.tokens, policy) || !is_ours(tables.tokens, policy))
		return false;
	ereport(NOTICE, (errmsg("Disabling row security, drop policy %s", policy.name)));
	execute_safely(psprintf("DROP POLICY %s ON %s", policy.name, tables.name));
	return true;
}

bool drop_index(const Tables &tables)
{
	const Oid schema = get_rel_namespace(tables.tokens);
	const Oid found = get_relname_relid(kRowSecurityIndexName, schema);
	if (!OidIsValid(found) || IndexGetRelation(found, true) != tables.tokens)
		return false;
	ereport(NOTICE, (errmsg("Disabling row security, drop index %s", kRowSecurityIndexName)));
	execute_safely(psprintf("DROP INDEX %s", quote_qualified_identifier(get_namespace_name(schema),
																		kRowSecurityIndexName)));
	return true;
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
								 "ROW LEVEL SECURITY.",
								 tables.name)));
		return;
	}
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
	const char *name = extension_relation_name(kTableName);
	refuse(name, other_of_its_name(table, kSidecarPolicy));
	set_sidecar_roles(table, name, lappend_oid(roles, role));
}

// Also from what is left of it, or DROP ROLE would fail.
void show_own_workspace(Oid role)
{
	const Oid table = get_relname_relid(kTableName, extension_schema());
	List *roles = OidIsValid(table) ? roles_of_sidecar_policy(table) : NIL;
	if (list_member_oid(roles, role))
		set_sidecar_roles(table, extension_relation_name(kTableName), list_delete_oid(roles, role));
}

List *row_security_differences()
{
	const Tables tables = copy_names(lock_token_table(AccessShareLock));
	if (!has_policy(tables.tokens, kWorkspacePolicy))
		return NIL;
	LockRelationOid(tables.details, AccessShareLock);
	return list_concat(tokens_differences(tables),
					   compare_flags(NIL, tables.details, tables.details_name));
}

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_tokens_enable_row_security)
{
	PreventCommandIfReadOnly("oauth_tokens_enable_row_security()");
	const SafeSettings settings = begin_safe_settings();
	SPI_connect();
	const Tables tables = copy_names(lock_for_change());
	List *differences = tokens_differences(tables);
	refuse(tables.name, differences);
	repair(kTableName, differences);
	repair_sidecar_roles(tables);
	repair(kDetailsName, compare_flags(NIL, tables.details, tables.details_name));
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
	bool is_enabled = drop_policy(tables, kWorkspacePolicy);
	is_enabled = drop_policy(tables, kSidecarPolicy) || is_enabled;
	is_enabled = drop_index(tables) || is_enabled;
	if (is_enabled)
		drop_flags(tables);
	SPI_finish();
	end_safe_settings(settings);
	PG_RETURN_VOID();
}

// For the sidecar's warnings.
OAUTH_FUNCTION(oauth_row_security_applies)
{
	PG_RETURN_BOOL(row_security_applies(token_table()));
}
