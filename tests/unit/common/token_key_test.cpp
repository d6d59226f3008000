#include "common/token_key.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/hkdf.hpp"

namespace
{

using namespace std::string_view_literals;
using common::fernet::TokenPlace;

constexpr auto kWorkspace = "\x11\x11\x11\x11\x11\x11\x41\x11\x81\x11\x11\x11\x11\x11\x11\x11"sv;

std::string key_of(const TokenPlace &place)
{
	const auto master = common::fernet::Key::parse("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=");
	const auto info = common::fernet::token_key_info(place);
	const auto key = common::fernet::derive_key(*master, {info->data(), info->size()});
	std::string text(common::fernet::kKeyChars, '\0');
	key->write(std::span<char, common::fernet::kKeyChars>(text));
	return text;
}

} // namespace

// The vector of docs/keys.md.
TEST(TokenKey, IsAsDocumented)
{
	EXPECT_EQ(key_of({"encrypted_access_token", kWorkspace, "google", "user", "Jos\xc3\xa9"}),
			  "nfk1A16gClDJUOFfr13rMZt_bgf8oWrxj51OSCchNXQ=");
}

// E15
TEST(TokenKey, EachPlaceHasItsOwn)
{
	const std::string other_workspace(16, '\x22');
	const TokenPlace places[] = {
		{"encrypted_access_token", kWorkspace, "google", "user", "alice"},
		{"encrypted_refresh_token", kWorkspace, "google", "user", "alice"},
		{"encrypted_access_token", other_workspace, "google", "user", "alice"},
		{"encrypted_access_token", kWorkspace, "googleu", "ser", "alice"},
		{"encrypted_access_token", kWorkspace, "google", "usera", "lice"},
		{"encrypted_access_token", kWorkspace, "google", "user", "alice\0"sv},
		{"encrypted_access_token", kWorkspace, "google", "useralice", ""},
	};
	std::vector<std::string> keys;
	for (const TokenPlace &place : places)
		keys.push_back(key_of(place));
	std::ranges::sort(keys);
	EXPECT_EQ(std::ranges::adjacent_find(keys), keys.end());
	EXPECT_EQ(key_of(places[0]), key_of(places[0]));
}
