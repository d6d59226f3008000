// The metadata of providers: cached, refreshed, and failing closed.

#include "providers/provider_registry.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <thread>

namespace sidecar::providers
{

namespace
{

using namespace std::chrono_literals;

class FakeClient : public client::ProviderClient
{
public:
	int calls = 0;
	int status = 200;
	std::string token_endpoint = "https://issuer.example.com/token";

	boost::asio::awaitable<oauth::ProviderAnswer> send(oauth::ProviderRequest request) override
	{
		EXPECT_EQ(request.url, "https://issuer.example.com/.well-known/openid-configuration");
		calls++;
		// As any real answer, it comes later.
		const auto executor = co_await boost::asio::this_coro::executor;
		co_await boost::asio::post(executor, boost::asio::use_awaitable);
		oauth::ProviderAnswer answer;
		answer.status = status;
		answer.content_type = "application/json";
		answer.body =
			common::Secret(R"({"issuer":"https://issuer.example.com","authorization_endpoint":)"
						   R"("https://issuer.example.com/authorize","token_endpoint":")" +
						   token_endpoint + R"(","code_challenge_methods_supported":["S256"]})");
		co_return answer;
	}
};

class DirectoryTest : public testing::Test
{
protected:
	DirectoryTest()
	{
		oauth::Provider provider;
		provider.name = "some";
		provider.endpoints.issuer = "https://issuer.example.com";
		provider.discovers = true;
		providers.emplace("some", std::move(provider));
	}

	void open(ProviderRegistry::Ages ages)
	{
		directory.emplace(io.get_executor(), providers, client, ages);
	}

	// The token endpoint, as the directory knows it now; empty: it does not.
	std::string ask(int callers = 1)
	{
		std::string known;
		for (int i = 0; i < callers; i++)
			boost::asio::co_spawn(
				io, directory->endpoints(providers.at("some")),
				[&](std::exception_ptr, std::optional<oauth::ProviderEndpoints> found) {
					known = found ? found->token : std::string();
				});
		io.restart();
		io.run();
		return known;
	}

	boost::asio::io_context io;
	FakeClient client;
	Providers providers;
	std::optional<ProviderRegistry> directory;
};

} // namespace

TEST_F(DirectoryTest, AsksOnceForMany)
{
	open({});
	EXPECT_EQ(ask(20), "https://issuer.example.com/token");
	EXPECT_EQ(ask(), "https://issuer.example.com/token");
	EXPECT_EQ(client.calls, 1);
}

TEST_F(DirectoryTest, RefreshesBesideItsUse)
{
	open({0s, 3600s, 0s});
	ask();
	client.token_endpoint = "https://issuer.example.com/new";
	EXPECT_EQ(ask(), "https://issuer.example.com/token");
	EXPECT_EQ(client.calls, 2);
	EXPECT_EQ(ask(), "https://issuer.example.com/new");
}

TEST_F(DirectoryTest, KeepsWhatItHasWhileTheIssuerIsAway)
{
	open({0s, 3600s, 0s});
	ask();
	client.status = 503;
	EXPECT_EQ(ask(), "https://issuer.example.com/token");
	EXPECT_EQ(ask(), "https://issuer.example.com/token");
	EXPECT_FALSE(directory->last_failure(providers.at("some")).empty());
}

TEST_F(DirectoryTest, ForgetsWhatIsTooOld)
{
	open({0s, 0s, 0s});
	ask();
	client.status = 503;
	std::this_thread::sleep_for(5ms);
	EXPECT_EQ(ask(), "");
}

TEST_F(DirectoryTest, AsksNotAgainAtOnceAfterAFailure)
{
	open({3600s, 3600s, 3600s});
	client.status = 500;
	EXPECT_EQ(ask(), "");
	EXPECT_EQ(ask(), "");
	EXPECT_EQ(client.calls, 1);
}

TEST_F(DirectoryTest, FailsClosedWhereTheDocumentIsWrong)
{
	open({});
	client.token_endpoint = "http://issuer.example.com/token";
	EXPECT_EQ(ask(), "");
	EXPECT_FALSE(directory->last_failure(providers.at("some")).empty());
}

TEST_F(DirectoryTest, FindsByNameWithOrWithoutLabel)
{
	open({});
	EXPECT_NE(directory->find("some"), nullptr);
	EXPECT_NE(directory->find("some.work"), nullptr);
	for (const char *name : {"", "other", "Some", "some.", ".some", "some.a.b", "some/../x"})
		EXPECT_EQ(directory->find(name), nullptr) << name;
}

} // namespace sidecar::providers
