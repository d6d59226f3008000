// GET …/token from the cache, with all that a request passes through: server, router, endpoint, and
// a real Redis.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "../redis/running_redis.hpp"
#include "../server/running_server.hpp"
#include "allocations.hpp"
#include "cache/redis_cache.hpp"
#include "endpoint_fixture.hpp"
#include "endpoints/errors.hpp"

namespace sidecar::endpoints
{

namespace
{

const std::string kRequest =
	"GET /oauth/plain/token?workspace_id=" + std::string(kWorkspace) +
	"&actor_id=alice HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " +
	std::string(kApiToken) + "\r\n\r\n";

class CachedToken : public tests::RedisTest, public EndpointFixture
{
protected:
	CachedToken()
	{
		settings.cache.max_ttl = std::chrono::seconds(3600);
		redis_ = connected(server_.url());
		cache_entry::Epoch epoch;
		epoch.id = "0123456789abcdef0123456789abcdef";
		epoch.state = cache_entry::Epoch::State::ready;
		epoch.registration_id = "22222222-2222-4222-8222-222222222222";
		epoch.run_id = redis_->server()->run_id;
		epoch.database = {"1", 2, 3, 4};
		coherence_.known = std::make_shared<const cache::Coherence::Known>(epoch);
		set(keys_.epoch, coherence_.known->text);
		set(keys_.live, epoch.id);

		database::StoredToken token;
		token.access_token = common::Secret(std::string(200, 't'));
		token.scopes = "mail calendar";
		token.registration_id = epoch.registration_id;
		store.known_token = std::move(token);

		real_cache_ = std::make_unique<cache::RedisCache>(
			io_.get_executor(), *redis_, keys_, coherence_, changes_, settings.cache, metrics);
		router_ = std::make_unique<Router>(
			ShardContext{settings, store, *real_cache_, refresher_, metrics,
						 [] { return 1763803957000LL; }},
			[](http::Request &&) -> boost::asio::awaitable<http::Response> {
				co_return http::Response(500, "text/plain", "not of a shard");
			});
		http_ = std::make_unique<server::Server>(
			io_, server::Limits(),
			[this](http::Request &&request) { return router_->answer(std::move(request)); },
			[](int status, const std::string &id) { return error_for_status(status, id); },
			[](const server::AccessRecord &) {});
		settings::Address address;
		address.host = "127.0.0.1";
		port_ = http_->listen(address, http::Audience::everything);
	}

	void set(const std::string &key, const std::string &value)
	{
		redis::Command command{"SET", key, value};
		run(*redis_, std::move(command));
	}

	// By a client on one connection; the daemon's part is on this thread. Returns the last answer.
	server::Answer ask(int times)
	{
		server::Answer answer;
		std::atomic<bool> is_done = false;
		std::thread client([&] {
			server::Client connection(port_);
			for (int i = 0; i < times; i++)
				answer = connection.ask(kRequest);
			is_done = true;
		});
		until([&] { return is_done.load(); });
		client.join();
		return answer;
	}

	using EndpointFixture::run;
	using RedisTest::run;

	tests::RedisServer server_;
	const cache_entry::Keys keys_{"", "oauth:cache"};
	cache::Coherence coherence_;
	cache::ChangeMemory changes_;
	ClientPtr redis_;
	std::unique_ptr<cache::RedisCache> real_cache_;
	providers::ProviderRegistry registry_{io_.get_executor(), settings.providers, client, {}};
	const spool::Spool spool_{place.path};
	Workers workers_{io_.get_executor()};
	const refresh::RefreshContext refreshing_{io_.get_executor(),
											  refreshes,
											  client,
											  registry_,
											  cache,
											  spool_,
											  workers_,
											  metrics,
											  std::chrono::seconds(15),
											  [] { return 1763803957000LL; }};
	refresh::Replayer replayer_{refreshing_};
	refresh::Refresher refresher_{refreshing_, replayer_};
	std::unique_ptr<Router> router_;
	std::unique_ptr<server::Server> http_;
	unsigned short port_ = 0;
};

} // namespace

// A hit costs the daemon less than two of its /healthz (docs/performance.md), and memory is a good
// part of that.
TEST_F(CachedToken, TakesLittleMemory)
{
	constexpr int kTimes = 1000;
	constexpr std::size_t kMost = 30; // of one request
	ask(1);
	until([&] { return !run(*redis_, {"KEYS", "oauth:token:*"})[0].is_nil(); }); // it was filled
	const std::size_t before = tests::allocations();
	const server::Answer answer = ask(kTimes);
	const std::size_t taken = tests::allocations() - before;
	EXPECT_EQ(answer.status, 200);
	EXPECT_NE(answer.body.find(std::string(200, 't')), std::string::npos) << answer.body;
	EXPECT_EQ(store.tokens, 1);
	EXPECT_LE(taken / kTimes, kMost);
}

} // namespace sidecar::endpoints
