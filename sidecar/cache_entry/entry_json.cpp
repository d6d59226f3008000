#include "cache_entry/entry_json.hpp"

#include <boost/json/basic_parser_impl.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>

#include "common/ascii.hpp"

namespace sidecar::cache_entry
{

namespace
{

namespace json = boost::json;
using Seconds = std::chrono::sys_seconds;

constexpr std::size_t kMaxDepth = 16;
// The years that four digits can express.
constexpr long long kYear0 = -62'167'219'200;
constexpr long long kYear9999Ends = 253'402'300'799;
constexpr std::string_view kTimeForm = "0000-00-00T00:00:00+00:00"; // 0: a digit

void append_text(common::Secret &out, std::string_view text)
{
	constexpr char kDigits[] = "0123456789abcdef";
	out.append("\"");
	while (!text.empty()) {
		const auto *end = std::ranges::find_if(text, [](char c) {
			return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
		});
		const auto plain = static_cast<std::size_t>(end - text.begin());
		out.append(text.substr(0, plain));
		text.remove_prefix(plain);
		if (text.empty())
			break;
		const char c = text.front();
		const char control[] = {'\\', 'u', '0', '0', kDigits[c >> 4 & 15], kDigits[c & 15]};
		const char quoted[] = {'\\', c};
		const bool is_control = static_cast<unsigned char>(c) < 0x20;
		out.append(is_control ? std::string_view(control, 6) : std::string_view(quoted, 2));
		text.remove_prefix(1);
	}
	out.append("\"");
}

std::string format_time(long long seconds)
{
	const Seconds time{std::chrono::seconds(std::clamp(seconds, kYear0, kYear9999Ends))};
	const auto days = std::chrono::floor<std::chrono::days>(time);
	const std::chrono::year_month_day date(days);
	const std::chrono::hh_mm_ss clock(time - days);
	std::string text(kTimeForm);
	const auto put = [&](std::size_t at, std::size_t digits, long long number) {
		for (; digits > 0; digits--, number /= 10)
			text[at + digits - 1] = static_cast<char>('0' + number % 10);
	};
	put(0, 4, static_cast<int>(date.year()));
	put(5, 2, static_cast<unsigned>(date.month()));
	put(8, 2, static_cast<unsigned>(date.day()));
	put(11, 2, clock.hours().count());
	put(14, 2, clock.minutes().count());
	put(17, 2, clock.seconds().count());
	return text;
}

// Reads only the form that format_time writes.
std::optional<long long> parse_time(std::string_view text)
{
	if (text.size() != kTimeForm.size())
		return std::nullopt;
	for (std::size_t i = 0; i < text.size(); i++) {
		const bool digit = kTimeForm[i] == '0' && i < kTimeForm.find('+');
		if (digit ? !common::is_digit(text[i]) : text[i] != kTimeForm[i])
			return std::nullopt;
	}
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

// Takes the members as json::basic_parser finds them. To build a value of all of them would
// cost three times as much, and every read does this.
class Handler
{
public:
	static constexpr std::size_t max_object_size = std::numeric_limits<std::uint32_t>::max();
	static constexpr std::size_t max_array_size = max_object_size;
	static constexpr std::size_t max_key_size = kMaxValueBytes;
	static constexpr std::size_t max_string_size = kMaxValueBytes;

	using Error = json::error_code;
	using Text = json::string_view;

	explicit Handler(KeyName key_name) : key_name_(key_name) {}

	bool is_complete() const noexcept { return seen(access_token) && (!key_name_ || seen(key)); }
	Entry take() { return std::move(entry_); }

	bool on_document_begin(Error &) { return true; }
	bool on_document_end(Error &) { return true; }
	bool on_object_begin(Error &error)
	{
		if (depth_++ == 0)
			return true;
		return other_type(error);
	}
	bool on_object_end(std::size_t, Error &) { return --depth_, true; }
	bool on_array_begin(Error &error) { return depth_++ == 0 ? fail(error) : other_type(error); }
	bool on_array_end(std::size_t, Error &) { return --depth_, true; }
	bool on_key_part(Text part, std::size_t, Error &)
	{
		if (depth_ == 1)
			name_.append(part.data(), part.size());
		return true;
	}
	bool on_key(Text part, std::size_t, Error &error)
	{
		if (depth_ != 1)
			return true;
		std::string_view name(part.data(), part.size());
		if (!name_.empty())
			name = name_.append(name);
		member_ = member_of(name);
		name_.clear();
		if (member_ == unknown)
			return true;
		if (seen(member_))
			return fail(error);
		seen_ |= 1u << member_;
		return true;
	}
	bool on_string_part(Text part, std::size_t, Error &)
	{
		if (is_wanted())
			text_.append({part.data(), part.size()});
		return true;
	}
	bool on_string(Text part, std::size_t, Error &error)
	{
		if (!is_wanted())
			return depth_ > 0 || fail(error);
		if (text_.empty())
			return keep({part.data(), part.size()}) || fail(error);
		text_.append({part.data(), part.size()});
		const bool good = keep(text_.reveal());
		text_.wipe();
		return good || fail(error);
	}
	bool on_number_part(Text, Error &) { return true; }
	bool on_int64(std::int64_t, Text, Error &error) { return other_type(error); }
	bool on_uint64(std::uint64_t, Text, Error &error) { return other_type(error); }
	bool on_double(double, Text, Error &error) { return other_type(error); }
	bool on_bool(bool, Error &error) { return other_type(error); }
	bool on_null(Error &error)
	{
		const bool may_be_null = member_ != access_token && member_ != key && member_ != fill;
		return (depth_ > 0 && (!is_wanted() || may_be_null)) || fail(error);
	}
	bool on_comment_part(Text, Error &) { return true; }
	bool on_comment(Text, Error &) { return true; }

private:
	enum Member { unknown, access_token, refresh_token, expires_at, scope, key, fill };

	Member member_of(std::string_view name) const noexcept
	{
		if (name == "access_token")
			return access_token;
		if (name == "refresh_token")
			return refresh_token;
		if (name == "expires_at")
			return expires_at;
		if (name == "scope")
			return scope;
		if (!key_name_)
			return unknown;
		return name == "key" ? key : name == "fill" ? fill : unknown;
	}
	bool seen(Member member) const noexcept { return (seen_ >> member & 1u) != 0; }
	// Everything nested belongs to an unknown member.
	bool is_wanted() const noexcept { return member_ != unknown; }

	static bool fail(Error &error)
	{
		error = json::error::syntax;
		return false;
	}
	// Kinds of values that no known member has. They belong to unknown members.
	bool other_type(Error &error) const { return (depth_ > 0 && !is_wanted()) || fail(error); }

	bool keep(std::string_view text)
	{
		switch (member_) {
		case access_token:
			entry_.access_token = common::Secret(text);
			return !text.empty();
		case refresh_token:
			entry_.refresh_token.emplace(text);
			return true;
		case expires_at:
			entry_.expires_at = parse_time(text);
			return entry_.expires_at.has_value();
		case scope:
			entry_.scope.emplace(text);
			return true;
		case fill:
			entry_.fill = text;
			return true;
		default:
			return text == key_name_;
		}
	}

	KeyName key_name_;
	Entry entry_;
	common::Secret text_; // of a string that comes in parts
	std::string name_;    // the same for a member's name
	unsigned seen_ = 0;
	int depth_ = 0;
	Member member_ = unknown;
};

} // namespace

common::Secret write_entry_json(const Entry &entry, KeyName key_name)
{
	common::Secret out(R"({"access_token":)");
	append_text(out, entry.access_token.reveal());
	const auto add = [&](std::string_view name, std::optional<std::string_view> text) {
		out.append(name);
		if (text)
			append_text(out, *text);
		else
			out.append("null");
	};
	using Text = std::optional<std::string_view>;
	add(R"(,"refresh_token":)",
		entry.refresh_token ? Text(entry.refresh_token->reveal()) : std::nullopt);
	const std::string time = entry.expires_at ? format_time(*entry.expires_at) : std::string();
	add(R"(,"expires_at":)", entry.expires_at ? Text(time) : std::nullopt);
	add(R"(,"scope":)", entry.scope ? Text(*entry.scope) : std::nullopt);
	if (key_name)
		add(R"(,"key":)", key_name);
	if (key_name && !entry.fill.empty())
		add(R"(,"fill":)", Text(entry.fill));
	out.append("}");
	return out;
}

std::optional<Entry> read_entry_json(std::string_view text, KeyName key_name)
{
	json::parse_options options;
	options.max_depth = kMaxDepth;
	json::basic_parser<Handler> parser(options, key_name);
	json::error_code error;
	const std::size_t read = parser.write_some(false, text.data(), text.size(), error);
	if (error || read != text.size() || !parser.handler().is_complete())
		return std::nullopt;
	return parser.handler().take();
}

} // namespace sidecar::cache_entry
