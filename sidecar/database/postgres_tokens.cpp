#include "database/postgres_tokens.hpp"

namespace sidecar::database
{

namespace
{

constexpr const char *kPublish = R"(SELECT oauth_tokens_internal.publish_settings(
	$1::text, pg_catalog.make_interval(secs => $2::float8), $3::text[], $4::text[]))";

constexpr const char *kAuthorizeUrl = R"(SELECT @extschema@.oauth_authorize_url(
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
	FROM @extschema@.oauth_get($1::uuid, $2::text, $3::text, $4::text) t)";

constexpr const char *kDelete = R"(SELECT deleted, revocation
	FROM oauth_tokens_internal.delete_token($1::uuid, $2::text, $3::text, $4::text, $5::text))";

constexpr const char *kPurge = "SELECT oauth_tokens_internal.flow_purge()";

oauth::Link read_link(Columns &columns)
{
	oauth::Link link;
	link.identity = columns.identity();
	link.scopes = columns.optional_text();
	link.return_to = columns.optional_text();
	link.confirm = columns.boolean();
	return link;
}

oauth::StoreResult read_outcome(const Rows &rows)
{
	using Kind = oauth::StoreResult::Kind;
	oauth::StoreResult result{Kind::expired, common::Secret()};
	if (rows.count() == 0)
		return result;
	Columns columns(rows);
	const std::string outcome = columns.text();
	if (outcome == "connected")
		result.kind = Kind::connected;
	else if (outcome == "confirm")
		result.kind = Kind::confirm;
	else if (outcome != "expired")
		throw misfit();
	result.flow = columns.secret();
	return result;
}

} // namespace

PostgresTokens::Awaitable<void> PostgresTokens::publish(const PublishedSettings &settings)
{
	co_await caller_.run(kPublish, settings.public_url, settings.flow_seconds,
						 settings.return_to_origins, settings.providers);
}

PostgresTokens::Awaitable<std::string> PostgresTokens::authorize_url(const oauth::Link &link)
{
	const Rows rows = co_await caller_.run(kAuthorizeUrl, link.identity, link.scopes,
										   link.return_to, link.confirm);
	Columns columns(rows);
	co_return columns.text();
}

PostgresTokens::Awaitable<std::optional<oauth::OpenedAttempt>>
PostgresTokens::open_attempt(const common::Digest &ticket_hash, const std::string &provider,
							 const oauth::ProviderEndpoints &endpoints,
							 const std::string &client_id)
{
	const Rows rows = co_await caller_.run(kOpenAttempt, ticket_hash, provider,
										   OrNull{endpoints.issuer}, endpoints.token, client_id);
	if (rows.count() == 0)
		co_return std::nullopt;
	Columns columns(rows);
	oauth::OpenedAttempt attempt;
	attempt.link = read_link(columns);
	attempt.state = columns.secret();
	attempt.browser_secret = columns.secret();
	attempt.code_verifier = columns.secret();
	attempt.nonce = columns.secret();
	attempt.expires_in = static_cast<int>(columns.integer());
	co_return attempt;
}

PostgresTokens::Awaitable<std::optional<oauth::ClaimedAttempt>>
PostgresTokens::claim(const oauth::ClaimAttempt &claim)
{
	const Rows rows =
		co_await caller_.run(kClaim, claim.state_hash, claim.browser_hash, claim.provider);
	if (rows.count() == 0)
		co_return std::nullopt;
	Columns columns(rows);
	oauth::ClaimedAttempt attempt;
	attempt.link = read_link(columns);
	attempt.ticket_hash = columns.digest();
	attempt.code_verifier = columns.secret();
	attempt.nonce = columns.secret();
	attempt.issuer = columns.text();
	attempt.token_endpoint = columns.text();
	attempt.client_id = columns.text();
	co_return attempt;
}

// If no answer comes, it may or may not be stored: the StoreError without an
// SQLSTATE says so.
PostgresTokens::Awaitable<oauth::StoreResult>
PostgresTokens::store(const common::Digest &ticket_hash, const oauth::Grant &grant)
{
	const Rows rows =
		co_await caller_.run(kStore, ticket_hash, grant.access_token, grant.refresh_token,
							 grant.expires_in, grant.scopes, OrNull{grant.details});
	co_return read_outcome(rows);
}

PostgresTokens::Awaitable<std::optional<ConnectedAccount>>
PostgresTokens::connection(const oauth::Identity &identity)
{
	const Rows rows = co_await caller_.run(kConnection, identity);
	if (rows.count() == 0)
		co_return std::nullopt;
	Columns columns(rows);
	ConnectedAccount connection;
	connection.state = columns.text();
	connection.scopes = columns.optional_text();
	connection.has_refresh_token = columns.boolean();
	connection.expires_at = columns.optional_time();
	connection.details = columns.text();
	connection.updated_at = columns.optional_time();
	connection.reason = columns.optional_text();
	connection.since = columns.optional_time();
	connection.next_attempt_at = columns.optional_time();
	connection.refresh_expires_at = columns.optional_time();
	co_return connection;
}

PostgresTokens::Awaitable<std::optional<StoredToken>>
PostgresTokens::token(const oauth::Identity &identity, bool with_refresh_token)
{
	const Rows rows = co_await caller_.run(kToken, identity, with_refresh_token);
	if (rows.count() == 0)
		co_return std::nullopt;
	Columns columns(rows);
	StoredToken token;
	token.access_token = columns.secret();
	token.scopes = columns.optional_text();
	token.expires_at = columns.optional_time();
	token.has_refresh_token = columns.boolean();
	token.now = columns.number();
	token.details = columns.text();
	token.registration_id = columns.text();
	token.refresh_token = columns.secret();
	token.read_at = columns.number();
	co_return token;
}

PostgresTokens::Awaitable<DeletedToken>
PostgresTokens::delete_token(const oauth::Identity &identity, oauth::Revoke revoke)
{
	const Rows rows = co_await caller_.run(kDelete, identity, OrNull{oauth::name_of(revoke)});
	Columns columns(rows);
	DeletedToken deleted;
	deleted.was_there = columns.boolean();
	deleted.is_queued = columns.text() == "queued";
	co_return deleted;
}

PostgresTokens::Awaitable<std::int64_t> PostgresTokens::purge()
{
	const Rows rows = co_await caller_.run(kPurge);
	Columns columns(rows);
	co_return columns.integer();
}

} // namespace sidecar::database
