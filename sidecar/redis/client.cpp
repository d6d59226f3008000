#include "redis/client.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/backoff.hpp"
#include "base/log.hpp"
#include "base/task.hpp"
#include "redis/connector.hpp"

namespace sidecar::redis
{

namespace asio = boost::asio;

namespace
{

// A connection that did not last so long is a failure to the back-off.
constexpr std::chrono::seconds kLasting{1};
constexpr std::chrono::milliseconds kBetweenLooks{10}; // of wait_connected()

} // namespace

struct Client::State : std::enable_shared_from_this<State> {
	State(asio::any_io_executor executor, RedisAddress address, const Limits &limits,
		  std::string ca_file, std::string own_name)
		: name(own_name),
		  connector(executor, std::move(address), limits, std::move(ca_file), std::move(own_name)),
		  pause(executor)
	{
	}

	// Coroutines that keep the state alive: `self` is a parameter, and not captured.
	static asio::awaitable<void> keep_connected(std::shared_ptr<State> self);
	static asio::awaitable<Replies> run(std::shared_ptr<State> self, std::vector<Command> commands);
	static asio::awaitable<Reply> run_one(std::shared_ptr<State> self, Command command);
	static asio::awaitable<void> wait_connected(std::shared_ptr<State> self,
												std::chrono::milliseconds timeout);

	asio::awaitable<void> try_once();
	void go_up(Connector::Opened opened);
	void go_down(const std::string &why);

	const std::string name;
	Connector connector;
	asio::steady_timer pause; // while keep_connected() has nothing to do
	database::Backoff backoff;
	Connector::ConnectionPtr connection; // null while not connected
	ServerInfo server;
	Clock::time_point since; // when it became connected
	std::string fault;
	bool is_reachable = true;
	bool is_closed = false;
};

asio::awaitable<void> Client::State::keep_connected(std::shared_ptr<State> self)
{
	boost::system::error_code ignored;
	while (!self->is_closed) {
		if (!self->connection && self->backoff.is_due(Clock::now()))
			co_await self->try_once();
		if (self->is_closed)
			break;
		self->pause.expires_at(self->connection ? Clock::time_point::max() : self->backoff.next());
		co_await self->pause.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
	}
}

asio::awaitable<void> Client::State::try_once()
{
	try {
		Connector::Opened opened = co_await connector.open();
		go_up(std::move(opened));
	} catch (const std::exception &error) {
		go_down(error.what());
	}
}

void Client::State::go_up(Connector::Opened opened)
{
	if (is_closed)
		return opened.connection->end("the connection to Redis is closed");
	if (!opened.connection->is_open())
		return go_down("the connection to Redis was lost");
	connection = std::move(opened.connection);
	server = std::move(opened.server);
	since = Clock::now();
	fault.clear();
	connection->serve([weak = weak_from_this()](const std::string &why) {
		if (const auto self = weak.lock())
			self->go_down(why);
	});
	if (!is_reachable)
		log::info("Redis reachable again", {{"connection", name}});
	is_reachable = true;
}

void Client::State::go_down(const std::string &why)
{
	const auto now = Clock::now();
	if (connection && now - since >= kLasting)
		backoff.succeed();
	connection.reset();
	backoff.fail(now);
	fault = why;
	if (is_closed)
		return;
	if (is_reachable)
		log::error("Redis not reachable", {{"connection", name}, {"error", why}});
	is_reachable = false;
	pause.cancel();
}

asio::awaitable<Replies> Client::State::run(std::shared_ptr<State> self,
											std::vector<Command> commands)
{
	if (commands.empty())
		co_return Replies();
	if (!self->connection) {
		// A caller that tries again at once must not stop the event loop.
		co_await asio::post(asio::use_awaitable);
		throw Error::unavailable(self->is_closed ? "the connection to Redis is closed"
												 : "Redis is not connected");
	}
	co_return co_await self->connection->run(std::move(commands));
}

asio::awaitable<Reply> Client::State::run_one(std::shared_ptr<State> self, Command command)
{
	std::vector<Command> commands;
	commands.push_back(std::move(command));
	Replies replies = co_await run(std::move(self), std::move(commands));
	if (replies[0].is_error())
		throw Error::refused(replies[0].error_code());
	co_return std::move(replies[0]);
}

// For --check and tests, so a look now and then will do.
asio::awaitable<void> Client::State::wait_connected(std::shared_ptr<State> self,
													std::chrono::milliseconds timeout)
{
	const Clock::time_point deadline = Clock::now() + timeout;
	asio::steady_timer timer(co_await asio::this_coro::executor);
	while (!self->connection) {
		if (self->is_closed || Clock::now() >= deadline)
			throw Error::unavailable("Redis is not connected");
		timer.expires_after(kBetweenLooks);
		co_await timer.async_wait(asio::use_awaitable);
	}
}

Client::Client(asio::any_io_executor executor, RedisAddress address, Limits limits,
			   std::string ca_file, std::string name)
	: state_(std::make_shared<State>(std::move(executor), std::move(address), limits,
									 std::move(ca_file), std::move(name)))
{
}

Client::~Client()
{
	close();
}

void Client::start()
{
	start_task(state_->pause.get_executor(), "connection to Redis", State::keep_connected(state_));
}

const ServerInfo *Client::server() const noexcept
{
	return state_->connection ? &state_->server : nullptr;
}

const std::string &Client::fault() const noexcept
{
	return state_->fault;
}

asio::awaitable<Reply> Client::run(Command command)
{
	return State::run_one(state_, std::move(command));
}

asio::awaitable<Replies> Client::run(std::vector<Command> commands)
{
	return State::run(state_, std::move(commands));
}

asio::awaitable<void> Client::wait_connected(std::chrono::milliseconds timeout)
{
	return State::wait_connected(state_, timeout);
}

void Client::drop()
{
	if (const auto connection = state_->connection)
		connection->end("dropped by the sidecar");
}

void Client::close()
{
	state_->is_closed = true;
	state_->connector.close();
	state_->pause.cancel();
}

} // namespace sidecar::redis
