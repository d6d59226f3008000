#include "redis/client.hpp"

#include <csignal>

#include "fake_redis.hpp"
#include "running_redis.hpp"

namespace sidecar::redis
{

using namespace std::chrono_literals;
using tests::RedisServer;

namespace asio = boost::asio;

namespace
{

class RedisClient : public tests::RedisTest
{
protected:
	static void SetUpTestSuite() { server_ = std::make_unique<RedisServer>(); }
	static void TearDownTestSuite() { server_.reset(); }

	static std::unique_ptr<RedisServer> server_;
};

std::unique_ptr<RedisServer> RedisClient::server_;

// What came of many commands.
struct Outcome {
	int good = 0;
	int unavailable = 0;
	int wrong = 0;
	int running = 0;
};

asio::awaitable<void> read_often(Client &connection, std::string key, int times, Outcome &outcome)
{
	outcome.running++;
	for (int i = 0; i < times; i++) {
		const std::string value = key + ":" + std::to_string(i);
		Command command{"ECHO", value};
		try {
			const Reply reply = co_await connection.run(std::move(command));
			(reply.text() == value ? outcome.good : outcome.wrong)++;
		} catch (const Error &error) {
			(error.is_unavailable() ? outcome.unavailable : outcome.wrong)++;
		}
	}
	outcome.running--;
}

} // namespace

TEST_F(RedisClient, KnowsWhoIsThere)
{
	for (const std::string &url : {server_->url(), server_->unix_url()}) {
		const auto connection = make(url);
		EXPECT_FALSE(connection->is_connected());
		EXPECT_EQ(connection->server(), nullptr);
		connection->start();
		tests::finish(io_, connection->wait_connected(tests::kPatience));
		tests::finish(io_, connection->wait_connected(tests::kPatience));
		ASSERT_TRUE(connection->is_connected());
		EXPECT_TRUE(connection->is_connected());
		EXPECT_EQ(connection->fault(), "");
		ASSERT_NE(connection->server(), nullptr);
		EXPECT_EQ(connection->server()->run_id.size(), 40U);
		EXPECT_GE(std::stoi(connection->server()->version), 7);
		EXPECT_FALSE(connection->server()->is_cluster);
		EXPECT_FALSE(connection->server()->is_replica);
		EXPECT_EQ(run(*connection, {"CLIENT", "GETNAME"}).text(), "test");
	}
}

TEST_F(RedisClient, RunsCommands)
{
	const auto connection = connected(server_->url());
	Command set{"SET", "key"};
	set.add(common::Secret("value")).add("PX").add(100'000);
	EXPECT_EQ(run(*connection, std::move(set)).text(), "OK");
	const Reply values = run(*connection, {"MGET", "key", "none"});
	ASSERT_EQ(values.size(), 2U);
	EXPECT_EQ(values[0].text(), "value");
	EXPECT_TRUE(values[1].is_nil());
	EXPECT_EQ(run(*connection, {"DEL", "key", "none"}).integer(), 1);
	EXPECT_EQ(run(*connection, {"EVAL", "return {1, {'a', false}}", "0"})[1][0].text(), "a");
	const std::string big(3'000'000, 'b');
	run(*connection, {"SET", "big", big});
	EXPECT_TRUE(run(*connection, {"GET", "big"}).text() == big);
}

TEST_F(RedisClient, SaysWhatIsRefusedWithoutQuoting)
{
	const auto connection = connected(server_->url());
	run(*connection, {"SET", "text", "SeCrEt"});
	EXPECT_EQ(error_of(*connection, {"LPUSH", "text", "SeCrEt"}),
			  "refused: Redis refused a command: WRONGTYPE");
	EXPECT_EQ(error_of(*connection, {"SeCrEt", "SeCrEt"}), "refused: Redis refused a command: ERR");
	EXPECT_EQ(error_of(*connection, {"EVALSHA", std::string(40, 'a'), "0"}),
			  "refused: Redis refused a command: NOSCRIPT");
	EXPECT_TRUE(connection->is_connected());
}

TEST_F(RedisClient, RunsPipelines)
{
	const auto connection = connected(server_->url());
	std::vector<Command> commands;
	for (int i = 0; i < 1000; i++)
		commands.push_back({i == 500 ? "NONSENSE" : "ECHO", std::to_string(i)});
	const auto replies = tests::finish(io_, connection->run(std::move(commands)));
	ASSERT_EQ(replies.size(), 1000U);
	for (int i = 0; i < 1000; i++)
		if (i == 500)
			EXPECT_EQ(replies[i].error_code(), "ERR");
		else
			EXPECT_EQ(replies[i].text(), std::to_string(i));
	std::vector<Command> none;
	EXPECT_EQ(tests::finish(io_, connection->run(std::move(none))).size(), 0U);
}

TEST_F(RedisClient, GivesEachItsOwnReply)
{
	const auto connection = connected(server_->url());
	Outcome outcome;
	for (int i = 0; i < 64; i++)
		asio::co_spawn(io_, read_often(*connection, std::to_string(i), 200, outcome),
					   asio::detached);
	until([&] { return outcome.good + outcome.wrong + outcome.unavailable == 64 * 200; });
	EXPECT_EQ(outcome.good, 64 * 200);
}

// Redis counts its reads.
TEST_F(RedisClient, SendsTheCommandsOfATurnAtOnce)
{
	const auto connection = connected(server_->url());
	const auto reads = [&] {
		const Reply stats = run(*connection, {"INFO", "stats"});
		const std::string_view text = stats.text();
		const std::string_view name = "total_reads_processed:";
		return std::stol(std::string(text.substr(text.find(name) + name.size(), 20)));
	};
	const long before = reads();
	Outcome outcome;
	for (int i = 0; i < 64; i++)
		asio::co_spawn(io_, read_often(*connection, std::to_string(i), 1, outcome), asio::detached);
	until([&] { return outcome.good == 64; });
	EXPECT_LE(reads() - before, 4);
}

TEST_F(RedisClient, EndsAllThatWaitWhereAnAnswerIsLate)
{
	RedisServer server;
	limits_.command = 200ms;
	const auto connection = connected(server.url());
	server.send(SIGSTOP);
	Outcome outcome;
	for (int i = 0; i < 10; i++)
		asio::co_spawn(io_, read_often(*connection, std::to_string(i), 1, outcome), asio::detached);
	until([&] { return outcome.unavailable == 10; });
	EXPECT_FALSE(connection->is_connected());
	EXPECT_EQ(connection->fault(), "Redis did not answer in time");
	EXPECT_EQ(error_of(*connection, {"PING"}), "unavailable: Redis is not connected");
	server.send(SIGCONT);
	tests::finish(io_, connection->wait_connected(tests::kPatience));
	EXPECT_EQ(run(*connection, {"ECHO", "x"}).text(), "x");
}

TEST_F(RedisClient, ComesBackAfterAKillUnderLoad)
{
	RedisServer server;
	const auto connection = connected(server.url());
	const std::string first = connection->server()->run_id;
	Outcome outcome;
	for (int i = 0; i < 64; i++)
		asio::co_spawn(io_, read_often(*connection, std::to_string(i), 1'000'000, outcome),
					   asio::detached);
	until([&] { return outcome.good > 1000; });
	server.stop(SIGKILL);
	until([&] { return outcome.unavailable >= 64 && !connection->is_connected(); });
	EXPECT_EQ(outcome.wrong, 0);
	server.start();
	until([&] { return connection->is_connected(); });
	EXPECT_NE(connection->server()->run_id, first);
	const int good = outcome.good;
	until([&] { return outcome.good > good + 1000; });
	EXPECT_EQ(outcome.wrong, 0);
	connection->close();
	io_.stop();
}

TEST_F(RedisClient, DropsAndConnectsAgain)
{
	const auto connection = connected(server_->url());
	Outcome outcome;
	asio::co_spawn(io_, read_often(*connection, "x", 1, outcome), asio::detached);
	until([&] { return outcome.running == 1; });
	connection->drop();
	EXPECT_FALSE(connection->is_connected());
	until([&] { return outcome.unavailable == 1; });
	tests::finish(io_, connection->wait_connected(tests::kPatience));
}

TEST_F(RedisClient, EndsWhatIsUnderWayWhenClosed)
{
	const auto connection = connected(server_->url());
	Command blocked{"BLPOP", "nothing", "0"};
	std::string text;
	asio::co_spawn(io_, connection->run(std::move(blocked)),
				   [&](std::exception_ptr error, const Reply &) {
					   try {
						   std::rethrow_exception(error);
					   } catch (const Error &caught) {
						   text = caught.what();
					   }
				   });
	sleep(20ms);
	connection->close();
	until([&] { return !text.empty(); });
	EXPECT_EQ(text, "the connection to Redis is closed");
	EXPECT_EQ(error_of(*connection, {"PING"}), "unavailable: the connection to Redis is closed");
	EXPECT_THROW(tests::finish(io_, connection->wait_connected(10s)), Error);
	EXPECT_FALSE(connection->is_connected());
	io_.restart();
	io_.run(); // nothing of it is left
}

TEST_F(RedisClient, ClosesAtAnyMoment)
{
	for (int turns = 0; turns < 40; turns++) {
		asio::io_context io(1);
		auto connection = std::make_unique<Client>(
			io.get_executor(), tests::endpoint_of(server_->url()), limits_, "", "test");
		connection->start();
		int ended = 0;
		for (int i = 0; i < 3; i++)
			asio::co_spawn(io, connection->wait_connected(10s),
						   [&](std::exception_ptr) { ended++; });
		for (int i = 0; i < turns; i++)
			io.run_one_for(5ms);
		Command command{"BLPOP", "nothing", "0"};
		asio::co_spawn(io, connection->run(std::move(command)),
					   [&](std::exception_ptr error, const Reply &) { ended += error ? 1 : 0; });
		io.poll_one();
		connection->close();
		io.restart();
		io.run();
		EXPECT_EQ(ended, 4) << turns;
	}
}

TEST_F(RedisClient, WaitsOnlySoLong)
{
	const auto connection = make("unix:///nowhere/socket");
	connection->start();
	EXPECT_THROW(tests::finish(io_, connection->wait_connected(50ms)), Error);
	EXPECT_EQ(connection->fault(), "No such file or directory");
}

TEST_F(RedisClient, NamesWhatItCannotReach)
{
	limits_.connect = 300ms;
	const auto listener = std::make_unique<RedisServer>();
	const std::string url = listener->url();
	listener->send(SIGSTOP);
	EXPECT_EQ(fault(url), url.substr(8) + ": Redis did not answer in time");
	listener->stop(SIGKILL);
	EXPECT_EQ(fault(url), url.substr(8) + ": Connection refused");
	EXPECT_TRUE(fault("redis://no-such-host.invalid").starts_with("no-such-host.invalid:6379: "));
}

} // namespace sidecar::redis
