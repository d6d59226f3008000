#include "cache/fill.hpp"

#include <charconv>

#include "cache_entry/epoch.hpp"

namespace sidecar::cache
{

namespace
{

constexpr std::size_t kEpochChars = 32;

bool read_number(std::string_view text, std::int64_t &number)
{
	const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
	return read.ec == std::errc() && read.ptr == text.data() + text.size();
}

} // namespace

std::string Fill::text() const
{
	return epoch_id + ' ' + std::to_string(read_at) + ' ' + std::to_string(until);
}

std::optional<Fill> Fill::parse(std::string_view text)
{
	const std::size_t second = text.rfind(' ');
	if (second == text.npos || second <= kEpochChars || text[kEpochChars] != ' ')
		return std::nullopt;
	Fill fill;
	fill.epoch_id = text.substr(0, kEpochChars);
	const std::string_view read_at = text.substr(kEpochChars + 1, second - kEpochChars - 1);
	if (!is_epoch_id(fill.epoch_id) || !read_number(read_at, fill.read_at) ||
		!read_number(text.substr(second + 1), fill.until) || fill.text() != text)
		return std::nullopt;
	return fill;
}

} // namespace sidecar::cache
