// UUIDs as texts: 8-4-4-4-12 hexadecimal digits (RFC 9562).
#pragma once

#include <algorithm>
#include <string_view>

#include "common/ascii.hpp"

namespace common
{

inline constexpr std::string_view kUuidForm = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

constexpr bool is_lower_case_uuid(std::string_view text) noexcept
{
	return std::ranges::equal(text, kUuidForm, [](char c, char form) {
		return form == '-' ? c == '-' : is_lower_hex(c);
	});
}

constexpr bool is_uuid(std::string_view text) noexcept
{
	return std::ranges::equal(text, kUuidForm, [](char c, char form) {
		return form == '-' ? c == '-' : is_lower_hex(to_lower(c));
	});
}

} // namespace common
