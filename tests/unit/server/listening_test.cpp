#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "running_server.hpp"

namespace sidecar::server
{

using namespace std::chrono_literals;

namespace
{

class ServerListening : public testing::Test
{
protected:
	ServerListening()
	{
		char pattern[] = "/tmp/listening-XXXXXX";
		directory_ = mkdtemp(pattern);
		address_.unix_path = directory_ + "/socket";
	}
	~ServerListening() override { std::filesystem::remove_all(directory_); }

	static std::string fault(const settings::Address &address)
	{
		boost::asio::io_context context(1);
		Server server(context, {}, {}, {}, {});
		try {
			server.listen(address, http::Audience::everything);
		} catch (const std::runtime_error &error) {
			return error.what();
		}
		return "";
	}
	RunningServer::Prepare prepare() const
	{
		return [this](Server &server) { server.listen(address_, http::Audience::api); };
	}
	mode_t mode() const
	{
		struct stat status {
		};
		return lstat(address_.unix_path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
	}
	bool is_there() const { return std::filesystem::exists(address_.unix_path); }

	std::string directory_;
	settings::Address address_;
};

} // namespace

TEST_F(ServerListening, AnswersOnAUnixSocket)
{
	const mode_t before = umask(0);
	{
		RunningServer server({}, prepare());
		EXPECT_EQ(mode(), 0660U);
		Client client(address_.unix_path);
		EXPECT_EQ(client.ask(get("/")).status, 200);
		EXPECT_EQ(client.ask(get("/")).status, 200);
	}
	EXPECT_FALSE(is_there());
	umask(077);
	{
		RunningServer server({}, prepare());
		EXPECT_EQ(mode(), 0660U);
	}
	umask(before);
}

TEST_F(ServerListening, TakesItsUnixSocketAwayWhenDraining)
{
	RunningServer server({}, prepare());
	Client client(address_.unix_path);
	server.start_drain(60s);
	ASSERT_TRUE(server.settles(1));
	EXPECT_FALSE(is_there());
	EXPECT_EQ(client.ask(get("/")).status, 200);
	EXPECT_TRUE(server.wait_drained());
}

TEST_F(ServerListening, LeavesASuccessorsUnixSocketAlone)
{
	{
		RunningServer server({}, prepare());
		std::filesystem::remove(address_.unix_path);
		std::ofstream(address_.unix_path) << "another";
	}
	EXPECT_TRUE(is_there());
}

TEST_F(ServerListening, ReplacesAStaleUnixSocketAndNoOther)
{
	{
		RunningServer server({}, prepare());
		EXPECT_NE(fault(address_).find("another process listens there"), std::string::npos);
		EXPECT_EQ(Client(address_.unix_path).ask(get("/")).status, 200);
		std::filesystem::rename(address_.unix_path, directory_ + "/moved");
	}
	std::filesystem::rename(directory_ + "/moved", address_.unix_path);
	RunningServer server({}, prepare());
	EXPECT_EQ(Client(address_.unix_path).ask(get("/")).status, 200);
	address_.unix_path = directory_ + "/file";
	std::ofstream(address_.unix_path) << "precious";
	EXPECT_NE(fault(address_).find("no socket"), std::string::npos);
	EXPECT_TRUE(is_there());
}

TEST_F(ServerListening, SaysWhatIsWrongWithAnAddress)
{
	RunningServer server;
	settings::Address address;
	address.host = "127.0.0.1";
	address.port = server.port();
	EXPECT_EQ(fault(address), "cannot listen on 127.0.0.1:" + std::to_string(server.port()) +
								  ": Address already in use");
	address.host = "192.0.2.1"; // nobody's
	EXPECT_EQ(fault(address), "cannot listen on 192.0.2.1:" + std::to_string(server.port()) +
								  ": Cannot assign requested address");
	address_.unix_path = directory_ + "/none/socket";
	EXPECT_NE(fault(address_).find("No such file or directory"), std::string::npos);
}

TEST_F(ServerListening, ListensOnIPv6)
{
	settings::Address address;
	address.host = "::1";
	if (fault(address).find("Cannot assign requested address") != std::string::npos)
		GTEST_SKIP() << "this machine has no IPv6";
	unsigned short port = 0;
	RunningServer server(
		{}, [&](Server &its) { port = its.listen(address, http::Audience::everything); });
	EXPECT_NE(port, 0);
}

} // namespace sidecar::server
