#include "common/time_text.hpp"

#include <gtest/gtest.h>

#include <limits>

using common::format_time;
using common::parse_time;

TEST(TimeText, IsWrittenAndRead)
{
	const std::pair<long long, const char *> times[] = {
		{0, "1970-01-01T00:00:00+00:00"},
		{-1, "1969-12-31T23:59:59+00:00"},
		{951'782'400, "2000-02-29T00:00:00+00:00"},
		{4'102'444'800, "2100-01-01T00:00:00+00:00"},
		{-62'167'219'200, "0000-01-01T00:00:00+00:00"},
		{253'402'300'799, "9999-12-31T23:59:59+00:00"},
	};
	for (const auto &[seconds, text] : times) {
		EXPECT_EQ(format_time(seconds), text);
		EXPECT_EQ(parse_time(text), seconds);
	}
	using Limits = std::numeric_limits<long long>;
	EXPECT_EQ(format_time(Limits::max()), "9999-12-31T23:59:59+00:00");
	EXPECT_EQ(format_time(Limits::min()), "0000-01-01T00:00:00+00:00");
}

TEST(TimeText, HasNoOtherForm)
{
	for (const char *text :
		 {"", "2026-11-22T09:32:37Z", "2026-11-22 09:32:37+00:00", "2026-11-22T09:32:37+01:00",
		  "2026-13-22T09:32:37+00:00", "2026-02-29T09:32:37+00:00", "2026-11-22T24:00:00+00:00",
		  "2026-11-22T09:60:37+00:00", "2026-11-22T09:32:60+00:00", "2026-1x-22T09:32:37+00:00",
		  "2026-11-22T09:32:37+00:00 "})
		EXPECT_FALSE(parse_time(text)) << text;
}
