#include "oauth/result_address.hpp"

#include <gtest/gtest.h>

#include "samples.hpp"

using sidecar::oauth::Result;
using sidecar::oauth::result_address;

namespace
{

const std::vector<std::string> kOrigins = {"https://app.example", "https://*.wild.example",
										   "http://localhost:3000"};
constexpr std::string_view kDone = "https://connect.example/base/oauth/op/done?oauth=connected"
								   "&oauth_provider=op.work";

std::string address(const std::optional<std::string> &return_to,
					const Result &result = {"op.work", "", ""})
{
	return result_address(samples::kPublicUrl, return_to, kOrigins, result);
}

bool goes_where_allowed(const std::string &address)
{
	for (const std::string_view start :
		 {"https://connect.example/", "https://app.example/", "http://localhost:3000/"})
		if (address.starts_with(start))
			return true;
	return false;
}

} // namespace

TEST(ResultAddress, Connected)
{
	const std::string end = "oauth=connected&oauth_provider=op.work";
	EXPECT_EQ(address("https://app.example"), "https://app.example/?" + end);
	EXPECT_EQ(address("https://app.example?x#y"), "https://app.example/?x&" + end + "#y");
	EXPECT_EQ(address("/a://b"), "https://connect.example/a://b?" + end);
	EXPECT_EQ(address("https://app.example/a"), "https://app.example/a?" + end);
	EXPECT_EQ(address("https://app.example/a?"), "https://app.example/a?" + end);
	EXPECT_EQ(address("https://app.example/a?x=1&y=%20"), "https://app.example/a?x=1&y=%20&" + end);
	EXPECT_EQ(address("https://app.example/a?x=1#/route?y"),
			  "https://app.example/a?x=1&" + end + "#/route?y");
	EXPECT_EQ(address("/a?x#f"), "https://connect.example/a?x&" + end + "#f");
	EXPECT_EQ(address("/"), "https://connect.example/?" + end);
}

TEST(ResultAddress, Failed)
{
	EXPECT_EQ(address("/a", {"op", "access_denied", ""}),
			  "https://connect.example/a?oauth=failed&oauth_error=access_denied&oauth_provider=op");
	EXPECT_EQ(address(std::nullopt, {"op.work", "expired", ""}),
			  "https://connect.example/base/oauth/op/done?oauth=failed&oauth_error=expired"
			  "&oauth_provider=op.work");
}

TEST(ResultAddress, Confirm)
{
	EXPECT_EQ(address("/a", {"op", "", "a+b"}),
			  "https://connect.example/a?oauth=confirm&oauth_provider=op&oauth_flow=a%2Bb");
	// Nobody there could confirm.
	EXPECT_EQ(address(std::nullopt, {"op", "", "code"}),
			  "https://connect.example/base/oauth/op/done?oauth=confirm&oauth_provider=op");
}

TEST(ResultAddress, OnlyOneResult)
{
	EXPECT_EQ(address("https://app.example/?oauth=connected&x=1&oauth_error=a&%6fauth_flow=b"
					  "&oauth_provider&oauth+=c&OAUTH=d&oauth_errors=e"),
			  "https://app.example/?x=1&oauth+=c&OAUTH=d&oauth_errors=e"
			  "&oauth=connected&oauth_provider=op.work");
}

TEST(ResultAddress, Done)
{
	EXPECT_EQ(address(std::nullopt), kDone);
	for (const auto *refused : {"", "a", "https://evil.example/", "http://app.example/", "//evil"})
		EXPECT_EQ(address(refused), kDone) << refused;
	EXPECT_TRUE(address("https://a.wild.example/x").starts_with("https://a.wild.example/x?"));
	EXPECT_EQ(address("https://wild.example/x"), kDone);
}

// F6
TEST(ResultAddress, Corpus)
{
	const std::string hosts[] = {"evil.example",
								 "app.example.evil.example",
								 "app.example@evil.example",
								 "user:app.example@evil.example",
								 "app.example:443@evil.example",
								 "evil.example#app.example",
								 "evil.example?app.example",
								 "evil.example\\app.example",
								 "evil.example\\@app.example",
								 "app\u3002example",
								 "app.example\u2024evil",
								 "%65vil.example",
								 "[::ffff:1.2.3.4]",
								 "0x7f.1",
								 "app.example.",
								 "app.example:8443",
								 "xn--evil.example",
								 "app.example%2f.evil.example",
								 "app.example\t.evil.example",
								 "app.example%00.evil.example"};
	const std::string starts[] = {
		"https://",      "http://",   "//",         "///",           "////",
		"/\\",           "\\/",       "\\\\",       "/%5c",          "/%2f",
		"/%2F/",         "/\t/",      "/\n/",       " //",           "https:",
		"https:/",       "https:///", "https:\\\\", "HTTPS://",      "hTTps:",
		"javascript://", "data://",   "ftp://",     "blob:https://", "\u2215\u2215",
		"/.//",          "/..//",     "/x/..//",    "/;//",          "?//",
		"#//",           "@",         ".",          "/\u2044",       "\x01https://"};
	for (const std::string &start : starts)
		for (const std::string &host : hosts)
			for (const auto *end : {"", "/", "/a?b#c"}) {
				const std::string at = address(start + host + end);
				EXPECT_TRUE(goes_where_allowed(at)) << start + host + end << " -> " << at;
				for (const char c : at)
					EXPECT_TRUE(c > 0x20 && c < 0x7f && c != '\\');
			}
}
