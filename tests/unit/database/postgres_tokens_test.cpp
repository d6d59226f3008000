// Against functions in plain SQL with the signatures of the extension's, which
// tell what they were given.
#include "database/postgres_invalidations.hpp"
#include "database/postgres_tokens.hpp"
#include "database/revocations.hpp"

#include <gtest/gtest.h>

#include "database/values.hpp"
#include "loop.hpp"
#include "server.hpp"

using common::Digest;
using common::Secret;
using sidecar::database::Parameters;
using sidecar::database::PendingInvalidations;
using sidecar::database::Pool;
using sidecar::database::PostgresInvalidations;
using sidecar::database::PostgresTokens;
using sidecar::database::Registration;
using sidecar::database::Revocations;
using sidecar::database::StoreError;
using sidecar::oauth::Identity;
using sidecar::oauth::Revoke;
using sidecar::oauth::StoreResult;
using tests::finish;
namespace asio = boost::asio;

namespace
{

const std::string kSchema = R"("o""dd Schema")";

const std::string kFake = R"(
CREATE SCHEMA )" + kSchema +
						  R"(;
CREATE SCHEMA oauth_tokens_internal;
INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
	SELECT 99999, 'oauth_tokens', 10, oid, false, '0' FROM pg_namespace WHERE nspname = 'o"dd Schema';
SET search_path = )" + kSchema +
						  R"(;
CREATE TABLE public.seen (args text);
CREATE TABLE public.answer (outcome text, flow text);
GRANT ALL ON public.seen, public.answer TO public;

CREATE FUNCTION oauth_authorize_url(workspace_id uuid, provider text, actor_type text, actor_id text,
	scopes text DEFAULT NULL, return_to text DEFAULT NULL, confirm boolean DEFAULT NULL) RETURNS text
	LANGUAGE sql AS $$ SELECT concat_ws('|', workspace_id, provider, actor_type, actor_id,
		COALESCE(scopes, 'NULL'), COALESCE(return_to, 'NULL'), COALESCE(confirm::text, 'NULL')) $$;
CREATE FUNCTION oauth_authorize_url(workspace_id uuid, provider text, actor_type anyenum, actor_id text,
	scopes text DEFAULT NULL, return_to text DEFAULT NULL, confirm boolean DEFAULT NULL) RETURNS text
	LANGUAGE sql AS $$ SELECT 'wrong' $$;

CREATE TABLE tokens (workspace_id uuid, provider text, actor_type text, actor_id text, access_token text,
	refresh_token text, scopes text, expires_at timestamptz, details jsonb, updated_at timestamptz);
CREATE FUNCTION oauth_get(workspace_id uuid, provider text, actor_type text, actor_id text,
	OUT access_token text, OUT refresh_token text, OUT scopes text, OUT expires_at timestamptz, OUT updated_at timestamptz)
	RETURNS SETOF record LANGUAGE sql STABLE AS $$
	SELECT access_token, refresh_token, scopes, expires_at, updated_at FROM )" +
						  kSchema + R"(.tokens t
		WHERE (t.workspace_id, t.provider, t.actor_type, t.actor_id) = ($1, $2, $3, $4) $$;
CREATE VIEW oauth_connections AS SELECT workspace_id, provider, actor_type, actor_id, scopes,
	refresh_token IS NOT NULL AS has_refresh_token, expires_at, 'active' AS state, details,
	updated_at AS created_at, updated_at, NULL::text AS reason, NULL::timestamptz AS since,
	NULL::timestamptz AS next_attempt_at, NULL::timestamptz AS refresh_expires_at FROM tokens;
CREATE FUNCTION oauth_refresh_begin() RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION oauth_refresh_commit() RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION oauth_refresh_fail() RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION oauth_refresh_replay() RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION oauth_cache_register(cache_id text) RETURNS uuid LANGUAGE sql AS $$
	INSERT INTO public.seen VALUES (cache_id) RETURNING '22222222-2222-2222-2222-222222222222'::uuid $$;
CREATE FUNCTION oauth_cache_unregister(cache_id text) RETURNS boolean LANGUAGE sql AS $$ SELECT cache_id = 'mine' $$;
CREATE FUNCTION oauth_changes_pending(max_rows bigint = 1000) RETURNS TABLE (id bigint, workspace_id uuid,
	provider text, actor_type text, actor_id text) LANGUAGE sql AS $$
	SELECT 7, '11111111-1111-1111-1111-111111111111'::uuid, 'google.work', 'user', 'it''s "ann"' WHERE max_rows > 1
	UNION ALL SELECT 9007199254740993, NULL, NULL, NULL, NULL WHERE max_rows > 1 $$;
CREATE FUNCTION oauth_changes_ack(registration_id uuid, ids bigint[]) RETURNS bigint LANGUAGE sql AS $$
	INSERT INTO public.seen VALUES (ids::text);
	SELECT cardinality(ids) WHERE registration_id = '22222222-2222-2222-2222-222222222222' $$;
CREATE FUNCTION oauth_changes_wait(timeout interval = '1 s') RETURNS boolean LANGUAGE sql AS $$ SELECT true $$;
CREATE FUNCTION oauth_tokens_current() RETURNS text LANGUAGE sql AS $$ SELECT 'bb51836389e7 (head)' $$;

SET search_path = oauth_tokens_internal;
CREATE FUNCTION cluster() RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION publish_refresh_rules() RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION refresh_purge() RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION refresh_due() RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION refresh_backlog() RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION refresh_requests_wait() RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION refresh_request_done() RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION delete_token(workspace_id uuid, provider text, actor_type text, actor_id text, revoke text,
	OUT deleted boolean, OUT revocation text) LANGUAGE sql AS $$
	WITH gone AS (DELETE FROM )" +
						  kSchema + R"(.tokens t
		WHERE (t.workspace_id, t.provider, t.actor_type, t.actor_id) = ($1, $2, $3, $4) RETURNING 1)
	SELECT EXISTS (SELECT FROM gone), CASE WHEN revoke IN ('auto', 'always') THEN 'queued' ELSE 'skipped' END $$;
CREATE FUNCTION revocations_claim(max_rows bigint, lease interval, providers text[] DEFAULT NULL)
	RETURNS TABLE (id uuid, provider text, client_id text, issuer text, refresh_token text, access_token text,
		shared boolean, attempts integer) LANGUAGE sql AS $$
	INSERT INTO public.seen VALUES (concat_ws('|', max_rows, lease, providers::text));
	SELECT '33333333-3333-3333-3333-333333333333'::uuid, 'google.work', 'C', NULL::text, 'R', 'A', false, 2
	UNION ALL SELECT '44444444-4444-4444-4444-444444444444', 'google', NULL, 'https://i', NULL, NULL, true, 1 $$;
CREATE FUNCTION revocation_done(id uuid, outcome text, reason text DEFAULT NULL, retry_after interval DEFAULT NULL)
	RETURNS text LANGUAGE sql AS $$
	INSERT INTO public.seen VALUES (concat_ws('|', id, outcome, COALESCE(reason, 'NULL'),
		COALESCE(retry_after::text, 'NULL')));
	SELECT CASE WHEN reason = 'given up' THEN 'given_up' WHEN get_byte(uuid_send(id), 0) = 51 THEN outcome END $$;
CREATE FUNCTION revocations_waiting() RETURNS bigint LANGUAGE sql AS $$ SELECT 5000000000 $$;
CREATE FUNCTION publish_settings(public_url text, flow_ttl interval, return_to_origins text[], providers text[])
	RETURNS void LANGUAGE sql AS $$
	INSERT INTO public.seen VALUES (concat_ws('|', public_url, flow_ttl, array_length(return_to_origins, 1),
		return_to_origins[1], return_to_origins[2], array_length(providers, 1), providers[1])) $$;
CREATE FUNCTION flow_begin(ticket_hash bytea, provider text, issuer text, token_endpoint text, client_id text)
	RETURNS TABLE (workspace_id uuid, provider text, actor_type text, actor_id text, scopes text, return_to text,
		confirm boolean, state text, browser_secret text, code_verifier text, nonce text, expires_in integer)
	LANGUAGE sql AS $$
	INSERT INTO public.seen VALUES (concat_ws('|', encode($1, 'hex'), $2, COALESCE($3, 'NULL'),
		$4, $5));
	SELECT '11111111-1111-1111-1111-111111111111'::uuid, 'google.work', 'user', 'ann', NULL::text, '/done?a=b'::text,
		true, 'S', 'B', 'V', 'N', 540 WHERE get_byte($1, 0) = 1 $$;
CREATE FUNCTION flow_claim(state_hash bytea, browser_hash bytea, provider text)
	RETURNS TABLE (ticket_hash bytea, workspace_id uuid, provider text, actor_type text, actor_id text, scopes text,
		return_to text, confirm boolean, code_verifier text, nonce text, issuer text, token_endpoint text,
		client_id text)
	LANGUAGE sql AS $$
	SELECT $2, '11111111-1111-1111-1111-111111111111'::uuid, 'google.work', 'user', 'ann', 'a b', NULL::text,
		false, 'V', 'N', NULL::text, 'https://op/token', 'C' WHERE get_byte($1, 0) = 1 $$;
CREATE FUNCTION flow_store(ticket_hash bytea, access_token text, refresh_token text, expires_in bigint,
	scopes text, details jsonb, OUT outcome text, OUT flow text) LANGUAGE sql AS $$
	INSERT INTO public.seen VALUES (concat_ws('|', encode(ticket_hash, 'hex'), access_token,
		COALESCE(refresh_token, 'NULL'), COALESCE(expires_in::text, 'NULL'), COALESCE(scopes, 'NULL'),
		COALESCE(details::text, 'NULL')));
	SELECT outcome, flow FROM public.answer $$;
CREATE FUNCTION connection(workspace_id uuid, provider text, actor_type text, actor_id text)
	RETURNS SETOF )" + kSchema +
						  R"(.oauth_connections LANGUAGE sql STABLE AS $$
	SELECT c.* FROM )" + kSchema +
						  R"(.oauth_connections c
		WHERE (c.workspace_id, c.provider, c.actor_type, c.actor_id) = ($1, $2, $3, $4) $$;
CREATE FUNCTION cache_registration_id() RETURNS uuid LANGUAGE sql AS $$
	SELECT '22222222-2222-2222-2222-222222222222'::uuid $$;
CREATE FUNCTION cache_registration() RETURNS TABLE (cache_id text, registration_id uuid, system_identifier text,
	timeline integer, database oid, started_at timestamptz, acknowledged_at timestamptz) LANGUAGE sql AS $$
	SELECT 'mine', '22222222-2222-2222-2222-222222222222'::uuid, '18446744073709551615', 3, 4294967295::oid,
		'2026-11-22 09:32:37.123456+00'::timestamptz, clock_timestamp() - interval '3 s' $$;
CREATE FUNCTION flow_purge() RETURNS bigint LANGUAGE sql AS $$ SELECT 5000000000 $$;
)";

const Identity kAnn{"11111111-1111-1111-1111-111111111111", "google.work", "user", "it's \"ann\""};

class PostgresTokensTest : public testing::Test
{
protected:
	static void SetUpTestSuite() { server = new tests::Server; }
	static void TearDownTestSuite()
	{
		delete server;
		server = nullptr;
	}
	void SetUp() override { server->run(kFake); }
	void TearDown() override
	{
		pool.close();
		io.restart();
		io.run();
		server->run(
			"DROP SCHEMA IF EXISTS " + kSchema +
			" CASCADE; DROP SCHEMA IF EXISTS there CASCADE;"
			"DROP SCHEMA IF EXISTS oauth_tokens_internal CASCADE;"
			"DROP TABLE public.seen, public.answer; DELETE FROM pg_extension WHERE oid = 99999");
	}

	static std::string seen() { return server->run("DELETE FROM seen RETURNING args"); }
	template <typename T>
	std::string state_of(asio::awaitable<T> work)
	{
		try {
			finish(io, std::move(work));
			return "ok";
		} catch (const StoreError &error) {
			return error.sqlstate();
		}
	}

	static inline tests::Server *server = nullptr;
	asio::io_context io{1};
	Pool pool{io.get_executor(), server->url()};
	PostgresTokens store{pool};
};

Digest digest(unsigned char first)
{
	Digest bytes{};
	bytes[0] = first;
	bytes[31] = 0xfe;
	return bytes;
}

std::string hex_of(const Digest &bytes)
{
	return common::hex({reinterpret_cast<const char *>(bytes.data()), bytes.size()});
}

} // namespace

TEST_F(PostgresTokensTest, Publishes)
{
	sidecar::database::PublishedSettings settings;
	settings.public_url = "https://a.example";
	settings.flow_seconds = 90;
	settings.return_to_origins = {"https://*.b.example", R"(c",\d{})"};
	finish(io, store.publish(settings));
	EXPECT_EQ(seen(), R"(https://a.example|00:01:30|2|https://*.b.example|c",\d{})");
	settings.return_to_origins.clear();
	settings.providers = {"google"};
	finish(io, store.publish(settings));
	EXPECT_EQ(seen(), "https://a.example|00:01:30|1|google");
}

TEST_F(PostgresTokensTest, MakesLinks)
{
	sidecar::oauth::Link link;
	link.identity = kAnn;
	EXPECT_EQ(finish(io, store.authorize_url(link)),
			  "11111111-1111-1111-1111-111111111111|google.work|user|it's \"ann\"|NULL|NULL|NULL");
	link.scopes = "";
	link.return_to = "/x";
	link.confirm = true;
	EXPECT_EQ(finish(io, store.authorize_url(link)),
			  "11111111-1111-1111-1111-111111111111|google.work|user|it's \"ann\"||/x|true");
	link.identity.workspace_id = "nobody's";
	EXPECT_EQ(state_of(store.authorize_url(link)), "22P02");
	link.identity.workspace_id = kAnn.workspace_id;
	link.identity.actor_id = "\xff";
	EXPECT_EQ(state_of(store.authorize_url(link)), "22021");
}

TEST_F(PostgresTokensTest, OpensAttempts)
{
	sidecar::oauth::ProviderEndpoints endpoints;
	endpoints.token = "https://op/token";
	auto attempt = finish(io, store.open_attempt(digest(1), "google", endpoints, "C"));
	EXPECT_EQ(seen(), hex_of(digest(1)) + "|google|NULL|https://op/token|C");
	ASSERT_TRUE(attempt);
	EXPECT_EQ(attempt->link.identity.provider, "google.work");
	EXPECT_EQ(attempt->link.identity.actor_type, "user");
	EXPECT_EQ(attempt->link.identity.actor_id, "ann");
	EXPECT_EQ(attempt->link.scopes, std::nullopt);
	EXPECT_EQ(attempt->link.return_to, "/done?a=b");
	EXPECT_TRUE(attempt->link.confirm.value());
	EXPECT_TRUE(attempt->state.equals("S"));
	EXPECT_TRUE(attempt->browser_secret.equals("B"));
	EXPECT_TRUE(attempt->code_verifier.equals("V"));
	EXPECT_TRUE(attempt->nonce.equals("N"));
	EXPECT_EQ(attempt->expires_in, 540);
	endpoints.issuer = "https://op";
	EXPECT_FALSE(finish(io, store.open_attempt(digest(2), "google", endpoints, "C")));
	EXPECT_EQ(seen(), hex_of(digest(2)) + "|google|https://op|https://op/token|C");
}

TEST_F(PostgresTokensTest, ClaimsAttempts)
{
	const sidecar::oauth::ClaimAttempt right{digest(1), digest(7), "google"};
	const auto attempt = finish(io, store.claim(right));
	ASSERT_TRUE(attempt);
	EXPECT_EQ(attempt->ticket_hash, digest(7));
	EXPECT_EQ(attempt->link.identity.provider, "google.work");
	EXPECT_EQ(attempt->link.scopes, "a b");
	EXPECT_EQ(attempt->link.return_to, std::nullopt);
	EXPECT_FALSE(attempt->link.confirm.value());
	EXPECT_TRUE(attempt->code_verifier.equals("V"));
	EXPECT_EQ(attempt->issuer, "");
	EXPECT_EQ(attempt->token_endpoint, "https://op/token");
	EXPECT_EQ(attempt->client_id, "C");
	const sidecar::oauth::ClaimAttempt wrong{digest(2), digest(7), "google"};
	EXPECT_FALSE(finish(io, store.claim(wrong)));
}

TEST_F(PostgresTokensTest, StoresGrants)
{
	sidecar::oauth::Grant grant;
	grant.access_token = Secret("A\\x");
	server->run("INSERT INTO answer VALUES ('connected')");
	EXPECT_EQ(finish(io, store.store(digest(3), grant)).kind, StoreResult::Kind::connected);
	EXPECT_EQ(seen(), hex_of(digest(3)) + "|A\\x|NULL|NULL|NULL|NULL");
	grant.refresh_token = Secret("R");
	grant.expires_in = 3600;
	grant.scopes = "a b";
	grant.details = R"({"account_id": "1"})";
	server->run("UPDATE answer SET outcome = 'confirm', flow = 'F'");
	const StoreResult result = finish(io, store.store(digest(3), grant));
	EXPECT_EQ(result.kind, StoreResult::Kind::confirm);
	EXPECT_TRUE(result.flow.equals("F"));
	EXPECT_EQ(seen(), hex_of(digest(3)) + R"(|A\x|R|3600|a b|{"account_id": "1"})");
	server->run("UPDATE answer SET outcome = 'expired', flow = NULL");
	EXPECT_EQ(finish(io, store.store(digest(3), grant)).kind, StoreResult::Kind::expired);
	server->run("UPDATE answer SET outcome = 'perhaps'");
	EXPECT_EQ(state_of(store.store(digest(3), grant)), "42804");
}

TEST_F(PostgresTokensTest, ReadsTokens)
{
	server->run("INSERT INTO " + kSchema +
				R"(.tokens VALUES ('11111111-1111-1111-1111-111111111111', 'google.work',
		'user', 'it''s "ann"', 'A', 'R', 'a b', '2026-11-22 09:32:37.5+00', '{"account_id": "7"}', '1970-01-02 00:00+00'))");
	const auto token = finish(io, store.token(kAnn, false));
	ASSERT_TRUE(token);
	EXPECT_TRUE(token->access_token.equals("A"));
	EXPECT_EQ(token->scopes, "a b");
	EXPECT_EQ(token->expires_at, 1795339957.5);
	EXPECT_TRUE(token->has_refresh_token);
	EXPECT_NEAR(token->now, static_cast<double>(time(nullptr)), 5);
	EXPECT_EQ(token->details, R"({"account_id": "7"})");
	EXPECT_EQ(token->registration_id, "22222222-2222-2222-2222-222222222222");
	EXPECT_TRUE(token->refresh_token.empty());
	EXPECT_TRUE(finish(io, store.token(kAnn, true))->refresh_token.equals("R"));
	const auto connection = finish(io, store.connection(kAnn));
	ASSERT_TRUE(connection);
	EXPECT_EQ(connection->state, "active");
	EXPECT_EQ(connection->expires_at, 1795339957.5);
	EXPECT_EQ(connection->updated_at, 86400);
	EXPECT_TRUE(connection->has_refresh_token);
	server->run("UPDATE " + kSchema +
				".tokens SET refresh_token = NULL, scopes = NULL, details = NULL, "
				"expires_at = 'infinity'");
	const auto bare = finish(io, store.token(kAnn, false));
	ASSERT_TRUE(bare);
	EXPECT_EQ(bare->expires_at, std::nullopt);
	EXPECT_EQ(bare->scopes, std::nullopt);
	EXPECT_FALSE(bare->has_refresh_token);
	EXPECT_EQ(bare->details, "");
	const auto deleted = finish(io, store.delete_token(kAnn, Revoke::automatic));
	EXPECT_TRUE(deleted.was_there);
	EXPECT_TRUE(deleted.is_queued);
	EXPECT_FALSE(finish(io, store.delete_token(kAnn, Revoke::never)).was_there);
	EXPECT_FALSE(finish(io, store.delete_token(kAnn, Revoke::never)).is_queued);
	EXPECT_FALSE(finish(io, store.token(kAnn, false)));
	EXPECT_FALSE(finish(io, store.connection(kAnn)));
	EXPECT_EQ(finish(io, store.purge()), 5000000000);
}

TEST_F(PostgresTokensTest, ClaimsRevocations)
{
	using Ended = Revocations::Ended;
	Revocations revocations(pool);
	const auto claimed =
		finish(io, revocations.claim(16, std::chrono::seconds(75), {"google", "o'ther"}));
	EXPECT_EQ(seen(), "16|00:01:15|{google,o'ther}");
	ASSERT_EQ(claimed.size(), 2u);
	EXPECT_EQ(claimed[0].id, "33333333-3333-3333-3333-333333333333");
	EXPECT_EQ(claimed[0].provider, "google.work");
	EXPECT_EQ(claimed[0].client_id, "C");
	EXPECT_EQ(claimed[0].issuer, "");
	EXPECT_EQ(claimed[0].refresh_token.reveal(), "R");
	EXPECT_EQ(claimed[0].access_token.reveal(), "A");
	EXPECT_FALSE(claimed[0].is_shared);
	EXPECT_EQ(claimed[0].attempts, 2);
	EXPECT_EQ(claimed[1].issuer, "https://i");
	EXPECT_TRUE(claimed[1].refresh_token.empty());
	EXPECT_TRUE(claimed[1].is_shared);
	EXPECT_EQ(finish(io, revocations.done(claimed[0].id)), Ended::done);
	EXPECT_EQ(seen(), claimed[0].id + "|done|NULL|NULL");
	EXPECT_EQ(finish(io, revocations.done(claimed[1].id)), Ended::gone);
	seen();
	EXPECT_EQ(finish(io, revocations.retry(claimed[0].id, "HTTP 503", std::chrono::seconds(90))),
			  Ended::retry);
	EXPECT_EQ(seen(), claimed[0].id + "|retry|HTTP 503|00:01:30");
	EXPECT_EQ(finish(io, revocations.retry(claimed[0].id, "given up", std::nullopt)),
			  Ended::given_up);
	EXPECT_EQ(seen(), claimed[0].id + "|retry|given up|NULL");
	EXPECT_EQ(finish(io, revocations.waiting()), 5000000000);
}

TEST_F(PostgresTokensTest, ReadsInvalidations)
{
	PostgresInvalidations invalidations(pool);
	const std::string registration_id = "22222222-2222-2222-2222-222222222222";
	const Registration registration = finish(io, invalidations.registration());
	EXPECT_EQ(registration.cache_id, "mine");
	EXPECT_EQ(registration.registration_id, registration_id);
	const sidecar::cache_entry::DatabaseId database{"18446744073709551615", 4294967295u, 3,
													1795339957123456};
	EXPECT_EQ(registration.database, database);
	EXPECT_NEAR(registration.unacknowledged, 3, 2);

	const PendingInvalidations pending = finish(io, invalidations.pending(10, registration_id, {}));
	EXPECT_EQ(pending.registration_id, registration_id);
	ASSERT_EQ(pending.invalidations.size(), 2u);
	EXPECT_EQ(pending.invalidations[0].id, 7);
	EXPECT_EQ(pending.invalidations[0].identity->actor_id, kAnn.actor_id);
	EXPECT_EQ(pending.invalidations[1].id, 9007199254740993); // more than a double holds
	EXPECT_FALSE(pending.invalidations[1].identity);
	EXPECT_GT(pending.now, 1'700'000'000'000'000);
	const PendingInvalidations none = finish(io, invalidations.pending(1, registration_id, {}));
	EXPECT_EQ(none.registration_id, registration_id);
	EXPECT_TRUE(none.invalidations.empty());
	// Together with an acknowledgement; what was acknowledged is still seen.
	const PendingInvalidations left = finish(io, invalidations.pending(10, registration_id, {7}));
	EXPECT_EQ(seen(), "{7}");
	EXPECT_EQ(left.registration_id, registration_id);
	ASSERT_EQ(left.invalidations.size(), 1u);
	EXPECT_EQ(left.invalidations[0].id, 9007199254740993);
	const std::string other = "33333333-3333-3333-3333-333333333333";
	EXPECT_EQ(finish(io, invalidations.pending(10, other, {7})).registration_id, "");
	EXPECT_EQ(seen(), "{7}");

	EXPECT_TRUE(finish(io, invalidations.acknowledge(registration_id, {7, 9007199254740993})));
	EXPECT_EQ(seen(), "{7,9007199254740993}");
	EXPECT_TRUE(finish(io, invalidations.acknowledge(registration_id, {})));
	EXPECT_FALSE(
		finish(io, invalidations.acknowledge("33333333-3333-3333-3333-333333333333", {7})));
	finish(io, invalidations.register_cache("theirs"));
	EXPECT_TRUE(finish(io, invalidations.unregister_cache("mine")));
	EXPECT_FALSE(finish(io, invalidations.unregister_cache("theirs")));
	finish(io, invalidations.wait());

	server->run(
		"CREATE OR REPLACE FUNCTION oauth_tokens_internal.cache_registration() RETURNS TABLE ("
		"cache_id text, registration_id uuid, system_identifier text, timeline integer, database "
		"oid, started_at timestamptz, acknowledged_at timestamptz) LANGUAGE sql AS "
		"'SELECT NULL::text, NULL::uuid, ''1'', 1, 5::oid, now(), NULL::timestamptz'");
	EXPECT_EQ(finish(io, invalidations.registration()).registration_id, "");
	EXPECT_EQ(finish(io, invalidations.pending(10, registration_id, {})).registration_id, "");
	EXPECT_TRUE(finish(io, invalidations.pending(10, registration_id, {})).invalidations.empty());
}

TEST_F(PostgresTokensTest, FindsTheExtensionWhereverItIs)
{
	EXPECT_EQ(finish(io, store.readiness()).fault, "");
	server->run("ALTER SCHEMA " + kSchema + " RENAME TO there");
	EXPECT_NE(finish(io, store.readiness()).fault, "");
	// Found; here the bodies of the functions name the schema of before.
	EXPECT_NE(finish(io, store.readiness()).fault.find(".tokens"), std::string::npos);
	server->run("DELETE FROM pg_extension WHERE oid = 99999; DROP SCHEMA there CASCADE");
	EXPECT_NE(finish(io, store.readiness()).fault, "");
	EXPECT_NE(finish(io, store.readiness()).fault, "");
	EXPECT_EQ(state_of(store.delete_token(kAnn, Revoke::never)), "42704");
}

TEST_F(PostgresTokensTest, TellsMissingPrivileges)
{
	EXPECT_EQ(finish(io, store.missing_privileges()), std::vector<std::string>());
	server->run("DROP ROLE IF EXISTS sidecar; CREATE ROLE sidecar LOGIN;"
				"REVOKE ALL ON FUNCTION oauth_tokens_internal.flow_begin FROM public;"
				"GRANT USAGE ON SCHEMA oauth_tokens_internal TO sidecar");
	Pool other(io.get_executor(), Secret(server->address("user=sidecar")));
	PostgresTokens lesser(other);
	const std::vector<std::string> missing{R"(USAGE on schema o"dd Schema)",
										   "EXECUTE on oauth_tokens_internal.flow_begin",
										   R"(SELECT on o"dd Schema.oauth_connections)"};
	EXPECT_EQ(finish(io, lesser.missing_privileges()), missing);
	server->run("GRANT USAGE ON SCHEMA " + kSchema +
				" TO sidecar;"
				"GRANT SELECT ON ALL TABLES IN SCHEMA " +
				kSchema +
				" TO sidecar;"
				"GRANT EXECUTE ON FUNCTION oauth_tokens_internal.flow_begin TO sidecar;"
				"REVOKE SELECT ON " +
				kSchema + ".tokens FROM sidecar");
	EXPECT_EQ(finish(io, lesser.missing_privileges()),
			  std::vector<std::string>{"permission denied for table tokens"});
	other.close();
	server->run("DROP OWNED BY sidecar; DROP ROLE sidecar");
}

TEST_F(PostgresTokensTest, KnowsWhetherFlowsAreConfirmed)
{
	EXPECT_FALSE(finish(io, store.confirms_flows()));
	Pool other(io.get_executor(),
			   Secret(server->address("options='-c oauth_tokens.confirm_flows=on'")));
	PostgresTokens strict(other);
	EXPECT_TRUE(finish(io, strict.confirms_flows()));
	other.close();
}

TEST(StoreErrors, MayPass)
{
	for (const char *state : {"", "08006", "53300", "57P01", "57014", "58030", "40001", "25006"})
		EXPECT_TRUE(StoreError(state, "x").is_transient()) << state;
	for (const char *state : {"42501", "22023", "OT001", "23505", "25001"})
		EXPECT_FALSE(StoreError(state, "x").is_transient()) << state;
}
