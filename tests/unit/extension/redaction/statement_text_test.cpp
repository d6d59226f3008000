#include "redaction/statement_text.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace oauth_tokens
{

namespace
{

std::string named(std::string_view text, std::string_view also = {})
{
	return std::string(named_function(text, also));
}

std::vector<std::string> executed(std::string_view text)
{
	std::vector<std::string> names;
	const auto visit = [](Name &name, void *out) {
		static_cast<std::vector<std::string> *>(out)->emplace_back(name.text());
		return false;
	};
	any_executed(text, visit, &names);
	return names;
}

TEST(NamedFunction, InAnyPlaceAndCase)
{
	for (const std::string_view text :
		 {"oauth_store", "SELECT oauth_store('x')", "select OAUTH_Store ()", "\"oauth_store\"",
		  "a.oauth_store(", "SELECT 'oauth_store'", "/*oauth_store*/", "_oauth_get oauth_store",
		  "U&\"oauth\\005fstore\"", "u&\"\\006fauth_store\"", "U&\"\\+00006fauth_store\"",
		  "oauth_store$$x$$", "DO $a$oauth_store$a$", "U&\"oauth!005fstore\" UESCAPE '!'",
		  "U&\"oauth!005fstore\"/**/uescape --\n'!'", "U&\"oauth!005fstore\" UESCAPE $$!$$",
		  "U&\"oauth!005fstore\" UESCAPE E'\\x21'", "U&\"oauthq005fstore\" UESCAPE ''\n'q'"})
		EXPECT_EQ(named(text), "oauth_store") << text;
	EXPECT_EQ(named("SELECT oauth_tokens_internal.cluster()"), "oauth_tokens_internal");
	EXPECT_EQ(named("x oauth_get y oauth_store"), "oauth_get");
}

TEST(NamedFunction, AnotherNameIsNone)
{
	for (const std::string_view text :
		 {"", "_", "oauth_tokens", "SELECT * FROM oauth_tokens", "my_oauth_store", "oauth_stores",
		  "oauth_store_", "oauth_store\xc3\xa9", "\xc3\xa9oauth_store", "oauth-store", "U&\"",
		  "U&\"oauth\\005", "U&\"\\", "&\"oauth", "U&\"oauth\\005gstore\"",
		  "U&\"oauth!005gstore\" UESCAPE '!'"})
		EXPECT_EQ(named(text), "") << text;
}

TEST(NamedFunction, NotInPlaceOfAStatement)
{
	constexpr std::string_view quoted = "Process 7: <redacted by oauth_tokens: oauth_store>";
	EXPECT_EQ(named(quoted), "");
	EXPECT_EQ(named(quoted, "save\n"), "");
	EXPECT_EQ(named(std::string(quoted) + " Process 8: SELECT oauth_get()"), "oauth_get");
}

TEST(NamedFunction, NamesOfTheUser)
{
	constexpr std::string_view also = "save\nkeep it\n";
	EXPECT_EQ(named("SELECT SAVE('x')", also), "save");
	EXPECT_EQ(named("SELECT U&\"s\\0061ve\"('x')", also), "save");
	EXPECT_EQ(named("SELECT saved, oauth_get(", also), "oauth_get");
	EXPECT_EQ(named("SELECT saved", also), "");
	EXPECT_EQ(named("SELECT save", {}), "");
}

TEST(HasConstant, StringsAndNumbers)
{
	for (const std::string_view text :
		 {"'x'", "$$x$$", "$a$x$a$", "$1, $_$", "1", "f(12345)", "a1 .5"})
		EXPECT_TRUE(has_constant(text)) << text;
	for (const std::string_view text : {"", "SELECT x1", "f($1, $23)", "$", "\"x\""})
		EXPECT_FALSE(has_constant(text)) << text;
}

TEST(AnyExecuted, Names)
{
	using Names = std::vector<std::string>;
	EXPECT_EQ(executed("EXECUTE p('x')"), Names{"p"});
	EXPECT_EQ(executed("explain execute P; EXECUTE /* a */ -- b\n \"Q \"\" q\"(1)"),
			  (Names{"p", "Q \" q"}));
	EXPECT_EQ(executed("EXECUTE /* a /* b */ c */ p; EXECUTE -- x\rq$1()"), (Names{"p", "q$1"}));
	EXPECT_EQ(executed("execute x;'exEcute X,eXecute y'execute"), (Names{"x", "x", "y", ""}));
	EXPECT_EQ(executed("executed executes _execute 1execute \xc3\xa9"
					   "execute execute1 xx X execut"),
			  Names{});
	EXPECT_EQ(executed("EXECUTE"), Names{""});
	EXPECT_EQ(executed("EXECUTE \""), Names{""});
	EXPECT_EQ(executed("EXECUTE " + std::string(100, 'a')), Names{std::string(63, 'a')});
}

TEST(AnyExecuted, NamesWithEscapes)
{
	for (const char *text : {"EXECUTE U&\"\\0061\"\"b\"()", "execute u&\"!0061\"\"b\" UESCAPE '!'",
							 "EXECUTE U&\"!+000061\"\"b\" UESCAPE $x$!$x$ ('c')"}) {
		const auto names = executed(text);
		EXPECT_TRUE(std::ranges::count(names, "a\"b")) << text;
	}
}

} // namespace

} // namespace oauth_tokens
