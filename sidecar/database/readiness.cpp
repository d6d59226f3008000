// Whether requests can be served: what /readyz and --check ask.
#include "database/postgres_tokens.hpp"

namespace sidecar::database
{

namespace
{

// How a rehearsal ends that met no error.
constexpr std::string_view kRehearsed = "OT999";
constexpr std::chrono::seconds kBetweenRehearsals{5};
constexpr std::chrono::seconds kBetweenQuietRehearsals{60};
constexpr std::string_view kNoRight = "42501";
constexpr const char *kNobody = "00000000-0000-0000-0000-000000000000"; // no workspace

constexpr const char *kIsReady = R"(SELECT @extschema@.oauth_tokens_current() IS NOT NULL,
	pg_catalog.current_setting('transaction_read_only')::boolean)";

// By the catalogs, in which a missing function is no error. Of two forms of a function,
// the one for actor_type as text is ours.
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
	secret text := 'rehearsed'; -- no constant, for oauth_tokens.literal_secrets
BEGIN
	PERFORM oauth_tokens_internal.publish_settings('https://rehearsal.invalid',
		pg_catalog.make_interval(secs => 60), '{}', '{rehearsal}');
	link := @extschema@.oauth_authorize_url('00000000-0000-4000-8000-000000000000', 'rehearsal', 'user',
		'oauth-sidecar --check', confirm => false);
	SELECT * INTO STRICT attempt FROM oauth_tokens_internal.flow_begin(
		pg_catalog.sha256(pg_catalog.substring(link, 'ticket=(.*)')::bytea), 'rehearsal', NULL,
		'https://rehearsal.invalid/token', 'rehearsal');
	SELECT * INTO STRICT claimed FROM oauth_tokens_internal.flow_claim(
		pg_catalog.sha256(attempt.state::bytea), pg_catalog.sha256(attempt.browser_secret::bytea),
		'rehearsal');
	PERFORM oauth_tokens_internal.flow_store(claimed.ticket_hash, secret, secret, 60, NULL,
		'{"account_id": "rehearsal"}');
	PERFORM access_token FROM @extschema@.oauth_get('00000000-0000-4000-8000-000000000000', 'rehearsal',
		'user', 'oauth-sidecar --check');
	IF (SELECT adopted FROM oauth_tokens_internal.cluster()) THEN
		FOR round IN 1 .. 2 LOOP
			SELECT * INTO STRICT begun FROM @extschema@.oauth_refresh_begin(
				'00000000-0000-4000-8000-000000000000', 'rehearsal', 'user',
				'oauth-sidecar --check', force => true);
			IF begun.outcome <> 'granted' THEN
				RAISE EXCEPTION 'a refresh was not granted, but %', begun.outcome;
			ELSIF round = 1 THEN
				PERFORM @extschema@.oauth_refresh_commit('00000000-0000-4000-8000-000000000000',
					'rehearsal', 'user', 'oauth-sidecar --check', begun.fence, secret,
					secret, 60);
			ELSE
				PERFORM @extschema@.oauth_refresh_fail('00000000-0000-4000-8000-000000000000',
					'rehearsal', 'user', 'oauth-sidecar --check', begun.fence, 'transient');
			END IF;
		END LOOP;
	END IF;
	PERFORM oauth_tokens_internal.delete_token('00000000-0000-4000-8000-000000000000', 'rehearsal',
		'user', 'oauth-sidecar --check', 'auto');
	RAISE EXCEPTION USING ERRCODE = 'OT999',
		MESSAGE = 'oauth-sidecar --check: nothing is wrong, and nothing was kept';
END $rehearsal$)";

constexpr const char *kConfirmsFlows =
	"SELECT COALESCE(pg_catalog.current_setting('oauth_tokens.confirm_flows', true) = 'on', false)";

constexpr const char *kAskDoctor = R"(SELECT item, status, detail || COALESCE('. ' || hint, '')
	FROM @extschema@.oauth_doctor())";

} // namespace

PostgresTokens::Awaitable<Readiness> PostgresTokens::readiness()
{
	Readiness readiness;
	try {
		const bool is_current = co_await look();
		// Nobody has this identity: what would fail for others fails for it, too.
		const oauth::Identity nobody{kNobody, "-", "user", "-"};
		co_await token(nobody, false);
		co_await rehearse_now_and_then(is_current);
		if (is_current)
			co_return readiness;
		readiness.warning = "the tables or triggers are not as the migration made them, though "
							"requests succeed; call SELECT oauth_tokens_upgrade()";
	} catch (const StoreError &error) {
		readiness.fault = error.text();
		readiness.is_away = error.sqlstate().empty();
	}
	co_return readiness;
}

// Whether the migration is whole.
PostgresTokens::Awaitable<bool> PostgresTokens::look()
{
	const Rows rows = co_await caller_.run(kIsReady);
	Columns columns(rows);
	const bool is_current = columns.boolean();
	if (!columns.boolean())
		co_return is_current;
	// No statement here would write, and so none would tell the pool.
	caller_.pool().leave_read_only();
	throw StoreError("25006", "the server is read-only: it is a standby, or was set so");
}

// What only a request with a token would meet: no key, no unique identity. Anybody may
// ask whether we are ready, and a rehearsal writes, so it is not done each time. A missing
// right is no fault here: a policy may keep us to workspaces that the rehearsal's is none of.
PostgresTokens::Awaitable<void> PostgresTokens::rehearse_now_and_then(bool is_current)
{
	const auto now = std::chrono::steady_clock::now();
	const bool is_suspect = !is_current || last_rehearsal_;
	if (now - rehearsed_ >= (is_suspect ? kBetweenRehearsals : kBetweenQuietRehearsals)) {
		rehearsed_ = now;
		last_rehearsal_.reset();
		try {
			co_await rehearse();
		} catch (const StoreError &error) {
			if (error.is_setup() && error.sqlstate() != kNoRight)
				last_rehearsal_ = error;
		}
	}
	if (last_rehearsal_)
		throw *last_rehearsal_;
}

PostgresTokens::Awaitable<std::vector<std::string>> PostgresTokens::missing_privileges()
{
	const std::string schema = co_await caller_.schema();
	const Rows rows = co_await caller_.run(kMissingPrivileges, schema);
	std::vector<std::string> missing;
	for (int row = 0; row < rows.count(); row++)
		missing.emplace_back(rows.text(row, 0));
	if (!missing.empty())
		co_return missing;
	// What the functions read in turn. Nobody has this identity.
	const oauth::Identity nobody{kNobody, "-", "user", "-"};
	try {
		co_await token(nobody, false);
	} catch (const StoreError &error) {
		if (error.sqlstate() != "42501")
			throw;
		missing.emplace_back(error.what());
	}
	co_return missing;
}

PostgresTokens::Awaitable<void> PostgresTokens::rehearse()
{
	try {
		co_await caller_.run(kRehearse);
	} catch (const StoreError &error) {
		if (error.sqlstate() != kRehearsed)
			throw;
	}
}

PostgresTokens::Awaitable<bool> PostgresTokens::confirms_flows()
{
	const Rows rows = co_await caller_.run(kConfirmsFlows);
	Columns columns(rows);
	co_return columns.boolean();
}

PostgresTokens::Awaitable<std::vector<Finding>> PostgresTokens::ask_doctor()
{
	const Rows rows = co_await caller_.run(kAskDoctor);
	std::vector<Finding> findings;
	for (int row = 0; row < rows.count(); row++)
		findings.push_back({std::string(rows.text(row, 0)), std::string(rows.text(row, 1)),
							std::string(rows.text(row, 2))});
	co_return findings;
}

} // namespace sidecar::database
