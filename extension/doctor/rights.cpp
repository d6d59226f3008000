// Who may do what: too much, too little, and what stands beside our objects under their names.

#include <cstdint>

#include "doctor/report.hpp"
#include "postgres/safe_settings.hpp"
#include "schema/capabilities.hpp"
#include "schema/missing_grants.hpp"
#include "schema/row_security.hpp"
#include "schema/table_definition.hpp"

extern "C" {
#include "miscadmin.h"
#include "utils/builtins.h"
}

namespace oauth_tokens
{

namespace
{

#define EXTENSION_SCHEMA                                                                           \
	"(SELECT e.extnamespace FROM pg_catalog.pg_extension e WHERE e.extname = 'oauth_tokens')"
// Whether an object of a catalog belongs to any extension; whether to ours
#define IS_MEMBER(catalog, oid, of)                                                                \
	"EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension x"                    \
	" ON x.oid = d.refobjid WHERE d.classid = 'pg_catalog." catalog                                \
	"'::pg_catalog.regclass AND d.objid = " oid                                                    \
	" AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass"                           \
	" AND d.deptype = 'e'" of ")"
#define OURS " AND x.extname = 'oauth_tokens'"

// Types are left out: anybody may use one, which gives nothing away.
constexpr const char *kPublic =
	"SELECT 'error', pg_catalog.format('PUBLIC has %s on %s',"
	"  pg_catalog.string_agg(DISTINCT a.privilege_type, ', '), o.name),"
	" pg_catalog.format('REVOKE ALL ON %s %s FROM PUBLIC;', o.kind, o.name)"
	" FROM (SELECT 'ROUTINE' AS kind, p.oid::pg_catalog.regprocedure::text AS name,"
	"   COALESCE(p.proacl, pg_catalog.acldefault('f', p.proowner)) AS acl"
	"  FROM pg_catalog.pg_proc p WHERE " IS_MEMBER(
		"pg_proc", "p.oid",
		OURS) " AND p.proname !~ '^fernet_' AND p.proname <> 'oauth_tokens_current'"
			  "  UNION ALL SELECT 'TABLE', c.oid::pg_catalog.regclass::text, r.acl"
			  "  FROM pg_catalog.pg_class c, LATERAL (SELECT c.relacl UNION ALL"
			  "   SELECT t.attacl FROM pg_catalog.pg_attribute t"
			  "   WHERE t.attrelid = c.oid AND t.attacl IS NOT NULL) r (acl)"
			  "  WHERE (c.relnamespace = " EXTENSION_SCHEMA
			  "   AND c.relname IN ('oauth_tokens', 'oauth_token_details'))"
			  "   OR " IS_MEMBER("pg_class", "c.oid",
								 OURS) "  UNION ALL SELECT 'SCHEMA', n.nspname, n.nspacl FROM "
									   "pg_catalog.pg_namespace n"
									   "  WHERE n.nspname = 'oauth_tokens_internal') o, "
									   "pg_catalog.aclexplode(o.acl) a"
									   " WHERE a.grantee = 0 GROUP BY o.kind, o.name ORDER BY 2";

// On functions: on tables, an owner may have granted what an application of its own needs.
constexpr const char *kGranted =
	"SELECT a.grantee, p.proname, p.oid::pg_catalog.regprocedure::text, a.is_grantable"
	" FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a"
	" WHERE a.grantee <> 0 AND a.grantee <> p.proowner AND p.proname !~ '^fernet_'"
	" AND p.proname <> 'oauth_tokens_current' AND " IS_MEMBER("pg_proc", "p.oid",
															  OURS) " ORDER BY 3, 1";

void look_at_grants(Report &report)
{
	execute_safely(kGranted);
	const std::uint64_t grants = SPI_processed;
	SPITupleTable *granted = SPI_tuptable;
	Oid role = InvalidOid;
	unsigned held = 0;
	for (std::uint64_t i = 0; i < grants; i++) {
		bool is_null;
		const HeapTuple row = granted->vals[i];
		const Oid grantee = DatumGetObjectId(SPI_getbinval(row, granted->tupdesc, 1, &is_null));
		if (grantee != role)
			held = capabilities_held(role = grantee);
		const bool is_grantable = DatumGetBool(SPI_getbinval(row, granted->tupdesc, 4, &is_null));
		if ((capabilities_of_function(SPI_getvalue(row, granted->tupdesc, 2)) & held) != 0 &&
			!is_grantable)
			continue;
		const char *name = quote_identifier(GetUserNameFromId(role, false));
		const char *routine = SPI_getvalue(row, granted->tupdesc, 3);
		report.warning(psprintf(is_grantable ? "role %s may grant %s to others"
											 : "role %s may call %s without its capability",
								name, routine),
					   psprintf("REVOKE %s ON ROUTINE %s FROM %s;",
								is_grantable ? "GRANT OPTION FOR EXECUTE" : "EXECUTE", routine,
								name));
	}
}

void look_at_capabilities(Report &report)
{
	ListCell *cell;
	foreach (cell, missing_grants()) {
		const auto *grants = static_cast<const MissingGrants *>(lfirst(cell));
		report.error(grants->what, psprintf("%s;", grants->fix));
	}
}

// Our own statements name their schemas. Those of applications may not.
constexpr const char *kSchema =
	"SELECT 'warning', pg_catalog.format('PUBLIC may create objects in schema %I', n.nspname),"
	" pg_catalog.format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC;', n.nspname)"
	" FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a"
	" WHERE n.oid = " EXTENSION_SCHEMA " AND a.grantee = 0 AND a.privilege_type = 'CREATE'"
	" UNION ALL SELECT 'ok', pg_catalog.format('in schema %I may create: %s', n.nspname,"
	"  pg_catalog.string_agg(DISTINCT pg_catalog.pg_get_userbyid(a.grantee)::text, ', ')), NULL"
	" FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(COALESCE(n.nspacl,"
	"  pg_catalog.acldefault('n', n.nspowner))) a"
	" WHERE n.oid = " EXTENSION_SCHEMA " AND a.grantee <> 0 AND a.privilege_type = 'CREATE'"
	" GROUP BY n.nspname";

// Functions under the names of ours are preferred to them by some calls; what is in the internal
// schema passes for ours; a cast or an operator of the enum decides how applications compare.
constexpr const char *kPlanted =
	"SELECT 'error', pg_catalog.format('function %s of role %I is not ours',"
	"  p.oid::pg_catalog.regprocedure, pg_catalog.pg_get_userbyid(p.proowner)),"
	" pg_catalog.format('DROP ROUTINE %s;', p.oid::pg_catalog.regprocedure)"
	" FROM pg_catalog.pg_proc p WHERE NOT " IS_MEMBER(
		"pg_proc", "p.oid",
		OURS) " AND (p.pronamespace = 'oauth_tokens_internal'::pg_catalog.regnamespace"
			  "  OR (p.pronamespace = " EXTENSION_SCHEMA " AND p.proname IN (SELECT m.proname"
			  "   FROM pg_catalog.pg_proc m WHERE " IS_MEMBER(
				  "pg_proc", "m.oid",
				  OURS) ")))"
						" UNION ALL SELECT 'error', pg_catalog.format('relation %s of role %I is "
						"not ours',"
						"  c.oid::pg_catalog.regclass, pg_catalog.pg_get_userbyid(c.relowner)),"
						" 'Drop it.'"
						" FROM pg_catalog.pg_class c"
						" WHERE c.relnamespace = 'oauth_tokens_internal'::pg_catalog.regnamespace"
						" AND c.relkind IN ('r', 'v', 'm', 'f', 'p') AND NOT " IS_MEMBER(
							"pg_class", "c.oid",
							OURS) " UNION ALL SELECT 'error', pg_catalog.format('%s belongs to "
								  "role %I%s',"
								  "  p.oid::pg_catalog.regprocedure, "
								  "pg_catalog.pg_get_userbyid(p.proowner),"
								  "  CASE WHEN p.prosecdef THEN ', and is SECURITY DEFINER' END),"
								  " 'DROP EXTENSION and CREATE EXTENSION make it anew; no token is "
								  "lost.'"
								  " FROM pg_catalog.pg_proc p WHERE " IS_MEMBER(
									  "pg_proc", "p.oid",
									  OURS) " AND (p.prosecdef OR p.proowner <> (SELECT e.extowner "
											"FROM pg_catalog.pg_extension e"
											"  WHERE e.extname = 'oauth_tokens'))"
											" UNION ALL SELECT 'warning', "
											"pg_catalog.format('operator %s of role %I is in our "
											"schema',"
											"  o.oid::pg_catalog.regoperator, "
											"pg_catalog.pg_get_userbyid(o.oprowner)),"
											" pg_catalog.format('DROP OPERATOR %s; if nobody needs "
											"it.', o.oid::pg_catalog.regoperator)"
											" FROM pg_catalog.pg_operator o JOIN "
											"pg_catalog.pg_roles r ON r.oid = o.oprowner"
											" WHERE o.oprnamespace IN (" EXTENSION_SCHEMA ","
											"  'oauth_tokens_internal'::pg_catalog.regnamespace) "
											"AND NOT r.rolsuper"
											" AND NOT " IS_MEMBER(
												"pg_operator", "o.oid",
												"") " UNION ALL SELECT 'warning', "
													"pg_catalog.format('there is a cast from %s to "
													"%s',"
													"  pg_catalog.format_type(c.castsource, NULL), "
													"pg_catalog.format_type(c.casttarget, NULL)),"
													" pg_catalog.format('DROP CAST (%s AS %s); if "
													"nobody needs it.',"
													"  pg_catalog.format_type(c.castsource, NULL), "
													"pg_catalog.format_type(c.casttarget, NULL))"
													" FROM pg_catalog.pg_cast c, "
													"pg_catalog.pg_attribute a"
													" WHERE a.atttypid IN (c.castsource, "
													"c.casttarget) AND a.attname = 'actor_type'"
													" AND a.attrelid = (SELECT t.oid FROM "
													"pg_catalog.pg_class t"
													"  WHERE t.relname = 'oauth_tokens' AND "
													"t.relnamespace = " EXTENSION_SCHEMA ")"
													" AND EXISTS (SELECT FROM pg_catalog.pg_type y "
													"WHERE y.oid = a.atttypid AND y.typtype = 'e') "
													"AND c.castmethod = 'f'"
													" AND NOT " IS_MEMBER("pg_cast", "c.oid",
																		  "") " ORDER BY 2";

// Policies count for nothing while it is not enabled.
constexpr const char *kPolicies =
	"SELECT CASE WHEN c.relrowsecurity THEN 'ok' ELSE 'error' END,"
	" CASE WHEN c.relrowsecurity"
	"  THEN pg_catalog.format('enabled%s, with %s', CASE WHEN c.relforcerowsecurity"
	"   THEN ', also for the owner' END, COALESCE(p.names, 'no policy: nobody sees a token'))"
	"  ELSE pg_catalog.format('not enabled, though there is %s', p.names) END,"
	" CASE WHEN NOT c.relrowsecurity THEN pg_catalog.format("
	"  'ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', c.oid::pg_catalog.regclass) END"
	" FROM pg_catalog.pg_class c, LATERAL (SELECT pg_catalog.string_agg("
	"   pg_catalog.quote_ident(q.polname), ', ' ORDER BY q.polname)"
	"  FROM pg_catalog.pg_policy q WHERE q.polrelid = c.oid) p (names)"
	" WHERE c.relname = 'oauth_tokens' AND c.relnamespace = " EXTENSION_SCHEMA
	" AND (c.relrowsecurity OR p.names IS NOT NULL)";

void look_at_row_security(Report &report)
{
	if (!needs_tables(report))
		return;
	ListCell *cell;
	foreach (cell, row_security_differences())
		report.error(static_cast<const Difference *>(lfirst(cell))->what,
					 "As the tables' owner: SELECT oauth_tokens_enable_row_security();");
	if (report.is_empty())
		report_rows(report, kPolicies, As::caller);
}

constexpr Check kChecks[] = {
	{"rights of PUBLIC", nullptr, kPublic, "none but the pure functions"},
	{"rights of roles", look_at_grants, nullptr, "as their capabilities need"},
	{"capabilities", look_at_capabilities, nullptr, "every role has what its capabilities need"},
	{"row security", look_at_row_security, nullptr, "not enabled"},
	{"schema", nullptr, kSchema, "only its owner may create in it"},
	{"foreign objects", nullptr, kPlanted, "none beside ours"},
};

#undef EXTENSION_SCHEMA
#undef IS_MEMBER
#undef OURS

} // namespace

std::span<const Check> right_checks()
{
	return kChecks;
}

} // namespace oauth_tokens
