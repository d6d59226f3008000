#include "endpoints/json_object.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "common/json_text.hpp"
#include "common/secret_string.hpp"
#include "common/time_text.hpp"

namespace sidecar::endpoints
{

namespace
{

// A character can take up to six: \u001f.
constexpr std::size_t kLongestEscape = 6;

// Nearly everything needs no escape, and is copied in runs.
void append_escaped(std::string &out, std::string_view text)
{
	out += '"';
	while (!text.empty()) {
		std::size_t run = common::plain_ascii_in_json(text);
		while (run < text.size() && common::is_plain_in_json(text[run]))
			run++;
		out += text.substr(0, run);
		text.remove_prefix(run);
		if (text.empty())
			break;
		const char c = text.front();
		if (c == '"' || c == '\\')
			(out += '\\') += c;
		else
			fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
		text.remove_prefix(1);
	}
	out += '"';
}

} // namespace

JsonObject::JsonObject(std::size_t expected)
{
	text_.reserve(expected);
	text_ += '{';
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
	text_ += '"';
	text_ += name;
	text_ += "\":";
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
	constexpr double far = 1e15; // what is beyond, infinity too, is no number of seconds
	if (!seconds)
		return add_json(name, {});
	const common::TimeText text =
		common::time_text(static_cast<long long>(std::floor(std::clamp(*seconds, -far, far))));
	return add(name, std::string_view(text.data(), text.size()));
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
