#include "redis/client.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>

#include "base/log.hpp"
#include "base/task.hpp"

namespace sidecar::redis
{

namespace asio = boost::asio;

namespace
{

// A connection that lived shorter counts as a failure for the back-off.
constexpr std::chrono::seconds kLasting{1};
constexpr std::chrono::milliseconds kBetweenLooks{10}; // of wait_connected()

} // namespace

Client::Client(asio::any_io_executor executor, address::RedisAddress address, const Limits &limits,
			   std::string ca_file, std::string name, std::shared_ptr<Outage> outage)
	: name_(name), outage_(std::move(outage)),
	  connector_(executor, std::move(address), limits, std::move(ca_file), std::move(name)),
	  pause_(executor)
{
}

void Client::start()
{
	start_task(pause_.get_executor(), "connection to Redis", keep_connected());
}

asio::awaitable<void> Client::keep_connected()
{
	boost::system::error_code ignored;
	while (!is_closed_) {
		if (!connection_ && backoff_.is_due(Clock::now()))
			co_await try_once();
		if (is_closed_)
			break;
		pause_.expires_at(connection_ ? Clock::time_point::max() : backoff_.next());
		co_await pause_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
	}
}

asio::awaitable<void> Client::try_once()
{
	try {
		Connector::Opened opened = co_await connector_.open();
		go_up(std::move(opened));
	} catch (const std::exception &error) {
		go_down(error.what());
	}
}

void Client::go_up(Connector::Opened opened)
{
	if (is_closed_)
		return opened.connection->end("the connection to Redis is closed");
	if (!opened.connection->is_open())
		return go_down("the connection to Redis was lost");
	connection_ = std::move(opened.connection);
	server_ = std::move(opened.server);
	since_ = Clock::now();
	fault_.clear();
	connection_->serve([this](const std::string &why) { go_down(why); });
	if (!std::exchange(is_reachable_, true))
		outage_->end([this] { log::info("Redis reachable again", {{"connection", name_}}); });
}

void Client::go_down(const std::string &why)
{
	const auto now = Clock::now();
	if (connection_ && now - since_ >= kLasting)
		backoff_.succeed();
	connection_.reset();
	backoff_.fail(now);
	fault_ = why;
	if (is_closed_)
		return;
	if (std::exchange(is_reachable_, false))
		outage_->begin([&] {
			log::error("Redis not reachable", {{"connection", name_}, {"error", why}});
		});
	pause_.cancel();
}

std::string Client::absence() const
{
	return is_closed_ ? "the connection to Redis is closed" : "Redis is not connected";
}

asio::awaitable<Replies> Client::run(std::vector<Command> commands)
{
	if (commands.empty())
		co_return Replies();
	const std::shared_ptr<Connection> connection = connection_;
	if (!connection) {
		const Error error = Error::unavailable(absence());
		// A caller that tries again at once must not block the event loop.
		co_await asio::post(asio::use_awaitable);
		throw error;
	}
	co_return co_await connection->run(std::move(commands));
}

asio::awaitable<Reply> Client::run(Command command)
{
	auto asking = ask(std::move(command));
	Answer answer = co_await std::move(asking);
	co_return answer.take();
}

void Client::send(Connection::Handler handler, const Command &command)
{
	if (connection_)
		return connection_->send(std::move(handler), {&command, 1});
	// In a later turn, as in run().
	asio::post(pause_.get_executor(), [handler = std::move(handler), why = absence()]() mutable {
		std::move(handler)(std::make_exception_ptr(Error::unavailable(why)), Replies());
	});
}

Reply Answer::take()
{
	if (failure_)
		std::rethrow_exception(std::exchange(failure_, nullptr));
	if (replies_[0].is_error())
		throw Error::refused(replies_[0].error_code());
	return std::move(replies_[0]);
}

// Only for --check and tests, so it polls.
asio::awaitable<void> Client::wait_connected(std::chrono::milliseconds timeout)
{
	const Clock::time_point deadline = Clock::now() + timeout;
	asio::steady_timer timer(pause_.get_executor());
	while (!connection_) {
		if (is_closed_ || Clock::now() >= deadline)
			throw Error::unavailable("Redis is not connected");
		timer.expires_after(kBetweenLooks);
		co_await timer.async_wait(asio::use_awaitable);
	}
}

void Client::drop()
{
	if (const auto connection = connection_)
		connection->end("dropped by the sidecar");
}

void Client::close()
{
	is_closed_ = true;
	connector_.close();
	pause_.cancel();
}

} // namespace sidecar::redis
