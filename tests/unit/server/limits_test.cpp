// C8: slow or many clients do not starve the others.
#include <gtest/gtest.h>

#include <deque>
#include <thread>

#include "running_server.hpp"

namespace sidecar::server
{

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace
{

Limits limits(const std::function<void(Limits &)> &change)
{
	Limits limits;
	change(limits);
	return limits;
}

} // namespace

TEST(ServerLimits, EndsAnUnfinishedRequest)
{
	RunningServer server(limits([](Limits &l) { l.header = 200ms; }));
	Client client(server.port());
	client.send("GET / HTTP/1.1\r\n");
	const auto begin = Clock::now();
	const Answer answer = client.receive();
	EXPECT_EQ(answer.status, 408);
	EXPECT_EQ(answer.header("Connection"), "close");
	EXPECT_TRUE(client.is_closed());
	EXPECT_GE(Clock::now() - begin, 150ms);
	EXPECT_LE(Clock::now() - begin, 10s);
	EXPECT_EQ(server.seen().at(0).status, 408);
}

TEST(ServerLimits, EndsABodyThatDoesNotCome)
{
	RunningServer server(limits([](Limits &l) { l.header = 100ms; }));
	Client client(server.port());
	EXPECT_EQ(client.ask(get("/", "Content-Length: 5\r\n") + "abc").status, 408);
	EXPECT_EQ(server.handled(), 0);
}

// A byte now and then buys no time.
TEST(ServerLimits, EndsSlowLoris)
{
	RunningServer server(limits([](Limits &l) { l.header = 300ms; }));
	Client client(server.port());
	const auto begin = Clock::now();
	client.send("GET / HTTP/1.1\r\n");
	while (!client.is_closed(20ms) && Clock::now() - begin < 20s && client.send("X: a\r\n"))
		if (server.statistics().connections == 0)
			break;
	EXPECT_LE(Clock::now() - begin, 10s);
	EXPECT_TRUE(server.settles(0));
}

TEST(ServerLimits, ClosesTheIdleWithoutAWord)
{
	RunningServer server(limits([](Limits &l) { l.idle = 600ms; }));
	Client fresh(server.port());
	Client used(server.port());
	EXPECT_EQ(used.ask(get("/")).status, 200);
	EXPECT_TRUE(fresh.is_closed());
	EXPECT_TRUE(used.is_closed());
	EXPECT_EQ(server.seen().size(), 1U);
	EXPECT_TRUE(server.settles(0));
}

TEST(ServerLimits, EndsOneWhoDoesNotRead)
{
	RunningServer server(limits([](Limits &l) { l.write = 200ms; }));
	Client client(server.port());
	client.send(get("/big/100000000"));
	ASSERT_TRUE(server.settles(1, 0));
	EXPECT_TRUE(server.settles(0));
}

TEST(ServerLimits, AnswersForAHandlerThatTakesTooLong)
{
	RunningServer server(limits([](Limits &l) { l.handler = 100ms; }));
	Client client(server.port());
	const Answer answer = client.ask(get("/hold"));
	EXPECT_EQ(answer.status, 503);
	EXPECT_TRUE(client.is_closed());
	EXPECT_EQ(server.handled(), 0);
	EXPECT_EQ(server.statistics().requests, 1);
	server.release();
	EXPECT_TRUE(server.settles(0, 0));
	EXPECT_EQ(server.handled(), 1); // it was left to finish
	EXPECT_EQ(server.seen().size(), 1U);
}

TEST(ServerLimits, ClosesTheLongestIdleForANewConnection)
{
	RunningServer server(limits([](Limits &l) { l.connections = 3; }));
	Client first(server.port());
	Client second(server.port());
	Client third(server.port());
	for (Client *client : {&second, &third, &first})
		EXPECT_EQ(client->ask(get("/")).status, 200);
	Client fourth(server.port());
	EXPECT_EQ(fourth.ask(get("/")).status, 200);
	EXPECT_TRUE(second.is_closed());
	EXPECT_EQ(third.ask(get("/")).status, 200);
	EXPECT_EQ(first.ask(get("/")).status, 200);
}

TEST(ServerLimits, ClosesANewConnectionWhereNoneIsIdle)
{
	RunningServer server(limits([](Limits &l) { l.connections = 2; }));
	Client first(server.port());
	Client second(server.port());
	first.send(get("/hold"));
	second.send(get("/hold"));
	ASSERT_TRUE(server.settles(2, 2));
	Client third(server.port());
	EXPECT_TRUE(third.is_closed());
	server.release();
	EXPECT_EQ(first.receive().status, 200);
	EXPECT_EQ(second.receive().status, 200);
}

// If no descriptor is left, an idle one goes for each client that comes, and nothing spins.
TEST(ServerLimits, LivesThroughALackOfDescriptors)
{
	RunningServer server;
	std::deque<Client> idle;
	for (int i = 0; i < 20; i++)
		EXPECT_EQ(idle.emplace_back(server.port()).ask(get("/")).status, 200);
	testing::internal::CaptureStderr();
	Answer answer;
	{
		const LackOfDescriptors lack;
		answer = Client(server.port()).ask(get("/"));
	}
	const std::string log = testing::internal::GetCapturedStderr();
	EXPECT_EQ(answer.status, 200);
	EXPECT_NE(log.find("descriptors"), std::string::npos);
	EXPECT_TRUE(idle.front().is_closed());
	EXPECT_EQ(idle[1].ask(get("/")).status, 200);
}

TEST(ServerLimits, AnswersBesideManyIdleAndSlowOnes)
{
	RunningServer server;
	std::deque<Client> idle;
	for (int i = 0; i < 300; i++)
		idle.emplace_back(server.port());
	for (int i = 0; i < 100; i++)
		idle.emplace_back(server.port()).send("GET / HTTP/1.1\r\n");
	ASSERT_TRUE(server.settles(400));
	Client client(server.port());
	for (int i = 0; i < 100; i++)
		ASSERT_EQ(client.ask(get("/")).status, 200);
	EXPECT_EQ(idle.front().ask(get("/")).status, 200);
	EXPECT_EQ(idle.back().ask("Host: h\r\n\r\n").status, 200);
}

} // namespace sidecar::server
