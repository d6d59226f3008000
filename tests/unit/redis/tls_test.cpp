#include "running_redis.hpp"

namespace sidecar::redis
{

using namespace std::chrono_literals;
using tests::RedisServer;

namespace
{

using RedisTls = tests::RedisTest;

} // namespace

TEST_F(RedisTls, VerifiesWhoIsThere)
{
	const RedisServer server({"--requirepass", "SeCrEt"}, RedisServer::Kind::tls);
	const RedisServer stranger({}, RedisServer::Kind::tls);
	const std::string port = std::to_string(server.port());
	const std::string by_name = "rediss://:SeCrEt@localhost:" + port;
	const std::string by_address = "rediss://:SeCrEt@127.0.0.1:" + port + "/1";
	for (const std::string &url : {by_name, by_address}) {
		const auto connection = connected(url, server.ca_file());
		const std::string big(1'000'000, 'x');
		EXPECT_EQ(run(*connection, {"SET", "key", big}).text(), "OK");
		EXPECT_TRUE(run(*connection, {"GET", "key"}).text() == big);
		const Reply info = run(*connection, {"CLIENT", "INFO"});
		EXPECT_EQ(info.text().find("SeCrEt"), std::string_view::npos);
	}
	const auto ends_with = [](const std::string &text, const std::string &end) {
		return text.ends_with(end) ? "" : text;
	};
	const std::string untrusted = "the server's certificate is not trusted: ";
	EXPECT_EQ(ends_with(fault(by_name, stranger.ca_file()), untrusted + "self-signed certificate "
																		"in certificate chain"),
			  "");
	EXPECT_NE(fault(by_name).find(untrusted), std::string::npos);
	EXPECT_EQ(fault("rediss://:SeCrEt@localhost:" + port, "/nowhere/ca.pem").find("SeCrEt"),
			  std::string::npos);
}

TEST_F(RedisTls, WantsTheNameOfTheUrl)
{
	const RedisServer server({"--bind", "127.0.0.1", "127.0.0.2"}, RedisServer::Kind::tls);
	const std::string port = std::to_string(server.port());
	EXPECT_EQ(fault("rediss://127.0.0.2:" + port, server.ca_file()),
			  "127.0.0.2:" + port +
				  ": the server's certificate is not trusted: IP address mismatch");
}

TEST_F(RedisTls, FailsAgainstPlainAndWithoutCertificates)
{
	limits_.connect = 500ms; // plain Redis waits for the end of a line
	const RedisServer plain;
	const std::string where = "127.0.0.1:" + std::to_string(plain.port());
	const RedisServer server({}, RedisServer::Kind::tls);
	EXPECT_EQ(fault("rediss://" + where, server.ca_file()),
			  where + ": TLS failed: no answer in time");
	EXPECT_EQ(fault(server.url()), server.url().substr(8) + ": the connection to Redis was lost");
	EXPECT_EQ(fault("rediss://" + where, "/nowhere/ca.pem")
				  .find("the certificates of /nowhere/ca.pem cannot be used"),
			  0U);
}

} // namespace sidecar::redis
