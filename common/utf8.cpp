#include "common/utf8.hpp"

#include <algorithm>
#include <iterator>

namespace common
{

namespace
{

// The length of the character at the start of a text, and the range that its
// second byte must be in; 0 if there is none.
struct Lead {
	std::size_t length;
	unsigned char second_min;
	unsigned char second_max;
};

Lead lead_of(unsigned char byte) noexcept
{
	if (byte < 0x80)
		return {1, 0, 0};
	if (byte < 0xc2 || byte > 0xf4)
		return {0, 0, 0};
	if (byte < 0xe0)
		return {2, 0x80, 0xbf};
	if (byte < 0xf0)
		return {3, static_cast<unsigned char>(byte == 0xe0 ? 0xa0 : 0x80),
				static_cast<unsigned char>(byte == 0xed ? 0x9f : 0xbf)};
	return {4, static_cast<unsigned char>(byte == 0xf0 ? 0x90 : 0x80),
			static_cast<unsigned char>(byte == 0xf4 ? 0x8f : 0xbf)};
}

// How many bytes at the start of the text belong to its first character.
std::size_t good_bytes(std::string_view text, const Lead &lead) noexcept
{
	std::size_t good = 1;
	for (; good < std::min(lead.length, text.size()); good++) {
		const auto byte = static_cast<unsigned char>(text[good]);
		const unsigned char min = good == 1 ? lead.second_min : 0x80;
		const unsigned char max = good == 1 ? lead.second_max : 0xbf;
		if (byte < min || byte > max)
			break;
	}
	return good;
}

struct Range {
	char32_t first;
	char32_t last;
};

constexpr Range kHarmful[] = {
	{0x00, 0x1f},       // C0
	{0x7f, 0x9f},       // DEL, C1
	{0xad, 0xad},       // soft hyphen
	{0x61c, 0x61c},     // direction
	{0x180e, 0x180e},   // invisible
	{0x200b, 0x200f},   // zero width, directions
	{0x2028, 0x202e},   // line and paragraph separators, directions
	{0x2060, 0x206f},   // invisible operators, directions
	{0xd800, 0xdfff},   // surrogates
	{0xfdd0, 0xfdef},   // no characters
	{0xfeff, 0xfeff},   // byte order mark
	{0xfff0, 0xfffb},   // annotations
	{0xfffe, 0xffff},   // no characters
	{0xe0000, 0xe0fff}, // tags
};

} // namespace

Character first_character(std::string_view text) noexcept
{
	const auto first = static_cast<unsigned char>(text.front());
	const Lead lead = lead_of(first);
	if (lead.length == 0)
		return {1, kReplacement, false};
	const std::size_t good = good_bytes(text, lead);
	if (good < lead.length)
		return {good, kReplacement, false};
	if (lead.length == 1)
		return {1, first, true};
	char32_t code_point = first & (0x7fu >> lead.length);
	for (std::size_t i = 1; i < lead.length; i++)
		code_point = code_point << 6 | (static_cast<unsigned char>(text[i]) & 0x3f);
	return {lead.length, code_point, true};
}

bool is_utf8(std::string_view text) noexcept
{
	while (!text.empty()) {
		const Character next = first_character(text);
		if (!next.is_valid)
			return false;
		text.remove_prefix(next.length);
	}
	return true;
}

void append_utf8(std::string &out, char32_t code_point)
{
	const auto put = [&out](char32_t byte) { out += static_cast<char>(byte); };
	if (code_point < 0x80) {
		put(code_point);
	} else if (code_point < 0x800) {
		put(0xc0 | code_point >> 6);
		put(0x80 | (code_point & 0x3f));
	} else if (code_point < 0x10000) {
		put(0xe0 | code_point >> 12);
		put(0x80 | (code_point >> 6 & 0x3f));
		put(0x80 | (code_point & 0x3f));
	} else {
		put(0xf0 | code_point >> 18);
		put(0x80 | (code_point >> 12 & 0x3f));
		put(0x80 | (code_point >> 6 & 0x3f));
		put(0x80 | (code_point & 0x3f));
	}
}

bool is_harmless(char32_t code_point) noexcept
{
	return std::ranges::none_of(kHarmful, [code_point](const Range &range) {
		return code_point >= range.first && code_point <= range.last;
	});
}

} // namespace common
