// What daemons do for this database, and whether one does it.

#include "doctor/report.hpp"
#include "fresh_token/refresh_requests.hpp"
#include "postgres/safe_settings.hpp"
#include "settings.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/builtins.h"
}

namespace oauth_tokens
{

namespace
{

// The library, the objects in this database, and what is on the disk for the next start
constexpr const char *kVersions = R"(
, loaded AS (SELECT '%s'::text AS version)
SELECT 'error', 'the server has loaded ' || l.version
		|| ', and the objects of this database are of ' || e.extversion,
	CASE WHEN pg_catalog.string_to_array(e.extversion, '.')::integer[]
			> pg_catalog.string_to_array(l.version, '.')::integer[]
		THEN 'Restart the server.'
		ELSE 'ALTER EXTENSION oauth_tokens UPDATE; SELECT ' || e.schema
			|| '.oauth_tokens_upgrade(); -- after a restart of the server' END
FROM loaded l, extension e WHERE e.extversion <> l.version
UNION ALL SELECT 'warning', a.default_version || ' is installed, and the server has loaded '
		|| l.version,
	'Restart the server.'
FROM loaded l, pg_catalog.pg_available_extensions a
WHERE a.name = 'oauth_tokens' AND a.default_version <> l.version)";

void look_at_versions(Report &report)
{
	report_rows(report, psprintf(kVersions, OAUTH_TOKENS_VERSION), As::caller);
}

constexpr const char *kCluster = R"(
SELECT 'error', 'this database is a copy: it refreshes and revokes nothing (OT017)',
	'SELECT ' || e.schema
		|| '.oauth_tokens_adopt_cluster(); -- if no other database uses these tokens'
FROM extension e WHERE EXISTS (SELECT FROM oauth_tokens_internal.cluster)
AND NOT (SELECT c.adopted FROM oauth_tokens_internal.cluster() c))";

constexpr const char *kConfirmation = R"(
SELECT 'warning', 'off: a user whose link another person opens gets her tokens',
	pg_catalog.format('ALTER DATABASE %I SET oauth_tokens.confirm_flows = on;',
		pg_catalog.current_database())
WHERE COALESCE(NULLIF(pg_catalog.current_setting('oauth_tokens.public_url'), ''),
	(SELECT s.public_url FROM oauth_tokens_internal.sidecar_settings s)) ~~* 'https://%')";

void look_at_confirmation(Report &report)
{
	if (confirm_flows_setting)
		return report.ok("on");
	report_rows(report, kConfirmation, As::owner);
}

constexpr const char *kPublished = R"(
SELECT 'warning', 'none is listening; one published its settings at '
		|| pg_catalog.date_trunc('second', s.published_at),
	'Start a daemon, and see its log.'
FROM oauth_tokens_internal.sidecar_settings s)";

void look_at_daemon(Report &report)
{
	if (RecoveryInProgress())
		return report.ok("a standby has none");
	if (!can_request_refresh())
		return report.not_checked("it needs shared_preload_libraries");
	if (is_refresh_listener_there())
		return report.ok("one is listening");
	report_rows(report, kPublished, As::owner);
}

constexpr const char *kBacklog = R"(
SELECT CASE WHEN b.oldest < (SELECT n.at FROM snapshot n) - interval '15 min'
		AND (b.paused_until IS NULL OR b.paused_until < (SELECT n.at FROM snapshot n))
		THEN 'warning' ELSE 'ok' END,
	pg_catalog.format('due: %s tokens of %s%s', b.due, b.provider,
		', the oldest since ' || pg_catalog.date_trunc('second', b.oldest)),
	CASE WHEN b.oldest < (SELECT n.at FROM snapshot n) - interval '15 min'
		THEN 'Start a daemon, and see its log.' END
FROM oauth_tokens_internal.refresh_backlog() b WHERE b.due > 0)";

void look_at_backlog(Report &report)
{
	if (RecoveryInProgress())
		return report.ok("a standby refreshes none");
	if (!compat::may_execute(internal_function("refresh_backlog"), GetUserId()))
		return report.not_checked("it needs the capability sidecar");
	if (needs_tables(report))
		report_rows(report, kBacklog, As::caller);
}

constexpr const char *kDoubt = R"(
SELECT 'warning', pg_catalog.format('nobody knows how %s refreshes ended, the oldest of %s',
		pg_catalog.count(*), pg_catalog.date_trunc('second', pg_catalog.min(a.began_at))),
	'Have the daemon that began them run with its spool; then ask for the tokens.'
FROM oauth_tokens_internal.refresh_attempts a
WHERE a.lease_until < (SELECT n.at FROM snapshot n) - interval '10 min'
HAVING pg_catalog.count(*) > 0)";

constexpr const char *kPauses = R"(
SELECT 'warning', pg_catalog.format('client %s of %s is paused until %s: %s', c.client_id,
		c.provider, pg_catalog.date_trunc('second', c.paused_until), c.reason),
	'See docs/refresh.md, Clients.'
FROM oauth_tokens_internal.refresh_clients c
WHERE c.paused_until > (SELECT n.at FROM snapshot n) ORDER BY 2)";

constexpr const char *kRevocations = R"(
SELECT CASE WHEN pg_catalog.min(r.created_at) < (SELECT n.at FROM snapshot n) - interval '1 h'
		THEN 'warning' ELSE 'ok' END,
	pg_catalog.format('waiting: %s%s', pg_catalog.count(*),
		', the oldest since ' || pg_catalog.date_trunc('second', pg_catalog.min(r.created_at))),
	CASE WHEN pg_catalog.min(r.created_at) < (SELECT n.at FROM snapshot n) - interval '1 h'
		THEN 'Start a daemon that has their providers, and see its log.' END
FROM oauth_tokens_internal.oauth_revocations r)";

// A daemon acknowledges each second or so, also if there is nothing.
constexpr const char *kCache = R"(
SELECT CASE WHEN r.acknowledged_at < (SELECT n.at FROM snapshot n) - interval '60 s'
		THEN 'warning' ELSE 'ok' END,
	CASE WHEN r.cache_id IS NULL THEN 'no cache is registered'
		ELSE pg_catalog.format('changes waiting: %s; the cache was last seen at %s',
			(SELECT pg_catalog.count(*) FROM oauth_tokens_internal.cache_invalidations),
			pg_catalog.date_trunc('second', r.acknowledged_at)) END,
	CASE WHEN r.acknowledged_at < (SELECT n.at FROM snapshot n) - interval '60 s'
		THEN pg_catalog.format('SELECT %s.oauth_cache_unregister(%L); -- or start a daemon',
			e.schema, r.cache_id) END
FROM extension e, oauth_tokens_internal.cache_registration() r)";

void look_at_cache(Report &report)
{
	if (RecoveryInProgress())
		return report.ok("a standby has none");
	report_rows(report, kCache, As::owner);
}

constexpr const char *kFlows = R"(
SELECT 'warning', pg_catalog.format('expired, and still there: %s links and grants',
		pg_catalog.count(*)),
	'SELECT oauth_tokens_internal.flow_purge(); -- or start a daemon'
FROM (SELECT l.vanishes_at FROM oauth_tokens_internal.flow_links l
	UNION ALL SELECT c.expires_at FROM oauth_tokens_internal.flow_confirmations c) f (at)
WHERE f.at < (SELECT n.at FROM snapshot n) - interval '1 h'
HAVING pg_catalog.count(*) > 0)";

constexpr Check kChecks[] = {
	{"versions", look_at_versions, nullptr, OAUTH_TOKENS_VERSION " everywhere"},
	{"cluster", nullptr, kCluster, "it may refresh and revoke", As::owner},
	{"confirmation", look_at_confirmation, nullptr, "off, and no public URL is https"},
	{"daemon", look_at_daemon, nullptr, "none has published its settings"},
	{"refreshes due", look_at_backlog, nullptr, "none"},
	{"refreshes in doubt", nullptr, kDoubt, "none", As::owner},
	{"paused clients", nullptr, kPauses, "none", As::owner},
	{"revocations", nullptr, kRevocations, nullptr, As::owner},
	{"cache", look_at_cache},
	{"flows", nullptr, kFlows, "none is there that has expired", As::owner},
};

} // namespace

std::span<const Check> operation_checks()
{
	return kChecks;
}

} // namespace oauth_tokens
