#include "http/parameters.hpp"

#include <gtest/gtest.h>

using namespace sidecar::http;
using Fault = Parameters::Fault;

TEST(Parameters, Decodes)
{
	const auto parameters = Parameters::parse("a=1&b=x%20y+z&&c&d=&%65=%C3%A9&=empty&f=g=h");
	ASSERT_EQ(parameters.fault(), Fault::none);
	EXPECT_EQ(parameters.all().size(), 7u);
	EXPECT_EQ(parameters.get("a"), "1");
	EXPECT_EQ(parameters.get("b"), "x y z");
	EXPECT_EQ(parameters.get("c"), "");
	EXPECT_EQ(parameters.get("d"), "");
	EXPECT_EQ(parameters.get("e"), "\u00e9");
	EXPECT_EQ(parameters.get(""), "empty");
	EXPECT_EQ(parameters.get("f"), "g=h");
	EXPECT_EQ(parameters.get("g"), std::nullopt);
	EXPECT_TRUE(parameters.has("d"));
	EXPECT_FALSE(parameters.has("A"));
}

TEST(Parameters, Nothing)
{
	for (const auto *query : {"", "&", "&&&"}) {
		EXPECT_EQ(Parameters::parse(query).fault(), Fault::none);
		EXPECT_TRUE(Parameters::parse(query).all().empty());
	}
}

// F10
TEST(Parameters, Refuses)
{
	const std::pair<std::string, Fault> queries[] = {
		{"a=%", Fault::bad_escape},
		{"a=%4", Fault::bad_escape},
		{"a=%4g", Fault::bad_escape},
		{"a=%%41", Fault::bad_escape},
		{"%zz=1", Fault::bad_escape},
		{"a=%00", Fault::control_character},
		{"a=%0d%0a", Fault::control_character},
		{"a=%7f", Fault::control_character},
		{"a%0a=1", Fault::control_character},
		{std::string("a=\0", 3), Fault::control_character},
		{"a=%ff", Fault::bad_utf8},
		{"a=%c0%80", Fault::bad_utf8},
		{"a=%ed%a0%80", Fault::bad_utf8},
		{"a=\xe9", Fault::bad_utf8},
		{"a=1&a=1", Fault::doubled},
		{"a=1&b=2&%61=3", Fault::doubled},
		{"a&a", Fault::doubled},
		{"=1&=2", Fault::doubled},
		{"a=" + std::string(8193, 'x'), Fault::too_long},
		{std::string(8193, 'x') + "=1", Fault::too_long},
	};
	for (const auto &[query, fault] : queries)
		EXPECT_EQ(Parameters::parse(query).fault(), fault) << query;
	EXPECT_EQ(Parameters::parse("a=" + std::string(8192, 'x')).fault(), Fault::none);
}

TEST(Parameters, TooMany)
{
	std::string query;
	for (int i = 0; i < 64; i++)
		query += "p" + std::to_string(i) + "=1&";
	EXPECT_EQ(Parameters::parse(query).fault(), Fault::none);
	EXPECT_EQ(Parameters::parse(query + "q=1").fault(), Fault::too_many);
}

TEST(Parameters, FaultyName)
{
	EXPECT_EQ(Parameters::parse("x=1&code=%zz").faulty(), "code");
	EXPECT_EQ(Parameters::parse("code=1&code=2").faulty(), "code");
	EXPECT_EQ(Parameters::parse("code=1").faulty(), "");
	EXPECT_EQ(Parameters::parse("x=1&%zz=1").faulty(), "");
}

TEST(Parameters, Encodes)
{
	EXPECT_EQ(percent_encode("Az09-._~"), "Az09-._~");
	EXPECT_EQ(percent_encode("a b+c&d=e/\u00e9%"), "a%20b%2Bc%26d%3De%2F%C3%A9%25");
	EXPECT_EQ(form_encode("a b+c"), "a+b%2Bc");
	std::string form;
	append_form(form, "a b", "1&2");
	append_form(form, "c", "");
	EXPECT_EQ(form, "a+b=1%262&c=");
	std::string every;
	for (int c = 0; c < 256; c++)
		every += static_cast<char>(c);
	EXPECT_EQ(percent_decode(percent_encode(every), false), every);
	EXPECT_EQ(percent_decode(form_encode(every), true), every);
}

TEST(Parameters, Utf8)
{
	for (const auto *text : {"", "a", "\u00e9", "\u20ac", "\ud7ff", "\ue000", "\U0010ffff"})
		EXPECT_TRUE(common::is_utf8(text)) << text;
	for (const auto *text : {"\x80", "\xc3", "\xc0\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80",
							 "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
							 "\xf5\x80\x80\x80", "\xe2\x82", "\xe2\x82(", "\xe2(\xac", "\xff"})
		EXPECT_FALSE(common::is_utf8(text)) << text;
}

TEST(Parameters, Only)
{
	const Parameters::Wanted wanted{{"a"}, {"b"}};
	const auto read = Parameters::parse_only("x=1&x=2&y=%zz&%=&z=%ff&a=1&b=%ff%00&c", wanted);
	EXPECT_EQ(read.fault(), Parameters::Fault::none);
	EXPECT_EQ(read.all().size(), 2u);
	EXPECT_EQ(read.get("a"), "1");
	EXPECT_EQ(read.get("b"), std::string_view("\xff\0", 2));
	EXPECT_EQ(Parameters::parse_only("b=1%", wanted).get("b"), "1%");
	EXPECT_EQ(Parameters::parse_only("a=1&%61=1", wanted).fault(), Parameters::Fault::doubled);
	EXPECT_EQ(Parameters::parse_only("b=1&b=1", wanted).fault(), Parameters::Fault::doubled);
	EXPECT_EQ(Parameters::parse_only("a=%", wanted).fault(), Parameters::Fault::bad_escape);
	EXPECT_EQ(Parameters::parse_only("a=%ff", wanted).fault(), Parameters::Fault::bad_utf8);
	EXPECT_EQ(Parameters::parse_only("b=" + std::string(9000, 'b'), wanted).fault(),
			  Parameters::Fault::too_long);
}

TEST(Utf8, Characters)
{
	const auto first = [](std::string_view text) { return common::first_character(text); };
	EXPECT_TRUE(first("é").code_point == 0xe9);
	EXPECT_EQ(first("😀!").length, 4u);
	EXPECT_TRUE(first("😀!").code_point == 0x1f600);
	// A sequence that breaks off is one character.
	EXPECT_EQ(first("\xf0\x9f\x98x").length, 3u);
	EXPECT_FALSE(first("\xf0\x9f\x98x").is_valid);
	EXPECT_EQ(first("\xc3").length, 1u);
	EXPECT_EQ(first("\xed\xa0\x80").length, 1u); // a surrogate
	for (const char32_t c :
		 {0x00u, 0x1bu, 0x7fu, 0x85u, 0x200bu, 0x2028u, 0x202eu, 0x2066u, 0xfeffu})
		EXPECT_FALSE(common::is_harmless(c)) << std::uint32_t(c);
	for (const char32_t c : {0x20u, 0xe9u, 0x2013u, 0x30edu, 0xfffdu, 0x1f600u})
		EXPECT_TRUE(common::is_harmless(c)) << std::uint32_t(c);
	for (const char32_t c : {0x24u, 0xe9u, 0x20acu, 0x1f600u}) {
		std::string text;
		common::append_utf8(text, c);
		EXPECT_TRUE(first(text).code_point == c);
	}
}
