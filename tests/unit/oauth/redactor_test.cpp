#include "oauth/redactor.hpp"

#include <gtest/gtest.h>

#include "samples.hpp"

using namespace sidecar::oauth;

namespace
{

constexpr std::string_view kSecret = "s3cret/of the+tests%&";

std::string clean(std::string_view text, std::string_view secret = kSecret)
{
	Redactor redactor;
	redactor.hide(secret);
	return redactor.clean(text, 200);
}

} // namespace

TEST(Redactor, LeavesWordsAlone)
{
	for (const auto *text :
		 {"AADSTS7000215: Invalid client secret provided.",
		  "Trace ID: 0b7ed6cb-5cd5-4ee4-9c5d-3d8c3d1d0500 Timestamp: 2026-11-27 10:00:00Z",
		  "The redirect_uri https://connect.example.com/oauth/x/callback is not registered",
		  "incorrect_client_credentials", "refresh token is invalid", "access_token: invalid",
		  "unsupported_token_endpoint_authentication_method", "déjà vu – ログイン"})
		EXPECT_EQ(clean(text), text);
}

TEST(Redactor, OneLine)
{
	EXPECT_EQ(clean(" a\r\n\r\n b\t\x1b[2J\u2028c\u200b "), "a b [2J c");
	EXPECT_EQ(clean("\xff\xc3"), "\ufffd\ufffd");
	EXPECT_EQ(clean(std::string(300, 'a')), std::string(200, 'a') + "…");
	EXPECT_EQ(clean(""), "");
}

// F7
TEST(Redactor, Hides)
{
	for (const auto *text :
		 {"s3cret/of the+tests%&", "S3CRET/OF THE+TESTS", "s3cret%2Fof+the%2Btests%25%26",
		  "s3cret%2fof%20the%2btests", "s3cret%252Fof%2520the%252Btests", "s3cret\\/of the+tests",
		  "s3 cr et of the te sts", "s3cret/of", "the+tests%&", "«s3cret/of the+tests»"}) {
		const std::string cleaned = clean(text);
		EXPECT_NE(cleaned.find("[removed]"), std::string::npos) << text;
		EXPECT_EQ(cleaned.find("3cret"), std::string::npos) << cleaned;
		EXPECT_EQ(cleaned.find("tests"), std::string::npos) << cleaned;
	}
	EXPECT_EQ(clean("client_secret=s3cret/of the+tests%&, so"), "client_secret=[removed]&, so");
}

TEST(Redactor, ShortSecrets)
{
	EXPECT_EQ(clean("not abc12 but", "abc12"), "not [removed] but");
	EXPECT_EQ(clean("a cat sat at c", "c"), "a cat sat at [removed]");
	EXPECT_EQ(clean("got !!!! there", "!!!!"), "got [removed] there");
	EXPECT_EQ(clean("all is well", ""), "all is well");
}

// Each of so many would be looked for everywhere, while all other flows wait.
TEST(Redactor, ShowsNothingWhereTooMuchIsSecret)
{
	Redactor redactor;
	for (int i = 0; i < 100000; i++)
		redactor.hide("aaa" + std::to_string(i % 10000));
	EXPECT_EQ(redactor.clean(std::string(8000, 'a'), 200), "[removed]");
	Redactor of_long_ones;
	for (int i = 0; i < 10; i++)
		of_long_ones.hide(std::string(100000, static_cast<char>('a' + i)));
	EXPECT_EQ(of_long_ones.clean("what they said", 200), "[removed]");
}
