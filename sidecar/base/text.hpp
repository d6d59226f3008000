// Small functions for ASCII texts. They ignore the locale, which must not change what a
// setting means.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sidecar::settings
{

constexpr char lower_case(char c) noexcept
{
	return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
constexpr bool is_digit(char c) noexcept
{
	return c >= '0' && c <= '9';
}
constexpr bool is_hex_digit(char c) noexcept
{
	return is_digit(c) || (lower_case(c) >= 'a' && lower_case(c) <= 'f');
}
constexpr bool is_alphanumeric(char c) noexcept
{
	return is_digit(c) || (lower_case(c) >= 'a' && lower_case(c) <= 'z');
}
constexpr bool is_space(char c) noexcept
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}
// Neither a space nor a character that a terminal or a header would interpret.
constexpr bool is_visible(char c) noexcept
{
	return c > 0x20 && c < 0x7f;
}

std::string lower(std::string_view text);
std::string_view trimmed(std::string_view text) noexcept;
bool all_visible(std::string_view text) noexcept;
bool has_control_characters(std::string_view text) noexcept;

// The trimmed, non-empty parts between any of `separators`.
std::vector<std::string> split(std::string_view text, std::string_view separators);

// A whole decimal number from `low` to `high`.
std::optional<long long> parse_number(std::string_view text, long long low, long long high);

// Dotted names, as in "authed_user.access_token".
bool is_path(std::string_view text) noexcept;

// 8-4-4-4-12 hexadecimal digits.
bool is_uuid(std::string_view text) noexcept;

// Whether an environment variable can have this name.
bool is_variable_name(std::string_view text) noexcept;

} // namespace sidecar::settings
