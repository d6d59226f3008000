#include "settings/dotenv.hpp"

#include <gtest/gtest.h>

using sidecar::settings::Diagnostics;
using sidecar::settings::Environment;
using sidecar::settings::parse_dotenv;

namespace
{

struct Case {
	const char *name;
	std::string text;
	Environment variables;
};

} // namespace

TEST(Dotenv, Reads)
{
	const Case cases[] = {
		{"nothing", "", {}},
		{"plain", "A=b", {{"A", "b"}}},
		{"empty value", "A=", {{"A", ""}}},
		{"several", "A=1\nB=2\n\nC=3\n", {{"A", "1"}, {"B", "2"}, {"C", "3"}}},
		{"line breaks of Windows", "A=1\r\nB=2\r\n", {{"A", "1"}, {"B", "2"}}},
		{"byte order mark",
		 "\xef\xbb\xbf"
		 "A=1",
		 {{"A", "1"}}},
		{"comments",
		 "# A=0\n  # more\nA=1 # one\nB=2#2\nC=#\n",
		 {{"A", "1"}, {"B", "2#2"}, {"C", ""}}},
		{"export",
		 "export A=1\nexport\tB=2\nexported=3",
		 {{"A", "1"}, {"B", "2"}, {"exported", "3"}}},
		{"spaces", "  A = b c  \n", {{"A", "b c"}}},
		{"single quotes", R"(A='b "c" \n $D #e' # f)", {{"A", R"(b "c" \n $D #e)"}}},
		{"double quotes", R"(A="b 'c' #d" # e)", {{"A", "b 'c' #d"}}},
		{"escapes", R"(A="\n\r\t\"\\\$")", {{"A", "\n\r\t\"\\$"}}},
		{"quoted and empty", "A=''\nB=\"\"", {{"A", ""}, {"B", ""}}},
		{"equals signs", "A=b=c==", {{"A", "b=c=="}}},
		{"quote inside", "A=b'c\"d", {{"A", "b'c\"d"}}},
		{"nothing is expanded", "A=${B}$C", {{"A", "${B}$C"}}},
		{"the later counts", "A=1\nA=2", {{"A", "2"}}},
	};
	for (const Case &test : cases) {
		Diagnostics diagnostics;
		EXPECT_EQ(parse_dotenv(test.text, diagnostics), test.variables) << test.name;
		EXPECT_TRUE(diagnostics.errors.empty()) << test.name;
	}
}

TEST(Dotenv, FaultsWithLineAndWithoutContent)
{
	const std::pair<std::string, std::string> cases[] = {
		{"hunter2", "NAME=VALUE"},       {"=hunter2", "NAME=VALUE"},
		{"1A=hunter2", "NAME=VALUE"},    {"A-B=hunter2", "NAME=VALUE"},
		{"A='hunter2", "not closed"},    {"A=\"hunter2", "not closed"},
		{"A=\"hunter2\\", "not closed"}, {"A=\"hunter2\\q\"", "escape"},
		{"A='hunter2'x", "follows"},     {std::string("A=hunter2\0", 10), "zero byte"},
	};
	for (const auto &[line, part] : cases) {
		Diagnostics diagnostics;
		parse_dotenv("X=1\n\n" + line + "\nY=2", diagnostics);
		ASSERT_EQ(diagnostics.errors.size(), 1u) << line;
		EXPECT_EQ(diagnostics.errors[0].setting, ".env");
		EXPECT_EQ(diagnostics.errors[0].message.find("line 3: "), 0u)
			<< diagnostics.errors[0].message;
		EXPECT_NE(diagnostics.errors[0].message.find(part), std::string::npos) << line;
		EXPECT_EQ(diagnostics.errors[0].message.find("hunter2"), std::string::npos) << line;
	}
}

TEST(Dotenv, AllFaultsAtOnce)
{
	Diagnostics diagnostics;
	const Environment variables = parse_dotenv("a\nB=1\nc\nD='", diagnostics);
	EXPECT_EQ(diagnostics.errors.size(), 3u);
	EXPECT_EQ(variables.at("B"), "1");
}
