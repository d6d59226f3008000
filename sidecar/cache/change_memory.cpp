#include "cache/change_memory.hpp"

#include <fmt/chrono.h>

#include <algorithm>
#include <string>

#include "base/log.hpp"
#include "cache/coherence.hpp"

namespace sidecar::cache
{

namespace
{

using std::chrono::microseconds;

constexpr std::int64_t kShownMicroseconds = microseconds(ChangeMemory::kShownFor).count();

std::string text_of(std::int64_t time)
{
	return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(time / 1'000'000));
}

} // namespace

// What has changed comes first. A reader between the two that knew of the check, and not of what it
// has found, would believe an old entry for as long as this thread does not run. Each change has
// the lock for itself, so that no reader waits for all of them.
void ChangeMemory::looked(Clock::time_point begun, std::int64_t now, const Changes &changes)
{
	for (const std::size_t hash : changes.hashes)
		add(hash, now);
	const std::int64_t former = note(begun, now, changes.of_others);
	if (former - now >= kShownMicroseconds)
		log::warning(
			"the database's clock was set back: until it is as late again, tokens come from the "
			"database alone",
			{{"until", text_of(former)}});
}

// Returns up to when nothing is believed.
std::int64_t ChangeMemory::note(Clock::time_point begun, std::int64_t now, bool may_miss_some)
{
	const std::lock_guard lock(mutex_);
	const bool is_set_back = now < now_;
	// By both clocks: ours stops while the machine is suspended, and the database's may be set.
	// If that is set back, an older read seems to be a later one.
	if (is_set_back)
		distrust_until(database_time());
	else if (may_miss_some || has_lost_sight_ || Clock::now() - looked_ >= kShownFor ||
			 now - now_ >= kShownMicroseconds)
		distrust_until(now);
	has_lost_sight_ = false;
	looked_ = begun;
	now_ = now;
	return is_set_back ? distrusted_until_ : now;
}

// If there is no room for a change, everything that was read before it is distrusted.
void ChangeMemory::add(std::size_t hash, std::int64_t now)
{
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
	has_lost_sight_ = true;
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
	if (has_lost_sight_ || Clock::now() - looked_ >= kHeartbeatLife)
		return false;
	const std::int64_t now = database_time();
	if (fill.read_at <= distrusted_until_ || fill.read_at > now || fill.until <= now)
		return false;
	const auto found = changes_.find(hash(key));
	return found == changes_.end() || fill.read_at > found->second;
}

} // namespace sidecar::cache
