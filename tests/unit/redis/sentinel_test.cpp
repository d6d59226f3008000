#include <csignal>

#include "running_redis.hpp"

namespace sidecar::redis
{

using tests::RedisServer;

namespace
{

using RedisSentinel = tests::RedisTest;

} // namespace

TEST_F(RedisSentinel, FollowsTheSentinels)
{
	RedisServer first;
	const RedisServer second({"--requirepass", "SeCrEt"});
	const RedisServer sentinel(
		{"sentinel monitor mine 127.0.0.1 " + std::to_string(first.port()) + " 1"},
		RedisServer::Kind::sentinel);
	const std::string at = "127.0.0.1:" + std::to_string(sentinel.port());
	const std::string url = "redis://127.0.0.1:1," + at + "/2?master=mine";
	const auto connection = connected(url);
	EXPECT_EQ(connection->server()->run_id, connected(first.url())->server()->run_id);
	run(*connection, {"SET", "key", "x"});
	EXPECT_EQ(run(*connected(first.url("", "/2")), {"GET", "key"}).text(), "x");

	EXPECT_NE(fault("redis://" + at + "?master=other").find("no primary of that name is known"),
			  std::string::npos);
	EXPECT_EQ(fault("redis://" + at), at + ": the server is a Redis Sentinel; add ?master=NAME to "
										   "the URL");

	// The address changes: the old primary is gone, and another is named.
	const auto other = make("redis://:SeCrEt@" + at + "?master=mine");
	other->start();
	until([&] { return !other->fault().empty(); });
	EXPECT_EQ(sentinel.say("SENTINEL REMOVE mine"), "+OK");
	EXPECT_EQ(
		sentinel.say("SENTINEL MONITOR mine 127.0.0.1 " + std::to_string(second.port()) + " 1"),
		"+OK");
	first.stop(SIGKILL);
	until([&] { return other->is_connected(); });
	EXPECT_EQ(other->server()->run_id, connected(second.url(":SeCrEt@"))->server()->run_id);
	until([&] { return !connection->is_connected(); });
	until([&] { return connection->fault().find("NOAUTH") != std::string::npos; });
}

TEST_F(RedisSentinel, TellsASentinelThePasswordWhereItAsks)
{
	const RedisServer primary({"--requirepass", "SeCrEt"});
	const RedisServer locked({"requirepass SeCrEt", "sentinel monitor mine 127.0.0.1 " +
														std::to_string(primary.port()) + " 1"},
							 RedisServer::Kind::sentinel);
	const auto connection =
		connected("redis://:SeCrEt@127.0.0.1:" + std::to_string(locked.port()) + "?master=mine");
	EXPECT_EQ(run(*connection, {"PING"}).text(), "PONG");
}

} // namespace sidecar::redis
