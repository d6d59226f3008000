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

// One for all shards: if each had its own, some could have no connection while others have some,
// and two statements that wait for a lock would hold up a whole shard.
database::PoolLimits api_pool(const settings::Settings &settings);
database::PoolLimits browser_pool(const settings::Settings &settings);
database::PoolLimits refresh_pool(const settings::Settings &settings);
database::PoolLimits one_connection();

client::CurlLimits client(const settings::Settings &settings);
// For each listener: if one is flooded, the other still has its own.
server::Limits server(const settings::Settings &settings);

} // namespace sidecar::shares
