#include "cache_entry/entry.hpp"

#include <boost/json/object.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

#include "oauth/json.hpp"

namespace sidecar::cache_entry
{

namespace
{

namespace json = boost::json;

// What four digits of a year can say.
constexpr long long kYear0 = -62'167'219'200;
constexpr long long kYear9999Ends = 253'402'300'799;
constexpr const char *kTimeForm = "%04d-%02u-%02uT%02ld:%02ld:%02ld+00:00";
constexpr std::size_t kTimeChars = 25;

std::string format_time(long long seconds)
{
	const std::chrono::sys_seconds time(
		std::chrono::seconds(std::clamp(seconds, kYear0, kYear9999Ends)));
	const auto days = std::chrono::floor<std::chrono::days>(time);
	const std::chrono::year_month_day date(days);
	const std::chrono::hh_mm_ss clock(time - days);
	char text[64];
	std::snprintf(text, sizeof text, kTimeForm, static_cast<int>(date.year()),
				  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
				  clock.hours().count(), clock.minutes().count(), clock.seconds().count());
	return text;
}

// In the one form that format_time() writes.
std::optional<long long> parse_time(const std::string &text)
{
	int year = 0;
	unsigned month = 0, day = 0;
	long hours = 0, minutes = 0, seconds = 0;
	if (text.size() != kTimeChars || std::sscanf(text.c_str(), "%4d-%2u-%2uT%2ld:%2ld:%2ld", &year,
												 &month, &day, &hours, &minutes, &seconds) != 6)
		return std::nullopt;
	const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
										   std::chrono::day(day)};
	const std::chrono::sys_seconds time = std::chrono::sys_days(date) + std::chrono::hours(hours) +
										  std::chrono::minutes(minutes) +
										  std::chrono::seconds(seconds);
	const long long found = time.time_since_epoch().count();
	return format_time(found) == text ? std::optional(found) : std::nullopt;
}

// False if there is a member of that name that is neither null nor a text.
bool read_text(const json::object &object, std::string_view name,
			   std::optional<std::string_view> &found)
{
	const json::value *const value = object.if_contains(name);
	if (value == nullptr || value->is_null())
		return true;
	const json::string *const text = value->if_string();
	if (text != nullptr)
		found = std::string_view(*text);
	return text != nullptr;
}

common::Secret write_json(const Entry &entry, std::optional<std::string_view> key_name)
{
	const auto text_or_null = [](const auto &text) {
		return text ? json::value(std::string_view(*text), oauth::wiped_memory()) : json::value();
	};
	std::optional<std::string_view> refresh_token;
	if (entry.refresh_token)
		refresh_token = entry.refresh_token->reveal();
	std::optional<std::string> expires_at;
	if (entry.expires_at)
		expires_at = format_time(*entry.expires_at);
	json::object object(oauth::wiped_memory());
	object["access_token"] = entry.access_token.reveal();
	object["refresh_token"] = text_or_null(refresh_token);
	object["expires_at"] = text_or_null(expires_at);
	object["scope"] = text_or_null(entry.scope);
	if (key_name)
		object["key"] = *key_name;
	if (key_name && !entry.fill.empty())
		object["fill"] = entry.fill;
	return oauth::serialize_secret(std::move(object));
}

// With a key name, the entry must be of that key.
std::optional<Entry> read_json(std::string_view text, std::optional<std::string_view> key_name)
{
	const auto parsed = oauth::parse_json(text);
	const json::object *const object = parsed ? parsed->if_object() : nullptr;
	std::optional<std::string_view> access_token, refresh_token, expires_at, scope, key, fill;
	if (object == nullptr || !read_text(*object, "access_token", access_token) || !access_token ||
		access_token->empty() || !read_text(*object, "refresh_token", refresh_token) ||
		!read_text(*object, "expires_at", expires_at) || !read_text(*object, "scope", scope))
		return std::nullopt;
	if (key_name &&
		(!read_text(*object, "key", key) || key != key_name || !read_text(*object, "fill", fill)))
		return std::nullopt;
	Entry entry;
	entry.access_token = common::Secret(*access_token);
	if (refresh_token)
		entry.refresh_token.emplace(*refresh_token);
	if (expires_at && !(entry.expires_at = parse_time(std::string(*expires_at))))
		return std::nullopt;
	if (scope)
		entry.scope.emplace(*scope);
	entry.fill = fill.value_or("");
	return entry;
}

} // namespace

common::Secret EntryFormat::write(std::string_view key_name, const Entry &entry) const
{
	const bool is_sealed = sealer_.is_active();
	common::Secret value = write_json(entry, is_sealed ? std::optional(key_name) : std::nullopt);
	if (is_sealed && value.size() <= kMaxValueBytes)
		value = common::Secret(sealer_.seal(value.reveal()));
	return value.size() <= kMaxValueBytes ? std::move(value) : common::Secret();
}

std::optional<Entry> EntryFormat::read(std::string_view key_name, std::string_view value) const
{
	if (value.size() > kMaxValueBytes)
		return std::nullopt;
	if (!sealer_.is_active())
		return read_json(value, std::nullopt);
	const auto json = sealer_.open(value);
	return json ? read_json(json->reveal(), key_name) : std::nullopt;
}

} // namespace sidecar::cache_entry
