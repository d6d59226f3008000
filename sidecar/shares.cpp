#include "shares.hpp"

#include <algorithm>
#include <chrono>

#include "base/process.hpp"

using namespace std::chrono_literals;

namespace sidecar::shares
{

namespace
{

constexpr int kMostThreads = 8; // unless OAUTH_THREADS asks for more
// Descriptors that are not for clients: database, providers, log, listeners; and of each thread.
constexpr long kReservedDescriptors = 200;
constexpr long kDescriptorsOfThread = 4;

// Browsers' endpoints need no API token, so they only get a quarter of the connections. So do
// refreshes: one that waits for a locked row must not delay a reader. The API has the others.
int quarter(const settings::Settings &settings)
{
	return std::max(1, settings.database_pool / 4);
}

database::PoolLimits pool_of(int connections)
{
	database::PoolLimits limits;
	limits.connections = connections;
	return limits;
}

} // namespace

std::size_t threads(const settings::Settings &settings)
{
	const int cores = std::min(process::usable_cores(), kMostThreads);
	return static_cast<std::size_t>(settings.threads > 0 ? settings.threads : cores);
}

database::PoolLimits api_pool(const settings::Settings &settings)
{
	return pool_of(std::max(1, settings.database_pool - 2 * quarter(settings)));
}

database::PoolLimits browser_pool(const settings::Settings &settings)
{
	return pool_of(quarter(settings));
}

// Refreshes wait for a connection longer, instead of failing.
database::PoolLimits refresh_pool(const settings::Settings &settings)
{
	database::PoolLimits limits = pool_of(quarter(settings));
	limits.wait = 10s;
	return limits;
}

database::PoolLimits one_connection()
{
	return pool_of(1);
}

client::CurlLimits client(const settings::Settings &settings)
{
	client::CurlLimits limits;
	limits.total = settings.provider_timeout;
	limits.connect = std::min(limits.connect, limits.total);
	return limits;
}

server::Limits server(const settings::Settings &settings)
{
	const long servers = settings.api_listen ? 2 : 1;
	const long reserved =
		kReservedDescriptors + kDescriptorsOfThread * static_cast<long>(threads(settings));
	server::Limits limits;
	limits.connections =
		static_cast<int>(std::clamp((process::descriptor_limit() - reserved) / servers, 16L,
									static_cast<long>(settings.max_connections)));
	// Two waits for the database, and a refresh between them, which also waits for it.
	limits.handler = settings.provider_timeout + 25s;
	return limits;
}

} // namespace sidecar::shares
