// All parts of the cache, put together: a reader for each shard, and the invalidator, which is on
// the first one's loop.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstddef>
#include <memory>
#include <vector>

#include "cache/invalidator.hpp"
#include "cache/reader.hpp"
#include "database/pool.hpp"
#include "database/postgres_invalidations.hpp"

namespace sidecar::cache
{

class Service
{
public:
	// `settings`, with a valid REDIS_URL, and `metrics` must outlive it.
	Service(const std::vector<boost::asio::any_io_executor> &executors,
			const settings::Settings &settings, Metrics &metrics);

	Reader &reader(std::size_t shard) noexcept { return *readers_[shard]; }
	void start();
	// Another daemon may drain at once. Before close().
	boost::asio::awaitable<void> resign() { return invalidator_.resign(); }
	// All that is on the first loop. Other shards close their readers.
	void close();

private:
	void tell_others();
	boost::asio::awaitable<void> evict_by_others(const oauth::Identity &identity);

	const boost::asio::any_io_executor executor_;
	const cache_entry::Keys keys_;
	const std::shared_ptr<Outage> outage_ = std::make_shared<Outage>();
	redis::Client dropping_;
	database::Pool pool_;
	database::PostgresInvalidations invalidations_;
	ChangeMemory changes_;
	std::vector<std::unique_ptr<Reader>> readers_;
	Invalidator invalidator_;
};

} // namespace sidecar::cache
