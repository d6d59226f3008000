#include "database/statements.hpp"

#include <fmt/format.h>

namespace sidecar::database
{

namespace
{

std::string quoted(std::string_view name)
{
	std::string text = "\"";
	for (const char c : name) {
		if (c == '"')
			text += '"';
		text += c;
	}
	return text += '"';
}

constexpr const char *kPublish = R"(SELECT oauth_tokens_internal.publish_settings(
	$1::text, pg_catalog.make_interval(secs => $2::float8), $3::text[], $4::text[]))";

constexpr const char *kAuthorizeUrl = R"(SELECT {}.oauth_authorize_url(
	$1::uuid, $2::text, $3::text, $4::text, $5::text, $6::text, $7::boolean))";

constexpr const char *kOpenAttempt = R"(SELECT workspace_id, provider, actor_type, actor_id, scopes,
	return_to, confirm, state, browser_secret, code_verifier, nonce, expires_in
	FROM oauth_tokens_internal.flow_begin($1::bytea, $2::text, $3::text, $4::text, $5::text))";

constexpr const char *kClaim = R"(SELECT workspace_id, provider, actor_type, actor_id, scopes,
	return_to, confirm, ticket_hash, code_verifier, nonce, issuer, token_endpoint, client_id
	FROM oauth_tokens_internal.flow_claim($1::bytea, $2::bytea, $3::text))";

constexpr const char *kStore = R"(SELECT outcome, flow
	FROM oauth_tokens_internal.flow_store($1::bytea, $2::text, $3::text, $4::bigint, $5::text, $6::jsonb))";

constexpr const char *kConnection = R"(SELECT c.state, c.scopes, c.has_refresh_token,
	extract(epoch FROM c.expires_at)::float8, c.details, extract(epoch FROM c.updated_at)::float8,
	c.reason, extract(epoch FROM c.since)::float8, extract(epoch FROM c.next_attempt_at)::float8,
	extract(epoch FROM c.refresh_expires_at)::float8
	FROM oauth_tokens_internal.connection($1::uuid, $2::text, $3::text, $4::text) c)";

// The refresh token does not leave the server, unless the cache is to hold it.
constexpr const char *kToken = R"(SELECT t.access_token, t.scopes,
	extract(epoch FROM t.expires_at)::float8, t.refresh_token IS NOT NULL,
	extract(epoch FROM pg_catalog.clock_timestamp())::float8,
	(SELECT c.details FROM oauth_tokens_internal.connection($1::uuid, $2::text, $3::text, $4::text) c),
	oauth_tokens_internal.cache_registration_id(), CASE WHEN $5::boolean THEN t.refresh_token END,
	extract(epoch FROM pg_catalog.transaction_timestamp())::float8
	FROM {}.oauth_get($1::uuid, $2::text, $3::text, $4::text) t)";

// Microseconds since 1970: a time that can be compared, whoever reads it.
constexpr const char *kCacheRegistration = R"(SELECT cache_id, registration_id, system_identifier,
	timeline, database, (extract(epoch FROM started_at) * 1000000)::bigint,
	extract(epoch FROM pg_catalog.clock_timestamp() - acknowledged_at)::float8
	FROM oauth_tokens_internal.cache_registration())";

constexpr const char *kCacheRegister = "SELECT {}.oauth_cache_register($1::text)";

constexpr const char *kCacheUnregister = "SELECT {}.oauth_cache_unregister($1::text)";

constexpr const char *kChangesWait = "SELECT {}.oauth_changes_wait()";

// One statement, so that the invalidations are all that there were under this registration id.
constexpr const char *kChangesPending =
	R"(SELECT r.registration_id, p.id, p.workspace_id, p.provider,
	p.actor_type, p.actor_id,
	(SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint)
	FROM oauth_tokens_internal.cache_registration() r
	LEFT JOIN {}.oauth_changes_pending($1::bigint) p ON r.registration_id IS NOT NULL)";

constexpr const char *kChangesAck = "SELECT {}.oauth_changes_ack($1::uuid, $2::bigint[])";

constexpr const char *kDelete = R"(SELECT deleted, revocation
	FROM oauth_tokens_internal.delete_token($1::uuid, $2::text, $3::text, $4::text, $5::text))";

constexpr const char *kRevocationsClaim = R"(SELECT id, provider, client_id, issuer, refresh_token,
	access_token, shared, attempts FROM oauth_tokens_internal.revocations_claim($1::bigint,
	pg_catalog.make_interval(secs => $2::float8), $3::text[]))";

constexpr const char *kRevocationDone = R"(SELECT oauth_tokens_internal.revocation_done(
	$1::uuid, $2::text, $3::text, pg_catalog.make_interval(secs => $4::float8)))";

constexpr const char *kRevocationsWaiting = "SELECT oauth_tokens_internal.revocations_waiting()";

constexpr const char *kPurge = "SELECT oauth_tokens_internal.flow_purge()";

constexpr const char *kIsReady = R"(SELECT {}.oauth_tokens_current() IS NOT NULL,
	pg_catalog.current_setting('transaction_read_only')::boolean)";

// By the catalogs, where a function that is missing is no error. Of two forms of
// a function, the one for actor_type as text is ours.
constexpr const char *kMissingPrivileges = R"(
	SELECT 'USAGE on schema ' || name FROM pg_catalog.unnest(ARRAY[$1::text, 'oauth_tokens_internal']) name
		WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n
			WHERE n.nspname = name AND pg_catalog.has_schema_privilege(n.oid, 'USAGE'))
	UNION ALL
	SELECT 'EXECUTE on ' || space || '.' || name
		FROM (VALUES ($1::text, 'oauth_authorize_url'), ($1::text, 'oauth_get'), ('oauth_tokens_internal', 'delete_token'),
			($1::text, 'oauth_tokens_current'), ('oauth_tokens_internal', 'publish_settings'),
			('oauth_tokens_internal', 'flow_begin'), ('oauth_tokens_internal', 'flow_claim'),
			('oauth_tokens_internal', 'flow_store'), ('oauth_tokens_internal', 'flow_purge'),
			('oauth_tokens_internal', 'connection'), ('oauth_tokens_internal', 'cache_registration_id'),
			('oauth_tokens_internal', 'cache_registration'), ($1::text, 'oauth_cache_register'),
			($1::text, 'oauth_cache_unregister'), ($1::text, 'oauth_changes_pending'),
			($1::text, 'oauth_changes_ack'), ($1::text, 'oauth_changes_wait'),
			('oauth_tokens_internal', 'revocations_claim'),
			('oauth_tokens_internal', 'revocation_done'),
			('oauth_tokens_internal', 'revocations_waiting'),
			($1::text, 'oauth_refresh_begin'), ($1::text, 'oauth_refresh_commit'),
			($1::text, 'oauth_refresh_fail'), ($1::text, 'oauth_refresh_replay'),
			('oauth_tokens_internal', 'cluster'), ('oauth_tokens_internal', 'publish_refresh_rules'),
			('oauth_tokens_internal', 'refresh_purge'),
			('oauth_tokens_internal', 'refresh_due'),
			('oauth_tokens_internal', 'refresh_backlog'),
			('oauth_tokens_internal', 'refresh_requests_wait'),
			('oauth_tokens_internal', 'refresh_request_done')) f (space, name)
		WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_proc p
			JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
			WHERE n.nspname = space AND p.proname = name
			AND NOT 'pg_catalog.anyenum'::pg_catalog.regtype = ANY (p.proargtypes)
			AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE'))
	UNION ALL
	SELECT 'SELECT on ' || $1::text || '.oauth_connections'
		WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c
			JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = $1::text AND c.relname = 'oauth_connections'
			AND pg_catalog.has_table_privilege(c.oid, 'SELECT')))";

// A whole flow, from the link to the stored token, and two refreshes, that end in an
// error and so leave nothing behind.
constexpr const char *kRehearse = R"(DO $rehearsal$
DECLARE
	link text;
	attempt record;
	claimed record;
	begun record;
BEGIN
	PERFORM oauth_tokens_internal.publish_settings('https://rehearsal.invalid',
		pg_catalog.make_interval(secs => 60), '{{}}', '{{rehearsal}}');
	link := {0}.oauth_authorize_url('00000000-0000-4000-8000-000000000000', 'rehearsal', 'user',
		'oauth-sidecar --check', confirm => false);
	SELECT * INTO STRICT attempt FROM oauth_tokens_internal.flow_begin(
		pg_catalog.sha256(pg_catalog.substring(link, 'ticket=(.*)')::bytea), 'rehearsal', NULL,
		'https://rehearsal.invalid/token', 'rehearsal');
	SELECT * INTO STRICT claimed FROM oauth_tokens_internal.flow_claim(
		pg_catalog.sha256(attempt.state::bytea), pg_catalog.sha256(attempt.browser_secret::bytea),
		'rehearsal');
	PERFORM oauth_tokens_internal.flow_store(claimed.ticket_hash, 'rehearsal', 'rehearsal', 60, NULL,
		'{{"account_id": "rehearsal"}}');
	PERFORM access_token FROM {0}.oauth_get('00000000-0000-4000-8000-000000000000', 'rehearsal',
		'user', 'oauth-sidecar --check');
	IF (SELECT adopted FROM oauth_tokens_internal.cluster()) THEN
		FOR round IN 1 .. 2 LOOP
			SELECT * INTO STRICT begun FROM {0}.oauth_refresh_begin(
				'00000000-0000-4000-8000-000000000000', 'rehearsal', 'user',
				'oauth-sidecar --check', force => true);
			IF begun.outcome <> 'granted' THEN
				RAISE EXCEPTION 'a refresh was not granted, but %', begun.outcome;
			ELSIF round = 1 THEN
				PERFORM {0}.oauth_refresh_commit('00000000-0000-4000-8000-000000000000',
					'rehearsal', 'user', 'oauth-sidecar --check', begun.fence, 'rehearsed',
					'rehearsed', 60);
			ELSE
				PERFORM {0}.oauth_refresh_fail('00000000-0000-4000-8000-000000000000',
					'rehearsal', 'user', 'oauth-sidecar --check', begun.fence, 'transient');
			END IF;
		END LOOP;
	END IF;
	PERFORM oauth_tokens_internal.delete_token('00000000-0000-4000-8000-000000000000', 'rehearsal',
		'user', 'oauth-sidecar --check', 'auto');
	RAISE EXCEPTION USING ERRCODE = 'OT999',
		MESSAGE = 'oauth-sidecar --check: nothing is wrong, and nothing was kept';
END $rehearsal$)";

} // namespace

const std::string kFindSchema = "SELECT n.nspname FROM pg_catalog.pg_extension e"
								" JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace"
								" WHERE e.extname = 'oauth_tokens'";

const std::string kConfirmsFlows =
	"SELECT COALESCE(pg_catalog.current_setting('oauth_tokens.confirm_flows', true) = 'on', false)";

Statements::Statements(std::string_view extension_schema) : schema(extension_schema)
{
	const std::string there = quoted(extension_schema);
	publish = kPublish;
	authorize_url = fmt::format(kAuthorizeUrl, there);
	open_attempt = kOpenAttempt;
	claim = kClaim;
	store = kStore;
	connection = kConnection;
	token = fmt::format(kToken, there);
	delete_token = kDelete;
	purge = kPurge;
	is_ready = fmt::format(kIsReady, there);
	missing_privileges = kMissingPrivileges;
	rehearse = fmt::format(kRehearse, there);
	cache_registration = kCacheRegistration;
	cache_register = fmt::format(kCacheRegister, there);
	cache_unregister = fmt::format(kCacheUnregister, there);
	changes_wait = fmt::format(kChangesWait, there);
	changes_pending = fmt::format(kChangesPending, there);
	changes_ack = fmt::format(kChangesAck, there);
	revocations_claim = kRevocationsClaim;
	revocation_done = kRevocationDone;
	revocations_waiting = kRevocationsWaiting;
	add_refreshes(there);
}

} // namespace sidecar::database
