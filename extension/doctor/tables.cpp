// The two tables of tokens: that they are as the migration made them, and that callers may
// trust their owner.

#include "doctor/report.hpp"
#include "postgres/safe_settings.hpp"
#include "refresh_ahead/background_index.hpp"
#include "schema/owner_code.hpp"
#include "schema/schema_differences.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "access/relation.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

namespace oauth_tokens
{

namespace
{

constexpr const char *kRepair = "SELECT %s(); -- as the tables' owner";
constexpr const char *kAlter = "SELECT %s(); -- after you have altered the table";

void report_differences(Report &report, const List *differences)
{
	ListCell *cell;
	foreach (cell, differences) {
		const auto *found = static_cast<const Difference *>(lfirst(cell));
		report.error(found->what, psprintf(needs_person(found) ? kAlter : kRepair,
										   extension_object_name("oauth_tokens_upgrade")));
	}
}

void look_at_tables(Report &report)
{
	report_differences(report, schema_differences());
}

void look_at_triggers(Report &report)
{
	if (needs_tables(report))
		report_differences(report, schema_trigger_differences());
}

bool is_trusted(Oid owner)
{
	return superuser_arg(owner) ||
		   compat::may_execute(extension_function("oauth_tokens_upgrade"), owner);
}

// Other callers than superusers trust an owner with the capability admin (owner_boundary.hpp).
void look_at_owner(Report &report, const char *name, bool (*is_own)(const char *column))
{
	const Oid relid = get_relname_relid(name, extension_schema());
	Relation table = OidIsValid(relid) ? try_relation_open(relid, AccessShareLock) : nullptr;
	if (table == nullptr)
		return; // said of the tables
	const Oid owner = table->rd_rel->relowner;
	const char *code = superuser_arg(owner) ? nullptr : find_owner_code(table, Use::write, is_own);
	relation_close(table, NoLock);
	const char *owner_name = quote_identifier(GetUserNameFromId(owner, false));
	if (!is_trusted(owner))
		report.add(
			code == nullptr ? Status::warning : Status::error,
			code == nullptr ? psprintf("%s belongs to %s, whose code callers would refuse to run",
									   name, owner_name)
							: psprintf("callers of %s are refused: it has %s, of its owner %s",
									   name, code, owner_name),
			psprintf("SELECT %s(%s, 'admin'); -- if you trust it",
					 extension_object_name("oauth_tokens_grant"), quote_literal_cstr(owner_name)));
	else if (code != nullptr)
		report.ok(
			psprintf("%s has %s, of its owner %s; superusers are refused", name, code, owner_name));
}

// A trigger, a policy, a constraint, a default or an index calls it with the rights of callers. An
// owner of a table is looked at elsewhere, and others may have been lent the right to make
// triggers.
constexpr const char *kStrangers = R"(
SELECT DISTINCT 'warning', pg_catalog.format('%s %s calls %s of role %I, whom callers need not trust',
		i.type, i.identity, p.oid::pg_catalog.regprocedure, r.rolname),
	pg_catalog.format('ALTER ROUTINE %s OWNER TO %I; -- if you have read it; else drop the %s',
		p.oid::pg_catalog.regprocedure, pg_catalog.pg_get_userbyid(t.relowner), i.type)
FROM pg_catalog.pg_class t JOIN extension e ON e.extnamespace = t.relnamespace
JOIN pg_catalog.pg_depend d ON d.refobjid = t.oid
	AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
JOIN pg_catalog.pg_depend f ON f.classid = d.classid AND f.objid = d.objid
	AND f.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
JOIN pg_catalog.pg_proc p ON p.oid = f.refobjid
JOIN pg_catalog.pg_roles r ON r.oid = p.proowner,
	pg_catalog.pg_identify_object(d.classid, d.objid, 0) i
WHERE t.relname IN ('oauth_tokens', 'oauth_token_details')
AND (d.classid <> 'pg_catalog.pg_rewrite'::pg_catalog.regclass OR EXISTS (SELECT
	FROM pg_catalog.pg_rewrite w WHERE w.oid = d.objid AND w.ev_class = t.oid))
AND p.proowner NOT IN (t.relowner, e.extowner) AND NOT pg_catalog.has_function_privilege(r.oid,
	pg_catalog.format('%s.oauth_tokens_upgrade()', e.schema), 'EXECUTE')
ORDER BY 2)";

void look_at_owners(Report &report)
{
	if (!needs_tables(report))
		return;
	look_at_owner(report, kTableName, is_table_column);
	look_at_owner(report, kDetailsName, is_details_column);
	report_rows(report, kStrangers, As::caller);
}

// Meanwhile, lookups take another way, and stores may fail. Transaction ids are compared by their
// age, which wraps around with them.
constexpr const char *kIndexes = R"(
SELECT 'warning',
	pg_catalog.format('index %s is %s', i.indexrelid::pg_catalog.regclass, CASE
		WHEN NOT i.indisvalid THEN 'not valid'
		WHEN NOT i.indisready THEN 'not ready'
		WHEN NOT i.indislive THEN 'being dropped'
		ELSE 'not used until older transactions have ended' END),
	CASE WHEN i.indisvalid AND i.indisready AND i.indislive
		THEN '-- end them: pg_stat_activity, backend_xmin'
		WHEN c.relname ~ '_cc(new|old)[0-9]*$' -- what REINDEX CONCURRENTLY left
		THEN pg_catalog.format('DROP INDEX %s;', i.indexrelid::pg_catalog.regclass)
		ELSE pg_catalog.format('REINDEX INDEX CONCURRENTLY %s;', i.indexrelid::pg_catalog.regclass) END
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN extension e ON e.extnamespace = t.relnamespace
WHERE t.relname IN ('oauth_tokens', 'oauth_token_details')
AND (NOT i.indisvalid OR NOT i.indisready OR NOT i.indislive
	OR (i.indcheckxmin AND pg_catalog.age(i.xmin) <= pg_catalog.age((
		(pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::bigint & 4294967295)
		::text)::pg_catalog.xid)))
ORDER BY 2)";

// As 0.1.0 made the table, or as it was adopted. A fillfactor that somebody has set is a decision.
constexpr const char *kStorage = R"(
SELECT 'warning', f.detail, pg_catalog.format('ALTER TABLE %s.oauth_tokens %s;', e.schema, f.change)
FROM pg_catalog.pg_class t JOIN extension e ON e.extnamespace = t.relnamespace,
	(VALUES ('fillfactor', NULL, 'a refreshed token finds no room in its page: fillfactor is not set',
		'SET (fillfactor = 90)'),
	('toast_tuple_target', 2048, 'a refresh writes long tokens whole: toast_tuple_target is more than 2048',
		'RESET (toast_tuple_target)')) f (name, most, detail, change)
LEFT JOIN LATERAL (SELECT o.option_value::int AS value
	FROM pg_catalog.pg_options_to_table(t.reloptions) o WHERE o.option_name = f.name) o ON true
WHERE t.relname = 'oauth_tokens' AND t.relkind = 'r'
AND CASE WHEN f.most IS NULL THEN o.value IS NULL ELSE o.value > f.most END
ORDER BY f.name)";

constexpr const char *kRules = R"(
SELECT 'warning', 'nothing is refreshed ahead of time, which is set for '
		|| pg_catalog.string_agg(r.provider, ', ' ORDER BY r.provider)
		|| ': there are no indexes for it',
	pg_catalog.format('SELECT %s.oauth_tokens_enable_background_refresh(); -- as the tables'' owner',
		e.schema)
FROM oauth_tokens_internal.refresh_rules r, extension e
WHERE r.ahead > interval '0' OR r.keep_alive > interval '0' GROUP BY e.schema)";

void look_at_background_indexes(Report &report)
{
	if (!needs_tables(report))
		return;
	if (has_background_indexes(token_table()))
		return report.ok("they are there");
	report_rows(report, kRules, As::owner);
}

constexpr Check kChecks[] = {
	{"tables", look_at_tables, nullptr, "as oauth_tokens_upgrade() makes them"},
	{"triggers", look_at_triggers, nullptr, "there, and ENABLE ALWAYS"},
	{"indexes", nullptr, kIndexes, "valid"},
	{"storage", nullptr, kStorage, "refreshed tokens find room in their page"},
	{"background refresh", look_at_background_indexes, nullptr, "not used"},
	{"tables' owner", look_at_owners, nullptr, "trusted"},
};

} // namespace

std::span<const Check> table_checks()
{
	return kChecks;
}

} // namespace oauth_tokens
