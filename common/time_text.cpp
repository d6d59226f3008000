#include "common/time_text.hpp"

#include <algorithm>
#include <chrono>

#include "common/ascii.hpp"

namespace common
{

namespace
{

using Seconds = std::chrono::sys_seconds;

// The years that four digits can express.
constexpr long long kYear0 = -62'167'219'200;
constexpr long long kYear9999Ends = 253'402'300'799;
constexpr std::string_view kForm = "0000-00-00T00:00:00+00:00"; // 0 before the sign: a digit
constexpr std::size_t kSign = kForm.find('+');
static_assert(kForm.size() == std::tuple_size_v<TimeText>);

} // namespace

// By hand, because a format string takes ten times as long, and each token has a time.
TimeText time_text(long long seconds)
{
	const Seconds time{std::chrono::seconds(std::clamp(seconds, kYear0, kYear9999Ends))};
	const auto days = std::chrono::floor<std::chrono::days>(time);
	const std::chrono::year_month_day date(days);
	const std::chrono::hh_mm_ss clock(time - days);
	TimeText text;
	std::copy_n(kForm.data(), kForm.size(), text.data());
	const auto put = [&](std::size_t at, std::size_t digits, unsigned number) {
		for (; digits > 0; digits--, number /= 10)
			text[at + digits - 1] = static_cast<char>('0' + number % 10);
	};
	put(0, 4, static_cast<unsigned>(static_cast<int>(date.year())));
	put(5, 2, static_cast<unsigned>(date.month()));
	put(8, 2, static_cast<unsigned>(date.day()));
	put(11, 2, static_cast<unsigned>(clock.hours().count()));
	put(14, 2, static_cast<unsigned>(clock.minutes().count()));
	put(17, 2, static_cast<unsigned>(clock.seconds().count()));
	return text;
}

std::optional<long long> parse_time(std::string_view text)
{
	if (text.size() != kForm.size() || text.substr(kSign) != kForm.substr(kSign))
		return std::nullopt;
	for (std::size_t i = 0; i < kSign; i++)
		if (kForm[i] == '0' ? !is_digit(text[i]) : text[i] != kForm[i])
			return std::nullopt;
	const auto get = [&](std::size_t at, std::size_t digits) {
		int number = 0;
		for (const char c : text.substr(at, digits))
			number = number * 10 + (c - '0');
		return number;
	};
	const std::chrono::year_month_day date(std::chrono::year(get(0, 4)),
										   std::chrono::month(static_cast<unsigned>(get(5, 2))),
										   std::chrono::day(static_cast<unsigned>(get(8, 2))));
	const int hours = get(11, 2), minutes = get(14, 2), seconds = get(17, 2);
	if (!date.ok() || hours > 23 || minutes > 59 || seconds > 59)
		return std::nullopt;
	const Seconds time = std::chrono::sys_days(date) + std::chrono::hours(hours) +
						 std::chrono::minutes(minutes) + std::chrono::seconds(seconds);
	return time.time_since_epoch().count();
}

} // namespace common
