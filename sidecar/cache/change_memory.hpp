// Remembers which tokens have changed recently. If entries are sealed, Redis is not trusted
// about that: a program that can write there can put back an old entry with its metadata. It
// cannot change this memory (docs/design/threats.md, C19).
//
// Every daemon sees every change: none acknowledges one before kShownFor has passed, and each
// checks more often. A daemon that checked too late believes no entry that was read before.
// The invalidator writes it, and the readers of all shards ask it, each on a thread of its own.
// Times are microseconds since 1970 by the database's clock, so that daemons with different
// clocks agree.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cache/fill.hpp"

namespace sidecar::cache
{

class ChangeMemory
{
public:
	using Clock = std::chrono::steady_clock;

	// How long a change stays pending, so that all daemons see it.
	static constexpr std::chrono::seconds kShownFor{3};

	struct Changes {
		std::vector<std::size_t> hashes; // of the entries' keys
		bool of_others = false;          // any other entry may have changed, too
	};

	static std::size_t hash(std::string_view key) { return std::hash<std::string_view>()(key); }

	// Changes were read; `begun`: before that, `now`: after it. If the database's clock was set
	// back, the log says until when nothing is believed.
	void looked(Clock::time_point begun, std::int64_t now, const Changes &changes);
	// Changes may have been missed since the last check.
	void lose_sight();

	// Whether an entry of this fill may still be true: it is not past its end, and no change
	// that was committed up to 5 seconds ago is later.
	bool allows(std::string_view key, const Fill &fill) const;

private:
	static constexpr std::size_t kMost = 200'000;

	void add(std::size_t hash, std::int64_t now);
	std::int64_t note(Clock::time_point begun, std::int64_t now, bool may_miss_some);
	void distrust_until(std::int64_t now);
	std::int64_t database_time() const;

	mutable std::mutex mutex_;
	// By a hash of the key. If two keys share one, a change of either counts for both.
	std::unordered_map<std::size_t, std::int64_t> changes_;
	std::deque<std::pair<std::size_t, std::int64_t>> oldest_first_;
	std::int64_t distrusted_until_ = 0;
	// The last check: when it began, and the database's time.
	Clock::time_point looked_{};
	std::int64_t now_ = 0;
	bool has_lost_sight_ = true; // since then
};

} // namespace sidecar::cache
