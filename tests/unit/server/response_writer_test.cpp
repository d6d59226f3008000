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
	response.fixed_headers = "X-One: 1\r\nX-Two: 2\r\n";
	const common::Secret answer = answer_text(response, {"0123456789abcdef", false, false});
	const std::string text(answer.reveal());
	EXPECT_TRUE(text.starts_with("HTTP/1.1 200 OK\r\nDate: "));
	EXPECT_TRUE(contains(text, " GMT\r\n"));
	EXPECT_TRUE(contains(text, "\r\nContent-Type: text/plain\r\n"));
	EXPECT_TRUE(contains(text, "\r\nContent-Length: 5\r\n"));
	EXPECT_TRUE(contains(text, "\r\nX-Request-Id: 0123456789abcdef\r\n"));
	EXPECT_TRUE(text.ends_with("\r\nCache-Control: no-store\r\nX-One: 1\r\nX-Two: 2\r\n\r\nhello"));
	EXPECT_FALSE(contains(text, "Server:"));
	EXPECT_FALSE(contains(text, "Connection:"));
}

TEST(ServerAnswer, HasNoBodyForHead)
{
	const http::Response response(200, "text/plain", "hello");
	const common::Secret answer = answer_text(response, {"id", true, true});
	const std::string text(answer.reveal());
	EXPECT_TRUE(contains(text, "\r\nContent-Length: 5\r\n"));
	EXPECT_TRUE(text.ends_with("\r\nConnection: close\r\n\r\n"));
}

// F7
TEST(ServerAnswer, LeavesOutWhatWouldForgeHeaders)
{
	using namespace std::string_literals;
	http::Response response(200, "text/html", "");
	response.with("Location", "/a\r\nX-Evil: 1").with("Location", "/b\nX-Evil: 2");
	response.with("Location", "/c\rX-Evil: 3").with("Location", "/d\0X-Evil: 4"s);
	response.with("X-Good", "yes");
	const common::Secret answer = answer_text(response, {"id", false, false});
	const std::string text(answer.reveal());
	EXPECT_FALSE(contains(text, "Evil"));
	EXPECT_TRUE(contains(text, "\r\nX-Good: yes\r\n"));
}

} // namespace sidecar::server
