#include "fake_redis.hpp"

#include <unistd.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstdlib>
#include <stdexcept>

#include "redis/decoder.hpp"

namespace tests
{

namespace asio = boost::asio;

const std::string FakeRedis::kHangUp = "hang up";
const std::string FakeRedis::kGreeting = "greeting";

namespace
{

std::string new_path()
{
	std::string path = "/tmp/oauth-fake-XXXXXX";
	if (mkdtemp(path.data()) == nullptr)
		throw std::runtime_error("no temporary directory");
	return path + "/socket";
}

std::string greeting_to(const sidecar::redis::Reply &command)
{
	if (command[0].text() != "INFO")
		return "+OK\r\n";
	const std::string info = command[1].text() == "server"
								 ? "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n"
								   "run_id:0123456789012345678901234567890123456789\r\n"
								 : "# Replication\r\nrole:master\r\n";
	return "$" + std::to_string(info.size()) + "\r\n" + info + "\r\n";
}

} // namespace

FakeRedis::FakeRedis(asio::io_context &io, Answer answer)
	: path_(new_path()), state_(std::make_shared<State>()), acceptor_(io, path_)
{
	state_->answer = std::move(answer);
	accept();
}

FakeRedis::~FakeRedis()
{
	unlink(path_.c_str());
	rmdir(path_.substr(0, path_.rfind('/')).c_str());
}

void FakeRedis::accept()
{
	acceptor_.async_accept([this](boost::system::error_code error, Socket socket) {
		if (error)
			return;
		state_->connections++;
		auto executor = socket.get_executor();
		asio::co_spawn(executor, serve(state_, std::move(socket)), asio::detached);
		accept();
	});
}

asio::awaitable<void> FakeRedis::serve(std::shared_ptr<State> state, Socket socket)
{
	sidecar::redis::Decoder decoder(1 << 20);
	std::array<char, 4096> input;
	boost::system::error_code error;
	while (!error) {
		auto room = asio::buffer(input);
		const std::size_t bytes =
			co_await socket.async_read_some(room, asio::redirect_error(asio::use_awaitable, error));
		decoder.feed({input.data(), bytes});
		while (const auto command = decoder.next()) {
			std::string answer = state->answer(*command);
			if (answer == kHangUp)
				co_return;
			if (answer == kGreeting)
				answer = greeting_to(*command);
			auto out = asio::buffer(answer);
			co_await asio::async_write(socket, out,
									   asio::redirect_error(asio::use_awaitable, error));
		}
	}
}

} // namespace tests
