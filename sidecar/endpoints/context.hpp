// What endpoints need. Tests replace these interfaces.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>

#include "base/metrics.hpp"
#include "cache/token_cache.hpp"
#include "client/provider_client.hpp"
#include "database/token_store.hpp"
#include "endpoints/callback_limiter.hpp"
#include "endpoints/recent_callbacks.hpp"
#include "providers/provider_registry.hpp"
#include "refresh/refresher.hpp"
#include "settings/settings.hpp"

namespace sidecar::endpoints
{

// What the endpoints that every shard answers have: their shard's own, and what all threads may
// use at once.
struct ShardContext {
	const settings::Settings &settings;
	database::TokenStore &api_store;
	cache::TokenCache &cache;
	refresh::Refresher &refresher; // its refresh() may be called on any loop
	Metrics &metrics;
	std::function<long long()> now; // milliseconds since 1970 UTC
};

// What the others have, which the first shard answers alone.
struct Context : ShardContext {
	// Anybody can call the browsers' endpoints, so they have connections of their own, and
	// cannot delay the API.
	database::TokenStore &browser_store;
	client::ProviderClient &client;
	CallbackLimiter &callback_limiter;
	providers::ProviderRegistry &registry;
	std::function<bool()> published;           // whether the database knows our settings
	std::function<bool()> api_connected;       // whether the API's store has a connection
	std::function<void()> revoke_soon = [] {}; // a grant was queued to be revoked
	std::function<Metrics::Gauges()> gauges = {};
	RecentCallbacks recent_callbacks = {};
};

} // namespace sidecar::endpoints
