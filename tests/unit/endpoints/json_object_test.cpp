#include "endpoints/json_object.hpp"

#include <gtest/gtest.h>

namespace sidecar::endpoints
{

TEST(JsonObject, WritesEveryKindOfMember)
{
	JsonObject object;
	object.add("text", "a\"b\\c\n\x01 é")
		.add("none", std::optional<std::string>())
		.add("some", std::optional<std::string>("x"))
		.add("yes", true)
		.add("number", -5LL)
		.add_time("time", 1763803957.9)
		.add_time("never", std::nullopt)
		.add_json("json", R"({"a":1})");
	EXPECT_EQ(std::move(object).finish(),
			  R"({"text":"a\"b\\c\u000a\u0001 é","none":null,"some":"x","yes":true,"number":-5,)"
			  R"("time":"2025-11-22T09:32:37+00:00","never":null,"json":{"a":1}})");
}

TEST(JsonObject, IsAnObjectWithoutMembers)
{
	EXPECT_EQ(JsonObject().finish(), "{}");
}

// docs/design/flow.md, "API": every time is written in this form, past 2038 and before 1970, too.
TEST(JsonObject, WritesTimesInUtc)
{
	EXPECT_EQ(format_time(0), "1970-01-01T00:00:00+00:00");
	EXPECT_EQ(format_time(-0.5), "1969-12-31T23:59:59+00:00");
	EXPECT_EQ(format_time(4102444800), "2100-01-01T00:00:00+00:00");
}

} // namespace sidecar::endpoints
