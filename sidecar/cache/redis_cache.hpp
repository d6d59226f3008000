// The cache in Redis: endpoints read through it, and fill it after a miss
// (docs/design/cache.md, "Fill" and "Read").
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>

#include "base/metrics.hpp"
#include "cache/change_memory.hpp"
#include "cache/circuit.hpp"
#include "cache/token_cache.hpp"
#include "cache_entry/entry.hpp"
#include "cache_entry/entry_metadata.hpp"
#include "cache_entry/keys.hpp"
#include "redis/client.hpp"
#include "settings/settings.hpp"

namespace sidecar::cache
{

class RedisCache : public TokenCache
{
public:
	// All of these must outlive it.
	RedisCache(boost::asio::any_io_executor executor, redis::Client &connection,
			   const cache_entry::Keys &keys, Coherence &coherence, const ChangeMemory &changes,
			   const settings::Cache &settings, Metrics &metrics);

	boost::asio::awaitable<void> look_up(const oauth::Identity &identity, Lookup &found) override;
	void fill(FillLease lease, const database::StoredToken *found) override;
	boost::asio::awaitable<void> evict(const oauth::Identity &identity) override;
	// Through this connection alone. False if Redis cannot be asked, or does not answer.
	boost::asio::awaitable<bool> try_to_evict(const oauth::Identity &identity);
	bool keeps_refresh_tokens() const noexcept override { return settings_.refresh_token; }
	CacheState state() const noexcept override;

	// Evicts by the other shards' connections. Without it, this is the only one.
	std::function<boost::asio::awaitable<void>(const oauth::Identity &)> evict_elsewhere = {};

private:
	// An empty value: nothing to store.
	struct Filling {
		common::Secret value;
		std::string entry_metadata;
		std::chrono::milliseconds life{};
	};

	Filling filling_of(const FillLease &lease, const database::StoredToken *found) const;
	std::shared_ptr<const Coherence::Known> usable() const;
	void open(const oauth::Identity &identity, std::string_view key, const redis::Reply &values,
			  const Coherence::Known &known, Lookup &found);
	redis::Command read_of(std::string_view metadata_key) const;
	boost::asio::awaitable<void> take_lease(const oauth::Identity &identity,
											std::string_view metadata_key,
											std::shared_ptr<const Coherence::Known> known,
											Lookup &found);
	boost::asio::awaitable<void> store(FillLease lease, Filling filling);
	boost::asio::awaitable<void> release(FillLease lease);
	bool is_true(const cache_entry::Entry &entry, std::string_view key,
				 const Coherence::Known &known) const;
	bool is_heartbeat_fresh(const redis::Reply &values, const Coherence::Known &known);
	boost::asio::awaitable<bool> run_quietly(redis::Command command);
	void failed(const redis::Error &error);

	const boost::asio::any_io_executor executor_;
	redis::Client &connection_;
	const cache_entry::Keys &keys_;
	Coherence &coherence_;
	const ChangeMemory &changes_;
	const settings::Cache &settings_;
	Metrics &metrics_;
	const cache_entry::EntryFormat entries_;
	const cache_entry::EntryMetadataFormat metadata_format_;
	Circuit circuit_;
};

} // namespace sidecar::cache
