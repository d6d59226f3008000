// All parts of the cache, put together.
#pragma once

#include <boost/asio/any_io_executor.hpp>

#include "cache/invalidator.hpp"
#include "cache/redis_cache.hpp"
#include "database/pool.hpp"
#include "database/postgres_invalidations.hpp"

namespace sidecar::cache
{

class Service
{
public:
	// `settings`, with a valid REDIS_URL, and `metrics` must outlive it.
	Service(boost::asio::any_io_executor executor, const settings::Settings &settings,
			Metrics &metrics);

	TokenCache &tokens() noexcept { return tokens_; }
	void start();
	void close();

private:
	const boost::asio::any_io_executor executor_;
	const cache_entry::Keys keys_;
	redis::Client reading_;
	redis::Client dropping_;
	database::Pool pool_;
	database::PostgresInvalidations invalidations_;
	Coherence coherence_;
	ChangeMemory changes_;
	RedisCache tokens_;
	Invalidator invalidator_;
};

} // namespace sidecar::cache
