// Which tokens have changed of late. Where entries are sealed, Redis is not believed about
// that: whoever may write there can put back an entry of before, with its entry metadata. But
// nobody else can make us forget (docs/design/threats.md, C19).
//
// Every daemon sees every change: none acknowledges one before kShownFor has passed, and
// each looks more often. One that looked too late believes no entry that was read before.
// Times are microseconds since 1970 by the database's clock, so that daemons whose own
// clocks differ agree.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "cache/fill.hpp"

namespace sidecar::cache
{

class ChangeMemory
{
public:
	using Clock = std::chrono::steady_clock;

	// How long a change stays where all daemons see it.
	static constexpr std::chrono::seconds kShownFor{3};

	// Changes were read; `begun`: before that, `now`: after it.
	void looked(Clock::time_point begun, std::int64_t now);
	// What was seen does not go on from before.
	void lose_sight() { looked_ = {}; }
	// An entry, by its key, was found changed at `now`.
	void changed(std::string_view key, std::int64_t now);
	// Believe nothing that was read until `now`.
	void distrust(std::int64_t now);

	// Whether an entry of this fill may be true still: it is not past its end, and what was
	// committed 5 seconds ago has not changed it.
	bool allows(std::string_view key, const Fill &fill) const;

private:
	static constexpr std::size_t kMost = 200'000;

	std::int64_t database_time() const;

	// By a hash of the key: of two that share one, the change of either is that of both.
	std::unordered_map<std::size_t, std::int64_t> changes_;
	std::deque<std::pair<std::size_t, std::int64_t>> oldest_first_;
	std::int64_t distrusted_until_ = INT64_MAX;
	Clock::time_point looked_{};
	std::int64_t now_ = 0; // of the last look
};

} // namespace sidecar::cache
