// C8, C9: one server on several loops.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>

#include "running_server.hpp"

namespace sidecar::server
{

using namespace std::chrono_literals;

namespace
{

Limits with_connections(int connections)
{
	Limits limits;
	limits.connections = connections;
	limits.grace = 100ms;
	return limits;
}

// Asks on each connection, so that all are with their loops.
std::deque<Client> connect(const RunningServer &server, int count)
{
	std::deque<Client> clients;
	for (int i = 0; i < count; i++) {
		clients.emplace_back(server.port());
		EXPECT_EQ(clients.back().ask(get("/")).status, 200);
	}
	return clients;
}

} // namespace

TEST(ServerLoops, EachGetsItsShare)
{
	RunningServer server({}, {}, 3);
	const std::deque<Client> clients = connect(server, 9);
	EXPECT_EQ(server.handled_by_loop(), (std::vector<int>{3, 3, 3}));
	EXPECT_EQ(server.statistics().connections, 9);
}

// Also if no connection lasts.
TEST(ServerLoops, EqualsTakeTurns)
{
	RunningServer server({}, {}, 2);
	for (int i = 0; i < 8; i++) {
		connect(server, 1);
		EXPECT_TRUE(server.settles(0));
	}
	EXPECT_EQ(server.handled_by_loop(), (std::vector<int>{4, 4}));
}

// A connection goes to the loop that has the fewest.
TEST(ServerLoops, ALoopThatHasLostSomeGetsTheNext)
{
	RunningServer server({}, {}, 2);
	std::deque<Client> clients = connect(server, 6);
	for (const std::size_t of_one_loop : {0, 2, 4})
		clients[of_one_loop].reset();
	EXPECT_TRUE(server.settles(3));
	const std::vector<int> before = server.handled_by_loop();
	const std::deque<Client> more = connect(server, 3);
	std::vector<int> gained = server.handled_by_loop();
	std::ranges::transform(gained, before, gained.begin(), std::minus());
	std::ranges::sort(gained);
	EXPECT_EQ(gained, (std::vector<int>{0, 3}));
}

TEST(ServerLoops, TheLimitIsOfAllTogether)
{
	RunningServer server(with_connections(5), {}, 2);
	std::deque<Client> clients = connect(server, 5);
	const std::deque<Client> more = connect(server, 2);
	EXPECT_TRUE(server.settles(5));
	EXPECT_EQ(std::ranges::count_if(clients, [](Client &one) { return one.is_closed(0ms); }), 2);
}

// At the limit, the one loop has nothing idle, so the other closes one; and if that has none
// either, the new connection is closed.
TEST(ServerLoops, AtTheLimitAnyIdleOneIsClosed)
{
	RunningServer server(with_connections(2), {}, 2);
	Client busy(server.port());
	busy.send(get("/hold"));
	EXPECT_TRUE(server.settles(1, 1));
	std::deque<Client> idle = connect(server, 1);
	for (int i = 0; i < 3; i++) { // whichever loop's turn it is
		idle.emplace_back(server.port());
		EXPECT_EQ(idle.back().ask(get("/")).status, 200);
		EXPECT_TRUE(idle.front().is_closed());
		idle.pop_front();
		EXPECT_TRUE(server.settles(2, 1));
	}
	idle.front().send(get("/hold"));
	EXPECT_TRUE(server.settles(2, 2));
	Client refused(server.port());
	EXPECT_TRUE(refused.is_closed());
	server.release();
	EXPECT_EQ(busy.receive().status, 200);
	EXPECT_EQ(idle.front().receive().status, 200);
}

// The loop with the most clients has no idle one, and another has.
TEST(ServerLoops, ALackOfDescriptorsClosesAnIdleOneOfAnyLoop)
{
	RunningServer server({}, {}, 3);
	std::deque<Client> clients = connect(server, 7); // in turn; the first loop of them has three
	Client &idle = clients[1];
	for (Client &client : clients)
		if (&client != &idle)
			client.send(get("/hold"));
	EXPECT_TRUE(server.settles(7, 6));
	{
		const LackOfDescriptors lack;
		EXPECT_EQ(Client(server.port()).ask(get("/")).status, 200);
	}
	EXPECT_TRUE(idle.is_closed());
	server.release();
	for (Client &client : clients)
		EXPECT_EQ(client.receive().status, &client == &idle ? 0 : 200);
}

TEST(ServerLoops, ADrainEndsAll)
{
	RunningServer server(with_connections(100), {}, 3);
	std::deque<Client> clients = connect(server, 9);
	for (int i = 0; i < 3; i++)
		clients[static_cast<std::size_t>(i)].send(get("/hold"));
	EXPECT_TRUE(server.settles(9, 3));
	server.start_drain(60s);
	EXPECT_TRUE(server.settles(3, 3)); // idle ones are closed after a moment, on every loop
	EXPECT_FALSE(Client(server.port()).is_connected());
	server.release();
	for (int i = 0; i < 3; i++) {
		const Answer answer = clients[static_cast<std::size_t>(i)].receive();
		EXPECT_EQ(answer.status, 200);
		EXPECT_EQ(answer.header("Connection"), "close");
	}
	EXPECT_TRUE(server.wait_drained());
}

} // namespace sidecar::server
