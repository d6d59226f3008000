// What stands beside our objects, under their names or in their place.

#include "doctor/report.hpp"

namespace oauth_tokens
{

namespace
{

// Our own statements name their schemas. Those of applications may not.
constexpr const char *kSchema = R"(
SELECT 'warning', pg_catalog.format('PUBLIC may create objects in schema %I', n.nspname),
	pg_catalog.format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC;', n.nspname)
FROM pg_catalog.pg_namespace n JOIN extension e ON e.extnamespace = n.oid,
	pg_catalog.aclexplode(n.nspacl) a
WHERE a.grantee = 0 AND a.privilege_type = 'CREATE'
UNION ALL SELECT 'ok', pg_catalog.format('in schema %I may create: %s', n.nspname,
	pg_catalog.string_agg(DISTINCT pg_catalog.pg_get_userbyid(a.grantee)::text, ', ')), NULL
FROM pg_catalog.pg_namespace n JOIN extension e ON e.extnamespace = n.oid,
	pg_catalog.aclexplode(COALESCE(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) a
WHERE a.grantee <> 0 AND a.privilege_type = 'CREATE' GROUP BY n.nspname)";

// Some calls prefer a function under the name of one of ours.
constexpr const char *kFunctions = R"(
, ours_named AS (SELECT p.oid, p.proname FROM pg_catalog.pg_proc p JOIN ours m ON m.objid = p.oid
	AND m.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass)
SELECT 'error', pg_catalog.format('function %s of role %I is not ours',
		p.oid::pg_catalog.regprocedure, pg_catalog.pg_get_userbyid(p.proowner)),
	pg_catalog.format('DROP ROUTINE %s;', p.oid::pg_catalog.regprocedure)
FROM pg_catalog.pg_proc p, extension e
WHERE p.oid NOT IN (SELECT o.oid FROM ours_named o)
AND p.pronamespace = e.extnamespace AND p.proname IN (SELECT o.proname FROM ours_named o)
ORDER BY 2)";

// What is in the internal schema, or on its tables, passes for ours. Each object depends on its
// schema, a trigger or a rule on its table.
constexpr const char *kInternal = R"(
SELECT 'error', pg_catalog.format('%s %s is not ours', i.type, i.identity),
	pg_catalog.format('DROP %s %s;', CASE i.type WHEN 'composite type' THEN 'TYPE'
		WHEN 'statistics object' THEN 'STATISTICS' ELSE pg_catalog.upper(i.type) END, i.identity)
FROM (SELECT d.classid, d.objid FROM pg_catalog.pg_depend d
	WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.deptype = 'n'
	AND d.refobjid = 'oauth_tokens_internal'::pg_catalog.regnamespace
	UNION ALL SELECT 'pg_catalog.pg_trigger'::pg_catalog.regclass, t.oid
	FROM pg_catalog.pg_trigger t JOIN ours m ON m.objid = t.tgrelid
		AND m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass WHERE NOT t.tgisinternal
	UNION ALL SELECT 'pg_catalog.pg_rewrite'::pg_catalog.regclass, w.oid
	FROM pg_catalog.pg_rewrite w JOIN ours m ON m.objid = w.ev_class
		AND m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass WHERE w.rulename <> '_RETURN') o,
	pg_catalog.pg_identify_object(o.classid, o.objid, 0) i
WHERE NOT EXISTS (SELECT FROM ours m WHERE m.classid = o.classid AND m.objid = o.objid)
ORDER BY 2)";

// Their owner may have replaced them. If the extension is dropped to make them anew, queued
// revocations, grants and the mark of a copy go with it.
constexpr const char *kAltered = R"(
SELECT 'error', pg_catalog.format('%s belongs to role %I%s', o.name,
		pg_catalog.pg_get_userbyid(o.owner),
		CASE WHEN o.is_definer THEN ', and is SECURITY DEFINER' END),
	CASE WHEN o.owner <> e.extowner THEN pg_catalog.format('ALTER %s %s OWNER TO %I;', o.kind, o.name,
		pg_catalog.pg_get_userbyid(e.extowner)) ELSE '' END
	|| CASE WHEN o.owner <> e.extowner AND o.is_definer THEN ' ' ELSE '' END
	|| CASE WHEN o.is_definer
		THEN pg_catalog.format('ALTER ROUTINE %s SECURITY INVOKER;', o.name) ELSE '' END
FROM extension e, (
	SELECT 'ROUTINE' AS kind, p.oid::pg_catalog.regprocedure::text AS name, p.proowner AS owner,
		p.prosecdef AS is_definer
	FROM pg_catalog.pg_proc p JOIN ours m ON m.objid = p.oid
		AND m.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
	UNION ALL SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END,
		c.oid::pg_catalog.regclass::text, c.relowner, false
	FROM pg_catalog.pg_class c JOIN ours m ON m.objid = c.oid
		AND m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass WHERE c.relkind IN ('r', 'v')
	UNION ALL SELECT 'SCHEMA', n.nspname, n.nspowner, false FROM pg_catalog.pg_namespace n
	WHERE n.nspname = 'oauth_tokens_internal') o
WHERE o.is_definer OR o.owner <> e.extowner
ORDER BY 2)";

// Ours are not concerned. Those of applications compare by what they find. Operators of other
// extensions may stand in the same schema.
constexpr const char *kOperators = R"(
SELECT 'warning', pg_catalog.format('operator %s of role %I is in our schema',
		o.oid::pg_catalog.regoperator, pg_catalog.pg_get_userbyid(o.oprowner)),
	pg_catalog.format('DROP OPERATOR %s; -- if nobody needs it', o.oid::pg_catalog.regoperator)
FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_roles r ON r.oid = o.oprowner, extension e
WHERE o.oprnamespace = e.extnamespace
AND NOT r.rolsuper AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = o.oid
	AND d.classid = 'pg_catalog.pg_operator'::pg_catalog.regclass AND d.deptype = 'e')
ORDER BY 2)";

// A cast of the enum that calls a function. Who owns the enum can make one.
constexpr const char *kCasts = R"(
SELECT 'warning', pg_catalog.format('there is a cast from %s to %s',
		pg_catalog.format_type(c.castsource, NULL), pg_catalog.format_type(c.casttarget, NULL)),
	pg_catalog.format('DROP CAST (%s AS %s); -- if nobody needs it',
		pg_catalog.format_type(c.castsource, NULL), pg_catalog.format_type(c.casttarget, NULL))
FROM pg_catalog.pg_class t JOIN extension e ON e.extnamespace = t.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attname = 'actor_type'
JOIN pg_catalog.pg_type y ON y.oid = a.atttypid AND y.typtype = 'e'
JOIN pg_catalog.pg_cast c ON y.oid IN (c.castsource, c.casttarget)
WHERE t.relname = 'oauth_tokens' AND c.castmethod = 'f'
ORDER BY 2)";

void look_at_objects(Report &report)
{
	for (const char *statement : {kFunctions, kInternal, kAltered, kOperators, kCasts})
		report_rows(report, statement, As::caller);
}

constexpr Check kChecks[] = {
	{"schema", nullptr, kSchema, "only its owner may create in it"},
	{"foreign objects", look_at_objects, nullptr, "none beside ours"},
};

} // namespace

std::span<const Check> object_checks()
{
	return kChecks;
}

} // namespace oauth_tokens
