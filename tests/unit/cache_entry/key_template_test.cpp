#include "cache_entry/key_template.hpp"

#include <fnmatch.h>

#include <array>
#include <map>
#include <stdexcept>

#include <gtest/gtest.h>

#include "samples.hpp"

using sidecar::cache_entry::KeyTemplate;
using sidecar::oauth::Identity;

namespace
{

constexpr std::string_view kPython = "oauth:token:{provider}:{workspace_id}:{actor_id}";
constexpr std::string_view kPrefix = "oauth:cache";

std::string unescaped(std::string_view text)
{
	std::string out;
	for (std::size_t i = 0; i < text.size(); i++)
		if (text[i] != '%') {
			out += text[i];
		} else {
			const std::string_view code = text.substr(i + 1, 2);
			EXPECT_TRUE(code == "25" || code == "3A") << text;
			out += code == "25" ? '%' : ':';
			i += 2;
		}
	return out;
}

// What a key of the cache's own form says.
std::array<std::string, 4> decoded(std::string_view key)
{
	constexpr std::string_view kBeginning = "oauth:token:";
	EXPECT_TRUE(key.starts_with(kBeginning)) << key;
	key.remove_prefix(kBeginning.size());
	std::array<std::string, 4> values;
	for (std::string &value : values) {
		value = unescaped(key.substr(0, key.find(':')));
		key.remove_prefix(std::min(key.size(), key.find(':')));
		if (!key.empty())
			key.remove_prefix(1);
	}
	EXPECT_TRUE(key.empty());
	return values;
}

bool matches(const KeyTemplate &keys, const std::string &key)
{
	// fnmatch's patterns are Redis' in what is used here.
	return fnmatch(keys.scan_pattern().c_str(), key.c_str(), 0) == 0;
}

std::string error(std::string_view text, std::string_view prefix = kPrefix)
{
	return KeyTemplate::error(text, prefix).value_or("");
}

} // namespace

TEST(KeyTemplate, DefaultForm)
{
	const KeyTemplate keys;
	EXPECT_EQ(keys.key(samples::identity()),
			  "oauth:token:google.work:0b4a3a9e-8c55-4a7e-9d0e-7f0e6a1b2c3d:user:7");
	EXPECT_EQ(keys.key({"w", "p", "a:b", "100%:c"}), "oauth:token:p:w:a%3Ab:100%25%3Ac");
	EXPECT_EQ(keys.scan_pattern(), "oauth:token:*:*:*:*");
}

TEST(KeyTemplate, GivenFormTakesValuesRaw)
{
	const KeyTemplate keys(kPython);
	EXPECT_EQ(keys.key({"w", "p", "user", "100%:c"}), "oauth:token:p:w:100%:c");
	EXPECT_EQ(keys.scan_pattern(), "oauth:token:*:*:*");
	const KeyTemplate odd("[a]*?\\{provider}{workspace_id}-{actor_type}{actor_id}^");
	EXPECT_EQ(odd.key({"w", "p", "user", "1"}), "[a]*?\\pw-user1^");
	EXPECT_EQ(odd.scan_pattern(), "\\[a\\]\\*\\?\\\\*-*^");
}

// C7: of identities that are made of little but colons and escapes, no two share
// a key, and each key says which identity it is of.
TEST(KeyTemplate, NoTwoIdentitiesCollide)
{
	const KeyTemplate keys;
	std::mt19937 random(7);
	std::map<std::string, std::array<std::string, 4>> seen;
	for (int i = 0; i < 50'000; i++) {
		std::array<std::string, 4> values;
		for (std::string &value : values)
			value = samples::random_text(random, ":%:%a25A3");
		const std::string key = keys.key({values[1], values[0], values[2], values[3]});
		EXPECT_EQ(decoded(key), values);
		const auto [known, is_new] = seen.try_emplace(key, values);
		ASSERT_TRUE(is_new || known->second == values) << key;
		if (i < 1000) {
			EXPECT_TRUE(matches(keys, key)) << key;
		}
	}
	EXPECT_NE(keys.key({"w", "p", "a:b", "c"}), keys.key({"w", "p", "a", "b:c"}));
	EXPECT_NE(keys.key({"w", "p", "a%3Ab", "c"}), keys.key({"w", "p", "a:b", "c"}));
}

TEST(KeyTemplate, ScanPatternMatchesItsKeys)
{
	std::mt19937 random(8);
	for (const std::string_view text :
		 {kPython, std::string_view("[a]*?\\{provider}{workspace_id}-{actor_type}{actor_id}^"),
		  std::string_view("a]{actor_id}[b-c]{workspace_id}*{provider}")}) {
		const KeyTemplate keys(text);
		for (int i = 0; i < 1000; i++) {
			const auto make = [&] { return samples::random_text(random, "*?[]\\:a-"); };
			const Identity identity = {make(), make(), make(), make()};
			EXPECT_TRUE(matches(keys, keys.key(identity))) << keys.key(identity);
		}
		EXPECT_FALSE(matches(keys, "x" + keys.key(samples::identity())));
	}
}

// C17
TEST(KeyTemplate, WithoutActorTypeUsersAlone)
{
	Identity identity = samples::identity();
	EXPECT_TRUE(KeyTemplate(kPython).caches(identity));
	for (const char *actor_type : {"api_key", "", "User", "user ", "users"}) {
		identity.actor_type = actor_type;
		EXPECT_FALSE(KeyTemplate(kPython).caches(identity)) << actor_type;
		EXPECT_TRUE(KeyTemplate().caches(identity)) << actor_type;
		EXPECT_TRUE(
			KeyTemplate("t:{provider}{workspace_id}{actor_id}{actor_type}").caches(identity));
	}
}

TEST(KeyTemplate, Faults)
{
	EXPECT_EQ(error(""), "");
	EXPECT_EQ(error(kPython), "");
	const std::pair<std::string_view, std::string_view> cases[] = {
		{"t:{workspace_id}:{actor_id}", "{provider}"},
		{"t:{provider}:{actor_id}", "{workspace_id}"},
		{"t:{provider}:{workspace_id}", "{actor_id}"},
		{"t:{provider}:{workspace_id}:{actor_id}:{tenant}", "only these can be in braces"},
		{"t:{provider}:{workspace_id}:{actor_id}:{}", "only these can be in braces"},
		{"t:{provider}:{workspace_id}:{actor_id}:{ actor_type}", "only these can be in braces"},
		{"t:{provider}:{workspace_id}:{actor_id", "do not pair"},
		{"t:{provider}:{workspace_id}:{actor_id}}", "do not pair"},
		{"t:{{provider}:{workspace_id}:{actor_id}", "do not pair"},
		{"t:}{provider}:{workspace_id}:{actor_id}", "do not pair"},
		{"{provider}:{workspace_id}:{actor_id}", "begin with a text"},
	};
	for (const auto &[text, part] : cases) {
		EXPECT_NE(error(text).find(part), std::string::npos) << text << ": " << error(text);
		EXPECT_THROW(KeyTemplate{text}, std::invalid_argument) << text;
	}
}

TEST(KeyTemplate, KeysAreNeverTheCachesOwn)
{
	struct Case {
		std::string_view text;
		std::string_view prefix;
		bool good;
	};
	constexpr std::string_view kRest = "{provider}:{workspace_id}:{actor_id}";
	const std::string at_once = "oauth:cache:" + std::string(kRest);
	const std::string by_provider = "oauth:" + std::string(kRest);
	const Case cases[] = {
		{"", "oauth:cache", true},           {"", "oauth", false},
		{"", "oauth:token", false},          {"", "oauth:tok", true},
		{"", "oauth:token:google", false},   {at_once, "oauth:cache", false},
		{at_once, "oauth:cach", true},       {at_once, "oauth:cache:own", false},
		{by_provider, "oauth:cache", false}, // a provider called cache
		{by_provider, "oaut", true},         {by_provider, "p", true},
	};
	for (const Case &test : cases)
		EXPECT_EQ(error(test.text, test.prefix).empty(), test.good)
			<< test.text << " " << test.prefix;
}
