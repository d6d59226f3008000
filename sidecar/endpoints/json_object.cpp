#include "endpoints/json_object.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <iterator>

#include "common/secret_string.hpp"

namespace sidecar::endpoints
{

namespace
{

// A character can take up to six: \u001f.
constexpr std::size_t kLongestEscape = 6;

constexpr auto kMustBeEscaped = [] {
	std::array<bool, 256> escaped{};
	std::fill_n(escaped.begin(), 0x20, true);
	escaped['"'] = escaped['\\'] = true;
	return escaped;
}();

bool must_be_escaped(char c) noexcept
{
	return kMustBeEscaped[static_cast<unsigned char>(c)];
}

// Nearly everything needs no escape, and is copied in runs.
void append_escaped(std::string &out, std::string_view text)
{
	out += '"';
	for (auto run = text.begin(); run != text.end();) {
		const auto end = std::find_if(run, text.end(), must_be_escaped);
		out.append(run, end);
		run = end;
		if (end == text.end())
			break;
		if (*end == '"' || *end == '\\')
			(out += '\\') += *end;
		else
			fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(*end));
		++run;
	}
	out += '"';
}

} // namespace

std::string format_time(double seconds_since_1970)
{
	const auto seconds = static_cast<std::time_t>(std::floor(seconds_since_1970));
	tm utc{};
	gmtime_r(&seconds, &utc);
	// By hand, because a format string takes ten times as long, and each token has a time.
	std::string text = "0000-00-00T00:00:00+00:00";
	const auto put = [&text](std::size_t end, int number) {
		for (; number > 0; number /= 10)
			text[--end] = static_cast<char>('0' + number % 10);
	};
	put(4, std::clamp(utc.tm_year + 1900, 0, 9999));
	put(7, utc.tm_mon + 1);
	put(10, utc.tm_mday);
	put(13, utc.tm_hour);
	put(16, utc.tm_min);
	put(19, utc.tm_sec);
	return text;
}

// A string that grows by itself would leave a copy in memory that nobody wipes.
void JsonObject::grow(std::size_t more)
{
	if (text_.size() + more <= text_.capacity())
		return;
	std::string grown;
	grown.reserve((text_.size() + more) * 2);
	grown = text_;
	common::wipe(text_);
	text_ = std::move(grown);
}

void JsonObject::start(std::string_view name)
{
	grow(name.size() + 8);
	if (text_.size() > 1)
		text_ += ',';
	append_escaped(text_, name);
	text_ += ':';
}

JsonObject &JsonObject::add(std::string_view name, std::string_view text)
{
	start(name);
	grow(text.size() * kLongestEscape + 2);
	append_escaped(text_, text);
	return *this;
}

JsonObject &JsonObject::add(std::string_view name, const std::optional<std::string> &text)
{
	return text ? add(name, std::string_view(*text)) : add_json(name, {});
}

JsonObject &JsonObject::add(std::string_view name, bool value)
{
	return add_json(name, value ? "true" : "false");
}

JsonObject &JsonObject::add(std::string_view name, long long value)
{
	return add_json(name, std::to_string(value));
}

JsonObject &JsonObject::add_time(std::string_view name, const std::optional<double> &seconds)
{
	return seconds ? add(name, std::string_view(format_time(*seconds))) : add_json(name, {});
}

JsonObject &JsonObject::add_json(std::string_view name, std::string_view json)
{
	start(name);
	grow(json.size() + 4);
	text_ += json.empty() ? "null" : json;
	return *this;
}

std::string JsonObject::finish() &&
{
	grow(2);
	text_ += '}';
	return std::move(text_);
}

} // namespace sidecar::endpoints
