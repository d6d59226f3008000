#include "refresh/due_rules.hpp"

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
constexpr TimestampTz kForgotten = 30 * kDay;
// By then an attempt of which nobody has told may be made again (doubt.cpp).
constexpr TimestampTz kDoubt = 120 * kSecond;
// A token that waits for longer is out of the way of the others.
constexpr TimestampTz kLongWait = 60 * kSecond;
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
	if (life <= 0 && pg_sub_s64_overflow(token.expires_at, token.updated_at, &life))
		life = PG_INT64_MAX;
	return left <= 0 || left <= life / 2;
}

Due after_last_attempt(const DueToken &token, const DueRules &rules, TimestampTz now)
{
	if (token.next_attempt > now)
		return token.next_attempt > now + kLongWait ? Due::after_a_wait : Due::soon;
	if (token.lease_until > now)
		return Due::soon;
	const bool is_in_doubt = token.lease_until != 0 && !rules.is_lost_harmless;
	const TimestampTz doubt =
		std::max(token.lease_until + kDoubt, token.expires ? token.expires_at : 0);
	return is_in_doubt && now < doubt ? Due::soon : Due::now;
}

Due by_access_expiry(const DueToken &token, const DueRules &rules, TimestampTz now)
{
	const TimestampTz left = token.expires_at - now;
	const float8 jitter = spread(token.id);
	const bool is_over =
		rules.ahead > 0 ? left <= part(rules.ahead, 1 - 0.2 * jitter) && is_half_over(token, left)
						: left <= -part(rules.keep_alive, 0.7 + 0.1 * jitter);
	return is_over ? Due::now : Due::soon;
}

// One whose end does not move is refreshed once in the margin, not all the time.
Due by_grant_end(const DueToken &token, const DueRules &rules, TimestampTz now)
{
	const TimestampTz margin = grant_margin(rules);
	if (token.updated_at > now - margin)
		return Due::after_a_wait;
	if (rules.kills_access && token.expires && token.expires_at > now)
		return Due::soon;
	return token.at - now <= part(margin, 1 - 0.2 * spread(token.id)) ? Due::now : Due::soon;
}

} // namespace

DueTimes due_times(const DueRules &rules, DueBy by, TimestampTz now)
{
	if (by == DueBy::grant_end)
		return {now, now + grant_margin(rules)};
	if (rules.ahead > 0)
		return {now - std::max(kForgotten, 2 * rules.keep_alive), now + rules.ahead};
	return {now - 2 * rules.keep_alive, now - part(rules.keep_alive, 0.7)};
}

Due is_due(const DueToken &token, const DueRules &rules, DueBy by, TimestampTz now)
{
	if (!token.is_there)
		return Due::after_a_wait;
	const Due next = after_last_attempt(token, rules, now);
	if (next != Due::now)
		return next;
	return by == DueBy::grant_end ? by_grant_end(token, rules, now)
								  : by_access_expiry(token, rules, now);
}

} // namespace oauth_tokens
