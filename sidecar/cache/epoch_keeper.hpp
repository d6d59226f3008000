// Ties the connected Redis to the database's registration id, by an epoch
// (docs/design/cache.md, "Epoch").
#pragma once

#include <boost/asio/awaitable.hpp>
#include <stdexcept>
#include <string>

#include "cache/coherence.hpp"
#include "cache_entry/keys.hpp"
#include "database/invalidation_queue.hpp"
#include "redis/client.hpp"

namespace sidecar::cache
{

// The cache must stay off. what() says why, for a person.
class Refused : public std::runtime_error
{
public:
	using std::runtime_error::runtime_error;
};

// Another daemon has changed epoch or registration: begin again.
class EpochLost : public std::runtime_error
{
public:
	using std::runtime_error::runtime_error;
};

class EpochKeeper
{
public:
	template <typename T>
	using Awaitable = boost::asio::awaitable<T>;
	using KnownPtr = std::shared_ptr<const Coherence::Known>;

	// `home`: the part of its Redis in which the cache is.
	EpochKeeper(database::InvalidationQueue &invalidations, redis::Client &connection,
				const cache_entry::Keys &keys, std::string home)
		: invalidations_(invalidations), connection_(connection), keys_(keys),
		  home_(std::move(home))
	{
	}

	// These throw StoreError, redis::Error, Refused and EpochLost.

	// Registers the cache, and returns the epoch of this Redis and this database: the present
	// one, or a new one, after every entry is evicted.
	Awaitable<KnownPtr> establish();
	// Begins a new epoch, which evicts every entry.
	Awaitable<KnownPtr> renew(KnownPtr known);

private:
	Awaitable<database::Registration> register_cache(const std::string &cache_id);
	Awaitable<KnownPtr> agree(const database::Registration &registration,
							  const std::string &run_id);
	Awaitable<bool> swap(const std::string &expected, const cache_entry::Epoch &next);
	Awaitable<KnownPtr> finish_eviction(cache_entry::Epoch epoch);

	database::InvalidationQueue &invalidations_;
	redis::Client &connection_;
	const cache_entry::Keys &keys_;
	const std::string home_;
	std::string held_; // the cache id that this process has last registered
};

} // namespace sidecar::cache
