#include "oauth/scopes.hpp"

#include <gtest/gtest.h>

#include "samples.hpp"

using namespace sidecar::oauth;
using List = std::vector<std::string>;

TEST(Scopes, Split)
{
	EXPECT_EQ(split_scopes("", " "), List{});
	EXPECT_EQ(split_scopes("  ", " "), List{});
	EXPECT_EQ(split_scopes("b a", " "), (List{"b", "a"}));
	EXPECT_EQ(split_scopes(" a\tb\n a  b ", " "), (List{"a", "b"}));
	EXPECT_EQ(split_scopes("a,b, c,,a", ","), (List{"a", "b", "c"}));
	EXPECT_EQ(split_scopes("a,b", " "), List{"a,b"});
	EXPECT_EQ(split_scopes("a::b c:d", "::"), (List{"a", "b", "c:d"}));
	EXPECT_EQ(split_scopes("a b", ""), (List{"a", "b"}));
	EXPECT_EQ(split_scopes("https://op.example/a https://op.example/b", " ").size(), 2u);
}

TEST(Scopes, Join)
{
	EXPECT_EQ(join_scopes({}, " "), "");
	EXPECT_EQ(join_scopes({"a"}, ","), "a");
	EXPECT_EQ(join_scopes({"a", "b"}, ", "), "a, b");
}

TEST(Scopes, Asked)
{
	Provider provider = samples::provider();
	provider.scopes = {"mail", "calendar", "mail"};
	EXPECT_EQ(asked_scopes(provider, std::nullopt), (List{"mail", "calendar"}));
	EXPECT_EQ(asked_scopes(provider, "files"), List{"files"});
	EXPECT_EQ(asked_scopes(provider, ""), List{});
	provider.own_scopes = {"openid", "email"};
	EXPECT_EQ(asked_scopes(provider, std::nullopt), (List{"mail", "calendar", "openid", "email"}));
	EXPECT_EQ(asked_scopes(provider, "email files"), (List{"email", "files", "openid"}));
	EXPECT_EQ(asked_scopes(provider, ""), (List{"openid", "email"}));
}
