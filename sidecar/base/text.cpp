#include "base/text.hpp"

#include <algorithm>
#include <charconv>

namespace sidecar
{

std::string lower(std::string_view text)
{
	std::string result(text);
	std::ranges::transform(result, result.begin(), common::to_lower);
	return result;
}

bool all_visible(std::string_view text) noexcept
{
	return std::ranges::all_of(text, common::is_visible);
}

bool has_control_characters(std::string_view text) noexcept
{
	return std::ranges::any_of(text, common::is_control);
}

std::vector<std::string> split(std::string_view text, std::string_view separators)
{
	std::vector<std::string> parts;
	while (!text.empty()) {
		const std::size_t end = std::min(text.find_first_of(separators), text.size());
		if (const auto part = common::trim(text.substr(0, end)); !part.empty())
			parts.emplace_back(part);
		text.remove_prefix(std::min(end + 1, text.size()));
	}
	return parts;
}

std::optional<long long> parse_number(std::string_view text, long long low, long long high)
{
	long long number = 0;
	const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
	if (error != std::errc() || end != text.data() + text.size() || number < low || number > high)
		return std::nullopt;
	return number;
}

bool is_path(std::string_view text) noexcept
{
	char before = '.';
	for (const char c : text) {
		if (c == '.' ? before == '.' : !is_alphanumeric(c) && c != '_' && c != '-')
			return false;
		before = c;
	}
	return before != '.';
}

bool is_variable_name(std::string_view text) noexcept
{
	return !text.empty() && !common::is_digit(text.front()) &&
		   std::ranges::all_of(text, [](char c) { return is_alphanumeric(c) || c == '_'; });
}

} // namespace sidecar
