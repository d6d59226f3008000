// Reads lists of keys made of arbitrary bytes (libFuzzer). The first byte says how many
// good keys are put behind the rest.
//
//   what is read writes to the same keys again, and these are in the text
//   a fault is printable, and depends on no character of a key
#include <algorithm>
#include <cstdlib>
#include <string>

#include "common/ascii.hpp"
#include "keys/key_source.hpp"

using namespace oauth_tokens;
using common::fernet::Key;
using common::fernet::kKeyBytes;
using common::fernet::kKeyChars;

namespace
{

constexpr std::string_view kKey = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";

void require(bool good)
{
	if (!good)
		std::abort();
}

void check_keys(std::string_view text, const KeySet &set)
{
	require(set.count >= 1 && set.count <= kMaxKeys && set.fault[0] == '\0');
	std::string again;
	for (std::uint32_t i = 0; i < set.count; i++) {
		std::array<char, kKeyChars> chars;
		Key(set.keys[i]).write(chars);
		const std::string_view key(chars.data(), chars.size());
		require(text.find(key) != text.npos);
		again += std::string(key) + ",\n";
	}
	KeySet reread;
	parse_keys(again, "the text", reread);
	require(reread.state == KeyState::ready && reread.count == set.count &&
			reread.keys == set.keys);
}

// Each character of a key becomes another one of its kind.
std::string other_text(std::string_view text)
{
	std::string out(text);
	for (char &c : out)
		if (common::is_letter(c) || common::is_digit(c))
			c = c == 'x' ? 'y' : 'x';
	return out;
}

void check_fault(std::string_view text, const KeySet &set)
{
	require(set.state == KeyState::malformed && set.count == 0);
	require(std::ranges::all_of(set.keys, [](const auto &key) {
		return std::ranges::all_of(key, [](unsigned char byte) { return byte == 0; });
	}));
	const auto end = std::ranges::find(set.fault, '\0');
	require(end != set.fault.begin() && end != set.fault.end());
	require(std::all_of(set.fault.begin(), end, common::is_printable));
	// What it says of its first key that is none: the number and the length, or a kind.
	KeySet other;
	parse_keys(other_text(text), "the text", other);
	const std::string_view fault(set.fault.data());
	require(fault == other.fault.data() || fault.find(" is ") != fault.npos ||
			other.state == KeyState::ready ||
			std::string_view(other.fault.data()).find(" is ") != std::string_view::npos);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *bytes, std::size_t size)
{
	if (size == 0)
		return 0;
	std::string text(reinterpret_cast<const char *>(bytes + 1), size - 1);
	for (unsigned i = 0; i < bytes[0] % (kMaxKeys + 2); i++)
		(text += kKey) += i % 2 ? " " : ",";
	KeySet set;
	parse_keys(text, "the text", set);
	if (set.state == KeyState::ready)
		check_keys(text, set);
	else
		check_fault(text, set);
	return 0;
}
