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

TEST(Json, Serializes)
{
	std::string text = "{\"a\":\"";
	text += std::string(5000, 'x') + "\",\"b\":[1,2]}";
	EXPECT_EQ(serialize_secret(*parse_json(text)).reveal(), text);
}
