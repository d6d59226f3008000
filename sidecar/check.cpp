#include "check.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <stdexcept>

#include "base/event_loop.hpp"
#include "base/task.hpp"
#include "cache/persistence.hpp"
#include "client/curl_client.hpp"
#include "database/pool.hpp"
#include "database/postgres_refreshes.hpp"
#include "database/postgres_tokens.hpp"
#include "oauth/token_request.hpp"
#include "providers/provider_registry.hpp"
#include "server/tls_context.hpp"
#include "spool/directory.hpp"
#include "spool/spool.hpp"

namespace asio = boost::asio;

namespace sidecar
{

namespace
{

class Report
{
public:
	void good(std::string_view what, std::string_view detail) { line("ok", what, detail); }
	void warning(std::string_view what, std::string_view detail) { line("warning", what, detail); }
	void fault(std::string_view what, std::string_view detail)
	{
		line("error", what, detail);
		faults_++;
	}
	int errors() const noexcept { return faults_; }

private:
	static void line(std::string_view level, std::string_view what, std::string_view detail)
	{
		fmt::print("{:<8} {:<12} {}\n", level, what, detail);
		std::fflush(stdout);
	}

	int faults_ = 0;
};

asio::awaitable<bool> check_privileges(Report &report, database::PostgresTokens &store)
{
	const std::vector<std::string> missing = co_await store.missing_privileges();
	if (!missing.empty()) {
		// One hint for all of them.
		report.fault("privileges",
					 fmt::format("missing: {}; SELECT oauth_tokens_grant('<role>', "
								 "'sidecar') as the owner of the extension gives {}",
								 fmt::join(missing, ", "), missing.size() == 1 ? "it" : "them"));
		co_return false;
	}
	report.good("privileges", "everything that the daemon needs");
	co_await store.rehearse();
	report.good("rehearsal", "a token was stored, read and deleted, and rolled back");
	co_return true;
}

void check_tls(Report &report, const settings::Settings &settings)
{
	if (settings.tls_certificate.empty())
		return;
	try {
		server::make_tls_context(settings.tls_certificate, settings.tls_key);
		report.good("tls", "certificate and key match");
	} catch (const std::runtime_error &error) {
		report.fault("tls", error.what());
	}
}

void check_spool(Report &report, const std::string &path)
{
	const spool::Spool spool(path);
	try {
		spool.probe();
		const spool::Listing listing = spool.list();
		report.good("spool", fmt::format("{} takes answers; waiting for the database: {}", path,
										 listing.answers.size()));
		if (const std::string doubt = spool::doubt_about_lasting(path); !doubt.empty())
			report.warning("spool", doubt);
		if (listing.set_aside > 0)
			report.warning("spool",
						   fmt::format("answers in {} that did not open (*.aside): {}; the "
									   "log said why, and their accounts may have to be "
									   "connected again",
									   path, listing.set_aside));
	} catch (const spool::Error &error) {
		report.fault("spool", error.what());
	}
}

// Two items depend on the settings of this daemon, and have lines of their own above.
void report_finding(Report &report, const database::Finding &finding)
{
	const std::string text = finding.item + ": " + finding.text;
	if (finding.item == "confirmation" || finding.item == "background refresh")
		return;
	if (finding.status == "error")
		report.fault("doctor", text);
	else if (finding.status == "warning")
		report.warning("doctor", text);
	else if (finding.text.starts_with("not checked"))
		report.good("doctor", text);
}

// What the database finds wrong in itself. The daemon can start without it.
asio::awaitable<void> check_by_doctor(Report &report, database::PostgresTokens &store)
{
	try {
		const std::vector<database::Finding> findings = co_await store.ask_doctor();
		for (const database::Finding &finding : findings)
			report_finding(report, finding);
		const auto well = std::ranges::count(findings, "ok", &database::Finding::status);
		report.good("doctor", fmt::format("items that are well: {} of {}", well, findings.size()));
	} catch (const database::StoreError &error) {
		if (error.sqlstate() == "42883")
			report.warning("doctor", "this database has no oauth_doctor(): ALTER EXTENSION "
									 "oauth_tokens UPDATE makes it");
		else if (!error.sqlstate().empty() && error.sqlstate() != "42704")
			report.warning("doctor", error.text()); // else it was said of the database
	}
}

asio::awaitable<void> check_refreshes(Report &report, const settings::Settings &settings,
									  database::PostgresRefreshes &store)
{
	const bool with_ahead = std::ranges::any_of(
		settings.providers, [](const auto &entry) { return entry.second.is_refreshed_ahead(); });
	for (const std::string &doubt : co_await store.doubts(with_ahead))
		report.warning("refresh", doubt);
}

asio::awaitable<void> check_database(Report &report, const settings::Settings &settings,
									 database::PostgresTokens &store,
									 database::PostgresRefreshes &refreshes)
{
	try {
		const database::Readiness readiness = co_await store.readiness();
		if (!readiness.fault.empty())
			report.fault("database", readiness.fault);
		else if (!readiness.warning.empty())
			report.warning("database", readiness.warning);
		else
			report.good("database", "reachable; the extension is there, and migrated");
		const bool is_granted = co_await check_privileges(report, store);
		if (is_granted)
			co_await check_refreshes(report, settings, refreshes);
		const bool confirms = co_await store.confirms_flows();
		if (settings.public_url.starts_with("https://") && !confirms)
			report.warning("confirm", "oauth_tokens.confirm_flows is off: a user who gets another "
									  "person to open a link receives that person's tokens, unless "
									  "the application passes confirm => true");
	} catch (const database::StoreError &error) {
		report.fault("database", error.text());
	}
}

// As long as the daemon waits, which tries every server of DATABASE_URL.
database::PoolLimits patient()
{
	database::PoolLimits limits;
	limits.wait = std::chrono::minutes(2);
	return limits;
}

// How long --check waits for Redis.
constexpr std::chrono::seconds kRedisTime{5};

asio::awaitable<void> check_cache(Report &report, const settings::Settings &settings,
								  redis::Client &connection)
{
	connection.start();
	try {
		co_await connection.wait_connected(kRedisTime);
		const std::string how = co_await cache::persistence_of(connection);
		const bool sealed = !settings.cache.key.empty();
		report.good("cache", "Redis " + connection.server()->version + " is reachable" +
								 (sealed ? "; entries are sealed" : ""));
		if (how.empty() || sealed)
			co_return;
		if (settings.cache.require_ephemeral)
			report.fault("cache",
						 "this Redis " + how + ", and OAUTH_CACHE_REQUIRE_EPHEMERAL is on");
		else
			report.warning("cache", "this Redis " + how +
										", so that tokens outlive it: set "
										"OAUTH_CACHE_KEY, or switch that off in Redis");
	} catch (const redis::Error &error) {
		// The daemon starts without it, and tokens come from the database.
		report.warning("cache",
					   connection.fault().empty() ? std::string(error.what()) : connection.fault());
	}
}

asio::awaitable<void> check_provider(Report &report, providers::ProviderRegistry &registry,
									 const oauth::Provider &provider)
{
	const std::string name = "provider " + provider.name;
	const auto endpoints = co_await registry.endpoints(provider);
	if (!endpoints)
		report.fault(name, registry.last_failure(provider));
	else
		report.good(name, provider.discovers ? "its metadata is readable" : "configured");
	if (endpoints)
		if (const auto fault = oauth::token_auth_fault(provider, *endpoints); !fault.empty())
			report.warning(name, fault);
}

asio::awaitable<void> check_all(Report &report, const settings::Settings &settings,
								database::PostgresTokens &store,
								database::PostgresRefreshes &refreshes, redis::Client *redis,
								providers::ProviderRegistry &registry, bool &is_done)
{
	co_await check_database(report, settings, store, refreshes);
	co_await check_by_doctor(report, store);
	if (redis != nullptr)
		co_await check_cache(report, settings, *redis);
	for (const auto &[name, provider] : registry.all())
		co_await check_provider(report, registry, provider);
	if (registry.all().empty())
		report.warning("providers", "none is configured: no account can be connected");
	if (settings.api_tokens.empty())
		report.warning("api", "no token is configured: the API answers 401");
	is_done = true;
}

} // namespace

int run_check(settings::Settings settings)
{
	EventLoop context;
	Report report;
	for (const std::string &warning : settings.warnings)
		report.warning("settings", warning);
	check_tls(report, settings);
	check_spool(report, settings.spool_dir);
	{
		database::Pool pool(context.get_executor(), settings.database_url.clone(), patient());
		database::PostgresTokens store(pool);
		database::PostgresRefreshes refreshes(pool, pool);
		std::optional<redis::Client> redis;
		if (!settings.redis_url.empty())
			redis.emplace(context.get_executor(),
						  std::get<address::RedisAddress>(
							  address::parse_redis_address(settings.redis_url.reveal())),
						  redis::Limits{}, settings.ca_file, "oauth-sidecar");
		client::CurlClient client(context.get_executor(), settings.ca_file);
		providers::ProviderRegistry registry(context.get_executor(), settings.providers, client,
											 {});
		const EventLoop::EndFirst end_first(context);
		bool is_done = false;
		start_task(context.get_executor(), "check",
				   check_all(report, settings, store, refreshes, redis ? &*redis : nullptr,
							 registry, is_done));
		while (!is_done && context.run_one() > 0) {
		}
		if (!is_done)
			report.fault("check", "it did not finish");
		pool.close();
		if (redis)
			redis->close();
	}
	return report.errors() == 0 ? 0 : 1;
}

} // namespace sidecar
