#include "common/base64url.hpp"

#include <random>

#include <gtest/gtest.h>

#include "tokens.hpp"

using common::fernet::base64url::decode_scalar;
using common::fernet::base64url::decoded_capacity;
using common::fernet::base64url::encode_scalar;
using common::fernet::base64url::encoded_chars;

namespace
{

constexpr std::string_view kAlphabet =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// Longer than two vectors, so that the loop, the overlapping last vector and the
// groups after it all take part.
constexpr std::size_t kLongText = 84;

std::vector<unsigned char> random_bytes(std::size_t size)
{
	static std::mt19937 random(1);
	std::vector<unsigned char> bytes(size);
	for (auto &byte : bytes)
		byte = static_cast<unsigned char>(random());
	return bytes;
}

std::optional<std::vector<unsigned char>> scalar_decode(std::string_view text)
{
	std::vector<unsigned char> bytes(decoded_capacity(text.size()));
	std::size_t size;
	if (!decode_scalar(text, bytes.data(), size))
		return std::nullopt;
	bytes.resize(size);
	return bytes;
}

std::string as_text(const std::optional<std::vector<unsigned char>> &bytes)
{
	return bytes ? std::string(bytes->begin(), bytes->end()) : "(refused)";
}

} // namespace

// RFC 4648, section 10, and the two characters in which base64url differs.
TEST(Base64url, KnownTexts)
{
	const std::pair<std::string, std::string> texts[] = {
		{"", ""},
		{"f", "Zg=="},
		{"fo", "Zm8="},
		{"foo", "Zm9v"},
		{"foob", "Zm9vYg=="},
		{"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"},
		{"\xfb\xff\xfe", "-__-"},
		{"\xff", "_w=="},
		{"\xfb\xe0", "--A="},
	};
	for (const auto &[bytes, text] : texts) {
		EXPECT_EQ(encode({reinterpret_cast<const unsigned char *>(bytes.data()), bytes.size()}),
				  text);
		EXPECT_EQ(as_text(decode(text)), bytes);
	}
}

TEST(Base64url, EveryLengthComesBackAndEqualsScalar)
{
	for (std::size_t size = 0; size <= 300; size++) {
		const auto bytes = random_bytes(size);
		const auto text = encode(bytes);
		std::string scalar(encoded_chars(size), '\0');
		encode_scalar(bytes, scalar.data());
		EXPECT_EQ(text, scalar) << size;
		EXPECT_EQ(decode(text), bytes) << size;
		EXPECT_EQ(scalar_decode(text), bytes) << size;
	}
}

// Every sextet in every place of a vector.
TEST(Base64url, EverySextetAtEveryPosition)
{
	for (std::size_t position = 0; position < kLongText; position++) {
		for (char character : kAlphabet) {
			std::string text(kLongText, 'A');
			text[position] = character;
			const auto bytes = decode(text);
			ASSERT_TRUE(bytes) << position << character;
			ASSERT_EQ(encode(*bytes), text) << position << character;
			ASSERT_EQ(bytes, scalar_decode(text)) << position << character;
		}
	}
}

TEST(Base64url, EveryByteAtEveryPosition)
{
	for (std::size_t length : {4u, 8u, 32u, 36u, 40u, 64u, 68u, 84u}) {
		for (std::size_t position = 0; position < length; position++) {
			for (int byte = 0; byte < 256; byte++) {
				const char character = static_cast<char>(byte);
				std::string text(length, 'A');
				text[position] = character;
				const bool valid = kAlphabet.find(character) != std::string_view::npos ||
								   (character == '=' && position == length - 1);
				ASSERT_EQ(decode(text).has_value(), valid)
					<< length << ' ' << position << ' ' << byte;
				ASSERT_EQ(decode(text), scalar_decode(text))
					<< length << ' ' << position << ' ' << byte;
			}
		}
	}
}

TEST(Base64url, TailOfOneByteIsCanonical)
{
	for (std::size_t a = 0; a < 64; a++) {
		for (std::size_t b = 0; b < 64; b++) {
			const std::string text{kAlphabet[a], kAlphabet[b], '=', '='};
			ASSERT_EQ(decode(text).has_value(), b % 16 == 0) << text;
		}
	}
}

TEST(Base64url, TailOfTwoBytesIsCanonical)
{
	for (std::size_t a = 0; a < 64; a++) {
		for (std::size_t b = 0; b < 64; b++) {
			for (std::size_t c = 0; c < 64; c++) {
				const std::string text{kAlphabet[a], kAlphabet[b], kAlphabet[c], '='};
				ASSERT_EQ(decode(text).has_value(), c % 4 == 0) << text;
			}
		}
	}
}

TEST(Base64url, RefusesMalformedTexts)
{
	const std::string_view tails[] = {"A",
									  "AA",
									  "AAA",
									  "A===",
									  "====",
									  "=AAA",
									  "A=AA",
									  "AA=A",
									  "=AA=",
									  "A=A=",
									  "AAA==",
									  "AA===",
									  "AA=",
									  "AAAAA",
									  "AAA+",
									  "AAA/",
									  "AA+=",
									  "A/==",
									  "AAA\n",
									  "\nAAA",
									  "AA A",
									  "AA==AAAA",
									  "AAA=AAAA",
									  "AA==\n",
									  "AAAA=",
									  "AAAA====",
									  std::string_view("AAA\0", 4),
									  std::string_view("AA\0=", 4),
									  "AA\xc3\xbc"};
	for (std::size_t before : {0, 4, 32, 64, 96}) {
		for (const auto tail : tails) {
			const std::string text = std::string(before, 'A').append(tail);
			EXPECT_FALSE(decode(text)) << text;
			EXPECT_FALSE(scalar_decode(text)) << text;
		}
	}
}

TEST(Base64url, EncodesFromTheEndOfItsOwnOutput)
{
	for (std::size_t size = 0; size <= 300; size++) {
		const auto bytes = random_bytes(size);
		const auto expected = encode(bytes);
		for (const auto function : {common::fernet::base64url::encode, encode_scalar}) {
			std::string text(encoded_chars(size), '\0');
			auto *in = reinterpret_cast<unsigned char *>(text.data() + text.size() - size);
			std::copy(bytes.begin(), bytes.end(), in);
			function({in, size}, text.data());
			EXPECT_EQ(text, expected) << size;
		}
	}
}

TEST(Base64url, WritesNoByteBeyondItsOutput)
{
	for (std::size_t size = 0; size <= 300; size++) {
		const auto bytes = random_bytes(size);
		const auto text = encode(bytes);
		std::string written(text.size() + 32, '#');
		common::fernet::base64url::encode(bytes, written.data());
		EXPECT_EQ(written, text + std::string(32, '#'));

		const std::string before(bytes.begin(), bytes.end());
		std::vector<unsigned char> out(decoded_capacity(text.size()) + 32, '#');
		std::size_t decoded;
		ASSERT_TRUE(common::fernet::base64url::decode(text, out.data(), decoded));
		EXPECT_EQ(decoded, size);
		EXPECT_EQ(std::string(out.begin(), out.end()),
				  before + std::string(out.size() - size, '#'));
	}
}
