#include "daemon.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/call_on.hpp"
#include "base/event_loops.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "base/pause.hpp"
#include "base/process.hpp"
#include "base/task.hpp"
#include "cache/service.hpp"
#include "client/curl_client.hpp"
#include "database/pool.hpp"
#include "database/postgres_refreshes.hpp"
#include "database/postgres_tokens.hpp"
#include "database/refusal_log.hpp"
#include "database/revocations.hpp"
#include "endpoints/errors.hpp"
#include "endpoints/router.hpp"
#include "oauth/refresh_rules.hpp"
#include "providers/provider_registry.hpp"
#include "refresh/ahead.hpp"
#include "refresh/listener.hpp"
#include "refresh/refresher.hpp"
#include "refresh/replayer.hpp"
#include "revocation/revoker.hpp"
#include "server/server.hpp"
#include "settings/address.hpp"
#include "shares.hpp"

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace sidecar
{

namespace
{

constexpr auto kDrainTime = 30s;
constexpr auto kRefreshDrainTime = 10s; // in addition to the provider's
constexpr auto kHousekeeping = 60s;     // between purges of expired flows
constexpr auto kPublishRetry = 1s;

long long now_milliseconds()
{
	return std::chrono::duration_cast<std::chrono::milliseconds>(
			   std::chrono::system_clock::now().time_since_epoch())
		.count();
}

// What each shard has of its own, on its loop.
struct Shard {
	Shard(EventLoop &on, database::Pool &pool, Metrics &metrics)
		: loop(on), api_store(pool), requests(metrics)
	{
	}

	EventLoop &loop;
	database::PostgresTokens api_store;
	Metrics::Requests requests;
	std::optional<endpoints::Router> router; // when all is there that it needs
};

void observe(Metrics::Requests &counts, const server::AccessRecord &served)
{
	counts.add(served.endpoint, served.method, served.status, served.duration);
	// Probes come every few seconds, and would hide the other lines.
	const bool is_probe =
		served.status < 400 && (served.endpoint == "healthz" || served.endpoint == "readyz" ||
								served.endpoint == "metrics");
	log::write(is_probe ? log::Level::debug : log::Level::info, "request",
			   {{"request_id", served.request_id},
				{"method", served.method},
				{"path", served.path},
				{"endpoint", served.endpoint},
				{"status", std::int64_t(served.status)},
				{"duration_ms", static_cast<double>(served.duration.count()) / 1000}});
}

class Daemon
{
public:
	explicit Daemon(settings::Settings settings);
	~Daemon();
	int run();

private:
	using Shards = std::vector<std::unique_ptr<Shard>>;

	void listen();
	asio::awaitable<void> await_signals();
	asio::awaitable<void> refuse_reloads();
	asio::awaitable<void> keep_house();
	asio::awaitable<void> publish();
	asio::awaitable<void> purge();
	asio::awaitable<void> look_at_refreshes();
	asio::awaitable<void> drain();
	asio::awaitable<void> drain_api(asio::steady_timer &drained);
	asio::awaitable<void> close();
	asio::awaitable<void> on_shard(const Shard &shard, std::function<void()> action);
	Shards make_shards();
	std::unique_ptr<cache::Service> make_cache();
	void make_routers();
	std::unique_ptr<server::Server> make_server();
	endpoints::ShardContext context_of(std::size_t shard);
	cache::TokenCache &tokens(std::size_t shard);
	Metrics::Gauges gauges();

	// In this order (event_loops.hpp): members without I/O, the loops, members with I/O on them,
	// and last the one that destroys the coroutines, which refer to the others.
	settings::Settings settings_;
	Metrics metrics_;
	endpoints::CallbackLimiter callback_limiter_;
	cache::NoCache no_cache_;
	bool published_ = false;
	std::vector<std::string> doubts_;                // of refreshes, as last logged
	std::vector<database::RefreshBacklog> backlogs_; // as of the last minute or so
	std::vector<database::TokensInState> token_states_;
	EventLoops loops_;
	EventLoop &context_ = loops_[0]; // of the first shard, with all that there is once only
	database::Pool api_pool_;
	database::Pool refresh_pool_;
	database::Pool listening_pool_;
	database::Pool browser_pool_;
	Shards shards_;
	database::PostgresTokens &api_store_ = shards_[0]->api_store;
	database::PostgresTokens browser_store_;
	database::Revocations revocations_;
	database::PostgresRefreshes refresh_store_;
	client::CurlClient client_;
	providers::ProviderRegistry registry_;
	revocation::Revoker revoker_;
	std::unique_ptr<cache::Service> cache_; // if REDIS_URL is set
	const spool::Spool spool_;
	Workers workers_;
	const refresh::RefreshContext refresh_site_;
	refresh::Replayer replayer_;
	refresh::Refresher refresher_;
	refresh::Listener sql_listener_;
	refresh::Ahead ahead_;
	std::unique_ptr<server::Server> server_;
	std::unique_ptr<server::Server> api_server_; // if the API has a listener of its own
	EventLoops::EndFirst end_first_{loops_};
};

Daemon::Daemon(settings::Settings settings)
	: settings_(std::move(settings)), loops_(shares::threads(settings_)),
	  api_pool_(context_.get_executor(), settings_.database_url.clone(),
				shares::api_pool(settings_)),
	  refresh_pool_(context_.get_executor(), settings_.database_url.clone(),
					shares::refresh_pool(settings_)),
	  listening_pool_(context_.get_executor(), settings_.database_url.clone(),
					  shares::one_connection()),
	  browser_pool_(context_.get_executor(), settings_.database_url.clone(),
					shares::browser_pool(settings_)),
	  shards_(make_shards()), browser_store_(browser_pool_), revocations_(api_pool_),
	  refresh_store_(refresh_pool_, listening_pool_),
	  client_(context_.get_executor(), settings_.ca_file, shares::client(settings_)),
	  registry_(context_.get_executor(), settings_.providers, client_, {}),
	  revoker_(context_.get_executor(), {revocations_, client_, registry_, metrics_,
										 now_milliseconds, settings_.provider_timeout}),
	  cache_(make_cache()), spool_(settings_.spool_dir),
	  workers_(context_.get_executor()), refresh_site_{context_.get_executor(),
													   refresh_store_,
													   client_,
													   registry_,
													   tokens(0),
													   spool_,
													   workers_,
													   metrics_,
													   settings_.provider_timeout,
													   now_milliseconds},
	  replayer_(refresh_site_), refresher_(refresh_site_, replayer_),
	  sql_listener_(refresh_site_, refresher_), ahead_(refresh_site_, refresher_)
{
	make_routers();
	server_ = make_server();
	if (settings_.api_listen)
		api_server_ = make_server();
}

// Coroutines that wait for Redis belong to its connections, not to the loops.
Daemon::~Daemon()
{
	loops_.halt();
	for (std::size_t i = 1; cache_ && i < shards_.size(); i++)
		cache_->reader(i).close();
	if (cache_)
		cache_->close();
}

Daemon::Shards Daemon::make_shards()
{
	Shards shards;
	for (std::size_t i = 0; i < loops_.size(); i++)
		shards.push_back(std::make_unique<Shard>(loops_[i], api_pool_, metrics_));
	return shards;
}

std::unique_ptr<cache::Service> Daemon::make_cache()
{
	if (settings_.redis_url.empty())
		return nullptr;
	std::vector<asio::any_io_executor> executors;
	for (const auto &shard : shards_)
		executors.push_back(shard->loop.get_executor());
	return std::make_unique<cache::Service>(executors, settings_, metrics_);
}

endpoints::ShardContext Daemon::context_of(std::size_t shard)
{
	return {settings_, shards_[shard]->api_store, tokens(shard), refresher_,
			metrics_,  now_milliseconds};
}

void Daemon::make_routers()
{
	shards_[0]->router.emplace(endpoints::Context{
		context_of(0), browser_store_, client_, callback_limiter_, registry_,
		[this] { return published_; }, [this] { return api_pool_.statistics().open > 0; },
		[this] { revoker_.wake(); }, [this] { return gauges(); }});
	const auto ask_first = [this](http::Request &&request) {
		auto answer = [this, &request] { return shards_[0]->router->answer(std::move(request)); };
		return call_on(context_.get_executor(), std::move(answer));
	};
	for (std::size_t i = 1; i < shards_.size(); i++)
		shards_[i]->router.emplace(context_of(i), ask_first);
}

std::unique_ptr<server::Server> Daemon::make_server()
{
	std::vector<server::Loop> loops;
	for (const auto &shard : shards_)
		loops.push_back({shard->loop,
						 [&router = *shard->router](http::Request &&request) {
							 return router.answer(std::move(request));
						 },
						 [&counts = shard->requests](const server::AccessRecord &served) {
							 observe(counts, served);
						 }});
	return std::make_unique<server::Server>(
		std::move(loops), shares::server(settings_), [](int status, const std::string &request_id) {
			return endpoints::hardened(endpoints::error_for_status(status, request_id));
		});
}

cache::TokenCache &Daemon::tokens(std::size_t shard)
{
	if (cache_)
		return cache_->reader(shard).tokens();
	return no_cache_;
}

// Runs it on the shard's loop.
asio::awaitable<void> Daemon::on_shard(const Shard &shard, std::function<void()> action)
{
	auto call = [action = std::move(action)]() -> asio::awaitable<void> {
		action();
		co_return;
	};
	return call_on(shard.loop.get_executor(), std::move(call));
}

Metrics::Gauges Daemon::gauges()
{
	Metrics::Gauges gauges;
	gauges.cache_state = cache::name_of(tokens(0).state());
	gauges.revocations_waiting = revoker_.waiting();
	for (const server::Server *server : {server_.get(), api_server_.get()})
		if (server != nullptr) {
			const server::Statistics clients = server->statistics();
			gauges.connections += clients.connections;
			gauges.requests += clients.requests;
		}
	gauges.refreshes = refresher_.under_way();
	gauges.spool_files = replayer_.files();
	gauges.spool_aside = replayer_.set_aside();
	for (const database::RefreshBacklog &backlog : backlogs_)
		gauges.by_provider.push_back({backlog.provider, backlog.due, backlog.oldest.count(),
									  backlog.paused_for.count(), backlog.in_doubt});
	for (const database::TokensInState &of : token_states_)
		gauges.tokens.emplace_back(of.state, of.tokens);
	for (const database::Pool *pool :
		 {&api_pool_, &browser_pool_, &refresh_pool_, &listening_pool_}) {
		const database::PoolStatistics database = pool->statistics();
		gauges.database_open += database.open;
		gauges.database_busy += database.busy;
		gauges.database_waiting += database.waiting;
	}
	return gauges;
}

asio::awaitable<void> Daemon::publish()
{
	database::PublishedSettings published;
	published.public_url = settings_.public_url;
	published.flow_seconds = static_cast<int>(settings_.state_ttl.count());
	published.return_to_origins = settings_.return_to_origins;
	for (const auto &[name, provider] : settings_.providers)
		published.providers.push_back(name);
	co_await api_store_.publish(published);
	const std::string rules = oauth::refresh_rules(settings_.providers);
	co_await refresh_store_.publish_rules(rules);
}

// Each call deletes a bounded number of rows, so that it is short.
asio::awaitable<void> Daemon::purge()
{
	std::int64_t gone = 0;
	do {
		gone = co_await api_store_.purge();
		gone += co_await refresh_store_.purge();
	} while (gone > 0);
}

// Problems that an operator must correct. Otherwise nothing would be refreshed, silently.
asio::awaitable<void> Daemon::look_at_refreshes()
{
	std::vector<std::string> doubts = co_await refresh_store_.doubts(ahead_.is_wanted());
	if (doubts != doubts_)
		for (const std::string &doubt : doubts)
			log::warning("tokens are not refreshed", {{"reason", doubt}});
	doubts_ = std::move(doubts);
}

// Also publishes repeatedly, because the settings are lost if the extension is dropped and
// created again, or a database is restored.
asio::awaitable<void> Daemon::keep_house()
{
	database::RefusalLog refusals;
	for (;;) {
		bool done = false;
		try {
			co_await publish();
			if (!published_)
				log::info("ready");
			published_ = true;
			co_await look_at_refreshes();
			co_await purge();
			backlogs_ = co_await refresh_store_.backlogs();
			token_states_ = co_await refresh_store_.token_states();
			done = true;
		} catch (const database::StoreError &error) {
			refusals.add(error, "settings cannot be published, or expired flows not purged");
		}
		if (done)
			refusals.clear();
		co_await pause(context_.get_executor(), done ? kHousekeeping : kPublishRetry);
	}
}

// Both at the same time, so that the time is not spent twice.
asio::awaitable<void> Daemon::drain()
{
	asio::steady_timer api_drained(context_, asio::steady_timer::time_point::max());
	if (api_server_)
		start_task(context_.get_executor(), "drain of the API", drain_api(api_drained));
	co_await server_->drain(kDrainTime);
	boost::system::error_code ignored;
	if (api_server_)
		co_await api_drained.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

asio::awaitable<void> Daemon::drain_api(asio::steady_timer &drained)
{
	co_await api_server_->drain(kDrainTime);
	drained.expires_at(asio::steady_timer::time_point::min()); // also for later waits
}

asio::awaitable<void> Daemon::await_signals()
{
	asio::signal_set signals(context_, SIGTERM, SIGINT);
	co_await signals.async_wait(asio::use_awaitable);
	process::notify_service_manager("STOPPING=1");
	log::info("stopping: finishing what is under way");
	revoker_.close();
	signals.async_wait([](boost::system::error_code error, int) {
		if (!error)
			_exit(1);
	});
	sql_listener_.stop();
	ahead_.stop();
	co_await drain();
	// Their callers may be gone, but the provider's answers must not get lost.
	co_await refresher_.drain(settings_.provider_timeout + kRefreshDrainTime);
	co_await close();
	log::info("stopped");
	loops_.stop();
}

// Somebody may expect a reload, or a log file opened again.
asio::awaitable<void> Daemon::refuse_reloads()
{
	asio::signal_set signals(context_, SIGHUP, SIGUSR1, SIGUSR2);
	for (;;) {
		const int signal = co_await signals.async_wait(asio::use_awaitable);
		log::warning(std::string("SIG") + sigabbrev_np(signal) +
					 " changes nothing: settings are read at the start alone");
	}
}

asio::awaitable<void> Daemon::close()
{
	if (cache_)
		co_await cache_->resign();
	for (std::size_t i = 1; cache_ && i < shards_.size(); i++)
		co_await on_shard(*shards_[i], [this, i] { cache_->reader(i).close(); });
	for (database::Pool *pool : {&api_pool_, &browser_pool_, &refresh_pool_, &listening_pool_})
		pool->close();
	if (cache_)
		cache_->close();
}

void Daemon::listen()
{
	for (server::Server *server : {server_.get(), api_server_.get()})
		if (server != nullptr && !settings_.tls_certificate.empty())
			server->use_tls(settings_.tls_certificate, settings_.tls_key);
	server_->listen(settings_.listen,
					api_server_ ? http::Audience::browser : http::Audience::everything);
	if (api_server_)
		api_server_->listen(*settings_.api_listen, http::Audience::api);
}

int Daemon::run()
{
	try {
		listen();
	} catch (const std::runtime_error &error) {
		log::error("cannot listen", {{"reason", error.what()}});
		return 1;
	}
	for (const auto &[name, provider] : settings_.providers)
		metrics_.begin(name);
	start_task(context_.get_executor(), "signals", await_signals());
	start_task(context_.get_executor(), "reload signals", refuse_reloads());
	start_task(context_.get_executor(), "housekeeping", keep_house());
	revoker_.start();
	start_task(context_.get_executor(), "replay of the spool", replayer_.run());
	start_task(context_.get_executor(), "requests of refreshes", sql_listener_.run());
	if (ahead_.is_wanted())
		start_task(context_.get_executor(), "refreshes ahead of time", ahead_.run());
	if (cache_)
		cache_->start();
	const std::string listens = settings::text_of(settings_.listen);
	const std::string api = settings::text_of(settings_.api_listen.value_or(settings_.listen));
	log::info("listening", {{"address", listens},
							{"api_address", api},
							{"public_url", settings_.public_url},
							{"providers", std::int64_t(settings_.providers.size())},
							{"threads", std::int64_t(loops_.size())}});
	process::notify_service_manager("READY=1");
	loops_.run();
	return 0;
}

} // namespace

int run_daemon(settings::Settings settings)
{
	Daemon daemon(std::move(settings));
	return daemon.run();
}

} // namespace sidecar
