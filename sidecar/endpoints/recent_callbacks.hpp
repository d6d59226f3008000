// Callbacks that this daemon has claimed recently. If a browser loads one again, during or
// after it, the page says how it ended. The browser's secret must come, too, so nobody else
// sees that.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "common/digest.hpp"
#include "oauth/callback_flow.hpp"

namespace sidecar::endpoints
{

class RecentCallbacks
{
public:
	enum class State { under_way, finished };
	using Clock = std::chrono::steady_clock;

	void begin(const oauth::ClaimAttempt &claim, Clock::time_point now);
	// Removes a failed one.
	void end(const oauth::ClaimAttempt &claim, bool is_good);
	std::optional<State> find(const oauth::ClaimAttempt &claim, Clock::time_point now) const;

private:
	using Key = std::pair<common::Digest, common::Digest>; // of state and browser's secret
	struct Entry {
		State state;
		Clock::time_point begun;
	};
	static Key key_of(const oauth::ClaimAttempt &claim);

	std::map<Key, Entry> entries_;
	std::deque<Key> oldest_first_;
};

} // namespace sidecar::endpoints
