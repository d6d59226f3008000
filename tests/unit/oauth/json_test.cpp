#include "oauth/json.hpp"

#include <gtest/gtest.h>

using namespace sidecar::oauth;

namespace
{

std::string nested(int depth)
{
	return std::string(depth, '[') + std::string(depth, ']');
}

} // namespace

TEST(Json, Reads)
{
	const auto value = parse_json(" {\"a\":{\"b\":[1,-2,3.5,18446744073709551615]},"
								  "\"s\":\"x\\u00e9\\n\",\"t\":true,\"n\":null,\"e\":\"\"}\n");
	ASSERT_TRUE(value);
	EXPECT_EQ(find_path(*value, "a.b")->as_array().size(), 4u);
	EXPECT_EQ(find_path(*value, ""), &*value);
	EXPECT_EQ(find_path(*value, "a.c"), nullptr);
	EXPECT_EQ(find_path(*value, "s.x"), nullptr);
	EXPECT_EQ(find_path(*value, "a.b.0")->as_int64(), 1);
	EXPECT_EQ(find_path(*value, "a.b.3")->as_uint64(), 18446744073709551615u);
	for (const auto *path :
		 {"a.b.4", "a.b.-1", "a.b.+1", "a.b.x", "a.b.0.0", "a.b.0x0", "a.b.18446744073709551616"})
		EXPECT_EQ(find_path(*value, path), nullptr) << path;
	EXPECT_EQ(find_path(*value, ".a"), nullptr);
	EXPECT_EQ(find_string(*value, "s"), "x\u00e9\n");
	EXPECT_EQ(find_string(*value, "e"), std::nullopt);
	EXPECT_EQ(find_string(*value, "t"), std::nullopt);
	EXPECT_TRUE(parse_json("1"));
	EXPECT_TRUE(parse_json(R"({"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]})"));
}

// F13: depth and doubled keys among the rest.
TEST(Json, Refuses)
{
	for (const auto *text :
		 {"", " ", "{", "{}x", "{} {}", "{\"a\":1,}", "[1,]", "// c\n1", "'a'", "NaN", "{a:1}",
		  "\"\\ud800\"", "\"\x01\"", "\"\xff\"", "{\"a\":1,\"a\":1}",
		  "{\"a\":1,\"b\":2,\"\\u0061\":3}", "{\"x\":{\"a\":1,\"a\":{\"b\":1}}}",
		  "[{\"a\":{\"b\":1},\"a\":1}]", "{\"\":1,\"\":2}"})
		EXPECT_FALSE(parse_json(text)) << text;
	EXPECT_TRUE(parse_json(nested(16)));
	EXPECT_FALSE(parse_json(nested(17)));
	EXPECT_FALSE(parse_json(nested(100000)));
	EXPECT_TRUE(parse_json(nested(2), 2));
	EXPECT_FALSE(parse_json(nested(3), 2));
}

// A name that was cut in the middle of a character must not cost a grant.
TEST(Json, LooseMendsCharacters)
{
	const auto text_of = [](std::string_view text) {
		const auto read = parse_loose_json(text);
		return read ? std::string(read->value.as_string()) : "none";
	};
	EXPECT_EQ(text_of(R"("a\ud83d\ude00b")"), "a\xf0\x9f\x98\x80"
											  "b");
	for (const auto *half : {R"("\ud83d")", R"("\ude00")", R"("\uDBFF")", "\"\xff\"", "\"\xe9\""})
		EXPECT_EQ(text_of(half), "\xef\xbf\xbd") << half;
	EXPECT_EQ(text_of(R"("\ud83d\u0061")"), "\xef\xbf\xbd"
											"a");
	EXPECT_EQ(text_of("\"\xed\xa0\xbdx\""), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx");
	EXPECT_EQ(text_of("\"d\xc3\xa9\xe9\""), "d\xc3\xa9\xef\xbf\xbd");
	EXPECT_EQ(text_of(R"("\\ud83d")"), R"(\ud83d)"); // a backslash, and no escape
	for (const auto *text : {"", "\"\\ud8\"", "\"\\\xff\"", "\xff", "{\"a\":1,}"})
		EXPECT_FALSE(parse_loose_json(text)) << text;
	EXPECT_FALSE(parse_loose_json(nested(17)));
}

TEST(Json, LooseTellsOfDoubledKeys)
{
	const auto read = parse_loose_json(R"({"a":1,"x":{"b":1,"\u0062":2},"a":3,"c":{"a":1}})");
	ASSERT_TRUE(read);
	EXPECT_EQ(read->doubled, (std::set<std::string>{"a", "b"}));
	EXPECT_EQ(find_path(read->value, "a")->as_int64(), 3);
	EXPECT_EQ(find_path(read->value, "x.b")->as_int64(), 2);
	EXPECT_TRUE(parse_loose_json(R"([{"a":1},{"a":1}])")->doubled.empty());
}

TEST(Json, Serializes)
{
	std::string text = "{\"a\":\"";
	text += std::string(5000, 'x') + "\",\"b\":[1,2]}";
	EXPECT_EQ(serialize_secret(*parse_json(text)).reveal(), text);
}
