// What tests of the connection share: a loop, its coroutines, and a Redis that
// answers as it is told.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <memory>
#include <string>

#include "../database/loop.hpp"
#include "redis/client.hpp"
#include "redis_server.hpp"

namespace tests
{

using namespace std::chrono_literals;

// Only for what hangs: no verdict depends on it.
inline constexpr std::chrono::milliseconds kPatience{20'000};

class RedisTest : public testing::Test
{
protected:
	using Client = sidecar::redis::Client;
	using Limits = sidecar::redis::Limits;

	RedisTest()
	{
		limits_.command = 10s;
		limits_.connect = 10s;
	}

	using ClientPtr = std::shared_ptr<Client>;

	// Not yet started. Closed when it is let go, and kept as long as the loop.
	ClientPtr make(const std::string &url, const std::string &ca_file = {})
	{
		clients_.push_back(std::make_unique<Client>(io_.get_executor(), endpoint_of(url), limits_,
													ca_file, "test"));
		return {clients_.back().get(), [](Client *client) { client->close(); }};
	}
	ClientPtr connected(const std::string &url, const std::string &ca_file = {})
	{
		auto connection = make(url, ca_file);
		connection->start();
		finish(io_, connection->wait_connected(kPatience));
		return connection;
	}

	// Why there is no connection, once an attempt has failed.
	std::string fault(const std::string &url, const std::string &ca_file = {})
	{
		auto connection = make(url, ca_file);
		connection->start();
		until([&] { return connection->is_connected() || !connection->fault().empty(); });
		EXPECT_FALSE(connection->is_connected());
		return connection->fault();
	}

	sidecar::redis::Reply run(Client &connection, sidecar::redis::Command command)
	{
		return finish(io_, connection.run(std::move(command)));
	}
	// "code: text" of the Error, or nothing.
	std::string error_of(Client &connection, sidecar::redis::Command command)
	{
		try {
			run(connection, std::move(command));
		} catch (const sidecar::redis::Error &error) {
			return (error.is_unavailable() ? "unavailable: " : "refused: ") +
				   std::string(error.what());
		}
		return "";
	}

	void until(const std::function<bool()> &condition)
	{
		const auto deadline = std::chrono::steady_clock::now() + kPatience;
		io_.restart();
		while (!condition() && std::chrono::steady_clock::now() < deadline)
			io_.run_one_for(20ms);
		EXPECT_TRUE(condition());
	}
	void sleep(std::chrono::milliseconds time) { finish(io_, sleep_for(time)); }

	boost::asio::io_context io_{1};
	std::vector<std::unique_ptr<Client>> clients_;
	Limits limits_;
};

} // namespace tests
