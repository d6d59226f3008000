#include "redis/client.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.hpp"
#include "base/task.hpp"
#include "redis/connection_impl.hpp"

namespace sidecar::redis
{

namespace asio = boost::asio;

namespace
{

// One that did not last so long is a failure to the back-off.
constexpr std::chrono::seconds kLasting{1};

template <typename Result>
using Signature = void(std::exception_ptr, Result);

} // namespace

asio::awaitable<void> Client::Impl::keep_up(std::shared_ptr<Impl> self)
{
	boost::system::error_code ignored;
	while (!self->is_closed) {
		if (!self->session && self->backoff.is_due(Clock::now()))
			co_await self->try_once();
		if (self->is_closed)
			break;
		self->pause.expires_at(self->session ? Clock::time_point::max() : self->backoff.next());
		co_await self->pause.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
	}
}

asio::awaitable<void> Client::Impl::try_once()
{
	std::string error;
	try {
		Connector::Opened opened = co_await connector.open();
		go_up(std::move(opened));
	} catch (const std::exception &caught) {
		error = caught.what();
	}
	if (!error.empty())
		go_down(error);
}

void Client::Impl::go_up(Connector::Opened opened)
{
	if (is_closed)
		return opened.session->end("the connection to Redis is closed");
	if (!opened.session->is_open())
		return go_down("the connection to Redis was lost");
	session = std::move(opened.session);
	server = std::move(opened.server);
	generation++;
	since = Clock::now();
	fault.clear();
	session->serve([weak = weak_from_this()](const std::string &why) {
		if (const auto self = weak.lock())
			self->go_down(why);
	});
	if (!is_reachable)
		log::info("Redis reachable again", {{"connection", name}});
	is_reachable = true;
	for (asio::steady_timer *timer : waiting)
		timer->cancel();
}

void Client::Impl::go_down(const std::string &why)
{
	const auto now = Clock::now();
	if (session && now - since >= kLasting)
		backoff.succeed();
	session.reset();
	backoff.fail(now);
	fault = why;
	if (is_closed)
		return;
	if (is_reachable)
		log::error("Redis not reachable", {{"connection", name}, {"error", why}});
	is_reachable = false;
	pause.cancel();
}

void Client::Impl::send(WaiterPtr waiter, const Command *commands, std::size_t count,
						std::chrono::milliseconds timeout)
{
	if (count == 0)
		asio::post(executor, [waiter = std::move(waiter)] { waiter->complete(nullptr); });
	else if (session)
		session->send(std::move(waiter), commands, count, timeout);
	else
		fail_soon(executor, std::move(waiter),
				  is_closed ? "the connection to Redis is closed" : "Redis is not connected");
}

asio::awaitable<void> Client::Impl::wait_connected(std::shared_ptr<Impl> self,
												   std::chrono::milliseconds timeout)
{
	if (!self->session && !self->is_closed) {
		Waiting waiting(*self, timeout);
		boost::system::error_code ignored;
		co_await waiting.timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
	}
	if (!self->session)
		throw Error::unavailable("Redis is not connected");
}

void Client::Impl::close()
{
	is_closed = true;
	connector.close();
	if (const auto open = session)
		open->end("the connection to Redis is closed");
	pause.cancel();
	for (asio::steady_timer *timer : waiting)
		timer->cancel();
}

Client::Client(asio::any_io_executor executor, RedisAddress endpoint, Limits limits,
			   std::string ca_file, std::string name)
	: impl_(std::make_shared<Impl>(std::move(executor), std::move(endpoint), limits,
								   std::move(ca_file), std::move(name)))
{
}

Client::~Client()
{
	close();
}

void Client::start()
{
	if (std::exchange(impl_->is_started, true))
		return;
	start_task(impl_->executor, "connection to Redis", Impl::keep_up(impl_));
}

bool Client::is_connected() const noexcept
{
	return impl_->session != nullptr;
}

const ServerInfo *Client::server() const noexcept
{
	return impl_->session ? &impl_->server : nullptr;
}

unsigned Client::generation() const noexcept
{
	return impl_->generation;
}

const std::string &Client::fault() const noexcept
{
	return impl_->fault;
}

asio::awaitable<Reply> Client::run(Command command)
{
	return run(std::move(command), impl_->limits.command);
}

asio::awaitable<Reply> Client::run(Command command, std::chrono::milliseconds timeout)
{
	return asio::async_initiate<const asio::use_awaitable_t<>, Signature<Reply>>(
		[](auto handler, const std::shared_ptr<Impl> &impl, const Command &sent,
		   std::chrono::milliseconds limit) {
			using For = WaiterFor<Reply, decltype(handler)>;
			impl->send(std::make_unique<For>(std::move(handler), 1), &sent, 1, limit);
		},
		asio::use_awaitable, impl_, std::move(command), timeout);
}

asio::awaitable<std::vector<Reply>> Client::run(std::vector<Command> commands)
{
	return run(std::move(commands), impl_->limits.command);
}

asio::awaitable<std::vector<Reply>> Client::run(std::vector<Command> commands,
												std::chrono::milliseconds timeout)
{
	using Replies = std::vector<Reply>;
	return asio::async_initiate<const asio::use_awaitable_t<>, Signature<Replies>>(
		[](auto handler, const std::shared_ptr<Impl> &impl, const std::vector<Command> &sent,
		   std::chrono::milliseconds limit) {
			using For = WaiterFor<Replies, decltype(handler)>;
			impl->send(std::make_unique<For>(std::move(handler), sent.size()), sent.data(),
					   sent.size(), limit);
		},
		asio::use_awaitable, impl_, std::move(commands), timeout);
}

asio::awaitable<void> Client::wait_connected(std::chrono::milliseconds timeout)
{
	return Impl::wait_connected(impl_, timeout);
}

void Client::drop()
{
	if (const auto session = impl_->session)
		session->end("dropped by the sidecar");
}

void Client::close()
{
	impl_->close();
}

} // namespace sidecar::redis
