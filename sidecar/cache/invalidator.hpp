// Drops from Redis what has changed in the database, and keeps the heartbeat while it
// does (docs/design/cache.md, "Batch"). Any number of sidecars may run one.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <string>
#include <unordered_map>
#include <vector>

#include "cache/change_memory.hpp"
#include "cache/coherence.hpp"
#include "cache/epoch_keeper.hpp"
#include "cache_entry/keys.hpp"
#include "cache/persistence.hpp"
#include "base/backoff.hpp"
#include "database/invalidation_queue.hpp"
#include "base/metrics.hpp"
#include "redis/connection.hpp"

namespace sidecar::cache
{

class Invalidator
{
public:
	template <typename T>
	using Awaitable = boost::asio::awaitable<T>;

	// All of these live as long as it does; the connection is its own, for one command
	// of it may take longer than a reader would wait.
	Invalidator(boost::asio::any_io_executor executor, database::MarkStore &marks,
				redis::Connection &connection, redis::Connection &reading, const Keys &keys,
				std::string home, Ephemeral ephemeral, Coherence &coherence, ChangeMemory &changes,
				Metrics &metrics);

	// For ever. What goes wrong is logged, once, and tried again.
	Awaitable<void> run();

private:
	using Clock = std::chrono::steady_clock;

	Awaitable<std::chrono::milliseconds> try_once();
	Awaitable<void> begin();
	Awaitable<void> pass();
	redis::Connection &same_redis();
	Awaitable<void> drop(const std::vector<database::Mark> &marks);
	Awaitable<void> drop_keys(std::vector<redis::Command> commands);
	std::vector<database::Mark> take_new(database::PendingMarks &pending);
	std::vector<std::int64_t> due(const database::PendingMarks &pending) const;
	void remember(const std::vector<database::Mark> &marks, std::int64_t now);
	Awaitable<void> acknowledge(const std::vector<std::int64_t> &ids);
	Awaitable<std::int64_t> redis_time();
	Awaitable<void> stamp(std::int64_t since);
	Awaitable<void> pause(std::chrono::milliseconds duration);
	void begin_at_once();
	bool is_stamp_due() const;
	void turn_off(std::string_view reason);
	void complain(std::string_view what, std::string_view reason);

	const boost::asio::any_io_executor executor_;
	database::MarkStore &marks_;
	redis::Connection &connection_;
	redis::Connection &reading_;
	const Keys &keys_;
	EpochKeeper epochs_;
	Persistence persistence_;
	Coherence &coherence_;
	ChangeMemory &changes_;
	const bool is_sealed_;
	// Where entries are sealed: marks that are done and still there, and since when.
	std::unordered_map<std::int64_t, Clock::time_point> done_;
	std::string done_under_; // the incarnation
	Metrics &metrics_;
	database::Backoff backoff_;
	Clock::time_point stamped_{};
	bool has_more_ = false; // marks that the last pass did not read
	bool is_on_ = false;
	std::string last_reason_;
};

} // namespace sidecar::cache
