#include "common/digest.hpp"

#include <random>

#include <gtest/gtest.h>

#include "samples.hpp"

using namespace sidecar::oauth;

namespace
{

std::string hex_of(const common::Digest &digest)
{
	return common::hex({reinterpret_cast<const char *>(digest.data()), digest.size()});
}

} // namespace

// F4: RFC 7636 appendix B.
TEST(Digest, CodeChallenge)
{
	EXPECT_EQ(common::code_challenge(samples::kVerifier), samples::kChallenge);
}

TEST(Digest, Sha256)
{
	EXPECT_EQ(hex_of(common::sha256("")),
			  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	EXPECT_EQ(hex_of(common::sha256("abc")),
			  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

// RFC 4648 section 10, and the two characters in which the alphabets differ.
TEST(Digest, Base64)
{
	const std::pair<std::string_view, std::string_view> texts[] = {{"", ""},
																   {"f", "Zg=="},
																   {"fo", "Zm8="},
																   {"foo", "Zm9v"},
																   {"foob", "Zm9vYg=="},
																   {"fooba", "Zm9vYmE="},
																   {"foobar", "Zm9vYmFy"},
																   {"\xfb\xff", "+/8="}};
	for (const auto &[bytes, text] : texts)
		EXPECT_EQ(common::base64(bytes), text);
	EXPECT_EQ(common::base64url("\xfb\xff"), "-_8");
	EXPECT_EQ(common::base64url_decode("-_8"), "\xfb\xff");
}

TEST(Digest, Base64urlHasOneSpelling)
{
	for (const auto *text : {"Zg==", "Zg=", "Z", "Zm9vY", "Zh", "Zm9", "+_8", "-/8", "Zg\n", " Zg"})
		EXPECT_EQ(common::base64url_decode(text), std::nullopt) << text;
	std::mt19937 random(1);
	for (std::size_t size = 0; size < 200; size++) {
		std::string bytes(size, '\0');
		for (char &byte : bytes)
			byte = static_cast<char>(random());
		EXPECT_EQ(common::base64url_decode(common::base64url(bytes)), bytes);
	}
}

// F12
TEST(Digest, RandomText)
{
	EXPECT_TRUE(common::is_random_text(samples::kState));
	EXPECT_TRUE(common::is_random_text(common::base64url(std::string(32, '\xff'))));
	EXPECT_FALSE(common::is_random_text(""));
	EXPECT_FALSE(common::is_random_text(samples::kState.substr(1)));
	EXPECT_FALSE(common::is_random_text(std::string(samples::kState) + "A"));
	for (const char c : {'=', '+', '/', '.', ' ', '\0', '\x7f', '\xff'}) {
		std::string text(samples::kState);
		text[20] = c;
		EXPECT_FALSE(common::is_random_text(text)) << static_cast<int>(c);
	}
}
