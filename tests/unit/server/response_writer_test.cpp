#include "server/response_writer.hpp"

#include <gtest/gtest.h>

namespace sidecar::server
{

namespace
{

bool contains(const std::string &text, std::string_view part)
{
	return text.find(part) != std::string::npos;
}

} // namespace

TEST(ServerAnswer, SaysWhatItMust)
{
	http::Response response(200, "text/plain", "hello");
	response.with("Cache-Control", "no-store");
	const std::string text = answer_text(response, {"0123456789abcdef", false, false});
	EXPECT_TRUE(text.starts_with("HTTP/1.1 200 OK\r\nDate: "));
	EXPECT_TRUE(contains(text, " GMT\r\n"));
	EXPECT_TRUE(contains(text, "\r\nContent-Type: text/plain\r\n"));
	EXPECT_TRUE(contains(text, "\r\nContent-Length: 5\r\n"));
	EXPECT_TRUE(contains(text, "\r\nX-Request-Id: 0123456789abcdef\r\n"));
	EXPECT_TRUE(text.ends_with("\r\nCache-Control: no-store\r\n\r\nhello"));
	EXPECT_FALSE(contains(text, "Server:"));
	EXPECT_FALSE(contains(text, "Connection:"));
}

TEST(ServerAnswer, HasNoBodyForHead)
{
	const http::Response response(200, "text/plain", "hello");
	const std::string text = answer_text(response, {"id", true, true});
	EXPECT_TRUE(contains(text, "\r\nContent-Length: 5\r\n"));
	EXPECT_TRUE(text.ends_with("\r\nConnection: close\r\n\r\n"));
}

TEST(ServerAnswer, GivesNoLengthWhereThereCanBeNoBody)
{
	const http::Response response(204, "", "");
	const std::string text = answer_text(response, {"id", false, false});
	EXPECT_FALSE(contains(text, "Content-Length"));
	EXPECT_FALSE(contains(text, "Content-Type"));
}

// F7
TEST(ServerAnswer, LeavesOutWhatWouldForgeHeaders)
{
	using namespace std::string_literals;
	http::Response response(200, "text/html\r\nX-Evil: 0", "");
	response.with("Location", "/a\r\nX-Evil: 1").with("Location", "/b\nX-Evil: 2");
	response.with("Location", "/c\rX-Evil: 3").with("Location", "/d\0X-Evil: 4"s);
	response.with("Location\r\nX-Evil", "5").with("X Evil", "6").with("", "X-Evil: 7");
	response.with("content-length", "X-Evil: 8").with("Transfer-Encoding", "X-Evil: 9");
	response.with("X-Request-Id", "X-Evil: 10").with("X-Good", "yes");
	const std::string text = answer_text(response, {"id", false, false});
	EXPECT_FALSE(contains(text, "Evil"));
	EXPECT_TRUE(contains(text, "\r\nX-Good: yes\r\n"));
}

TEST(ServerAnswer, AnswersFiveHundredWhereTheStatusIsNone)
{
	const http::Response response(42, "", "");
	EXPECT_TRUE(answer_text(response, {"id", false, false}).starts_with("HTTP/1.1 500 "));
}

} // namespace sidecar::server
