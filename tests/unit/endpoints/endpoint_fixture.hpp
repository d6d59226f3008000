// For tests of the endpoints: settings, a store and a provider client that
// answer what a test tells them, and the router over them.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <stdlib.h>

#include <exception>
#include <filesystem>
#include <map>
#include <string>
#include <utility>

#include "endpoints/router.hpp"

namespace sidecar::endpoints
{

inline constexpr std::string_view kWorkspace = "11111111-1111-4111-8111-111111111111";
inline constexpr std::string_view kApiToken = "a-token-of-the-tests-of-endpoints";
// 43 characters each, as the database makes them.
inline const std::string kTicket = "ttttttttttttttttttttttttttttttttttttttttttA";
inline const std::string kState = "ssssssssssssssssssssssssssssssssssssssssssA";
inline const std::string kBrowser = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbA";

class FakeStore : public database::TokenStore
{
public:
	// Thrown by every call, where set.
	std::optional<database::StoreError> error;
	bool has_link = true;
	bool has_attempt = true;
	bool confirm = false;
	std::optional<std::string> return_to;
	std::optional<database::ConnectedAccount> known_connection;
	std::optional<database::StoredToken> known_token;
	int attempts = 0, claims = 0, stores = 0, deleted = 0, tokens = 0;
	std::string stored_access_token;
	std::optional<oauth::Revoke> deleted_with;

	Awaitable<std::string> authorize_url(const oauth::Link &link) override
	{
		fail();
		co_return "https://connect.example.com/oauth/" + link.identity.provider +
			"/authorize?ticket=" + kTicket;
	}
	Awaitable<std::optional<oauth::OpenedAttempt>> open_attempt(const common::Digest &,
																const std::string &,
																const oauth::ProviderEndpoints &,
																const std::string &) override
	{
		fail();
		if (!has_link)
			co_return std::nullopt;
		attempts++;
		oauth::OpenedAttempt attempt;
		attempt.link = link();
		attempt.state = common::Secret(kState);
		attempt.browser_secret = common::Secret(kBrowser);
		attempt.code_verifier = common::Secret(kTicket);
		attempt.nonce = common::Secret(kTicket);
		attempt.expires_in = 600;
		co_return attempt;
	}
	Awaitable<std::optional<oauth::ClaimedAttempt>> claim(const oauth::ClaimAttempt &) override
	{
		fail();
		claims++;
		if (!has_attempt)
			co_return std::nullopt;
		oauth::ClaimedAttempt attempt;
		attempt.link = link();
		attempt.code_verifier = common::Secret(kTicket);
		attempt.nonce = common::Secret(kTicket);
		attempt.token_endpoint = "https://provider.example.com/token";
		attempt.client_id = "app";
		co_return attempt;
	}
	Awaitable<oauth::StoreResult> store(const common::Digest &, const oauth::Grant &grant) override
	{
		fail();
		stores++;
		stored_access_token = grant.access_token.reveal();
		oauth::StoreResult result{oauth::StoreResult::Kind::connected, common::Secret()};
		if (confirm) {
			result.kind = oauth::StoreResult::Kind::confirm;
			result.flow = common::Secret("one-time-code");
		}
		co_return result;
	}
	Awaitable<std::optional<database::ConnectedAccount>>
	connection(const oauth::Identity &) override
	{
		fail();
		co_return known_connection;
	}
	Awaitable<std::optional<database::StoredToken>> token(const oauth::Identity &, bool) override
	{
		fail();
		tokens++;
		co_return std::move(known_token);
	}
	Awaitable<database::DeletedToken> delete_token(const oauth::Identity &,
												   oauth::Revoke revoke) override
	{
		fail();
		deleted_with = revoke;
		database::DeletedToken result;
		result.was_there = deleted++ == 0;
		result.is_queued = result.was_there && revoke != oauth::Revoke::never;
		co_return result;
	}
	Awaitable<database::Readiness> readiness() override
	{
		database::Readiness readiness;
		if (error)
			readiness = {error->text(), error->sqlstate().empty(), {}};
		co_return readiness;
	}

private:
	void fail() const
	{
		if (error)
			throw *error;
	}
	oauth::Link link() const
	{
		oauth::Link made_for;
		made_for.identity = {std::string(kWorkspace), "plain", "user", "alice"};
		made_for.return_to = return_to;
		made_for.confirm = confirm;
		return made_for;
	}
};

// A database that refreshes as it is told.
class FakeRefreshes : public database::RefreshStore
{
public:
	// Thrown by every call, where set.
	std::optional<database::StoreError> error;
	std::optional<database::StoreError> commit_error;
	int failing_commits = 1000; // the first ones
	// What begin answers, one after the other; then the last one again.
	std::vector<database::BegunRefresh::Outcome> outcomes = {
		database::BegunRefresh::Outcome::granted};
	double lease = 60;
	bool in_doubt = false;
	std::string reason;
	database::RefreshEnd committed = database::RefreshEnd::committed;
	std::string failed = "backing_off";

	std::vector<database::WantedRefresh> begun;
	std::vector<std::string> failures; // "kind: detail"
	std::string access_token, refresh_token;
	std::chrono::milliseconds asked_lease{0};
	int commits = 0, replays = 0;

	Awaitable<database::BegunRefresh> begin(const database::WantedRefresh &wanted,
											std::chrono::milliseconds asked) override
	{
		fail();
		asked_lease = asked;
		begun.push_back(wanted);
		database::BegunRefresh answer;
		answer.outcome = outcomes.front();
		if (outcomes.size() > 1)
			outcomes.erase(outcomes.begin());
		answer.in_doubt = in_doubt;
		answer.retry_in = std::chrono::duration<double>(lease);
		answer.reason = reason;
		answer.cluster = "1/2";
		if (answer.outcome == database::BegunRefresh::Outcome::granted) {
			answer.fence = static_cast<std::int64_t>(begun.size());
			answer.refresh_token = common::Secret("the-refresh-token");
			answer.spool_key = common::Secret("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
		}
		co_return answer;
	}
	Awaitable<database::RefreshEnd> commit(const oauth::Identity &, std::int64_t,
										   const oauth::Grant &grant) override
	{
		fail();
		commits++;
		if (commit_error && commits <= failing_commits)
			throw *commit_error;
		access_token = grant.access_token.reveal();
		refresh_token = grant.refresh_token ? grant.refresh_token->reveal() : "";
		co_return committed;
	}
	Awaitable<std::string> fail(const oauth::Identity &, std::int64_t, std::string_view kind,
								const std::string &detail,
								std::optional<std::chrono::seconds>) override
	{
		failures.push_back(std::string(kind) + ": " + detail);
		co_return failed;
	}
	Awaitable<database::RefreshEnd> replay(const spool::Entry &) override
	{
		replays++;
		co_return committed;
	}
	Awaitable<bool> is_refreshing(const oauth::Identity &) override { co_return false; }
	Awaitable<database::Cluster> cluster() override
	{
		const database::Cluster cluster{"1/2", true};
		co_return cluster;
	}
	Awaitable<std::vector<database::WantedRefresh>> due(int,
														const std::vector<std::string> &) override
	{
		co_return std::vector<database::WantedRefresh>();
	}
	Awaitable<std::vector<database::WantedRefresh>> wait_for_requests() override
	{
		const std::vector<database::WantedRefresh> none;
		co_return none;
	}
	Awaitable<void> answer_request(const oauth::Identity &, std::string_view,
								   const std::string &) override
	{
		co_return;
	}

private:
	void fail() const
	{
		if (error)
			throw *error;
	}
};

// A directory for the spool that goes with the test.
class TemporarySpool
{
public:
	TemporarySpool()
	{
		char name[] = "/tmp/oauth-spool-XXXXXX";
		path = mkdtemp(name);
	}
	~TemporarySpool() { std::filesystem::remove_all(path); }
	TemporarySpool(const TemporarySpool &) = delete;
	TemporarySpool &operator=(const TemporarySpool &) = delete;

	std::string path;
};

class FakeClient : public client::ProviderClient
{
public:
	int status = 200;
	std::string body = R"({"access_token":"the-access-token","token_type":"Bearer"})";
	int calls = 0;

	boost::asio::awaitable<oauth::ProviderAnswer> send(oauth::ProviderRequest) override
	{
		calls++;
		oauth::ProviderAnswer answer;
		answer.status = status;
		answer.content_type = "application/json";
		answer.body = common::Secret(body);
		co_return answer;
	}
};

class FakeCache : public cache::TokenCache
{
public:
	std::optional<cache::CachedToken> hit;
	bool has_lease = false;
	int filled = 0, released = 0, evicted = 0;
	cache::CacheState is = cache::CacheState::none;

	boost::asio::awaitable<void> look_up(const oauth::Identity &identity,
										 cache::Lookup &found) override
	{
		found.hit = std::move(hit);
		if (!found.hit && has_lease)
			found.lease.emplace().identity = identity;
		co_return;
	}
	void fill(cache::FillLease, const database::StoredToken *found) override
	{
		(found != nullptr ? filled : released)++;
	}
	boost::asio::awaitable<void> evict(const oauth::Identity &) override
	{
		evicted++;
		co_return;
	}
	bool keeps_refresh_tokens() const noexcept override { return false; }
	cache::CacheState state() const noexcept override { return is; }
};

class EndpointFixture
{
public:
	EndpointFixture()
	{
		settings.state_ttl = std::chrono::seconds(600);
		settings.public_url = "https://connect.example.com";
		settings.return_to_origins = {"https://app.example.com"};
		settings::ApiToken token;
		token.digest = common::sha256(kApiToken);
		settings.api_tokens.push_back(token);
		oauth::Provider provider;
		provider.name = "plain";
		provider.endpoints.authorization = "https://provider.example.com/authorize";
		provider.endpoints.token = "https://provider.example.com/token";
		provider.client_id = "app";
		provider.client_secret = common::Secret("a-secret-of-the-client");
		settings.providers.emplace("plain", std::move(provider));
	}

	http::Response ask(std::string_view method, std::string_view target, bool with_token = false,
					   std::string_view cookie = {})
	{
		http::Request request;
		request.id = "0123456789abcdef";
		request.audience = audience;
		request.method = method;
		request.path = target.substr(0, target.find('?'));
		if (request.path.size() < target.size())
			request.query = target.substr(request.path.size() + 1);
		request.cookie = cookie;
		request.has_authorization = with_token;
		if (with_token)
			request.authorization = "Bearer " + std::string(kApiToken);
		return run(std::move(request));
	}

	http::Response run(http::Request request)
	{
		boost::asio::io_context context;
		providers::ProviderRegistry directory(context.get_executor(), settings.providers, client,
											  {});
		const spool::Spool spool(place.path);
		Workers workers(context.get_executor());
		const refresh::RefreshContext refreshing{context.get_executor(),
												 refreshes,
												 client,
												 directory,
												 cache,
												 spool,
												 workers,
												 metrics,
												 std::chrono::seconds(15),
												 [] { return 1763803957000LL; }};
		refresh::Replayer replayer(refreshing);
		refresh::Refresher refresher(refreshing, replayer);
		Router router({{settings, store, cache, refresher, metrics, [] { return 1763803957000LL; }},
					   store,
					   client,
					   callback_limiter,
					   directory,
					   [] { return true; },
					   [] { return true; },
					   [] {},
					   [] { return Metrics::Gauges{}; }});
		std::optional<http::Response> response;
		boost::asio::co_spawn(context, router.answer(std::move(request)),
							  [&](std::exception_ptr failure, http::Response answer) {
								  if (failure)
									  std::rethrow_exception(failure);
								  response = std::move(answer);
							  });
		context.run();
		return std::move(response.value());
	}

	settings::Settings settings;
	FakeStore store;
	FakeRefreshes refreshes;
	TemporarySpool place;
	FakeCache cache;
	FakeClient client;
	CallbackLimiter callback_limiter;
	Metrics metrics;
	http::Audience audience = http::Audience::everything;
};

// The values of a header, in order.
inline std::vector<std::string> all(const http::Response &response, std::string_view name)
{
	std::vector<std::string> values;
	for (const auto &[header, value] : response.headers)
		if (header == name)
			values.push_back(value);
	std::string_view lines = response.fixed_headers;
	while (!lines.empty()) {
		const std::string_view line = lines.substr(0, lines.find("\r\n"));
		lines.remove_prefix(line.size() + 2);
		if (line.substr(0, line.find(": ")) == name)
			values.emplace_back(line.substr(name.size() + 2));
	}
	return values;
}

inline std::string header(const http::Response &response, std::string_view name)
{
	const std::vector<std::string> values = all(response, name);
	return values.empty() ? std::string() : values.front();
}

} // namespace sidecar::endpoints
