// Who we are to Redis, and which Redis will do.
#include <csignal>

#include "fake_redis.hpp"
#include "redis/greeting.hpp"
#include "redis/server_info.hpp"
#include "running_redis.hpp"

namespace sidecar::redis
{

using namespace std::chrono_literals;
using tests::FakeRedis;
using tests::RedisServer;

namespace
{

using RedisLogin = tests::RedisTest;

constexpr std::string_view kPrimary =
	"# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n"
	"run_id:abc\r\n\n# Replication\r\nrole:master\r\n";

std::string judged(std::string info, const std::string &from, const std::string &to)
{
	if (!from.empty())
		info.replace(info.find(from), from.size(), to);
	return std::string(fault_of(parse_server_info(info)));
}

} // namespace

TEST(RedisServerInfo, IsJudged)
{
	const std::string primary(kPrimary);
	const ServerInfo server = parse_server_info(primary);
	EXPECT_EQ(server.run_id, "abc");
	EXPECT_EQ(server.version, "7.0.15");
	EXPECT_EQ(judged(primary, "", ""), "");
	for (const char *version : {"6.2.0", "6.10", "8", "10.0.0", "255.255.255"})
		EXPECT_EQ(judged(primary, "7.0.15", version), "") << version;
	for (const char *version : {"6.0.16", "5.9", "6", "x", "2.8.24"})
		EXPECT_EQ(judged(primary, "7.0.15", version), "is older than Redis 6.2") << version;
	EXPECT_EQ(judged(primary, "standalone", "cluster"),
			  "is a Redis Cluster node; use a single primary");
	EXPECT_EQ(judged(primary, "standalone", "sentinel"),
			  "is a Redis Sentinel; add ?master=NAME to the URL");
	EXPECT_EQ(judged(primary, "role:master", "role:slave"), "is a replica, not a primary");
	EXPECT_EQ(judged(primary, "run_id", "xrun_id"),
			  "does not say its run_id and redis_version in INFO");
}

TEST_F(RedisLogin, AuthenticatesWithPassword)
{
	const RedisServer server({"--requirepass", "SeCrEt p@ss"});
	EXPECT_EQ(run(*connected(server.url(":SeCrEt%20p%40ss@")), {"PING"}).text(), "PONG");
	EXPECT_EQ(run(*connected(server.url("default:SeCrEt%20p%40ss@")), {"PING"}).text(), "PONG");
	const std::string where = server.url().substr(8) + ": ";
	EXPECT_EQ(fault(server.url(":SeCrEt@")), where + "Redis refused AUTH: WRONGPASS");
	EXPECT_EQ(fault(server.url("SeCrEt:SeCrEt@")), where + "Redis refused AUTH: WRONGPASS");
	EXPECT_EQ(fault(server.url()), where + "Redis refused PING: NOAUTH");
	const RedisServer open;
	EXPECT_EQ(fault(open.url(":SeCrEt@")), open.url().substr(8) + ": Redis refused AUTH: ERR");
}

TEST_F(RedisLogin, AuthenticatesAUserOfFewRights)
{
	const RedisServer server(
		{"--user", "me", "on", ">SeCrEt", "~oauth:*", "+get", "+set", "+info"});
	const auto connection = connected(server.unix_url("me:SeCrEt@"));
	EXPECT_TRUE(run(*connection, {"GET", "oauth:x"}).is_nil());
	EXPECT_EQ(error_of(*connection, {"GET", "other:SeCrEt"}),
			  "refused: Redis refused a command: NOPERM");
	EXPECT_EQ(error_of(*connection, {"DEL", "oauth:x"}),
			  "refused: Redis refused a command: NOPERM");
	const RedisServer blind({"--user", "me", "on", ">SeCrEt", "~*", "+get"});
	EXPECT_EQ(fault(blind.unix_url("me:SeCrEt@")), "Redis refused INFO: NOPERM");
}

TEST_F(RedisLogin, SelectsTheDatabase)
{
	const RedisServer server({"--databases", "4"});
	run(*connected(server.url("", "/3")), {"SET", "key", "three"});
	EXPECT_EQ(run(*connected(server.unix_url("", "?db=3")), {"GET", "key"}).text(), "three");
	EXPECT_TRUE(run(*connected(server.url()), {"GET", "key"}).is_nil());
	EXPECT_EQ(fault(server.unix_url("", "?db=4")), "Redis refused SELECT: ERR");
}

TEST_F(RedisLogin, RefusesANodeOfACluster)
{
	const RedisServer server({"--cluster-enabled", "yes"});
	for (const char *database : {"", "?db=1"})
		EXPECT_EQ(fault(server.unix_url("", database)),
				  "the server is a Redis Cluster node; use a single primary");
}

TEST_F(RedisLogin, LeavesADemotedPrimary)
{
	const RedisServer primary;
	const RedisServer other({"--replicaof", "127.0.0.1 " + std::to_string(primary.port())});
	EXPECT_EQ(fault(other.unix_url()), "the server is a replica, not a primary");
	const auto connection = connected(primary.url());
	primary.say("REPLICAOF 127.0.0.1 1");
	// It is told so only by what it writes.
	const std::string error = error_of(*connection, {"SET", "key", "SeCrEt"});
	EXPECT_TRUE(error == "unavailable: Redis cannot serve: READONLY" ||
				error == "unavailable: the connection to Redis was lost")
		<< error;
	until([&] { return connection->fault().find("is a replica") != std::string::npos; });
	primary.say("REPLICAOF NO ONE");
	tests::finish(io_, connection->wait_connected(tests::kPatience));
}

TEST_F(RedisLogin, TakesALoadingRedisForNone)
{
	bool is_loading = true;
	const FakeRedis redis(io_, [&](const Reply &command) {
		return is_loading && command[0].text() == "PING" ? "-LOADING Redis is loading\r\n"
														 : FakeRedis::kGreeting;
	});
	const auto connection = make(redis.url());
	connection->start();
	until([&] { return redis.connections() >= 3; });
	EXPECT_EQ(connection->fault(), "Redis refused PING: LOADING");
	is_loading = false;
	tests::finish(io_, connection->wait_connected(tests::kPatience));
}

TEST_F(RedisLogin, EndsAtWhatNoServerSays)
{
	const std::pair<std::string, std::string> cases[] = {
		{"-LOADING Redis\r\n", "unavailable: Redis cannot serve: LOADING"},
		{"-MASTERDOWN Link\r\n", "unavailable: Redis cannot serve: MASTERDOWN"},
		{"-CLUSTERDOWN x\r\n", "unavailable: Redis cannot serve: CLUSTERDOWN"},
		{"-READONLY x\r\n", "unavailable: Redis cannot serve: READONLY"},
		{"-BUSY x\r\n", "unavailable: Redis cannot serve: BUSY"},
		{"-NOAUTH x\r\n", "unavailable: Redis cannot serve: NOAUTH"},
		{"-ERR Error running script (call to f_1): @user_script:1: -READONLY You can't\r\n",
		 "unavailable: Redis cannot serve: READONLY"},
		{"HTTP/1.1 400\r\n", "unavailable: Redis sent what is not its protocol, or too much"},
		{FakeRedis::kHangUp, "unavailable: the connection to Redis was lost"},
	};
	for (const auto &[answer, expected] : cases) {
		const FakeRedis redis(io_, [&](const Reply &command) {
			return command[0].text() == "GET" ? answer : FakeRedis::kGreeting;
		});
		const auto connection = connected(redis.url());
		const auto before = std::chrono::steady_clock::now();
		EXPECT_EQ(error_of(*connection, {"GET", "SeCrEt"}), expected);
		EXPECT_FALSE(connection->is_connected());
		tests::finish(io_, connection->wait_connected(tests::kPatience));
		EXPECT_GE(std::chrono::steady_clock::now() - before, 50ms); // the back-off's first
	}
}

TEST_F(RedisLogin, TakesNoReplyForAnothers)
{
	const FakeRedis redis(io_, [&](const Reply &command) {
		return command[0].text() == "GET" ? "$1\r\na\r\n$6\r\nSeCrEt\r\n" : FakeRedis::kGreeting;
	});
	const auto connection = connected(redis.url());
	EXPECT_EQ(run(*connection, {"GET", "x"}).text(), "a");
	until([&] { return !connection->is_connected(); });
	EXPECT_EQ(connection->fault(), "Redis sent a reply that nobody asked for");
}

TEST_F(RedisLogin, RefusesMoreThanMayWait)
{
	const FakeRedis redis(io_, [](const Reply &command) {
		return command[0].text() == "GET" ? "" : FakeRedis::kGreeting;
	});
	limits_.waiting = 3;
	const auto connection = connected(redis.url());
	int refused = 0;
	for (int i = 0; i < 5; i++)
		boost::asio::co_spawn(io_, connection->run(Command{"GET", "x"}),
							  [&](std::exception_ptr error, const Reply &) { refused += !!error; });
	until([&] { return refused == 2; });
	sleep(20ms);
	EXPECT_EQ(refused, 2);
	EXPECT_TRUE(connection->is_connected());
	connection->close();
	until([&] { return refused == 5; });
}

} // namespace sidecar::redis
