// The statements of refreshes.

#include <fmt/format.h>

#include "database/statements.hpp"

namespace sidecar::database
{

namespace
{

// retry_at as a distance by the server's own clock, taken after the function has run: the
// holder's lease ends no later than that much after it has asked.
constexpr const char *kBegin = R"(SELECT b.outcome, b.fence, b.refresh_token, b.scopes, b.details,
	b.spool_key, b.in_doubt,
	extract(epoch FROM b.retry_at - pg_catalog.clock_timestamp())::float8, b.reason, c.id
	FROM {}.oauth_refresh_begin($1::uuid, $2::text, $3::text, $4::text,
		min_ttl => pg_catalog.make_interval(secs => $5::float8), force => $6::boolean,
		if_token_sha256 => $7::bytea, lease => $8::bigint * interval '1 ms') b, oauth_tokens_internal.cluster() c)";

constexpr const char *kCommit = R"(SELECT {}.oauth_refresh_commit($1::uuid, $2::text, $3::text,
	$4::text, $5::bigint, $6::text, $7::text, $8::bigint, $9::text, $10::jsonb))";

constexpr const char *kFail =
	R"(SELECT {}.oauth_refresh_fail($1::uuid, $2::text, $3::text, $4::text,
	$5::bigint, $6::text, $7::text, pg_catalog.make_interval(secs => $8::float8)))";

constexpr const char *kReplay = R"(SELECT {}.oauth_refresh_replay($1::uuid, $2::text, $3::text,
	$4::text, $5::bigint, $6::text))";

constexpr const char *kIsRunning = R"(SELECT c.state = 'refreshing'
	FROM oauth_tokens_internal.connection($1::uuid, $2::text, $3::text, $4::text) c)";

constexpr const char *kCluster = "SELECT id, adopted FROM oauth_tokens_internal.cluster()";

constexpr const char *kPublishRules =
	"SELECT oauth_tokens_internal.publish_refresh_rules($1::jsonb)";

constexpr const char *kPurge = "SELECT oauth_tokens_internal.refresh_purge()";

constexpr const char *kDue = R"(SELECT workspace_id, provider, actor_type, actor_id,
	extract(epoch FROM min_ttl)::float8, force
	FROM oauth_tokens_internal.refresh_due($1::bigint, $2::text[]))";

constexpr const char *kBacklog = R"(SELECT provider, due,
	GREATEST(0, extract(epoch FROM pg_catalog.clock_timestamp() - oldest))::float8,
	GREATEST(0, extract(epoch FROM paused_until - pg_catalog.clock_timestamp()))::float8,
	in_doubt
	FROM oauth_tokens_internal.refresh_backlog())";

constexpr const char *kRequestsWait = R"(SELECT workspace_id, provider, actor_type, actor_id,
	extract(epoch FROM min_ttl)::float8 FROM oauth_tokens_internal.refresh_requests_wait())";

constexpr const char *kRequestDone = R"(SELECT oauth_tokens_internal.refresh_request_done(
	$1::uuid, $2::text, $3::text, $4::text, $5::text, $6::text))";

// Why nothing is refreshed though no call fails.
constexpr const char *kDoubts =
	R"(SELECT 'this database is a copy, and refreshes and revokes nothing:'
		' if no other database has these tokens any more, call SELECT oauth_tokens_adopt_cluster()'
	WHERE NOT (SELECT adopted FROM oauth_tokens_internal.cluster())
	UNION ALL SELECT 'nothing is refreshed ahead of time without the indexes for it:'
		' as the owner of the tables, call SELECT oauth_tokens_enable_background_refresh()'
	WHERE $1::boolean AND 2 > (SELECT pg_catalog.count(*) FROM pg_catalog.pg_index i
		JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
		JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
		JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
		WHERE n.nspname = $2::text AND i.indisvalid AND (t.relname, c.relname) IN (
			('oauth_tokens', 'idx_oauth_tokens_refresh'),
			('oauth_token_details', 'idx_oauth_token_details_refresh')))
	UNION ALL SELECT 'nothing is refreshed ahead of time, since row security applies to this role:'
		' use a role that it does not apply to'
	WHERE $1::boolean AND (SELECT pg_catalog.bool_or(pg_catalog.row_security_active(t.oid))
		FROM pg_catalog.pg_class t JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
		WHERE n.nspname = $2::text AND t.relname = 'oauth_tokens'))";

} // namespace

void Statements::add_refreshes(const std::string &there)
{
	refresh_begin = fmt::format(kBegin, there);
	refresh_commit = fmt::format(kCommit, there);
	refresh_fail = fmt::format(kFail, there);
	refresh_replay = fmt::format(kReplay, there);
	refresh_is_running = kIsRunning;
	cluster = kCluster;
	publish_refresh_rules = kPublishRules;
	refresh_purge = kPurge;
	refresh_due = kDue;
	refresh_backlog = kBacklog;
	refresh_requests_wait = kRequestsWait;
	refresh_request_done = kRequestDone;
	refresh_doubts = kDoubts;
}

} // namespace sidecar::database
