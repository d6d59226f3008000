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
	JsonObject object;
	object.add_time("a", 0).add_time("b", -0.5).add_time("c", 4102444800).add_time("d", -1e300);
	EXPECT_EQ(std::move(object).finish(),
			  R"({"a":"1970-01-01T00:00:00+00:00","b":"1969-12-31T23:59:59+00:00",)"
			  R"("c":"2100-01-01T00:00:00+00:00","d":"0000-01-01T00:00:00+00:00"})");
}

} // namespace sidecar::endpoints
