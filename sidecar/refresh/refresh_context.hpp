// What a refresh needs. Tests replace these interfaces.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>

#include "base/metrics.hpp"
#include "base/workers.hpp"
#include "cache/token_cache.hpp"
#include "client/provider_client.hpp"
#include "database/refresh_store.hpp"
#include "providers/provider_registry.hpp"
#include "spool/spool.hpp"

namespace sidecar::refresh
{

struct RefreshContext {
	boost::asio::any_io_executor executor;
	database::RefreshStore &store;
	client::ProviderClient &client;
	providers::ProviderRegistry &registry;
	cache::TokenCache &cache;
	const spool::Spool &spool;
	Workers &workers;
	Metrics &metrics;
	std::chrono::milliseconds call_limit; // the client's time for a whole call
	std::function<long long()> now;       // milliseconds since 1970 UTC
};

} // namespace sidecar::refresh
