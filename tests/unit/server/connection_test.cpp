#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <optional>
#include <thread>

#include "running_server.hpp"

namespace sidecar::server
{

using namespace std::chrono_literals;

TEST(ServerConnection, AnswersAndStays)
{
	RunningServer server;
	Client client(server.port());
	for (int i = 0; i < 3; i++) {
		const Answer answer = client.ask(get("/a?b=c", "Cookie: d=e\r\n"));
		EXPECT_EQ(answer.status, 200);
		EXPECT_EQ(answer.body, "GET|/a|b=c|d=e||---|0");
		EXPECT_EQ(answer.header("Connection"), "");
		EXPECT_EQ(answer.header("Server"), "");
		EXPECT_EQ(answer.header("X-Request-Id").size(), 16U);
		EXPECT_NE(answer.header("Date"), "");
	}
	EXPECT_EQ(server.statistics().connections, 1);
	EXPECT_EQ(server.statistics().requests, 0);
}

TEST(ServerConnection, GivesEachRequestAnId)
{
	RunningServer server;
	Client client(server.port());
	const Answer first = client.ask(get("/"));
	const Answer second = client.ask(get("/"));
	EXPECT_NE(first.header("X-Request-Id"), second.header("X-Request-Id"));
	EXPECT_EQ(server.seen().at(1).request_id, second.header("X-Request-Id"));
}

TEST(ServerConnection, AnswersPipelinedRequestsInOrder)
{
	RunningServer server;
	Client client(server.port());
	client.send(get("/wait/50") + "POST /two HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" +
				get("/three") + get("/four", "Connection: close\r\n") + get("/five"));
	EXPECT_TRUE(client.receive().body.starts_with("GET|/wait/50|"));
	EXPECT_EQ(client.receive().body, "POST|/two||||---|3");
	EXPECT_TRUE(client.receive().body.starts_with("GET|/three|"));
	const Answer last = client.receive();
	EXPECT_TRUE(last.body.starts_with("GET|/four|"));
	EXPECT_EQ(last.header("Connection"), "close");
	EXPECT_TRUE(client.is_closed());
	EXPECT_EQ(server.handled(), 4);
}

TEST(ServerConnection, AnswersManyPipelinedRequests)
{
	RunningServer server;
	Client client(server.port());
	std::string all;
	for (int i = 0; i < 2000; i++)
		all += get("/" + std::to_string(i));
	std::thread sender([&] { client.send(all); });
	for (int i = 0; i < 2000; i++)
		ASSERT_TRUE(client.receive().body.starts_with("GET|/" + std::to_string(i) + "|"));
	sender.join();
}

TEST(ServerConnection, SendsNoBodyToHead)
{
	RunningServer server;
	Client client(server.port());
	const Answer answer = client.ask("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", false);
	EXPECT_EQ(answer.status, 200);
	EXPECT_EQ(answer.header("Content-Length"), "15");
	EXPECT_EQ(client.ask(get("/")).status, 200);
	// A refusal, too.
	client.ask("HEAD x HTTP/1.1\r\nHost: h\r\n\r\n", false);
	EXPECT_TRUE(client.is_closed());
}

TEST(ServerConnection, ClosesAfterHttp10)
{
	RunningServer server;
	Client client(server.port());
	const Answer answer = client.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	EXPECT_EQ(answer.status, 200);
	EXPECT_EQ(answer.header("Connection"), "close");
	EXPECT_TRUE(client.is_closed());
}

TEST(ServerConnection, AnswersOneWhoHasNothingMoreToSay)
{
	RunningServer server;
	Client client(server.port());
	client.send(get("/wait/50"));
	client.finish();
	EXPECT_EQ(client.receive().status, 200);
	EXPECT_TRUE(client.is_closed());
}

TEST(ServerConnection, PassesMethodsOn)
{
	RunningServer server;
	for (const std::string method : {"BREW", "TRACE", "CONNECT", "DELETE"}) {
		Client client(server.port());
		EXPECT_EQ(client.ask(method + " /a HTTP/1.1\r\nHost: h\r\n\r\n").body,
				  method + "|/a||||---|0");
	}
	EXPECT_EQ(server.seen().at(0).method, "other");
	EXPECT_EQ(server.seen().at(1).method, "TRACE");
}

// F10: after each the server lives and answers.
TEST(ServerConnection, RefusesBadRequestsAndCloses)
{
	struct Case {
		std::string bytes;
		int status;
	};
	const std::string host = "Host: h\r\n";
	const Case cases[] = {
		{"GET / HTTP/1.1\r\n\r\n", 400},
		{get("/", host), 400},
		{get("/", "X: a\r\n b\r\n"), 400},
		{get("http://h/"), 400},
		{get("*"), 400},
		{"GET / HTTP/3.0\r\n" + host + "\r\n", 505},
		{std::string("GET /\0 HTTP/1.1\r\n", 17) + host + "\r\n", 400},
		{get("/", "Transfer-Encoding: gzip\r\n"), 400},
		{get("/", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"), 400},
		{get("/", "Content-Length: 100000\r\n") + std::string(100000, 'x'), 413},
		{get("/", "Expect: 100-continue\r\nContent-Length: 3\r\n"), 417},
		{get("/" + std::string(9000, 'x')), 414},
		{get("/", "X: " + std::string(100000, 'x') + "\r\n"), 431},
		{"\x16\x03\x01", 400},
		{"AVERYLONGMETHODINDEED / HTTP/1.1\r\n" + host + "\r\n", 501},
	};
	RunningServer server;
	for (const Case &one : cases) {
		Client bad(server.port());
		const Answer answer = bad.ask(one.bytes + get("/smuggled"));
		EXPECT_EQ(answer.status, one.status) << one.bytes.substr(0, 80);
		EXPECT_EQ(answer.header("Connection"), "close");
		bad.finish();
		EXPECT_TRUE(bad.is_closed());
		Client good(server.port());
		EXPECT_EQ(good.ask(get("/")).status, 200);
	}
	EXPECT_EQ(server.handled(), static_cast<int>(std::size(cases)));
	for (const Seen &seen : server.seen())
		EXPECT_EQ(seen.endpoint, seen.status == 200 ? "echo" : "none");
}

TEST(ServerConnection, TellsTheObserverNoMoreThanMayBeLogged)
{
	RunningServer server;
	Client client(server.port());
	client.ask(get("/p/" + std::string(1000, 'x') + "?code=secret"));
	const Seen seen = server.seen().at(0);
	EXPECT_EQ(seen.method, "GET");
	EXPECT_EQ(seen.path, ("/p/" + std::string(1000, 'x')).substr(0, 256));
	EXPECT_EQ(seen.status, 200);
}

TEST(ServerConnection, AnswersFiveHundredWhereTheHandlerThrows)
{
	RunningServer server;
	Client client(server.port());
	testing::internal::CaptureStderr();
	const Answer answer = client.ask(get("/throw"));
	const std::string log = testing::internal::GetCapturedStderr();
	EXPECT_EQ(answer.status, 500);
	EXPECT_EQ(answer.body, "refused");
	EXPECT_NE(log.find(answer.header("X-Request-Id")), std::string::npos);
	EXPECT_EQ(log.find("secret"), std::string::npos);
	EXPECT_EQ(client.ask(get("/")).status, 200);
}

// F7
TEST(ServerConnection, LetsNoResponseForgeAHeader)
{
	RunningServer server;
	Client client(server.port());
	testing::internal::CaptureStderr();
	const Answer answer = client.ask(get("/inject"));
	testing::internal::GetCapturedStderr();
	EXPECT_EQ(answer.head.find("X-Two"), std::string::npos);
	EXPECT_EQ(answer.header("X-Three"), "fine");
	EXPECT_EQ(answer.body, "GET|/inject||||---|0");
}

// They are not kept for as long as a slow client takes to read.
TEST(ServerConnection, HasNoSecretsOfARequestWhileItSendsTheAnswer)
{
	const std::string secrets =
		get("/?code=1", "Cookie: flow=a-cookie-of-an-attempt\r\nAuthorization: Bearer x\r\n");
	boost::asio::io_context context;
	const http::Request *request = nullptr;
	std::size_t before = 0;
	std::optional<std::size_t> after;
	const auto bytes = [&] {
		return request->query.size() + request->cookie.size() + request->authorization.size();
	};
	const auto answer = [&](http::Request &&asked) -> boost::asio::awaitable<http::Response> {
		request = &asked;
		before = bytes();
		co_return http::Response(200, "text/plain", "answered");
	};
	const auto refuse = [](int status, const std::string &) {
		return http::Response(status, "text/plain", "refused");
	};
	const auto observe = [&](const AccessRecord &) { after = bytes(); };
	Server server(context, {}, answer, refuse, observe);
	settings::Address address;
	address.host = "127.0.0.1";
	Client client(server.listen(address, http::Audience::everything));
	client.send(secrets);
	while (!after)
		context.run_one_for(10s);
	EXPECT_GT(before, 0U);
	EXPECT_EQ(after, 0U);
}

TEST(ServerConnection, LetsTheHandlerFinishWhenTheClientIsGone)
{
	RunningServer server;
	Client gone(server.port());
	gone.send(get("/hold"));
	ASSERT_TRUE(server.settles(1, 1));
	gone.reset();
	server.release();
	ASSERT_TRUE(server.settles(0, 0));
	EXPECT_EQ(server.handled(), 1);
	Client partial(server.port());
	partial.send("GET / HTTP");
	partial.finish();
	EXPECT_TRUE(partial.is_closed());
	EXPECT_EQ(server.handled(), 1);
}

TEST(ServerConnection, SendsLongAnswers)
{
	RunningServer server;
	Client client(server.port());
	EXPECT_EQ(client.ask(get("/big/20000000")).body.size(), 20000000U);
	EXPECT_EQ(client.ask(get("/")).status, 200);
}

} // namespace sidecar::server
