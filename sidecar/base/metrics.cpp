#include "base/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace sidecar
{

using namespace prometheus;

struct Metrics::Impl {
	Family<Counter> &counters(const char *name, const char *help)
	{
		return BuildCounter().Name(name).Help(help).Register(registry);
	}
	Family<Gauge> &gauges(const char *name, const char *help)
	{
		return BuildGauge().Name(name).Help(help).Register(registry);
	}
	Family<Histogram> &histograms(const char *name, const char *help)
	{
		return BuildHistogram().Name(name).Help(help).Register(registry);
	}

	Registry registry;
	Family<Counter> &requests = counters("oauth_sidecar_requests_total",
										 "Requests answered, by endpoint, method and status");
	Family<Histogram> &request_seconds =
		histograms("oauth_sidecar_request_seconds", "From the whole request to its answer");
	Family<Counter> &flows =
		counters("oauth_sidecar_flows_total", "Callbacks, by provider and outcome");
	Family<Histogram> &provider_seconds =
		histograms("oauth_sidecar_provider_seconds", "Calls of providers, by provider and kind");
	Family<Counter> &revocations =
		counters("oauth_sidecar_revocations_total",
				 "Attempts to revoke deleted grants, by provider and outcome");
	Family<Gauge> &revocations_waiting =
		gauges("oauth_sidecar_revocations_waiting", "Deleted grants that wait to be revoked");
	Family<Counter> &refreshes =
		counters("oauth_sidecar_refreshes_total", "Refreshes, by provider and outcome; no_answer: "
												  "it is in doubt whether the provider did it");
	Family<Gauge> &refreshing =
		gauges("oauth_sidecar_refreshes_active", "Refreshes under way in this daemon");
	Family<Gauge> &spool =
		gauges("oauth_sidecar_spool_files",
			   "Answers in the spool: waiting for the database, or aside for a person");
	Family<Gauge> &due = gauges("oauth_sidecar_refresh_backlog",
								"Tokens that are due to be refreshed ahead of time, by provider; "
								"counted once a minute, up to 100,000");
	Family<Gauge> &oldest_due =
		gauges("oauth_sidecar_refresh_oldest_due_seconds",
			   "Seconds since the oldest of them expired, or lost the grant "
			   "that keep_alive keeps");
	Family<Gauge> &paused = gauges("oauth_sidecar_refresh_paused_seconds",
								   "For how long no token of a client at the provider is "
								   "refreshed, since refreshes have failed");
	Family<Gauge> &in_doubt = gauges("oauth_sidecar_refreshes_in_doubt",
									 "Tokens whose refresh had no answer, so that nobody knows "
									 "whether the provider did it; counted once a minute");
	Family<Gauge> &tokens = gauges(
		"oauth_sidecar_tokens",
		"Tokens by state of their refreshes, counted once a minute, up to 100,000; other: all "
		"the others, as PostgreSQL estimates the size of the table");
	Family<Counter> &cache_reads =
		counters("oauth_sidecar_cache_reads_total",
				 "Reads of tokens: hit, miss, or bypass (Redis was not asked, or did not answer)");
	Family<Counter> &cache_fills =
		counters("oauth_sidecar_cache_fills_total",
				 "Entries stored; refused, since the token had changed meanwhile; or failed");
	Family<Counter> &cache_invalidations =
		counters("oauth_sidecar_cache_invalidations_total",
				 "Invalidations whose entries this daemon has evicted");
	Family<Histogram> &cache_lag =
		histograms("oauth_sidecar_cache_lag_seconds",
				   "From the begin of a batch until its entries are evicted");
	Family<Gauge> &cache_pending = gauges("oauth_sidecar_cache_pending_invalidations",
										  "Invalidations that the last batch has found");
	Family<Gauge> &cache_heartbeat = gauges("oauth_sidecar_cache_heartbeat_age_seconds",
											"Seconds since this daemon last wrote the heartbeat");
	Family<Gauge> &cache_draining =
		gauges("oauth_sidecar_cache_draining", "1 where changes wake this daemon to evict entries; "
											   "the others look for changes now and then");
	Family<Gauge> &cache_up =
		gauges("oauth_sidecar_cache_up", "1 where tokens may come from the cache");
	Counter &hits = cache_reads.Add({{"result", "hit"}});
	Counter &misses = cache_reads.Add({{"result", "miss"}});
	Counter &bypasses = cache_reads.Add({{"result", "bypass"}});
	std::chrono::steady_clock::time_point heartbeat{};
	Family<Gauge> &connections = gauges("oauth_sidecar_connections", "Clients that are connected");
	Family<Gauge> &active =
		gauges("oauth_sidecar_requests_active", "Requests that are being answered");
	Family<Gauge> &database = gauges("oauth_sidecar_database_connections",
									 "Connections to PostgreSQL, and callers that wait for one");
};

namespace
{

const Histogram::BucketBoundaries kRequestBuckets{0.001, 0.005, 0.02, 0.1, 0.5, 2, 10};
const Histogram::BucketBoundaries kLagBuckets{0.0005, 0.001, 0.002, 0.005, 0.01, 0.1, 1, 5};
const Histogram::BucketBoundaries kProviderBuckets{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15};

double seconds(std::chrono::microseconds duration)
{
	return std::chrono::duration<double>(duration).count();
}

} // namespace

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Metrics::Requests::add(std::string_view endpoint, std::string_view method, int status,
							std::chrono::microseconds duration)
{
	Series &series = series_[{endpoint, method, status}];
	if (series.count == nullptr) {
		const std::string name(endpoint);
		series.count = &metrics_.impl_->requests.Add({{"endpoint", name},
													  {"method", std::string(method)},
													  {"status", std::to_string(status)}});
		series.seconds =
			&metrics_.impl_->request_seconds.Add({{"endpoint", name}}, kRequestBuckets);
	}
	series.count->Increment();
	series.seconds->Observe(seconds(duration));
}

void Metrics::flow(const std::string &provider, std::string_view outcome)
{
	impl_->flows.Add({{"provider", provider}, {"outcome", std::string(outcome)}}).Increment();
}

void Metrics::provider_call(const std::string &provider, std::string_view kind,
							std::chrono::microseconds duration)
{
	impl_->provider_seconds
		.Add({{"provider", provider}, {"kind", std::string(kind)}}, kProviderBuckets)
		.Observe(seconds(duration));
}

void Metrics::begin(const std::string &provider)
{
	for (const char *outcome :
		 {"transient", "no_answer", "dead_grant", "client_config", "spool_unavailable"})
		impl_->refreshes.Add({{"provider", provider}, {"outcome", outcome}});
	for (const char *outcome : {"given_up", "refused"})
		impl_->revocations.Add({{"provider", provider}, {"outcome", outcome}});
	for (const char *outcome : {"provider_error", "unavailable"})
		impl_->flows.Add({{"provider", provider}, {"outcome", outcome}});
}

void Metrics::revocation(const std::string &provider, std::string_view outcome)
{
	impl_->revocations.Add({{"provider", provider}, {"outcome", std::string(outcome)}}).Increment();
}

void Metrics::refresh(const std::string &provider, std::string_view outcome)
{
	impl_->refreshes.Add({{"provider", provider}, {"outcome", std::string(outcome)}}).Increment();
}

void Metrics::cache_read(CacheRead result)
{
	Counter &counter = result == CacheRead::hit    ? impl_->hits
					   : result == CacheRead::miss ? impl_->misses
												   : impl_->bypasses;
	counter.Increment();
}

void Metrics::cache_fill(CacheFill outcome)
{
	constexpr const char *names[] = {"stored", "refused", "failed"};
	impl_->cache_fills.Add({{"outcome", names[static_cast<int>(outcome)]}}).Increment();
}

void Metrics::cache_pending(std::size_t invalidations)
{
	impl_->cache_pending.Add({}).Set(static_cast<double>(invalidations));
}

void Metrics::cache_invalidated(std::size_t invalidations, std::chrono::microseconds lag)
{
	impl_->cache_invalidations.Add({}).Increment(static_cast<double>(invalidations));
	impl_->cache_lag.Add({}, kLagBuckets).Observe(seconds(lag));
}

void Metrics::cache_heartbeat()
{
	impl_->heartbeat = std::chrono::steady_clock::now();
}

void Metrics::cache_draining(bool drains)
{
	impl_->cache_draining.Add({}).Set(drains ? 1 : 0);
}

std::string Metrics::text(const Gauges &gauges) const
{
	impl_->connections.Add({}).Set(gauges.connections);
	impl_->active.Add({}).Set(gauges.requests);
	impl_->database.Add({{"state", "open"}}).Set(gauges.database_open);
	impl_->database.Add({{"state", "busy"}}).Set(gauges.database_busy);
	impl_->database.Add({{"state", "waiting"}}).Set(gauges.database_waiting);
	if (gauges.revocations_waiting)
		impl_->revocations_waiting.Add({}).Set(static_cast<double>(*gauges.revocations_waiting));
	impl_->refreshing.Add({}).Set(static_cast<double>(gauges.refreshes));
	for (const Gauges::Refreshes &of : gauges.by_provider) {
		impl_->due.Add({{"provider", of.provider}}).Set(static_cast<double>(of.due));
		impl_->oldest_due.Add({{"provider", of.provider}}).Set(of.oldest);
		impl_->paused.Add({{"provider", of.provider}}).Set(of.paused_for);
		impl_->in_doubt.Add({{"provider", of.provider}}).Set(static_cast<double>(of.in_doubt));
	}
	for (const auto &[state, tokens] : gauges.tokens)
		impl_->tokens.Add({{"state", state}}).Set(static_cast<double>(tokens));
	impl_->spool.Add({{"state", "waiting"}}).Set(static_cast<double>(gauges.spool_files));
	impl_->spool.Add({{"state", "aside"}}).Set(static_cast<double>(gauges.spool_aside));
	if (gauges.cache_state != "none") {
		impl_->cache_up.Add({}).Set(gauges.cache_state == "ok" ? 1 : 0);
		if (impl_->heartbeat != std::chrono::steady_clock::time_point{})
			impl_->cache_heartbeat.Add({}).Set(
				std::chrono::duration<double>(std::chrono::steady_clock::now() - impl_->heartbeat)
					.count());
	}
	return TextSerializer().Serialize(impl_->registry.Collect());
}

} // namespace sidecar
