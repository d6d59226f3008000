// The state that the invalidator keeps, and readers use.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "cache_entry/epoch.hpp"

namespace sidecar::cache
{

// How long readers believe a heartbeat after the moment at which it was true.
inline constexpr std::chrono::milliseconds kHeartbeatLife{5000};

// The epoch under which entries are filled and served. Nothing while it is not known: then
// tokens come from the database.
struct Coherence {
	struct Known {
		explicit Known(cache_entry::Epoch of) : epoch(std::move(of)), text(epoch.text()) {}
		const cache_entry::Epoch epoch;
		const std::string text; // as in Redis
	};

	std::shared_ptr<const Known> known; // by change()
	// When a heartbeat of this epoch was last seen or written, by any daemon.
	std::chrono::steady_clock::time_point heartbeat_at{};

	// Of the invalidator: tells the other shards of each change, and of each heartbeat.
	std::function<void()> changed = [] {};

	void change(std::shared_ptr<const Known> now)
	{
		known = std::move(now);
		changed();
	}

	bool is_heartbeat_fresh() const
	{
		return known && std::chrono::steady_clock::now() - heartbeat_at < kHeartbeatLife;
	}
};

} // namespace sidecar::cache
