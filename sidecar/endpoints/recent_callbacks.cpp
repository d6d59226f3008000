#include "endpoints/recent_callbacks.hpp"

namespace sidecar::endpoints
{

namespace
{

constexpr std::size_t kMaxEntries = 10000; // some 2 MiB
constexpr std::chrono::minutes kLife{10};  // as the cookie

} // namespace

RecentCallbacks::Key RecentCallbacks::key_of(const oauth::ClaimAttempt &claim)
{
	return {claim.state_hash, claim.browser_hash};
}

void RecentCallbacks::begin(const oauth::ClaimAttempt &claim, Clock::time_point now)
{
	const Key key = key_of(claim);
	entries_.insert_or_assign(key, Entry{State::under_way, now});
	oldest_first_.push_back(key);
	if (oldest_first_.size() > kMaxEntries) {
		entries_.erase(oldest_first_.front());
		oldest_first_.pop_front();
	}
}

void RecentCallbacks::end(const oauth::ClaimAttempt &claim, bool is_good)
{
	const auto found = entries_.find(key_of(claim));
	if (found == entries_.end())
		return;
	if (is_good)
		found->second.state = State::finished;
	else
		entries_.erase(found);
}

std::optional<RecentCallbacks::State> RecentCallbacks::find(const oauth::ClaimAttempt &claim,
															Clock::time_point now) const
{
	const auto found = entries_.find(key_of(claim));
	if (found == entries_.end() || now - found->second.begun > kLife)
		return std::nullopt;
	return found->second.state;
}

} // namespace sidecar::endpoints
