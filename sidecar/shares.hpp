// How the daemon's limits are shared out: OAUTH_DATABASE_POOL and OAUTH_MAX_CONNECTIONS are totals,
// whatever the number of threads.
#pragma once

#include <cstddef>

#include "client/curl_client.hpp"
#include "database/pool.hpp"
#include "server/server.hpp"
#include "settings/settings.hpp"

namespace sidecar::shares
{

// OAUTH_THREADS, or one for each core, up to 8.
std::size_t threads(const settings::Settings &settings);

// The API's connections are split among some pools. Each has two at least, so that one slow
// statement does not hold up a whole shard: shards may share one.
std::size_t api_pools(const settings::Settings &settings);
database::PoolLimits api_pool(const settings::Settings &settings, std::size_t pool);
database::PoolLimits browser_pool(const settings::Settings &settings);
database::PoolLimits refresh_pool(const settings::Settings &settings);
database::PoolLimits one_connection();

client::CurlLimits client(const settings::Settings &settings);
// For each listener: if one is flooded, the other still has its own.
server::Limits server(const settings::Settings &settings);

} // namespace sidecar::shares
