// Ties the Redis that is connected to the registration id of the database by an epoch
// (docs/design/cache.md, "Epoch").
#pragma once

#include <boost/asio/awaitable.hpp>
#include <stdexcept>
#include <string>

#include "cache/coherence.hpp"
#include "cache_entry/keys.hpp"
#include "database/invalidation_queue.hpp"
#include "redis/connection.hpp"

namespace sidecar::cache
{

// The cache must stay off, and what() tells a person why.
class Refused : public std::runtime_error
{
public:
	using std::runtime_error::runtime_error;
};

// Somebody else has changed what this sidecar went by: begin again.
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

	// `home`: which part of its Redis the cache lives in.
	EpochKeeper(database::InvalidationQueue &invalidations, redis::Client &connection,
				const Keys &keys, std::string home)
		: invalidations_(invalidations), connection_(connection), keys_(keys),
		  home_(std::move(home))
	{
	}

	// These throw StoreError, redis::Error, Refused and EpochLost.

	// Registers the cache, and returns the epoch of this Redis and this database: the
	// one that stands there, or a new one, under which no entry is left.
	Awaitable<KnownPtr> establish();
	// Drops every entry by way of a new epoch.
	Awaitable<KnownPtr> renew(KnownPtr known);

private:
	Awaitable<database::Registration> register_cache(const std::string &cache_id);
	Awaitable<KnownPtr> agree(const database::Registration &registration,
							  const std::string &run_id);
	Awaitable<bool> swap(const std::string &expected, const Epoch &next);
	Awaitable<KnownPtr> finish_eviction(Epoch epoch);

	database::InvalidationQueue &invalidations_;
	redis::Client &connection_;
	const Keys &keys_;
	const std::string home_;
	std::string held_; // the cache id that this process has last registered
};

} // namespace sidecar::cache
