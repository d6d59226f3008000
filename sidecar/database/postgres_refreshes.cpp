#include "database/postgres_refreshes.hpp"

#include <cmath>

namespace sidecar::database
{

namespace
{

// retry_at as a distance by the server's own clock, taken after the function has run: the
// holder's lease ends no later than that much after it has asked.
constexpr const char *kBegin = R"(SELECT b.outcome, b.fence, b.refresh_token, b.scopes, b.details,
	b.spool_key, b.in_doubt,
	extract(epoch FROM b.retry_at - pg_catalog.clock_timestamp())::float8, b.reason, c.id
	FROM @extschema@.oauth_refresh_begin($1::uuid, $2::text, $3::text, $4::text,
		min_ttl => pg_catalog.make_interval(secs => $5::float8), force => $6::boolean,
		if_token_sha256 => $7::bytea, lease => $8::bigint * interval '1 ms') b, oauth_tokens_internal.cluster() c)";

constexpr const char *kCommit =
	R"(SELECT @extschema@.oauth_refresh_commit($1::uuid, $2::text, $3::text,
	$4::text, $5::bigint, $6::text, $7::text, $8::bigint, $9::text, $10::jsonb))";

constexpr const char *kFail =
	R"(SELECT @extschema@.oauth_refresh_fail($1::uuid, $2::text, $3::text, $4::text,
	$5::bigint, $6::text, $7::text, pg_catalog.make_interval(secs => $8::float8)))";

constexpr const char *kReplay =
	R"(SELECT @extschema@.oauth_refresh_replay($1::uuid, $2::text, $3::text,
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

// Only refreshes leave a row there, and not for a healthy token: no scan of the table.
constexpr const char *kTokenStates = R"(WITH told AS (
		SELECT oauth_tokens_internal.connection_state(s.kind, s.lease_until, s.next_attempt_at,
			NULL, NULL) AS state, pg_catalog.count(*) AS tokens
		FROM (SELECT v.kind, v.lease_until, v.next_attempt_at
			FROM oauth_tokens_internal.visible_refresh_states v LIMIT 100000) s GROUP BY 1),
	known AS (SELECT n.state, COALESCE(t.tokens, 0) AS tokens
		FROM (VALUES ('refreshing'), ('backing_off'), ('needs_reauthorization')) n (state)
		LEFT JOIN told t ON t.state = n.state)
	SELECT k.state, k.tokens FROM known k
	UNION ALL SELECT 'other', GREATEST(0, c.reltuples::bigint
		- (SELECT pg_catalog.sum(k.tokens) FROM known k)::bigint)
	FROM pg_catalog.pg_extension e
	JOIN pg_catalog.pg_class c ON c.relnamespace = e.extnamespace AND c.relname = 'oauth_tokens'
	WHERE e.extname = 'oauth_tokens' AND c.reltuples >= 0)";

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
		' grant it the capability sidecar again, or use a role that sees every row'
	WHERE $1::boolean AND oauth_tokens_internal.row_security_applies())";

using Begun = BegunRefresh::Outcome;

Begun begun_of(std::string_view word)
{
	constexpr std::pair<std::string_view, Begun> kWords[] = {
		{"granted", Begun::granted},
		{"fresh", Begun::fresh},
		{"busy", Begun::busy},
		{"backoff", Begun::backoff},
		{"no_refresh_token", Begun::no_refresh_token},
		{"needs_reauthorization", Begun::needs_reauthorization},
		{"not_connected", Begun::not_connected}};
	for (const auto &[known, outcome] : kWords)
		if (known == word)
			return outcome;
	throw misfit();
}

RefreshEnd read_end(const Rows &rows)
{
	constexpr std::pair<std::string_view, RefreshEnd> kWords[] = {
		{"committed", RefreshEnd::committed},
		{"superseded", RefreshEnd::superseded},
		{"deleted", RefreshEnd::deleted},
		{"busy", RefreshEnd::busy}};
	Columns columns(rows);
	const std::string word = columns.text();
	for (const auto &[known, end] : kWords)
		if (known == word)
			return end;
	throw misfit();
}

} // namespace

PostgresRefreshes::Awaitable<BegunRefresh> PostgresRefreshes::begin(const WantedRefresh &wanted,
																	std::chrono::milliseconds lease)
{
	const Rows rows = co_await caller_.run(kBegin, wanted.identity, wanted.min_ttl, wanted.force,
										   wanted.if_token_sha256, lease);
	Columns columns(rows);
	BegunRefresh begun;
	begun.outcome = begun_of(columns.text());
	if (begun.outcome == Begun::granted)
		begun.fence = columns.integer();
	else
		columns.skip();
	begun.refresh_token = columns.secret();
	begun.scopes = columns.optional_text();
	begun.details = columns.text();
	begun.spool_key = columns.secret();
	begun.in_doubt = columns.boolean();
	begun.retry_in = std::chrono::duration<double>(columns.number());
	begun.reason = columns.text();
	begun.cluster = columns.text();
	co_return begun;
}

PostgresRefreshes::Awaitable<RefreshEnd> PostgresRefreshes::commit(const oauth::Identity &identity,
																   std::int64_t fence,
																   const oauth::Grant &grant)
{
	const Rows rows =
		co_await caller_.run(kCommit, identity, fence, grant.access_token, grant.refresh_token,
							 grant.expires_in, grant.scopes, OrNull{grant.details});
	co_return read_end(rows);
}

PostgresRefreshes::Awaitable<std::string>
PostgresRefreshes::fail(const oauth::Identity &identity, std::int64_t fence, std::string_view kind,
						const std::string &detail, std::optional<std::chrono::seconds> retry_after)
{
	const Rows rows =
		co_await caller_.run(kFail, identity, fence, OrNull{kind}, OrNull{detail}, retry_after);
	Columns columns(rows);
	co_return columns.text();
}

PostgresRefreshes::Awaitable<RefreshEnd> PostgresRefreshes::replay(const spool::Entry &entry)
{
	const Rows rows = co_await caller_.run(kReplay, entry.identity, entry.fence, entry.sealed);
	co_return read_end(rows);
}

PostgresRefreshes::Awaitable<bool> PostgresRefreshes::is_refreshing(const oauth::Identity &identity)
{
	const Rows rows = co_await caller_.run(kIsRunning, identity);
	co_return rows.count() > 0 && rows.text(0, 0) == "t";
}

PostgresRefreshes::Awaitable<Cluster> PostgresRefreshes::cluster()
{
	const Rows rows = co_await caller_.run(kCluster);
	Columns columns(rows);
	Cluster cluster;
	cluster.id = columns.text();
	cluster.is_adopted = columns.boolean();
	co_return cluster;
}

PostgresRefreshes::Awaitable<std::vector<WantedRefresh>>
PostgresRefreshes::due(int most, const std::vector<std::string> &providers)
{
	const Rows rows = co_await caller_.run(kDue, most, providers);
	std::vector<WantedRefresh> due;
	for (int row = 0; row < rows.count(); row++) {
		Columns columns(rows, row);
		WantedRefresh wanted;
		wanted.identity = columns.identity();
		wanted.min_ttl = std::chrono::seconds(static_cast<long long>(std::ceil(columns.number())));
		wanted.force = columns.boolean();
		due.push_back(std::move(wanted));
	}
	co_return due;
}

PostgresRefreshes::Awaitable<std::vector<RefreshBacklog>> PostgresRefreshes::backlogs()
{
	const Rows rows = co_await caller_.run(kBacklog);
	std::vector<RefreshBacklog> backlogs;
	for (int row = 0; row < rows.count(); row++) {
		Columns columns(rows, row);
		RefreshBacklog backlog;
		backlog.provider = columns.text();
		backlog.due = columns.integer();
		backlog.oldest = std::chrono::duration<double>(columns.number());
		backlog.paused_for = std::chrono::duration<double>(columns.number());
		backlog.in_doubt = columns.integer();
		backlogs.push_back(std::move(backlog));
	}
	co_return backlogs;
}

PostgresRefreshes::Awaitable<std::vector<TokensInState>> PostgresRefreshes::token_states()
{
	const Rows rows = co_await caller_.run(kTokenStates);
	std::vector<TokensInState> states;
	for (int row = 0; row < rows.count(); row++) {
		Columns columns(rows, row);
		TokensInState of;
		of.state = columns.text();
		of.tokens = columns.integer();
		states.push_back(std::move(of));
	}
	co_return states;
}

PostgresRefreshes::Awaitable<std::vector<WantedRefresh>> PostgresRefreshes::wait_for_requests()
{
	const Rows rows = co_await listener_.run(kRequestsWait);
	std::vector<WantedRefresh> requests;
	for (int row = 0; row < rows.count(); row++) {
		Columns columns(rows, row);
		WantedRefresh wanted;
		wanted.identity = columns.identity();
		wanted.min_ttl = std::chrono::seconds(static_cast<long long>(std::ceil(columns.number())));
		requests.push_back(std::move(wanted));
	}
	co_return requests;
}

PostgresRefreshes::Awaitable<void>
PostgresRefreshes::answer_request(const oauth::Identity &identity, std::string_view outcome,
								  const std::string &reason)
{
	co_await caller_.run(kRequestDone, identity, OrNull{outcome}, OrNull{reason});
}

PostgresRefreshes::Awaitable<void> PostgresRefreshes::publish_rules(const std::string &rules)
{
	co_await caller_.run(kPublishRules, rules);
}

PostgresRefreshes::Awaitable<std::vector<std::string>> PostgresRefreshes::doubts(bool with_ahead)
{
	const std::string schema = co_await caller_.schema();
	const Rows rows = co_await caller_.run(kDoubts, with_ahead, schema);
	std::vector<std::string> doubts;
	for (int row = 0; row < rows.count(); row++)
		doubts.emplace_back(rows.text(row, 0));
	co_return doubts;
}

PostgresRefreshes::Awaitable<std::int64_t> PostgresRefreshes::purge()
{
	const Rows rows = co_await caller_.run(kPurge);
	Columns columns(rows);
	co_return columns.integer();
}

} // namespace sidecar::database
