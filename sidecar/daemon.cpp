#include "daemon.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>
#include <stdexcept>

#include "base/event_loop.hpp"
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
// Descriptors that are not for clients: database, providers, log, listeners.
constexpr long kReservedDescriptors = 200;

long long now_milliseconds()
{
	return std::chrono::duration_cast<std::chrono::milliseconds>(
			   std::chrono::system_clock::now().time_since_epoch())
		.count();
}

// Browsers' endpoints need no API token, so they only get a quarter of the connections.
int browser_share(const settings::Settings &settings)
{
	return std::max(1, settings.database_pool / 4);
}

// So do refreshes: one that waits for a locked row must not delay a reader. The API has the
// others.
int refresh_share(const settings::Settings &settings)
{
	return std::max(1, settings.database_pool / 4);
}

int api_share(const settings::Settings &settings)
{
	return settings.database_pool - browser_share(settings) - refresh_share(settings);
}

client::CurlLimits client_limits(const settings::Settings &settings)
{
	client::CurlLimits limits;
	limits.total = settings.provider_timeout;
	limits.connect = std::min(limits.connect, limits.total);
	return limits;
}

database::PoolLimits pool_limits(int connections)
{
	database::PoolLimits limits;
	limits.connections = std::max(1, connections);
	return limits;
}

// Refreshes wait for a connection longer, instead of failing.
database::PoolLimits refresh_limits(int connections)
{
	database::PoolLimits limits = pool_limits(connections);
	limits.wait = 10s;
	return limits;
}

// For each listener: if one is flooded, the other still has its own.
server::Limits server_limits(const settings::Settings &settings)
{
	const long servers = settings.api_listen ? 2 : 1;
	server::Limits limits;
	limits.connections =
		static_cast<int>(std::clamp((process::descriptor_limit() - kReservedDescriptors) / servers,
									16L, static_cast<long>(settings.max_connections)));
	// Two waits for the database, and a refresh between them, which also waits for it.
	limits.handler = settings.provider_timeout + 25s;
	return limits;
}

class Daemon
{
public:
	explicit Daemon(settings::Settings settings);
	~Daemon();
	int run();

private:
	void listen();
	void observe(const server::AccessRecord &served);
	asio::awaitable<void> await_signals();
	asio::awaitable<void> keep_house();
	asio::awaitable<void> publish();
	asio::awaitable<void> purge();
	asio::awaitable<void> look_at_refreshes();
	asio::awaitable<void> drain();
	asio::awaitable<void> drain_api(asio::steady_timer &drained);
	std::unique_ptr<server::Server> make_server();
	cache::TokenCache &tokens();
	Metrics::Gauges gauges();

	// In this order (event_loop.hpp): members without I/O, the loop, members with I/O on it, and
	// last the one that destroys the coroutines, which refer to the others.
	settings::Settings settings_;
	Metrics metrics_;
	endpoints::CallbackLimiter callback_limiter_;
	cache::NoCache no_cache_;
	bool published_ = false;
	std::vector<std::string> doubts_;                // of refreshes, as last logged
	std::vector<database::RefreshBacklog> backlogs_; // as of the last minute or so
	std::vector<database::TokensInState> token_states_;
	EventLoop context_;
	database::Pool api_pool_;
	database::Pool refresh_pool_;
	database::Pool listening_pool_;
	database::Pool browser_pool_;
	database::PostgresTokens api_store_;
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
	endpoints::Router router_;
	std::unique_ptr<server::Server> server_;
	std::unique_ptr<server::Server> api_server_; // if the API has a listener of its own
	EventLoop::EndFirst end_first_{context_};
};

Daemon::Daemon(settings::Settings settings)
	: settings_(std::move(settings)),
	  api_pool_(context_.get_executor(), settings_.database_url.clone(),
				pool_limits(api_share(settings_))),
	  refresh_pool_(context_.get_executor(), settings_.database_url.clone(),
					refresh_limits(refresh_share(settings_))),
	  listening_pool_(context_.get_executor(), settings_.database_url.clone(), pool_limits(1)),
	  browser_pool_(context_.get_executor(), settings_.database_url.clone(),
					pool_limits(browser_share(settings_))),
	  api_store_(api_pool_), browser_store_(browser_pool_), revocations_(api_pool_),
	  refresh_store_(refresh_pool_, listening_pool_),
	  client_(context_.get_executor(), settings_.ca_file, client_limits(settings_)),
	  registry_(context_.get_executor(), settings_.providers, client_, {}),
	  revoker_(context_.get_executor(), {revocations_, client_, registry_, metrics_,
										 now_milliseconds, settings_.provider_timeout}),
	  cache_(settings_.redis_url.empty()
				 ? nullptr
				 : std::make_unique<cache::Service>(context_.get_executor(), settings_, metrics_)),
	  spool_(settings_.spool_dir),
	  workers_(context_.get_executor()), refresh_site_{context_.get_executor(),
													   refresh_store_,
													   client_,
													   registry_,
													   tokens(),
													   spool_,
													   workers_,
													   metrics_,
													   settings_.provider_timeout,
													   now_milliseconds},
	  replayer_(refresh_site_), refresher_(refresh_site_, replayer_),
	  sql_listener_(refresh_site_, refresher_), ahead_(refresh_site_, refresher_),
	  router_({settings_, api_store_, browser_store_, tokens(), client_, callback_limiter_,
			   registry_, refresher_, metrics_, now_milliseconds, [this] { return published_; },
			   [this] { return api_pool_.statistics().open > 0; }, [this] { revoker_.wake(); }},
			  [this] { return gauges(); }),
	  server_(make_server()), api_server_(settings_.api_listen ? make_server() : nullptr)
{
}

// Coroutines that wait for Redis belong to its connections, not to the loop.
Daemon::~Daemon()
{
	if (cache_)
		cache_->close();
}

std::unique_ptr<server::Server> Daemon::make_server()
{
	return std::make_unique<server::Server>(
		context_, server_limits(settings_),
		[this](http::Request request) { return router_.answer(std::move(request)); },
		[](int status, const std::string &request_id) {
			return endpoints::hardened(endpoints::error_for_status(status, request_id));
		},
		[this](const server::AccessRecord &served) { observe(served); });
}

cache::TokenCache &Daemon::tokens()
{
	return cache_ ? cache_->tokens() : no_cache_;
}

Metrics::Gauges Daemon::gauges()
{
	Metrics::Gauges gauges;
	gauges.cache_state = cache::name_of(tokens().state());
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

void Daemon::observe(const server::AccessRecord &served)
{
	metrics_.request(served.endpoint, served.method, served.status, served.duration);
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
	for (database::Pool *pool : {&api_pool_, &browser_pool_, &refresh_pool_, &listening_pool_})
		pool->close();
	if (cache_)
		cache_->close();
	log::info("stopped");
	context_.stop();
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
							{"providers", std::int64_t(settings_.providers.size())}});
	process::notify_service_manager("READY=1");
	context_.run();
	return 0;
}

} // namespace

int run_daemon(settings::Settings settings)
{
	Daemon daemon(std::move(settings));
	return daemon.run();
}

} // namespace sidecar
