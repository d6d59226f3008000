// UTF-8, character by character.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace common
{

struct Character {
	std::size_t length;  // bytes that it takes, at least one
	char32_t code_point; // kReplacement if these bytes are no character
	bool is_valid;
};

inline constexpr char32_t kReplacement = 0xfffd;

// The character at the start of a text that is not empty (Unicode Standard, table
// 3-7: no overlong form, no surrogate). An incomplete sequence is one
// invalid character.
Character first_character(std::string_view text) noexcept;

bool is_utf8(std::string_view text) noexcept;

void append_utf8(std::string &out, char32_t code_point);

// Whether a log line or a terminal can show it as it is: it is no control character, ends no
// line in any reader, does not change the direction of the text, and is visible.
bool is_harmless(char32_t code_point) noexcept;

} // namespace common
