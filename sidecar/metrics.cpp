#include "metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace sidecar
{

using namespace prometheus;

struct Metrics::Impl {
	Registry registry;
	Family<Counter> &requests = BuildCounter()
									.Name("oauth_sidecar_requests_total")
									.Help("Requests answered, by endpoint, method and status")
									.Register(registry);
	Family<Histogram> &request_seconds = BuildHistogram()
											 .Name("oauth_sidecar_request_seconds")
											 .Help("From the whole request to its answer")
											 .Register(registry);
	Family<Counter> &flows = BuildCounter()
								 .Name("oauth_sidecar_flows_total")
								 .Help("Callbacks, by provider and what they came to")
								 .Register(registry);
	Family<Histogram> &provider_seconds = BuildHistogram()
											  .Name("oauth_sidecar_provider_seconds")
											  .Help("Calls of providers, by provider and kind")
											  .Register(registry);
	Family<Gauge> &connections = BuildGauge()
									 .Name("oauth_sidecar_connections")
									 .Help("Open connections of clients")
									 .Register(registry);
	Family<Gauge> &active = BuildGauge()
								.Name("oauth_sidecar_requests_active")
								.Help("Requests that are being answered")
								.Register(registry);
	Family<Gauge> &database = BuildGauge()
								  .Name("oauth_sidecar_database_connections")
								  .Help("Connections to PostgreSQL, and callers that wait for one")
								  .Register(registry);
};

namespace
{

const Histogram::BucketBoundaries kRequestBuckets{0.001, 0.005, 0.02, 0.1, 0.5, 2, 10};
const Histogram::BucketBoundaries kProviderBuckets{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15};

double seconds(std::chrono::microseconds duration)
{
	return std::chrono::duration<double>(duration).count();
}

} // namespace

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Metrics::request(std::string_view endpoint, std::string_view method, int status,
					  std::chrono::microseconds duration)
{
	const std::string name(endpoint);
	impl_->requests
		.Add({{"endpoint", name},
			  {"method", std::string(method)},
			  {"status", std::to_string(status)}})
		.Increment();
	impl_->request_seconds.Add({{"endpoint", name}}, kRequestBuckets).Observe(seconds(duration));
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

std::string Metrics::text(const Gauges &gauges) const
{
	impl_->connections.Add({}).Set(gauges.connections);
	impl_->active.Add({}).Set(gauges.requests);
	impl_->database.Add({{"state", "open"}}).Set(gauges.database_open);
	impl_->database.Add({{"state", "busy"}}).Set(gauges.database_busy);
	impl_->database.Add({{"state", "waiting"}}).Set(gauges.database_waiting);
	return TextSerializer().Serialize(impl_->registry.Collect());
}

} // namespace sidecar
