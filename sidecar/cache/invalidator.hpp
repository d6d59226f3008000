// Evicts the entries of tokens that have changed in the database, and writes the heartbeat
// meanwhile (docs/design/cache.md, "Batch"). Any number of daemons may run one: the drainer
// runs a batch for each change, the others run one now and then.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/backoff.hpp"
#include "base/metrics.hpp"
#include "cache/change_memory.hpp"
#include "cache/coherence.hpp"
#include "cache/epoch_keeper.hpp"
#include "cache/persistence.hpp"
#include "cache_entry/keys.hpp"
#include "database/invalidation_queue.hpp"
#include "redis/client.hpp"

namespace sidecar::cache
{

class Invalidator
{
public:
	template <typename T>
	using Awaitable = boost::asio::awaitable<T>;

	// All of these must outlive it. It has a connection of its own, because one of its commands
	// may take longer than a reader would wait.
	Invalidator(boost::asio::any_io_executor executor, database::InvalidationQueue &invalidations,
				redis::Client &connection, redis::Client &reading, const cache_entry::Keys &keys,
				std::string home, Ephemeral ephemeral, Coherence &coherence, ChangeMemory &changes,
				Metrics &metrics);

	// Never ends. A failure is logged once, and tried again.
	Awaitable<void> run();
	// From now on this daemon does not drain, and another one may at once.
	Awaitable<void> resign();

private:
	using Clock = std::chrono::steady_clock;

	Awaitable<std::chrono::milliseconds> try_once();
	Awaitable<void> begin();
	Awaitable<void> rest();
	Awaitable<void> run_batch();
	redis::Client &same_redis();
	Awaitable<void> evict(const std::vector<database::Invalidation> &invalidations);
	Awaitable<redis::Replies> ask(std::vector<redis::Command> commands);
	std::vector<database::Invalidation> take_new(database::PendingInvalidations &pending);
	std::vector<std::int64_t> due(const database::PendingInvalidations &pending) const;
	ChangeMemory::Changes
	changes_of(const std::vector<database::Invalidation> &invalidations) const;
	Awaitable<void> acknowledge(const std::vector<std::int64_t> &ids);
	Awaitable<std::int64_t> redis_time();
	Awaitable<void> write_heartbeat(std::int64_t since);
	Awaitable<void> pause(std::chrono::milliseconds duration);
	void begin_at_once();
	bool is_heartbeat_due() const;
	void turn_off(std::string_view reason);
	void complain(std::string_view what, std::string_view reason);

	const boost::asio::any_io_executor executor_;
	database::InvalidationQueue &invalidations_;
	redis::Client &connection_;
	redis::Client &reading_;
	const cache_entry::Keys &keys_;
	EpochKeeper epochs_;
	Persistence persistence_;
	Coherence &coherence_;
	ChangeMemory &changes_;
	const bool is_sealed_;
	// If entries are sealed: invalidations that are done but still pending, and since when.
	std::unordered_map<std::int64_t, Clock::time_point> done_;
	std::string done_under_; // the registration id
	Metrics &metrics_;
	const std::string name_; // of this daemon, as the drainer
	bool drains_ = true;     // until Redis names another one
	bool has_resigned_ = false;
	Backoff backoff_;
	Clock::time_point heartbeat_written_at_{};
	std::vector<std::int64_t> unacknowledged_; // for the next read to acknowledge
	bool has_more_ = false;                    // invalidations that the last run_batch did not read
	bool is_on_ = false;
	std::string last_reason_;
};

} // namespace sidecar::cache
