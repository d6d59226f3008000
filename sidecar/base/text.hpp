// Small functions for ASCII texts. They ignore the locale, which must not change what a
// setting means.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/ascii.hpp"

namespace sidecar
{

constexpr bool is_alphanumeric(char c) noexcept
{
	return common::is_digit(c) || common::is_letter(c);
}

std::string lower(std::string_view text);
bool all_visible(std::string_view text) noexcept;
bool has_control_characters(std::string_view text) noexcept;

// The trimmed, non-empty parts between any of `separators`.
std::vector<std::string> split(std::string_view text, std::string_view separators);

// A whole decimal number from `low` to `high`.
std::optional<long long> parse_number(std::string_view text, long long low, long long high);

// Dotted names, as in "authed_user.access_token".
bool is_path(std::string_view text) noexcept;

// Whether an environment variable can have this name.
bool is_variable_name(std::string_view text) noexcept;

} // namespace sidecar
