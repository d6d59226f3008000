// Kinds of ASCII characters that protocols distinguish, independent of any locale.
#pragma once

#include <algorithm>
#include <string_view>

namespace common
{

constexpr bool is_digit(char c) noexcept
{
	return c >= '0' && c <= '9';
}

constexpr bool is_letter(char c) noexcept
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

constexpr bool is_lower_hex(char c) noexcept
{
	return is_digit(c) || (c >= 'a' && c <= 'f');
}

// %x21-7E
constexpr bool is_visible(char c) noexcept
{
	return c > 0x20 && c < 0x7f;
}

// %x20-7E: VSCHAR of RFC 6749 appendix A.
constexpr bool is_printable(char c) noexcept
{
	return c >= 0x20 && c < 0x7f;
}

constexpr bool is_control(char c) noexcept
{
	return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

constexpr bool is_white_space(char c) noexcept
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

constexpr char to_lower(char c) noexcept
{
	return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept
{
	return std::ranges::equal(a, b, {}, to_lower, to_lower);
}

constexpr std::string_view trim(std::string_view text) noexcept
{
	while (!text.empty() && is_white_space(text.front()))
		text.remove_prefix(1);
	while (!text.empty() && is_white_space(text.back()))
		text.remove_suffix(1);
	return text;
}

} // namespace common
