// What a shard reads the cache through, on its loop: a connection to Redis, and what the
// invalidator has told.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <string>

#include "cache/redis_cache.hpp"

namespace sidecar::cache
{

class Reader
{
public:
	// The settings, keys, changes and metrics must outlive it. `name` and `outage`: of its
	// connection.
	Reader(boost::asio::any_io_executor executor, const std::string &name,
		   const settings::Settings &settings, const cache_entry::Keys &keys,
		   const ChangeMemory &changes, std::shared_ptr<Outage> outage, Metrics &metrics);

	const boost::asio::any_io_executor &executor() const noexcept { return executor_; }
	RedisCache &tokens() noexcept { return tokens_; }
	redis::Client &connection() noexcept { return connection_; }
	Coherence &coherence() noexcept { return coherence_; }
	void start() { connection_.start(); }
	void close() { connection_.close(); }

	// What the invalidator, on another loop, knows at a change or a heartbeat.
	void follow(const std::shared_ptr<const Coherence::Known> &known);

private:
	const boost::asio::any_io_executor executor_;
	redis::Client connection_;
	Coherence coherence_;
	RedisCache tokens_;
};

} // namespace sidecar::cache
