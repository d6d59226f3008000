#include "refresh_ahead/due_rules.hpp"

#include <algorithm>

extern "C" {
#include "common/int.h"
}

namespace oauth_tokens
{

namespace
{

constexpr TimestampTz kSecond = USECS_PER_SEC;
constexpr TimestampTz kDay = SECS_PER_DAY * kSecond;
constexpr TimestampTz kLongestWait = 30 * kDay;
// By then an attempt of which nobody has told may be made again (doubt.cpp).
constexpr TimestampTz kDoubt = 120 * kSecond;
// By how much of the margin before its expiry a token may be later than others.
constexpr float8 kJitter = 0.2;
// For how much of keep_alive a token has been of no use, and a tenth more by jitter.
constexpr float8 kIdle = 0.7;
// How long before its end a grant is prolonged.
constexpr TimestampTz kLongestMargin = 3 * kDay;

// Always the same for a token: accounts that were connected together are not refreshed
// together. From 0 up to 1.
float8 spread(const pg_uuid_t &id)
{
	return (id.data[UUID_LEN - 1] * 256 + id.data[UUID_LEN - 2]) / 65536.0;
}

TimestampTz part(TimestampTz whole, float8 fraction)
{
	return static_cast<TimestampTz>(static_cast<float8>(whole) * fraction);
}

TimestampTz grant_margin(const DueRules &rules)
{
	return std::min(rules.keep_alive / 4, kLongestMargin);
}

// As oauth_refresh_begin() sees it, which grants no refresh in the first half of a token's
// life.
bool is_half_over(const DueToken &token, TimestampTz left)
{
	TimestampTz life = token.lifetime;
	if (life <= 0 && (pg_sub_s64_overflow(token.expires_at, token.updated_at, &life) || life <= 0))
		life = PG_INT64_MAX; // written by a clock that is ahead, or infinite: not known
	return left <= 0 || left <= life / 2;
}

bool waits_after_attempt(const DueToken &token, const DueRules &rules, TimestampTz now)
{
	if (token.next_attempt > now || token.lease_until > now)
		return true;
	const bool is_in_doubt = token.lease_until != 0 && !rules.is_lost_harmless;
	return is_in_doubt &&
		   now < std::max(token.lease_until + kDoubt, token.expires ? token.expires_at : 0);
}

bool is_near_expiry(const DueToken &token, const DueRules &rules, TimestampTz now)
{
	const TimestampTz left = token.expires_at - now;
	const float8 jitter = spread(token.id);
	return rules.ahead > 0
			   ? left <= part(rules.ahead, 1 - kJitter * jitter) && is_half_over(token, left)
			   : left <= -part(rules.keep_alive, kIdle + 0.1 * jitter);
}

// One whose end does not move is refreshed once in the margin, not all the time.
bool is_near_grant_end(const DueToken &token, const DueRules &rules, TimestampTz now)
{
	const TimestampTz margin = grant_margin(rules);
	if (token.updated_at > now - margin)
		return false;
	if (rules.kills_access && token.expires && token.expires_at > now)
		return false;
	return token.at - now <= part(margin, 1 - kJitter * spread(token.id));
}

} // namespace

DueTimes due_times(const DueRules &rules, DueBy by, TimestampTz now)
{
	if (by == DueBy::grant_end) {
		const TimestampTz margin = grant_margin(rules);
		return {now, now + part(margin, 1 - kJitter), now + margin};
	}
	if (rules.ahead > 0)
		return {now - std::max(kLongestWait, 2 * rules.keep_alive), now, now + rules.ahead};
	return {now - 2 * rules.keep_alive, now - part(rules.keep_alive, kIdle + 0.1),
			now - part(rules.keep_alive, kIdle)};
}

bool is_due(const DueToken &token, const DueRules &rules, DueBy by, TimestampTz now)
{
	if (!token.is_there || waits_after_attempt(token, rules, now))
		return false;
	return by == DueBy::grant_end ? is_near_grant_end(token, rules, now)
								  : is_near_expiry(token, rules, now);
}

} // namespace oauth_tokens
