// The API: who may ask, and what it answers.

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>

#include "endpoint_fixture.hpp"

namespace sidecar::endpoints
{

namespace
{

const std::string kAlice = "workspace_id=" + std::string(kWorkspace) + "&actor_id=alice";

boost::json::object json(const http::Response &response)
{
	return boost::json::parse(response.body).as_object();
}

std::string text(const http::Response &response, const char *name)
{
	return std::string(json(response).at(name).as_string());
}

} // namespace

TEST(Api, WantsATokenThatItKnows)
{
	EndpointFixture site;
	const std::string target = "/oauth/plain/status?" + kAlice;
	for (const char *authorization :
		 {"", "Bearer", "Bearer ", "Bearer wrong", "Basic YTpi",
		  "a-token-of-the-tests-of-endpoints", "Bearer a-token-of-the-tests-of-endpoint",
		  "Bearer a-token-of-the-tests-of-endpointsx",
		  "Bearer  a-token-of-the-tests-of-endpoints"}) {
		http::Request request;
		request.method = "GET";
		request.path = "/oauth/plain/status";
		request.query = kAlice;
		request.authorization = authorization;
		request.has_authorization = true;
		const http::Response response = site.run(std::move(request));
		EXPECT_EQ(response.status, 401) << authorization;
		EXPECT_EQ(header(response, "WWW-Authenticate"), "Bearer");
		EXPECT_EQ(text(response, "error"), "unauthorized");
	}
	EXPECT_EQ(site.ask("GET", target).status, 401);
	EXPECT_EQ(site.ask("GET", target, true).status, 200);
	site.settings.api_tokens.clear();
	EXPECT_EQ(site.ask("GET", target, true).status, 401);
}

// F19
TEST(Api, KeepsTokensWithinTheirRange)
{
	const std::string other = "22222222-2222-4222-8222-222222222222";
	EndpointFixture site;
	settings::ApiToken &token = site.settings.api_tokens.front();
	token.allow = settings::ApiToken::status;
	token.workspaces = {std::string(kWorkspace)};
	token.providers = {"plain"};
	const std::string elsewhere = "workspace_id=" + other + "&actor_id=alice";
	EXPECT_EQ(site.ask("GET", "/oauth/plain/status?" + kAlice, true).status, 200);
	EXPECT_EQ(site.ask("GET", "/oauth/plain.work/status?" + kAlice, true).status, 200);
	EXPECT_EQ(site.ask("GET", "/oauth/plain/status?" + elsewhere, true).status, 403);
	EXPECT_EQ(site.ask("GET", "/oauth/plain/token?" + kAlice, true).status, 403);
	EXPECT_EQ(site.ask("DELETE", "/oauth/plain/token?" + kAlice, true).status, 403);
	EXPECT_EQ(site.ask("GET", "/oauth/plain/authorize?" + kAlice, true).status, 403);
	token.providers = {"plain.work"};
	EXPECT_EQ(site.ask("GET", "/oauth/plain/status?" + kAlice, true).status, 403);
	EXPECT_EQ(site.ask("GET", "/oauth/plain.work/status?" + kAlice, true).status, 200);
	EXPECT_EQ(site.store.deleted, 0);
}

TEST(Api, NamesTheParameterAtFault)
{
	EndpointFixture site;
	const std::pair<std::string, std::string> cases[] = {
		{"actor_id=alice", "workspace_id"},
		{"workspace_id=1&actor_id=alice", "workspace_id"},
		{"workspace_id=" + std::string(kWorkspace), "actor_id"},
		{kAlice + "&actor_id=bob", "actor_id"},
		{kAlice + "&actor_type=", "actor_type"},
		{kAlice + "&min_ttl=-1", "min_ttl"},
		{kAlice + "&min_ttl=1s", "min_ttl"},
		{kAlice + "&min_ttl=99999999999999999999", "min_ttl"},
		{kAlice + "&force=yes", "force"},
		{kAlice + "&force=true&if_token_sha256=ab", "if_token_sha256"},
		{kAlice + "&if_token_sha256=" + std::string(64, 'a'), "if_token_sha256"},
	};
	for (const auto &[query, parameter] : cases) {
		const http::Response response = site.ask("GET", "/oauth/plain/token?" + query, true);
		EXPECT_EQ(response.status, 400) << query;
		EXPECT_EQ(text(response, "parameter"), parameter) << query;
		EXPECT_EQ(text(response, "request_id"), "0123456789abcdef");
	}
	EXPECT_EQ(site.ask("GET", "/oauth/plain/token?" + kAlice + "&actor_id=%00", true).status, 400);
	for (const char *scopes : {"a%22b", "a%20%20b", "%20a", "a%5Cb", "%C3%A9"})
		EXPECT_EQ(
			text(site.ask("GET", "/oauth/plain/authorize?" + kAlice + "&scopes=" + scopes, true),
				 "parameter"),
			"scopes");
	EXPECT_EQ(text(site.ask("GET", "/oauth/other/token?" + kAlice, true), "error"),
			  "unknown_provider");
	EXPECT_EQ(header(site.ask("PUT", "/oauth/plain/token?" + kAlice, true), "Allow"),
			  "GET, DELETE");
}

TEST(Api, RevokesAsRequestOrProviderSays)
{
	using oauth::Revoke;
	const std::string address = "/oauth/plain/token?" + kAlice;
	EndpointFixture site;
	EXPECT_EQ(text(site.ask("DELETE", address, true), "revocation"), "unsupported");
	EXPECT_EQ(site.store.deleted_with, Revoke::never);
	site.settings.providers.at("plain").endpoints.revocation = "https://provider.example.com/r";
	const std::tuple<Revoke, std::string, Revoke> cases[] = {
		{Revoke::automatic, "", Revoke::automatic},
		{Revoke::never, "", Revoke::never},
		{Revoke::always, "", Revoke::always},
		{Revoke::never, "&revoke=auto", Revoke::automatic},
		{Revoke::never, "&revoke=always", Revoke::always},
		{Revoke::always, "&revoke=never", Revoke::never},
	};
	for (const auto &[setting, parameter, revoke] : cases) {
		site.settings.providers.at("plain").revoke = setting;
		site.store.deleted = 0;
		const http::Response response = site.ask("DELETE", address + parameter, true);
		EXPECT_EQ(site.store.deleted_with, revoke) << parameter;
		EXPECT_EQ(text(response, "revocation"), revoke == Revoke::never ? "skipped" : "queued");
		EXPECT_EQ(text(site.ask("DELETE", address + parameter, true), "revocation"), "skipped");
	}
	site.store.deleted = 0;
	for (const char *bad : {"&revoke=", "&revoke=Auto", "&revoke=auto&revoke=auto"})
		EXPECT_EQ(text(site.ask("DELETE", address + bad, true), "parameter"), "revoke");
	EXPECT_EQ(site.store.deleted, 0);
	EXPECT_EQ(site.client.calls, 0);
}

TEST(Api, ShowsWhatIsConnectedAndWhatIsNot)
{
	EndpointFixture site;
	const http::Response nothing = site.ask("GET", "/oauth/plain/status?" + kAlice, true);
	EXPECT_EQ(nothing.body,
			  R"({"linked":false,"state":"not_connected","provider":"plain","workspace_id":")" +
				  std::string(kWorkspace) +
				  R"(","actor_type":"user","actor_id":"alice","scopes":null,)"
				  R"("has_refresh_token":false,"expires_at":null,"account":null,"extra":null,)"
				  R"("connected_at":null,"updated_at":null,"reason":null,"since":null,)"
				  R"("next_attempt_at":null,"refresh_expires_at":null})");
	database::ConnectedAccount connection;
	connection.state = "backing_off";
	connection.reason = "transient: HTTP 500";
	connection.since = 1763803957;
	connection.next_attempt_at = 1763803957;
	connection.scopes = "openid email";
	connection.has_refresh_token = true;
	connection.expires_at = 1763803957;
	connection.details = R"({"account_id":"1","account_label":"a@example.com","extra":{"x":[1]},)"
						 R"("connected_at":"2025-11-22T09:32:37.123456+00:00"})";
	connection.updated_at = 1763803957;
	site.store.known_connection = connection;
	const http::Response found = site.ask("GET", "/oauth/plain/status?" + kAlice, true);
	EXPECT_TRUE(found.body.ends_with(
		R"("scopes":"openid email","has_refresh_token":true,"expires_at":"2025-11-22T09:32:37+00:00",)"
		R"("account":{"id":"1","label":"a@example.com"},"extra":{"x":[1]},)"
		R"("connected_at":"2025-11-22T09:32:37+00:00","updated_at":"2025-11-22T09:32:37+00:00",)"
		R"("reason":"transient: HTTP 500","since":"2025-11-22T09:32:37+00:00",)"
		R"("next_attempt_at":"2025-11-22T09:32:37+00:00","refresh_expires_at":null})"))
		<< found.body;
}

TEST(Api, GivesATokenWhileItLives)
{
	struct Case {
		std::optional<double> expires_at;
		int status;
		const char *expires_in;
	} const cases[] = {
		{1100.5, 200, "100"}, {1000.0, 409, ""}, {500.0, 409, ""}, {std::nullopt, 200, "null"}};
	for (const Case &c : cases) {
		EndpointFixture site;
		database::StoredToken token;
		token.access_token = common::Secret("the\"token");
		token.expires_at = c.expires_at;
		token.now = 1000;
		site.store.known_token = std::move(token);
		const http::Response response =
			site.ask("GET", "/oauth/plain/token?" + kAlice + "&min_ttl=3600", true);
		ASSERT_EQ(response.status, c.status);
		if (c.status == 409) {
			EXPECT_EQ(text(response, "error"), "reauthorization_required");
			EXPECT_EQ(text(response, "reason"), "no_refresh_token");
			continue;
		}
		EXPECT_EQ(text(response, "access_token"), "the\"token");
		EXPECT_EQ(text(response, "token_type"), "Bearer");
		EXPECT_EQ(boost::json::serialize(json(response).at("expires_in")), c.expires_in);
		EXPECT_EQ(response.body.find("refresh"), std::string::npos);
	}
	EndpointFixture site;
	EXPECT_EQ(text(site.ask("GET", "/oauth/plain/token?" + kAlice, true), "error"),
			  "not_connected");
}

TEST(Api, DeletesAsOftenAsOneAsks)
{
	EndpointFixture site;
	EXPECT_EQ(site.ask("DELETE", "/oauth/plain/token?" + kAlice, true).body,
			  R"({"deleted":true,"revocation":"unsupported"})");
	EXPECT_EQ(site.ask("DELETE", "/oauth/plain/token?" + kAlice, true).body,
			  R"({"deleted":false,"revocation":"skipped"})");
}

TEST(Api, GivesOutALinkAndNeverTheProvidersAddress)
{
	EndpointFixture site;
	const http::Response response = site.ask("GET", "/oauth/plain/authorize?" + kAlice, true);
	EXPECT_EQ(text(response, "authorize_url"),
			  "https://connect.example.com/oauth/plain/authorize?ticket=" + kTicket);
	EXPECT_EQ(json(response).at("expires_in").as_int64(), 600);
}

TEST(Api, TellsTheDatabasesErrorsApart)
{
	const std::pair<const char *, int> cases[] = {
		{"", 503},      {"57P01", 503}, {"53300", 503}, {"OT015", 400}, {"OT014", 404},
		{"22023", 400}, {"OT008", 400}, {"42501", 503}, {"OT001", 503}, {"OT002", 503},
		{"OT004", 503}, {"OT005", 503}, {"42704", 503}, {"OT003", 500}, {"XX000", 500}};
	for (const auto &[sqlstate, status] : cases) {
		EndpointFixture site;
		site.store.error.emplace(sqlstate, "a message of the server with a secret");
		const http::Response response = site.ask("GET", "/oauth/plain/authorize?" + kAlice, true);
		EXPECT_EQ(response.status, status) << sqlstate;
		EXPECT_EQ(response.body.find("secret"), std::string::npos);
		EXPECT_EQ(header(response, "Retry-After").empty(), status != 503);
	}
}

TEST(Api, SaysWhetherItIsReady)
{
	EndpointFixture site;
	EXPECT_EQ(site.ask("GET", "/readyz").status, 200);
	site.store.error.emplace("", "no answer");
	EXPECT_EQ(site.ask("GET", "/readyz").status, 503);
	EXPECT_EQ(site.ask("GET", "/healthz").status, 200);
	EXPECT_EQ(site.ask("POST", "/healthz").status, 405);
}

namespace
{

const std::string kTokenOfAlice = "/oauth/plain/token?" + kAlice;

cache::CachedToken cached(std::optional<long long> expires_at)
{
	cache::CachedToken token;
	token.entry.access_token = common::Secret("from the cache");
	token.entry.expires_at = expires_at;
	token.entry.scope = "mail";
	token.details = R"({"account_id":"42","extra":{"instance_url":"https://one.example.com"}})";
	return token;
}

database::StoredToken stored()
{
	database::StoredToken token;
	token.access_token = common::Secret("from the database");
	return token;
}

constexpr long long kNow = 1763803957; // the site's clock

} // namespace

TEST(Api, GivesACachedTokenWithoutAskingTheDatabase)
{
	EndpointFixture site;
	site.cache.hit = cached(kNow + 60);
	const http::Response response = site.ask("GET", kTokenOfAlice + "&min_ttl=0", true);
	EXPECT_EQ(response.status, 200);
	EXPECT_EQ(boost::json::parse(response.body), boost::json::parse(R"({
		"access_token": "from the cache", "token_type": "Bearer",
		"expires_at": "2025-11-22T09:33:37+00:00", "expires_in": 60, "scopes": "mail",
		"account": {"id": "42", "label": null},
		"extra": {"instance_url": "https://one.example.com"}})"));
	EXPECT_EQ(site.store.tokens, 0);
}

// C5
TEST(Api, AsksTheDatabaseWhereACachedTokenLivesTooShort)
{
	for (const auto &[expires_at, min_ttl, from_cache] :
		 {std::tuple{std::optional(kNow + 60), 59, true},
		  {kNow + 60, 60, false},
		  {kNow, 0, false},
		  {kNow - 1, 0, false},
		  {std::nullopt, 86400, true}}) {
		EndpointFixture site;
		site.cache.hit = cached(expires_at);
		site.store.known_token = stored();
		const http::Response response =
			site.ask("GET", kTokenOfAlice + "&min_ttl=" + std::to_string(min_ttl), true);
		EXPECT_EQ(text(response, "access_token"),
				  from_cache ? "from the cache" : "from the database")
			<< min_ttl;
	}
}

TEST(Api, FillsTheCacheWithWhatTheDatabaseSaid)
{
	EndpointFixture site;
	site.cache.has_lease = true;
	site.store.known_token = stored();
	EXPECT_EQ(site.ask("GET", kTokenOfAlice, true).status, 200);
	EXPECT_EQ(site.cache.filled, 1);
}

// Or nobody else would fill until the lease ends by itself.
TEST(Api, LetsGoOfALeaseThatItCannotUse)
{
	EndpointFixture site;
	site.cache.has_lease = true;
	EXPECT_EQ(site.ask("GET", kTokenOfAlice, true).status, 404);
	EXPECT_EQ(site.cache.released, 1);
	site.store.error = database::StoreError("57014", "canceled");
	EXPECT_EQ(site.ask("GET", kTokenOfAlice, true).status, 503);
	EXPECT_EQ(site.cache.released, 2);
	EXPECT_EQ(site.cache.filled, 0);
}

TEST(Api, ForgetsWhatItDeletes)
{
	EndpointFixture site;
	EXPECT_EQ(site.ask("DELETE", kTokenOfAlice, true).status, 200);
	EXPECT_EQ(site.cache.evicted, 1);
	// The answer may have been lost behind a commit.
	site.store.error = database::StoreError("", "no answer");
	EXPECT_EQ(site.ask("DELETE", kTokenOfAlice, true).status, 503);
	EXPECT_EQ(site.cache.evicted, 2);
}

TEST(Ready, WhateverBecomesOfTheCache)
{
	EndpointFixture site;
	EXPECT_FALSE(json(site.ask("GET", "/readyz")).contains("cache"));
	for (const auto &[state, name] : {std::pair{cache::CacheState::ok, "ok"},
									  {cache::CacheState::off, "off"},
									  {cache::CacheState::down, "down"}}) {
		site.cache.is = state;
		const http::Response response = site.ask("GET", "/readyz");
		EXPECT_EQ(response.status, 200);
		EXPECT_EQ(text(response, "cache"), name);
	}
}

} // namespace sidecar::endpoints
