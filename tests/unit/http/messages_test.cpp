#include "http/request.hpp"
#include "http/response.hpp"

#include <gtest/gtest.h>

using namespace sidecar::http;

TEST(Messages, Response)
{
	Response response(200, "text/plain", "text");
	response.with("Location", "/a").with("Set-Cookie", "b").with("Set-Cookie", "c");
	const Response moved = std::move(response);
	EXPECT_EQ(moved.status, 200);
	EXPECT_EQ(moved.content_type, "text/plain");
	EXPECT_EQ(moved.body, "text");
	ASSERT_EQ(moved.headers.size(), 3u);
	EXPECT_EQ(moved.headers[2].first, "Set-Cookie");
	EXPECT_EQ(moved.headers[2].second, "c");
}

TEST(Messages, Request)
{
	Request request;
	request.query = "code=a";
	Request moved = std::move(request);
	EXPECT_EQ(moved.query, "code=a");
	EXPECT_EQ(moved.audience, Audience::everything);
}
