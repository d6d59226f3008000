#include "common/fernet_key.hpp"

#include <algorithm>
#include <new>
#include <string>

#include <gtest/gtest.h>

#include "tokens.hpp"

using common::fernet::Key;
using common::fernet::kKeyBytes;
using common::fernet::kKeyChars;

namespace
{

std::string text_of(const Key &key)
{
	std::string text(kKeyChars, '\0');
	key.write(std::span<char, kKeyChars>(text.data(), kKeyChars));
	return text;
}

bool all_zero(std::span<const unsigned char> bytes)
{
	return std::ranges::all_of(bytes, [](unsigned char byte) { return byte == 0; });
}

// The vectors' key with another character at `position`.
std::string with(std::size_t position, char character)
{
	std::string text(kVectorKey);
	text[position] = character;
	return text;
}

struct ParseCase {
	const char *name;
	std::string text;
	bool accepted;
};

const std::string kText(kVectorKey);

} // namespace

TEST(Key, ParseTable)
{
	const ParseCase cases[] = {
		{"vector", kText, true},
		{"zeros", std::string(43, 'A') + '=', true},
		{"url alphabet", std::string(42, '_') + "8=", true},
		{"empty", "", false},
		{"unpadded of 43", kText.substr(0, 43), false},
		{"plus and slash", std::string(20, '+') + std::string(22, '/') + "8=", false},
		{"plus", with(3, '+'), false},
		{"slash", with(20, '/'), false},
		{"of 45", kText + "=", false},
		{"of 48", kText.substr(0, 43) + "AAAAA", false},
		{"doubled", kText + kText, false},
		{"padding missing", with(43, 'A'), false},
		{"padding double", with(42, '='), false},
		{"padding early", with(0, '='), false},
		{"stray bit 1", with(42, '5'), false},
		{"stray bit 2", with(42, '6'), false},
		{"nul inside", with(10, '\0'), false},
		{"nul last", with(43, '\0'), false},
		{"nul after", kText + '\0', false},
		{"newline after", kText + '\n', false},
		{"newline for 43", kText.substr(0, 43) + '\n', false},
		{"space before", ' ' + kText.substr(0, 43), false},
		{"quoted", '"' + kText.substr(0, 42) + '"', false},
		{"high bit", with(5, '\xe4'), false},
	};
	for (const auto &[name, text, accepted] : cases) {
		const auto key = Key::parse(text);
		EXPECT_EQ(key.has_value(), accepted) << name;
		if (key) {
			EXPECT_EQ(text_of(*key), text) << name;
		}
	}
}

// The first half signs and the second encrypts (Fernet spec, "Key Format").
TEST(Key, HalvesAreSigningThenEncryption)
{
	std::array<unsigned char, kKeyBytes> bytes;
	for (std::size_t i = 0; i < kKeyBytes; i++)
		bytes[i] = static_cast<unsigned char>(i);
	const Key key(bytes);
	EXPECT_TRUE(std::ranges::equal(key.signing(), std::span(bytes).first<16>()));
	EXPECT_TRUE(std::ranges::equal(key.encryption(), std::span(bytes).last<16>()));
	EXPECT_TRUE(std::ranges::equal(key.bytes(), bytes));
	EXPECT_EQ(text_of(key), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
}

// printf %s KEY | sha256sum | cut -c 1-16
TEST(Key, FingerprintIsThatOfSha256sum)
{
	const auto fingerprint = [](std::string_view text) {
		const auto digits = Key::parse(text).value().fingerprint();
		return std::string(digits.begin(), digits.end());
	};
	EXPECT_EQ(fingerprint(kVectorKey), "d88a2cb53b61ef4d");
	EXPECT_EQ(fingerprint("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="), "905f28def18eaac0");
}

TEST(Key, GeneratedOnesDiffer)
{
	const auto first = Key::generate(), second = Key::generate();
	ASSERT_TRUE(first && second);
	EXPECT_FALSE(std::ranges::equal(first->bytes(), second->bytes()));
	EXPECT_TRUE(Key::parse(text_of(*first)));
}

TEST(Key, MovingWipesTheSource)
{
	Key first = Key::parse(kVectorKey).value();
	Key second(std::move(first));
	EXPECT_TRUE(all_zero(first.bytes()));
	EXPECT_EQ(text_of(second), kVectorKey);

	Key third = Key::generate().value();
	third = std::move(second);
	EXPECT_TRUE(all_zero(second.bytes()));
	EXPECT_EQ(text_of(third), kVectorKey);

	auto &same = third;
	third = std::move(same);
	EXPECT_EQ(text_of(third), kVectorKey);
}

TEST(Key, DyingWipes)
{
	alignas(Key) std::array<unsigned char, sizeof(Key)> memory{};
	auto *key = new (memory.data()) Key(Key::parse(kVectorKey).value());
	EXPECT_FALSE(all_zero(memory));
	key->~Key();
	EXPECT_TRUE(all_zero(memory));
}

static_assert(!std::is_copy_constructible_v<Key> && !std::is_copy_assignable_v<Key>);
static_assert(std::is_nothrow_move_constructible_v<Key> && std::is_nothrow_move_assignable_v<Key>);
