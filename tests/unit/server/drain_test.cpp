// C9: nobody who was let in is left without an answer.
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <thread>

#include "running_server.hpp"

namespace sidecar::server
{

using namespace std::chrono_literals;

namespace
{

constexpr auto kDeadline = 60s; // that no test waits for

Limits with_grace(Limits::Time grace)
{
	Limits limits;
	limits.grace = grace;
	return limits;
}

struct Load {
	std::atomic<bool> is_draining = false;
	std::atomic<int> answered = 0;
	std::atomic<int> unanswered = 0;
};

// Asks until nobody listens any more. A client that was told "close" comes again on a new
// connection. If the listener closes at that moment, it was not let in.
void ask_on(unsigned short port, bool keeps_connection, Load &load)
{
	for (;;) {
		Client client(port);
		if (!client.is_connected())
			return;
		for (bool is_first = true, stays = true; stays; is_first = false) {
			const Answer answer = client.ask(get("/wait/1"));
			if (answer.status != 200 && is_first && load.is_draining)
				return;
			(answer.status == 200 ? load.answered : load.unanswered)++;
			stays = keeps_connection && answer.status == 200 && answer.header("Connection").empty();
		}
	}
}

} // namespace

TEST(ServerDrain, LeavesNoRequestUnanswered)
{
	RunningServer server;
	Load load;
	std::vector<std::thread> clients;
	for (int i = 0; i < 16; i++)
		clients.emplace_back(ask_on, server.port(), i % 2 == 0, std::ref(load));
	while (load.answered <= 100)
		std::this_thread::sleep_for(1ms);
	load.is_draining = true;
	server.start_drain(kDeadline);
	EXPECT_TRUE(server.wait_drained());
	for (std::thread &client : clients)
		client.join();
	EXPECT_EQ(load.unanswered, 0);
	EXPECT_EQ(server.statistics().connections, 0);
}

TEST(ServerDrain, AnswersLateRequestsOfIdleConnections)
{
	RunningServer server(with_grace(30s));
	Client late(server.port());
	Client silent(server.port());
	EXPECT_EQ(late.ask(get("/")).status, 200);
	EXPECT_EQ(silent.ask(get("/")).status, 200);
	server.start_drain(kDeadline);
	while (Client(server.port()).is_connected()) // it is late when nobody listens any more
		std::this_thread::sleep_for(1ms);
	const Answer answer = late.ask(get("/"));
	EXPECT_EQ(answer.status, 200);
	EXPECT_EQ(answer.header("Connection"), "close");
	EXPECT_TRUE(late.is_closed());
	EXPECT_EQ(server.drained(), -1); // it waits for the other one
	silent.finish();
	EXPECT_TRUE(server.wait_drained());
}

TEST(ServerDrain, ClosesIdleConnectionsAfterTheGrace)
{
	RunningServer server(with_grace(200ms));
	Client silent(server.port());
	EXPECT_EQ(silent.ask(get("/")).status, 200);
	server.start_drain(kDeadline);
	EXPECT_TRUE(silent.is_closed());
	ASSERT_TRUE(server.wait_drained());
	EXPECT_GE(server.drained(), 200);
}

TEST(ServerDrain, AnswersWhatWaitsBehindARequest)
{
	RunningServer server;
	Client client(server.port());
	client.send(get("/hold") + get("/second"));
	ASSERT_TRUE(server.settles(1, 1));
	server.start_drain(kDeadline);
	server.release();
	EXPECT_EQ(client.receive().header("Connection"), "");
	const Answer second = client.receive();
	EXPECT_EQ(second.status, 200);
	EXPECT_EQ(second.header("Connection"), "close");
	EXPECT_TRUE(client.is_closed());
}

TEST(ServerDrain, AcceptsWhatAlreadyWaits)
{
	RunningServer server;
	std::deque<Client> clients;
	server.on_thread([&](Server &) {
		// The server's thread is held up, so that these wait in the backlog.
		for (int i = 0; i < 200; i++)
			clients.emplace_back(server.port()).send(get("/"));
	});
	server.start_drain(kDeadline);
	for (Client &client : clients)
		EXPECT_EQ(client.receive().status, 200);
}

TEST(ServerDrain, EndsAtOnceWhereNothingIsOpen)
{
	RunningServer server(with_grace(30s)); // longer than wait_drained() waits
	server.start_drain(kDeadline);
	ASSERT_TRUE(server.wait_drained());
	EXPECT_FALSE(Client(server.port()).is_connected());
}

TEST(ServerDrain, CutsWhatIsOpenAtTheDeadline)
{
	RunningServer server;
	Client waiting(server.port());
	Client partial(server.port());
	waiting.send(get("/hold"));
	partial.send("GET / HTTP/1.1\r\n");
	ASSERT_TRUE(server.settles(2, 1));
	server.start_drain(400ms);
	ASSERT_TRUE(server.wait_drained());
	EXPECT_GE(server.drained(), 400);
	EXPECT_EQ(waiting.receive().status, 0);
	EXPECT_EQ(partial.receive().status, 0);
	server.release();
	EXPECT_TRUE(server.settles(0, 0)); // the handler came to its end
	EXPECT_EQ(server.handled(), 1);
}

} // namespace sidecar::server
