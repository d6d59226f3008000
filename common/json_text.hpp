// What of a text stands for itself in a JSON string (RFC 8259 section 7).
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace common
{

constexpr bool is_plain_in_json(char c) noexcept
{
	return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\';
}

// How many bytes at the text's start are ASCII, and stand for themselves. Eight are looked at
// together, because a token is long, and nearly always all of it is plain.
inline std::size_t plain_ascii_in_json(std::string_view text) noexcept
{
	constexpr std::uint64_t ones = 0x0101010101010101, highs = 0x80 * ones;
	// The high bit of the first byte that is 0, and of some behind it.
	const auto zeros = [](std::uint64_t word) { return (word - ones) & ~word; };
	std::size_t at = 0;
	for (std::uint64_t word = 0; text.size() - at >= sizeof word; at += sizeof word) {
		std::memcpy(&word, text.data() + at, sizeof word);
		const std::uint64_t special =
			zeros(word ^ ones * '"') | zeros(word ^ ones * '\\') | (word - ones * 0x20) | word;
		if ((special & highs) != 0)
			break;
	}
	while (at < text.size() && is_plain_in_json(text[at]) && (text[at] & 0x80) == 0)
		at++;
	return at;
}

} // namespace common
