#include "common/random_secret.hpp"

#include <set>
#include <string>

#include <gtest/gtest.h>

TEST(Secret, IsBase64UrlWithoutPadding)
{
	std::set<std::string> seen;
	for (int i = 0; i < 1000; i++) {
		common::RandomSecret secret;
		ASSERT_TRUE(common::make_random_secret(secret));
		const std::string text(secret.begin(), secret.end());
		EXPECT_EQ(text.find_first_not_of(
					  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
				  std::string::npos);
		EXPECT_TRUE(seen.insert(text).second) << "drawn twice";
	}
}

// FIPS 180-2, appendix B.1.
TEST(Secret, IsKeptAsItsSha256)
{
	common::Hash hash;
	ASSERT_TRUE(common::make_hash("abc", hash));
	EXPECT_EQ(hash[0], 0xba);
	EXPECT_EQ(hash[31], 0xad);
}
