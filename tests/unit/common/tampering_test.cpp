// Whatever is not a token, byte by byte, is refused (E9).
#include <random>

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "tokens.hpp"

using common::fernet::kBlockBytes;
using common::fernet::Key;
using common::fernet::kHeaderBytes;
using common::fernet::kMacBytes;

namespace
{

constexpr std::size_t kLengths[] = {0, 5, 16, 200};

std::vector<unsigned char> random_bytes(std::size_t size)
{
	static std::mt19937 random(2);
	std::vector<unsigned char> bytes(size);
	for (auto &byte : bytes)
		byte = static_cast<unsigned char>(random());
	return bytes;
}

// The token of `blocks`, encrypted as they are, without padding.
std::string seal_blocks(const std::vector<unsigned char> &blocks)
{
	const Key key = Key::parse(kVectorKey).value();
	std::vector<unsigned char> envelope(kHeaderBytes + blocks.size() + kMacBytes);
	envelope[0] = 0x80;
	std::copy(kIv.begin(), kIv.end(), envelope.begin() + 9);

	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	int written;
	EXPECT_EQ(EVP_EncryptInit_ex2(context, EVP_aes_128_cbc(), key.encryption().data(), kIv.data(),
								  nullptr),
			  1);
	EXPECT_EQ(EVP_CIPHER_CTX_set_padding(context, 0), 1);
	EXPECT_EQ(EVP_EncryptUpdate(context, &envelope[kHeaderBytes], &written, blocks.data(),
								static_cast<int>(blocks.size())),
			  1);
	EVP_CIPHER_CTX_free(context);

	const std::size_t signed_bytes = envelope.size() - kMacBytes;
	HMAC(EVP_sha256(), key.signing().data(), static_cast<int>(key.signing().size()),
		 envelope.data(), signed_bytes, &envelope[signed_bytes], nullptr);
	return encode(envelope);
}

} // namespace

TEST(Tampering, EveryBitFlipOfATokenIsRefused)
{
	auto cipher = make_cipher();
	for (const auto length : kLengths) {
		auto token = seal(cipher, std::string(length, 'p'));
		for (std::size_t bit = 0; bit < 8 * token.size(); bit++) {
			auto &character = token[bit / 8];
			const char before = character;
			character = static_cast<char>(character ^ 1 << bit % 8);
			ASSERT_FALSE(open(cipher, token)) << bit;
			character = before;
		}
		ASSERT_TRUE(open(cipher, token));
	}
}

// A flip in the text is mostly refused by base64 already; these are not.
TEST(Tampering, EveryBitFlipOfAnEnvelopeIsRefused)
{
	auto cipher = make_cipher();
	for (const auto length : kLengths) {
		auto envelope = decode(seal(cipher, std::string(length, 'p'))).value();
		for (std::size_t bit = 0; bit < 8 * envelope.size(); bit++) {
			envelope[bit / 8] ^= static_cast<unsigned char>(1 << bit % 8);
			ASSERT_FALSE(open(cipher, encode(envelope))) << bit;
			envelope[bit / 8] ^= static_cast<unsigned char>(1 << bit % 8);
		}
		ASSERT_TRUE(open(cipher, encode(envelope)));
	}
}

TEST(Tampering, EveryTruncationIsRefused)
{
	auto cipher = make_cipher();
	for (const auto length : kLengths) {
		const auto token = seal(cipher, std::string(length, 'p'));
		for (std::size_t size = 0; size < token.size(); size++) {
			ASSERT_FALSE(open(cipher, token.substr(0, size))) << size;
			ASSERT_FALSE(open(cipher, token.substr(token.size() - size))) << size;
		}
		const auto envelope = decode(token).value();
		for (std::size_t size = 0; size < envelope.size(); size++)
			ASSERT_FALSE(open(cipher, encode({envelope.data(), size}))) << size;
	}
}

TEST(Tampering, ExtensionsAreRefused)
{
	auto cipher = make_cipher();
	for (const auto length : kLengths) {
		const auto token = seal(cipher, std::string(length, 'p'));
		for (const char *more : {"=", "A", "\n", " ", "AAAA", "===="})
			EXPECT_FALSE(open(cipher, token + more));
		EXPECT_FALSE(open(cipher, std::string(token).append(1, '\0')));
		EXPECT_FALSE(open(cipher, token + token));

		auto envelope = decode(token).value();
		for (std::size_t more = 1; more <= 2 * kBlockBytes; more++) {
			envelope.push_back(0);
			EXPECT_FALSE(open(cipher, encode(envelope))) << more;
		}
	}
}

TEST(Tampering, EveryOtherVersionIsRefusedUnderAGoodMac)
{
	auto cipher = make_cipher();
	const Key key = Key::parse(kVectorKey).value();
	auto envelope = decode(seal(cipher, "hello")).value();
	const std::size_t signed_bytes = envelope.size() - kMacBytes;
	for (int version = 0; version < 256; version++) {
		envelope[0] = static_cast<unsigned char>(version);
		HMAC(EVP_sha256(), key.signing().data(), static_cast<int>(key.signing().size()),
			 envelope.data(), signed_bytes, &envelope[signed_bytes], nullptr);
		EXPECT_EQ(open(cipher, encode(envelope)).has_value(), version == 0x80) << version;
	}
}

// Header and MAC with at least one block between them, and whole blocks only.
TEST(Tampering, EveryOtherSizeIsRefusedByDecode)
{
	for (std::size_t size = 0; size <= 300; size++) {
		std::vector<unsigned char> bytes(size, 0x80);
		const auto token = encode(bytes);
		std::vector<unsigned char> buffer(common::fernet::decoded_capacity(token.size()));
		const bool possible = size >= 73 && (size - 57) % 16 == 0;
		EXPECT_EQ(common::fernet::Envelope::decode(token, buffer).has_value(), possible) << size;
	}
}

TEST(Tampering, RandomBytesAreRefused)
{
	auto cipher = make_cipher();
	for (std::size_t size = 0; size <= 400; size++) {
		auto bytes = random_bytes(size);
		EXPECT_FALSE(open(cipher, {reinterpret_cast<const char *>(bytes.data()), size}));
		EXPECT_FALSE(open(cipher, encode(bytes)));
		if (size > 0) {
			bytes[0] = 0x80;
			EXPECT_FALSE(open(cipher, encode(bytes)));
		}
	}
}

// PKCS #7: the last byte tells how many bytes of that value stand at the end.
TEST(Tampering, PaddingIsCheckedByteByByte)
{
	auto cipher = make_cipher();
	for (const std::size_t blocks : {1u, 2u, 13u}) {
		std::vector<unsigned char> text(blocks * kBlockBytes, 'p');
		for (int last = 0; last < 256; last++) {
			const auto padding = static_cast<std::size_t>(last);
			const bool possible = padding >= 1 && padding <= kBlockBytes;
			std::fill(text.begin(), text.end(), 'p');
			std::fill(text.end() - static_cast<int>(std::min(padding, kBlockBytes)), text.end(),
					  static_cast<unsigned char>(last));
			text.back() = static_cast<unsigned char>(last);
			const auto opened = open(cipher, seal_blocks(text));
			ASSERT_EQ(opened.has_value(), possible) << last;
			if (!possible)
				continue;
			ASSERT_EQ(*opened, std::string(text.size() - padding, 'p'));

			for (std::size_t i = 2; i <= padding; i++) {
				for (const int bit : {1, 0x10, 0x80}) {
					auto wrong = text;
					wrong[wrong.size() - i] ^= static_cast<unsigned char>(bit);
					ASSERT_FALSE(open(cipher, seal_blocks(wrong))) << last << ' ' << i;
				}
			}
		}
	}
}

TEST(Tampering, WrongPaddingLeavesNothingInTheBuffer)
{
	auto cipher = make_cipher();
	const auto token = seal_blocks(std::vector<unsigned char>(64, 0));
	std::vector<unsigned char> buffer(common::fernet::decoded_capacity(token.size()));
	auto envelope = common::fernet::Envelope::decode(token, buffer);
	ASSERT_TRUE(envelope && cipher.verify(*envelope));
	EXPECT_FALSE(cipher.decrypt(*envelope));
	EXPECT_EQ(buffer, std::vector<unsigned char>(buffer.size()));
}
