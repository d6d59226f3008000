#include "postgres/interval.hpp"

extern "C" {
#include "common/int.h"
}

namespace oauth_tokens
{

std::uint64_t microseconds_of(const Interval *interval, const char *name)
{
	const int64 days = static_cast<int64>(interval->month) * DAYS_PER_MONTH + interval->day;
	int64 microseconds;
	if (pg_mul_s64_overflow(days, USECS_PER_DAY, &microseconds) ||
		pg_add_s64_overflow(microseconds, interval->time, &microseconds))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("%s is out of range", name)));
	if (microseconds < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must not be negative", name)));
	return static_cast<std::uint64_t>(microseconds);
}

TimestampTz timestamp_of_unix(std::uint64_t seconds_since_1970)
{
	constexpr std::int64_t kSecondsTo2000 =
		static_cast<std::int64_t>(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;
	constexpr std::uint64_t kEnd = END_TIMESTAMP / USECS_PER_SEC + kSecondsTo2000;
	if (seconds_since_1970 < kEnd)
		return (static_cast<std::int64_t>(seconds_since_1970) - kSecondsTo2000) * USECS_PER_SEC;
	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE), errmsg("timestamp out of range")));
	pg_unreachable();
}

} // namespace oauth_tokens
