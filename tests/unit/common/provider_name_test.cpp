#include "common/provider_name.hpp"

#include <string>

#include <gtest/gtest.h>

using common::is_provider_name;
using common::provider_base;

TEST(ProviderName, IsANameAndPerhapsALabel)
{
	for (const char *good : {"google", "g", "0", "my-own_provider2", "google.work", "g.0", "a-.b-",
							 "a_.b_", "google.work-2_b"})
		EXPECT_TRUE(is_provider_name(good)) << good;
	for (const char *bad : {"",
							".",
							"google.",
							".work",
							"google..work",
							"google.work.home",
							"-google",
							"_google",
							"google.-work",
							"google._work",
							"Google",
							"google.Work",
							"goo gle",
							" google",
							"google ",
							"google/work",
							"google%2e",
							"google\n",
							"g\xc3\xb6gle",
							"google:work",
							"..",
							"google?x",
							"google#",
							"google\\",
							"*"})
		EXPECT_FALSE(is_provider_name(bad)) << bad;
	EXPECT_FALSE(is_provider_name(std::string_view("goo\0gle", 7)));
}

// Each byte, at the beginning, inside, and in a label.
TEST(ProviderName, TakesNoOtherByte)
{
	for (int byte = 0; byte < 256; byte++) {
		const char c = static_cast<char>(byte);
		const bool first = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
		const bool inside = first || c == '-' || c == '_';
		EXPECT_EQ(is_provider_name(std::string(1, c)), first) << byte;
		EXPECT_EQ(is_provider_name(std::string("a") + c + "b"), inside || c == '.') << byte;
		EXPECT_EQ(is_provider_name(std::string("a.b") + c + "b"), inside) << byte;
	}
}

TEST(ProviderName, BeginsWithItsBase)
{
	EXPECT_EQ(provider_base("google"), "google");
	EXPECT_EQ(provider_base("google.work"), "google");
	EXPECT_EQ(provider_base(""), "");
}
