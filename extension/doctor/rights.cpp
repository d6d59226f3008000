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

// Types are left out: anybody may use one, which gives nothing away. `is_theirs` are the two
// tables: on them an owner may have granted what an application of its own needs, but a role with
// TRIGGER runs its code with the rights of callers. And the upgrade lets the tables' owner dump
// what belongs to them. One row for each grantor: REVOKE takes only what the current user granted.
constexpr const char *kGranted = R"(
, objects AS (
	SELECT 'ROUTINE' AS kind, p.proname AS name, p.oid::pg_catalog.regprocedure::text AS object,
		p.proowner AS owner, COALESCE(p.proacl, pg_catalog.acldefault('f', p.proowner)) AS acl,
		false AS is_theirs
	FROM pg_catalog.pg_proc p JOIN ours m ON m.objid = p.oid
		AND m.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
	WHERE p.proname !~ '^fernet_' AND p.proname <> 'oauth_tokens_current'
	UNION ALL SELECT 'TABLE', c.relname, c.oid::pg_catalog.regclass::text, c.relowner, r.acl,
		m.objid IS NULL
	FROM extension e CROSS JOIN pg_catalog.pg_class c LEFT JOIN ours m ON m.objid = c.oid
		AND m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass,
		LATERAL (SELECT c.relacl UNION ALL SELECT t.attacl FROM pg_catalog.pg_attribute t
			WHERE t.attrelid = c.oid AND t.attacl IS NOT NULL) r (acl)
	WHERE m.objid IS NOT NULL OR (c.relnamespace = e.extnamespace
		AND c.relname IN ('oauth_tokens', 'oauth_token_details'))
	UNION ALL SELECT 'SCHEMA', n.nspname, n.nspname, n.nspowner, n.nspacl, false
	FROM pg_catalog.pg_namespace n WHERE n.nspname = 'oauth_tokens_internal'),
grants AS (SELECT o.kind, o.name, o.object, o.owner, o.is_theirs, a.*
	FROM objects o, pg_catalog.aclexplode(o.acl) a WHERE a.grantee <> o.owner),
heirs AS (SELECT grantor, kind, object,
		pg_catalog.string_agg(DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC'
			ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(grantee)) END, ', ') AS names
	FROM grants GROUP BY 1, 2, 3)
SELECT g.grantee, g.kind, g.name, g.object,
	pg_catalog.string_agg(DISTINCT g.privilege_type, ', '),
	CASE g.grantee WHEN 0 THEN 'PUBLIC'
		ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END,
	CASE WHEN g.grantor <> g.owner
		THEN pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantor)) END,
	h.names,
	pg_catalog.bool_or(g.is_grantable), g.is_theirs OR g.kind = 'SCHEMA'
FROM grants g LEFT JOIN heirs h ON (h.grantor, h.kind, h.object) = (g.grantee, g.kind, g.object),
	extension e LEFT JOIN pg_catalog.pg_class t
	ON t.relname = 'oauth_tokens' AND t.relnamespace = e.extnamespace
WHERE CASE WHEN %s THEN g.grantee = 0 ELSE g.grantee <> 0
	AND NOT COALESCE(g.kind = 'TABLE' AND g.grantee = t.relowner, false)
	AND CASE WHEN g.is_theirs THEN g.privilege_type = 'TRIGGER'
		WHEN g.kind = 'SCHEMA' THEN g.privilege_type = 'CREATE' ELSE true END END
GROUP BY g.grantee, g.grantor, g.owner, g.kind, g.name, g.object, g.is_theirs, h.names
ORDER BY 1, 4, 7)";

// What somebody may do to an object of ours by what one grantor gave. The names are quoted.
struct Granted {
	Oid grantee;
	const char *kind;
	const char *name;
	const char *object;
	const char *privileges;
	const char *role;
	const char *grantor; // null: the owner
	const char *heirs;   // to whom the role has granted it; null: to nobody
	bool is_grantable;
	bool is_needless; // by any capability
};

List *grants_to(bool everybody)
{
	execute_safely(psprintf("%s%s", kExtension, psprintf(kGranted, everybody ? "true" : "false")));
	List *grants = NIL;
	for (std::uint64_t i = 0; i < SPI_processed; i++) {
		bool is_null;
		const auto datum = [&](int column) {
			return SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, column, &is_null);
		};
		const auto text = [&](int column) {
			return SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, column);
		};
		auto *granted = static_cast<Granted *>(palloc(sizeof(Granted)));
		*granted = {DatumGetObjectId(datum(1)),
					text(2),
					text(3),
					text(4),
					text(5),
					text(6),
					text(7),
					text(8),
					DatumGetBool(datum(9)),
					DatumGetBool(datum(10))};
		grants = lappend(grants, granted);
	}
	return grants;
}

const char *revocation(const Granted &granted, const char *option)
{
	StringInfoData hint;
	initStringInfo(&hint);
	if (granted.grantor != nullptr)
		appendStringInfo(&hint, "SET ROLE %s; ", granted.grantor);
	appendStringInfo(&hint, "REVOKE %s%s ON %s %s FROM %s%s;", option, granted.privileges,
					 granted.kind, granted.object, granted.role,
					 granted.heirs != nullptr ? " CASCADE" : "");
	if (granted.grantor != nullptr)
		appendStringInfoString(&hint, " RESET ROLE;");
	if (granted.heirs != nullptr)
		appendStringInfo(&hint, " -- and from %s", granted.heirs);
	return hint.data;
}

void look_at_public(Report &report)
{
	ListCell *cell;
	foreach (cell, grants_to(true)) {
		const Granted &granted = *static_cast<const Granted *>(lfirst(cell));
		report.error(psprintf("PUBLIC has %s on %s", granted.privileges, granted.object),
					 revocation(granted, ""));
	}
}

unsigned needed_for(const Granted &granted)
{
	if (granted.is_needless)
		return 0;
	if (strcmp(granted.kind, "ROUTINE") == 0)
		return capabilities_of_function(granted.name);
	unsigned capabilities = 0;
	for (const RelationGrant &grant : relation_grants())
		if (strcmp(grant.relation, granted.name) == 0)
			capabilities |= grant.capabilities;
	return capabilities;
}

void look_at_grants(Report &report)
{
	const List *holders = capability_holders();
	Oid role = InvalidOid;
	unsigned held = 0;
	ListCell *cell;
	foreach (cell, grants_to(false)) {
		const Granted &granted = *static_cast<const Granted *>(lfirst(cell));
		if (granted.grantee != role)
			held = capabilities_held(role = granted.grantee, holders);
		if ((needed_for(granted) & held) == 0)
			report.warning(psprintf("role %s has %s on %s, which none of its capabilities needs",
									granted.role, granted.privileges, granted.object),
						   revocation(granted, ""));
		else if (granted.is_grantable)
			report.warning(psprintf("role %s may grant %s on %s to others", granted.role,
									granted.privileges, granted.object),
						   revocation(granted, "GRANT OPTION FOR "));
	}
}

void look_at_capabilities(Report &report)
{
	ListCell *cell;
	foreach (cell, missing_grants()) {
		const auto *grants = static_cast<const MissingGrants *>(lfirst(cell));
		report.error(grants->what, grants->fix);
	}
}

// Policies count for nothing while row security is not enabled.
constexpr const char *kPolicies = R"(
SELECT CASE WHEN NOT c.relrowsecurity THEN 'error'
		WHEN p.names IS NULL THEN 'warning' ELSE 'ok' END,
	CASE WHEN c.relrowsecurity
		THEN 'enabled' || CASE WHEN c.relforcerowsecurity THEN ', also for the owner' ELSE '' END
			|| ', with ' || COALESCE(p.names, 'no policy: nobody sees a token')
		ELSE 'not enabled, though there is ' || p.names END,
	CASE WHEN NOT c.relrowsecurity THEN pg_catalog.format(
			'ALTER TABLE %s ENABLE ROW LEVEL SECURITY; -- first a policy that shows the daemon all',
			c.oid::pg_catalog.regclass)
		WHEN p.names IS NULL THEN pg_catalog.format(
			'SELECT %s.oauth_tokens_enable_row_security(); -- or make a policy of yours', e.schema) END
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
	{"rights of PUBLIC", look_at_public, nullptr, "none but the pure functions"},
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
