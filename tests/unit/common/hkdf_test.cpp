#include "common/hkdf.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace
{

std::vector<unsigned char> bytes_of(std::string_view hex)
{
	std::vector<unsigned char> bytes;
	for (std::size_t i = 0; i < hex.size(); i += 2)
		bytes.push_back(
			static_cast<unsigned char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
	return bytes;
}

std::string text_of(std::string_view hex)
{
	const auto bytes = bytes_of(hex);
	return {bytes.begin(), bytes.end()};
}

} // namespace

// RFC 5869, appendix A, the three cases with SHA-256.
TEST(Hkdf, AnswersAsTheRfcSays)
{
	struct {
		std::string secret, salt, info, okm;
	} const cases[] = {
		{"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
		 "f0f1f2f3f4f5f6f7f8f9",
		 "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
		{"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627"
		 "28292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
		 "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f8081828384858687"
		 "88898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
		 "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7"
		 "d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
		 "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb4"
		 "1c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"},
		{"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
		 "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
	};
	for (const auto &vector : cases) {
		std::vector<unsigned char> okm(vector.okm.size() / 2);
		ASSERT_TRUE(common::fernet::hkdf_sha256(bytes_of(vector.secret), text_of(vector.salt),
												text_of(vector.info), okm));
		EXPECT_EQ(okm, bytes_of(vector.okm));
	}
}

TEST(Hkdf, DerivesAKeyForEachPurpose)
{
	const auto master = common::fernet::Key::generate();
	ASSERT_TRUE(master);
	const auto one = common::fernet::derive_key(*master, "one");
	const auto again = common::fernet::derive_key(*master, "one");
	const auto two = common::fernet::derive_key(*master, "two");
	ASSERT_TRUE(one && again && two);
	EXPECT_TRUE(std::ranges::equal(one->bytes(), again->bytes()));
	EXPECT_FALSE(std::ranges::equal(one->bytes(), two->bytes()));
	EXPECT_FALSE(std::ranges::equal(one->bytes(), master->bytes()));
}
