#include "cache/change_memory.hpp"

#include <algorithm>
#include <functional>

#include "cache/coherence.hpp"

namespace sidecar::cache
{

namespace
{

using std::chrono::microseconds;

constexpr std::int64_t kShownMicroseconds = microseconds(ChangeMemory::kShownFor).count();

} // namespace

// By both clocks: ours stops while the machine is suspended, and the database's may be set.
// If that is set back, an older read seems to be a later one.
void ChangeMemory::looked(Clock::time_point begun, std::int64_t now)
{
	const std::lock_guard lock(mutex_);
	if (looked_ == Clock::time_point()) {
		distrusted_until_ = now;
		changes_.clear();
		oldest_first_.clear();
	} else if (now < now_) {
		distrust_until(database_time());
	} else if (Clock::now() - looked_ >= kShownFor || now - now_ >= kShownMicroseconds) {
		distrust_until(now);
	}
	looked_ = begun;
	now_ = now;
}

// If there is no room for a change, everything that was read before it is distrusted.
void ChangeMemory::changed(std::string_view key, std::int64_t now)
{
	const std::size_t hash = std::hash<std::string_view>()(key);
	const std::lock_guard lock(mutex_);
	std::int64_t &when = changes_[hash];
	when = std::max(when, now);
	oldest_first_.emplace_back(hash, now);
	if (oldest_first_.size() <= kMost)
		return;
	const auto [oldest, then] = oldest_first_.front();
	oldest_first_.pop_front();
	distrust_until(then);
	const auto found = changes_.find(oldest);
	if (found != changes_.end() && found->second <= then)
		changes_.erase(found);
}

void ChangeMemory::lose_sight()
{
	const std::lock_guard lock(mutex_);
	looked_ = {};
}

void ChangeMemory::distrust(std::int64_t now)
{
	const std::lock_guard lock(mutex_);
	distrust_until(now);
}

void ChangeMemory::distrust_until(std::int64_t now)
{
	distrusted_until_ = std::max(distrusted_until_, now);
}

// Never too early: the last check began before the time that it returned.
std::int64_t ChangeMemory::database_time() const
{
	return now_ + std::chrono::duration_cast<microseconds>(Clock::now() - looked_).count();
}

bool ChangeMemory::allows(std::string_view key, const Fill &fill) const
{
	const std::lock_guard lock(mutex_);
	if (looked_ == Clock::time_point() || Clock::now() - looked_ >= kHeartbeatLife)
		return false;
	const std::int64_t now = database_time();
	if (fill.read_at <= distrusted_until_ || fill.read_at > now || fill.until <= now)
		return false;
	const auto found = changes_.find(std::hash<std::string_view>()(key));
	return found == changes_.end() || fill.read_at > found->second;
}

} // namespace sidecar::cache
