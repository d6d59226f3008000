// Times as texts of one form: 2026-11-22T09:32:37+00:00 (RFC 3339, UTC).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace common
{

// Seconds since 1970 UTC. A year beyond 0 to 9999 becomes the nearest time that has four digits.
using TimeText = std::array<char, 25>;
TimeText time_text(long long seconds);
inline std::string format_time(long long seconds)
{
	const TimeText text = time_text(seconds);
	return std::string(text.data(), text.size());
}
// Nothing if format_time() would not write it so.
std::optional<long long> parse_time(std::string_view text);

} // namespace common
