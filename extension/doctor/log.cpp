// What of a statement can be read in the server's log, and by whom the library is loaded.

#include <cstring>

#include "doctor/report.hpp"
#include "redaction/redaction.hpp"
#include "settings.hpp"

extern "C" {
#include "commands/dbcommands.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/varlena.h"
}

namespace oauth_tokens
{

namespace
{

const char *database()
{
	return quote_identifier(get_database_name(MyDatabaseId));
}

// Each by itself: PostgreSQL takes one literal for one name.
const char *session_libraries_and_ours()
{
	StringInfoData libraries;
	initStringInfo(&libraries);
	List *names = NIL;
	SplitDirectoriesString(pstrdup(session_preload_libraries_string), ',', &names);
	ListCell *cell;
	foreach (cell, names) {
		const auto *name = static_cast<const char *>(lfirst(cell));
		if (strcmp(name, "oauth_tokens") != 0)
			appendStringInfo(&libraries, "%s, ", quote_literal_cstr(name));
	}
	appendStringInfoString(&libraries, "oauth_tokens");
	return libraries.data;
}

void look_at_preload(Report &report)
{
	switch (preload()) {
	case Preload::server:
		return report.ok("by shared_preload_libraries");
	case Preload::session:
		return report.warning("by session_preload_libraries only: the key is protected less, and"
							  " nothing can wait for a refresh",
							  "Append oauth_tokens to shared_preload_libraries, and restart.");
	case Preload::none:
		return report.error("not preloaded: functions that take a secret refuse to run",
							psprintf("ALTER DATABASE %s SET session_preload_libraries = %s;"
									 " -- or shared_preload_libraries, and restart",
									 database(), session_libraries_and_ours()));
	}
}

void look_at_refusal(Report &report)
{
	if (!allow_without_preload_setting)
		return;
	const char *hint = psprintf("ALTER DATABASE %s RESET oauth_tokens.allow_without_preload;"
								" -- or where else it is set",
								database());
	if (preload() == Preload::none)
		report.error("it is on: statements with secrets are run, and can be logged", hint);
	else
		report.warning("it is on: without preload, nothing would refuse to log secrets", hint);
}

void look_at_literals(Report &report)
{
	if (preload() == Preload::none &&
		literal_secrets_setting == static_cast<int>(LiteralSecrets::allow))
		report.warning(
			"allowed, and without preload the log can show them",
			psprintf("ALTER DATABASE %s SET oauth_tokens.literal_secrets = reject;", database()));
}

// Redaction covers what settings log, with one exception.
constexpr const char *kRedacted = R"(
SELECT 'warning', pg_catalog.format(
		'log_min_messages = %s: pg_stat_activity can show a statement that failed', s.setting),
	'ALTER SYSTEM RESET log_min_messages;'
FROM pg_catalog.pg_settings s
WHERE s.name = 'log_min_messages' AND s.setting IN ('log', 'fatal', 'panic'))";

constexpr const char *kUnredacted = R"(
SELECT CASE pg_catalog.current_setting('oauth_tokens.allow_without_preload')
		WHEN 'on' THEN 'error' ELSE 'warning' END,
	'nothing is redacted, and these log statements: '
		|| pg_catalog.string_agg(s.name || ' = ' || s.setting, ', ' ORDER BY s.name),
	'Preload oauth_tokens.'
FROM pg_catalog.pg_settings s
WHERE (s.name = 'log_min_error_statement' AND s.setting NOT IN ('fatal', 'panic'))
OR (s.name = 'log_statement' AND s.setting <> 'none')
OR (s.name IN ('log_min_duration_statement', 'log_min_duration_sample',
	'auto_explain.log_min_duration') AND s.setting <> '-1')
OR (s.name = 'log_transaction_sample_rate' AND s.setting <> '0')
OR (s.name IN ('log_duration', 'debug_print_parse', 'debug_print_rewritten', 'debug_print_plan')
	AND s.setting = 'on')
HAVING pg_catalog.count(*) > 0)";

void look_at_settings(Report &report)
{
	if (!redacts_first())
		report.warning("another library sees log records before they are redacted",
					   "Put oauth_tokens last in shared_preload_libraries, and restart.");
	report_rows(report, preload() == Preload::none ? kUnredacted : kRedacted, As::caller);
}

// A function that takes a token and passes it to one of ours: until it does, only its name tells
// that its arguments are secret. So do its callers. The body of one in standard SQL is no text.
// Anybody may name a function: only a plain name, as redact_also takes it, goes into the hint.
// Comments call nothing. They are told from strings by their quotes alone: a body with dollar
// quotes, backslashes or a comment within a comment is looked at as it is.
constexpr const char *kFunctions = R"(
, secret AS (SELECT p.oid, p.proname::text AS name, true AS is_plain
	FROM pg_catalog.pg_proc p JOIN ours o ON o.objid = p.oid
	AND o.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
	WHERE p.proname IN ('oauth_store', 'oauth_encrypt', 'oauth_refresh_commit',
		'oauth_flow_confirm', 'fernet_encrypt', 'fernet_decrypt')),
theirs AS MATERIALIZED (SELECT p.oid, p.proname::text AS name,
		CASE WHEN l.lanname NOT IN ('sql', 'plpgsql') OR p.prosrc ~ '\\|\$\w*\$|/\*([^*]|\*+[^*/])*/\*'
				THEN p.prosrc
			ELSE pg_catalog.regexp_replace(p.prosrc,
				'(''[^'']*''|"[^"]*")|--[^\n]*|/\*(?:[^*]|\*+[^*/])*\*+/', '\1 ', 'g') END AS prosrc,
		p.proname::text ~ '^([A-Za-z0-9_]|[^\u0001-\u007f])+$' AS is_plain
	FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang
	WHERE p.pronargs > 0 AND p.prorettype <> 'pg_catalog.trigger'::pg_catalog.regtype
	AND p.pronamespace <> 'pg_catalog'::pg_catalog.regnamespace
	AND NOT pg_catalog.pg_is_other_temp_schema(p.pronamespace)
	AND NOT EXISTS (SELECT FROM ours o WHERE o.objid = p.oid
		AND o.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass)),
found AS (SELECT * FROM secret UNION SELECT t.oid, t.name, t.is_plain
	FROM found f JOIN theirs t ON (f.is_plain AND t.prosrc ~* ('\m' || f.name || '"?\s*\('))
		OR EXISTS (SELECT FROM pg_catalog.pg_depend d
			WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.refobjid = f.oid
			AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = t.oid)),
setting AS (SELECT pg_catalog.current_setting('oauth_tokens.redact_also') AS value),
redacted AS (SELECT pg_catalog.btrim(pg_catalog.regexp_replace(n.name, '^.*[.]', ''), ' "') AS name
	FROM setting s, pg_catalog.unnest(pg_catalog.string_to_array(
		pg_catalog.lower(s.value COLLATE "C"), ',')) n (name)),
shown AS (SELECT f.oid::pg_catalog.regprocedure::text AS routine,
		pg_catalog.lower(f.name COLLATE "C") AS name, f.is_plain
	FROM (SELECT * FROM found LIMIT 1000) f WHERE f.oid NOT IN (SELECT s.oid FROM secret s)
	AND pg_catalog.lower(f.name COLLATE "C") NOT IN (SELECT r.name FROM redacted r))
SELECT 'warning', pg_catalog.format('the log can show arguments of %s%s, which call ours',
		pg_catalog.min(s.routine), ' and ' || NULLIF(pg_catalog.count(*) - 1, 0) || ' more'),
	CASE WHEN s.is_plain
		THEN pg_catalog.format('ALTER DATABASE %I SET oauth_tokens.redact_also = %L; -- new sessions',
			pg_catalog.current_database(), pg_catalog.concat_ws(', ', NULLIF(p.value, ''),
			pg_catalog.string_agg(DISTINCT s.name, ', ')))
		ELSE '-- Rename it: redact_also takes letters, digits and underscores.' END
FROM shown s, setting p GROUP BY s.is_plain, p.value ORDER BY 2)";

constexpr Check kChecks[] = {
	{"preload", look_at_preload},
	{"log", look_at_settings, nullptr, "statements that name or call ours are redacted"},
	{"allow_without_preload", look_at_refusal, nullptr, "off"},
	{"literal secrets", look_at_literals, nullptr, "redacted, or refused"},
	{"functions of yours", nullptr, kFunctions,
	 "none calls ours with a secret, or it is in redact_also"},
};

} // namespace

std::span<const Check> log_checks()
{
	return kChecks;
}

} // namespace oauth_tokens
