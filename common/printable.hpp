// Whether a whole text is printable ASCII, as nearly all that programs send each other is.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "common/ascii.hpp"

namespace common
{

// Eight bytes are looked at together.
inline bool is_all_printable(std::string_view text) noexcept
{
	constexpr std::uint64_t ones = 0x0101010101010101;
	std::uint64_t word = 0, odd = 0; // a high bit: below 0x20, or 0x7f and above
	for (; text.size() >= sizeof word; text.remove_prefix(sizeof word)) {
		std::memcpy(&word, text.data(), sizeof word);
		odd |= word | (word - ones * 0x20) | (word + ones);
	}
	return (odd & ones * 0x80) == 0 && std::ranges::all_of(text, is_printable);
}

} // namespace common
