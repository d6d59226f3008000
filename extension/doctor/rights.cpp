// Who may do what: too much, or too little.

#include <cstdint>
#include <cstring>

#include "doctor/report.hpp"
#include "postgres/safe_settings.hpp"
#include "schema/capabilities.hpp"
#include "schema/missing_grants.hpp"
#include "schema/row_security.hpp"
#include "schema/table_definition.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "miscadmin.h"
#include "utils/builtins.h"
}

namespace oauth_tokens
{

namespace
{

// Types are left out: anybody may use one, which gives nothing away.
constexpr const char *kPublic = R"(
SELECT 'error',
	pg_catalog.format('PUBLIC has %s on %s',
		pg_catalog.string_agg(DISTINCT a.privilege_type, ', '), o.name),
	pg_catalog.format('REVOKE ALL ON %s %s FROM PUBLIC;', o.kind, o.name)
FROM (
	SELECT 'ROUTINE' AS kind, p.oid::pg_catalog.regprocedure::text AS name,
		COALESCE(p.proacl, pg_catalog.acldefault('f', p.proowner)) AS acl
	FROM pg_catalog.pg_proc p JOIN ours m ON m.objid = p.oid
		AND m.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
	WHERE p.proname !~ '^fernet_' AND p.proname <> 'oauth_tokens_current'
	UNION ALL SELECT 'TABLE', c.oid::pg_catalog.regclass::text, r.acl
	FROM extension e, pg_catalog.pg_class c, LATERAL (SELECT c.relacl
		UNION ALL SELECT t.attacl FROM pg_catalog.pg_attribute t
		WHERE t.attrelid = c.oid AND t.attacl IS NOT NULL) r (acl)
	WHERE (c.relnamespace = e.extnamespace AND c.relname IN ('oauth_tokens', 'oauth_token_details'))
	OR EXISTS (SELECT FROM ours m WHERE m.objid = c.oid
		AND m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass)
	UNION ALL SELECT 'SCHEMA', n.nspname, n.nspacl FROM pg_catalog.pg_namespace n
	WHERE n.nspname = 'oauth_tokens_internal') o, pg_catalog.aclexplode(o.acl) a
WHERE a.grantee = 0 GROUP BY o.kind, o.name ORDER BY 2)";

// On what is ours. On the two tables an owner may have granted what an application of its own
// needs, and the upgrade lets it dump what belongs to them.
constexpr const char *kGranted = R"(
SELECT a.grantee, COALESCE(p.proname, c.relname),
	COALESCE(p.oid::pg_catalog.regprocedure::text, c.oid::pg_catalog.regclass::text),
	CASE WHEN p.oid IS NULL THEN 'TABLE' ELSE 'ROUTINE' END,
	pg_catalog.string_agg(DISTINCT a.privilege_type, ', '), pg_catalog.bool_or(a.is_grantable)
FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_depend d ON d.refobjid = e.oid
	AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
LEFT JOIN pg_catalog.pg_proc p ON p.oid = d.objid
	AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
LEFT JOIN pg_catalog.pg_class c ON c.oid = d.objid
	AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
LEFT JOIN pg_catalog.pg_class t ON t.relname = 'oauth_tokens' AND t.relnamespace = e.extnamespace,
	pg_catalog.aclexplode(COALESCE(p.proacl, c.relacl)) a
WHERE e.extname = 'oauth_tokens'
AND COALESCE(p.proname !~ '^fernet_' AND p.proname <> 'oauth_tokens_current', true)
AND a.grantee NOT IN (0, COALESCE(p.proowner, c.relowner))
AND NOT COALESCE(c.oid IS NOT NULL AND a.grantee = t.relowner, false)
GROUP BY a.grantee, p.oid, p.proname, c.oid, c.relname ORDER BY 1, 3)";

unsigned capabilities_of_relation(const char *name)
{
	unsigned capabilities = 0;
	for (const RelationGrant &grant : relation_grants())
		if (strcmp(grant.relation, name) == 0)
			capabilities |= grant.capabilities;
	return capabilities;
}

struct Granted {
	const char *role;
	const char *object;
	const char *kind;
	const char *privileges;
};

void report_grant(Report &report, const Granted &granted, bool is_grantable)
{
	report.warning(psprintf(is_grantable ? "role %s may grant %s on %s to others"
										 : "role %s has %s on %s, which no capability of its needs",
							granted.role, granted.privileges, granted.object),
				   psprintf("REVOKE %s%s ON %s %s FROM %s;",
							is_grantable ? "GRANT OPTION FOR " : "", granted.privileges,
							granted.kind, granted.object, granted.role));
}

void look_at_grants(Report &report)
{
	execute_safely(kGranted);
	const std::uint64_t rows = SPI_processed;
	SPITupleTable *found = SPI_tuptable; // capabilities_held() leaves another one
	Oid role = InvalidOid;
	unsigned held = 0;
	for (std::uint64_t i = 0; i < rows; i++) {
		bool is_null;
		const auto datum = [&](int column) {
			return SPI_getbinval(found->vals[i], found->tupdesc, column, &is_null);
		};
		const auto text = [&](int column) {
			return SPI_getvalue(found->vals[i], found->tupdesc, column);
		};
		if (DatumGetObjectId(datum(1)) != role)
			held = capabilities_held(role = DatumGetObjectId(datum(1)));
		const char *name = text(2);
		const unsigned needed_for = strcmp(text(4), "ROUTINE") == 0
										? capabilities_of_function(name)
										: capabilities_of_relation(name);
		const bool is_grantable = DatumGetBool(datum(6));
		if ((needed_for & held) == 0 || is_grantable)
			report_grant(
				report,
				{quote_identifier(GetUserNameFromId(role, false)), text(3), text(4), text(5)},
				is_grantable);
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

// Policies count for nothing while row security is not enabled.
constexpr const char *kPolicies = R"(
SELECT CASE WHEN c.relrowsecurity THEN 'ok' ELSE 'error' END,
	CASE WHEN c.relrowsecurity
		THEN 'enabled' || CASE WHEN c.relforcerowsecurity THEN ', also for the owner' ELSE '' END
			|| ', with ' || COALESCE(p.names, 'no policy: nobody sees a token')
		ELSE 'not enabled, though there is ' || p.names END,
	CASE WHEN NOT c.relrowsecurity THEN pg_catalog.format(
		'ALTER TABLE %s ENABLE ROW LEVEL SECURITY;', c.oid::pg_catalog.regclass) END
FROM pg_catalog.pg_class c JOIN extension e ON e.extnamespace = c.relnamespace,
	LATERAL (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(q.polname), ', '
			ORDER BY q.polname)
		FROM pg_catalog.pg_policy q WHERE q.polrelid = c.oid) p (names)
WHERE c.relname = 'oauth_tokens' AND (c.relrowsecurity OR p.names IS NOT NULL))";

void look_at_row_security(Report &report)
{
	if (!needs_tables(report))
		return;
	ListCell *cell;
	foreach (cell, row_security_differences())
		report.error(static_cast<const Difference *>(lfirst(cell))->what,
					 psprintf("SELECT %s(); -- as the tables' owner",
							  extension_object_name("oauth_tokens_enable_row_security")));
	if (report.is_empty())
		report_rows(report, kPolicies, As::caller);
}

constexpr Check kChecks[] = {
	{"rights of PUBLIC", nullptr, kPublic, "none but the pure functions"},
	{"rights of roles", look_at_grants, nullptr, "as their capabilities need"},
	{"capabilities", look_at_capabilities, nullptr, "every role has what its capabilities need"},
	{"row security", look_at_row_security, nullptr, "not enabled"},
};

} // namespace

std::span<const Check> right_checks()
{
	return kChecks;
}

} // namespace oauth_tokens
