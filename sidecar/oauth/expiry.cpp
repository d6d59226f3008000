#include "oauth/expiry.hpp"

#include "common/ascii.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>

namespace sidecar::oauth
{

namespace
{

namespace json = boost::json;

// 10^9 is a lifetime of 31 years, or as a unix time September 2001. 10^11 is as seconds since
// 1970 the year 5138, and as milliseconds 1973.
constexpr double kLeastUnixSeconds = 1e9;
constexpr double kLeastUnixMilliseconds = 1e11;

std::optional<double> number_of(const json::value &value)
{
	if (value.is_number())
		return value.to_number<double>();
	const json::string *string = value.if_string();
	if (string == nullptr)
		return std::nullopt;
	const std::string_view text = common::trim(*string);
	double number;
	const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
	if (read.ec != std::errc() || read.ptr != text.data() + text.size())
		return std::nullopt;
	return number;
}

// Removes and returns `count` digits at the text's start; -1 if they are no digits.
int take_digits(std::string_view &text, std::size_t count) noexcept
{
	int number = 0;
	if (text.size() < count)
		return -1;
	for (const char c : text.substr(0, count)) {
		if (!common::is_digit(c))
			return -1;
		number = number * 10 + (c - '0');
	}
	text.remove_prefix(count);
	return number;
}

bool take(std::string_view &text, std::string_view any_of) noexcept
{
	if (text.empty() || any_of.find(text.front()) == any_of.npos)
		return false;
	text.remove_prefix(1);
	return true;
}

// Seconds to subtract for "Z", "+02:00", "+0200" and "+02". An empty text is UTC.
std::optional<long long> read_zone(std::string_view text) noexcept
{
	if (text.empty() || text == "Z" || text == "z")
		return 0;
	const int sign = text.front() == '-' ? -1 : 1;
	if (!take(text, "+-"))
		return std::nullopt;
	const int hours = take_digits(text, 2);
	take(text, ":");
	const int minutes = text.empty() ? 0 : take_digits(text, 2);
	if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59 || !text.empty())
		return std::nullopt;
	return sign * (hours * 3600LL + minutes * 60LL);
}

// Seconds since 1970 of ISO 8601 in its extended form: 2026-11-27, with or without
// a time, a fraction and a zone.
std::optional<double> read_iso8601(std::string_view text) noexcept
{
	const int year = take_digits(text, 4);
	const bool dashed = take(text, "-");
	const int month = take_digits(text, 2);
	const bool dashed_again = take(text, "-");
	const int day = take_digits(text, 2);
	if (year < 0 || month < 0 || day < 0 || dashed != dashed_again)
		return std::nullopt;
	const std::chrono::year_month_day date{std::chrono::year(year),
										   std::chrono::month(static_cast<unsigned>(month)),
										   std::chrono::day(static_cast<unsigned>(day))};
	if (!date.ok())
		return std::nullopt;
	double seconds = std::chrono::sys_days(date).time_since_epoch().count() * 86400.0;
	if (text.empty())
		return seconds;
	if (!take(text, "Tt "))
		return std::nullopt;
	const int hour = take_digits(text, 2);
	const bool colon = take(text, ":");
	const int minute = take_digits(text, 2);
	if (hour < 0 || hour > 24 || minute < 0 || minute > 59)
		return std::nullopt;
	seconds += hour * 3600.0 + minute * 60.0;
	if (colon ? take(text, ":") : !text.empty() && common::is_digit(text.front())) {
		const int second = take_digits(text, 2);
		if (second < 0 || second > 60)
			return std::nullopt;
		seconds += second;
		if (take(text, ".,"))
			text.remove_prefix(std::min(text.size(), text.find_first_not_of("0123456789")));
	}
	if (text.starts_with(' '))
		text.remove_prefix(1);
	const auto zone = read_zone(text);
	return zone ? std::optional(seconds - static_cast<double>(*zone)) : std::nullopt;
}

double lifetime_of(double number, ExpiryFormat format, double now) noexcept
{
	switch (format) {
	case ExpiryFormat::seconds:
		return number;
	case ExpiryFormat::milliseconds:
		return number / 1000;
	case ExpiryFormat::unix_seconds:
		return number - now;
	case ExpiryFormat::unix_milliseconds:
		return number / 1000 - now;
	default:
		return number >= kLeastUnixMilliseconds ? number / 1000 - now
			   : number >= kLeastUnixSeconds    ? number - now
												: number;
	}
}

} // namespace

std::variant<int, std::string_view> read_expiry(const json::value &value, ExpiryFormat format,
												long long now)
{
	std::optional<double> seconds;
	if (const auto number = number_of(value))
		seconds = lifetime_of(*number, format, static_cast<double>(now));
	else if (const json::string *text = value.if_string())
		if (const auto time = read_iso8601(common::trim(*text)))
			seconds = *time - static_cast<double>(now);
	if (!seconds || std::isnan(*seconds))
		return "is neither a number nor a time of ISO 8601";
	if (*seconds <= 0)
		return "is zero, negative or past";
	if (*seconds > kMaxLifetimeSeconds || *seconds > std::numeric_limits<int>::max())
		return "is too far off";
	return std::max(1, static_cast<int>(*seconds));
}

bool looks_like_unix_time(const json::value &value, long long now)
{
	constexpr double kYear = 366.0 * 24 * 3600;
	const double seconds = number_of(value).value_or(0) - static_cast<double>(now);
	return seconds >= 0 && seconds <= kYear;
}

} // namespace sidecar::oauth
