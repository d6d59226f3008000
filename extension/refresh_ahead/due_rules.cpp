#include "refresh_ahead/due_rules.hpp"

#include <algorithm>

#include "postgres/owner_query.hpp"

extern "C" {
#include "common/int.h"
#include "executor/spi.h"
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

// A refresh that ends the access token is never made early.
constexpr const char *kStatement =
	"SELECT provider, kills_access, rotation OPERATOR(pg_catalog.=) ANY ('{none,until_used}'),"
	" CASE WHEN kills_access THEN 0 ELSE pg_catalog.date_part('epoch', ahead) END,"
	" pg_catalog.date_part('epoch', keep_alive), per_second"
	" FROM oauth_tokens_internal.refresh_rules"
	" WHERE (NOT kills_access AND ahead OPERATOR(pg_catalog.>) '0'"
	" OR keep_alive OPERATOR(pg_catalog.>) '0')"
	" AND ($1 IS NULL OR provider OPERATOR(pg_catalog.=) ANY ($1))"
	" ORDER BY pg_catalog.random()";

TimestampTz microseconds(Datum seconds)
{
	return static_cast<TimestampTz>(DatumGetFloat8(seconds)) * kSecond;
}

} // namespace

DueRuleList read_due_rules(Datum providers, bool all)
{
	static MemberQuery statement = {kStatement};
	const auto size = static_cast<int>(run_as_owner(statement, {{TEXTARRAYOID, providers, all}}));
	SPITupleTable *found = SPI_tuptable;
	DueRuleList list = {static_cast<DueRules *>(palloc0(sizeof(DueRules) * Max(size, 1))), size};
	for (int i = 0; i < size; i++) {
		bool is_null;
		const auto column = [&](int number) {
			return SPI_getbinval(found->vals[i], found->tupdesc, number, &is_null);
		};
		list.rules[i] = {column(1),
						 DatumGetBool(column(2)),
						 DatumGetBool(column(3)),
						 microseconds(column(4)),
						 microseconds(column(5)),
						 DatumGetFloat8(column(6))};
	}
	return list;
}

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
