#include "redis/connection.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sidecar::redis
{

namespace asio = boost::asio;

namespace
{

constexpr std::size_t kInput = 64 << 10; // bytes to read at once

// Why the server is of no use to the next command, either; or nothing. Until 7.0,
// what a script ran into stood at the end of the text.
std::string_view unavailable_code(const Reply &reply) noexcept
{
	static constexpr std::string_view kCodes[] = {"READONLY",    "LOADING", "MASTERDOWN",
												  "CLUSTERDOWN", "BUSY",    "NOAUTH"};
	const std::string_view code = reply.error_code();
	if (code == "ERR" && reply.text().find(": -READONLY ") != std::string_view::npos)
		return kCodes[0];
	const auto found = std::find(std::begin(kCodes), std::end(kCodes), code);
	return found != std::end(kCodes) ? *found : std::string_view();
}

} // namespace

void fail_soon(const asio::any_io_executor &executor, WaiterPtr waiter, const std::string &fault)
{
	asio::post(executor, [waiter = std::move(waiter), fault] {
		waiter->complete(std::make_exception_ptr(Error::unavailable(fault)));
	});
}

Connection::Connection(Socket socket, std::unique_ptr<Tls> tls, const Limits &limits)
	: socket_(std::move(socket)), tls_(std::move(tls)), max_waiting_(limits.waiting),
	  timer_(socket_.get_executor()), decoder_(limits.reply), input_(kInput)
{
	socket_.non_blocking(true);
}

void Connection::start()
{
	receive();
}

void Connection::serve(std::function<void(const std::string &)> on_end)
{
	is_serving_ = true;
	on_end_ = std::move(on_end);
}

void Connection::send(WaiterPtr waiter, const Command *commands, std::size_t count,
					  std::chrono::milliseconds timeout)
{
	if (has_ended_)
		return fail_soon(socket_.get_executor(), std::move(waiter), "Redis is not connected");
	if (waiters_.size() >= max_waiting_)
		return fail_soon(socket_.get_executor(), std::move(waiter),
						 "too many commands wait for Redis");
	for (std::size_t i = 0; i < count; i++)
		commands[i].write_to(output_);
	waiter->deadline = Clock::now() + timeout;
	if (waiter->deadline < armed_)
		arm(waiter->deadline);
	waiters_.push_back(std::move(waiter));
	flush_soon();
}

asio::awaitable<std::vector<Reply>> Connection::run(std::vector<Command> commands,
													std::chrono::milliseconds timeout)
{
	using Replies = std::vector<Reply>;
	return asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr, Replies)>(
		[](auto handler, std::shared_ptr<Connection> self, const std::vector<Command> &sent,
		   std::chrono::milliseconds limit) {
			using For = WaiterFor<Replies, decltype(handler)>;
			self->send(std::make_unique<For>(std::move(handler), sent.size()), sent.data(),
					   sent.size(), limit);
		},
		asio::use_awaitable, shared_from_this(), std::move(commands), timeout);
}

void Connection::end(const std::string &fault, std::string_view code)
{
	if (has_ended_)
		return;
	has_ended_ = true;
	boost::system::error_code ignored;
	socket_.close(ignored);
	timer_.cancel();
	output_.clear();
	if (!waiters_.empty())
		asio::post(socket_.get_executor(), [waiters = std::exchange(waiters_, {}),
											error = Error::unavailable(fault, code)] {
			for (const WaiterPtr &waiter : waiters)
				waiter->complete(std::make_exception_ptr(error));
		});
	if (const auto handler = std::exchange(on_end_, nullptr))
		handler(fault);
}

void Connection::flush_soon()
{
	if (is_flush_due_ || is_blocked_)
		return;
	is_flush_due_ = true;
	asio::post(socket_.get_executor(), [self = shared_from_this()] {
		self->is_flush_due_ = false;
		self->flush();
	});
}

void Connection::flush()
{
	if (has_ended_ || is_blocked_)
		return;
	if (tls_) {
		if (!output_.empty() && !tls_->write(output_.view()))
			return end("TLS to Redis failed");
		output_.clear();
		tls_->send(wire_);
	}
	Buffer &bytes = tls_ ? wire_ : output_;
	boost::system::error_code error;
	while (!bytes.empty() && !error)
		bytes.consume(socket_.write_some(asio::buffer(bytes.view().data(), bytes.size()), error));
	if (!error)
		return;
	if (error != asio::error::would_block && error != asio::error::try_again)
		return end("the connection to Redis was lost");
	is_blocked_ = true;
	socket_.async_wait(Socket::wait_write, [self = shared_from_this()](boost::system::error_code) {
		self->is_blocked_ = false;
		self->flush();
	});
}

void Connection::receive()
{
	socket_.async_read_some(
		asio::buffer(input_),
		[self = shared_from_this()](boost::system::error_code error, std::size_t bytes) {
			if (self->has_ended_)
				return;
			if (error)
				return self->end("the connection to Redis was lost");
			self->received({self->input_.data(), bytes});
			OPENSSL_cleanse(self->input_.data(), bytes);
			if (!self->has_ended_)
				self->receive();
		});
}

void Connection::received(std::string_view wire)
{
	if (!tls_)
		return take(wire);
	char plain[Decoder::kBite];
	tls_->receive(wire);
	while (!has_ended_) {
		const std::size_t bytes = tls_->read(plain, sizeof plain);
		if (bytes == 0)
			break;
		take({plain, bytes});
	}
	OPENSSL_cleanse(plain, sizeof plain);
	if (tls_->is_over())
		return end("the connection to Redis was lost");
	tls_->send(wire_);
	if (!wire_.empty())
		flush_soon();
}

void Connection::take(std::string_view plain)
{
	while (!plain.empty() && !has_ended_) {
		const std::string_view bite = plain.substr(0, Decoder::kBite);
		plain.remove_prefix(bite.size());
		decoder_.feed(bite);
		while (!has_ended_) {
			std::optional<Reply> reply = decoder_.next();
			if (!reply)
				break;
			deliver(std::move(*reply));
		}
		if (decoder_.has_failed())
			end("Redis sent what is not its protocol, or too much");
	}
}

// Whoever waited goes on from here, and may end this session.
void Connection::deliver(Reply reply)
{
	if (waiters_.empty())
		return end("Redis sent a reply that nobody asked for");
	if (is_serving_ && reply.is_error())
		if (const std::string_view code = unavailable_code(reply); !code.empty())
			return end("Redis cannot serve: " + std::string(code), code);
	if (!waiters_.front()->take(std::move(reply)))
		return;
	const WaiterPtr done = std::move(waiters_.front());
	waiters_.pop_front();
	done->complete(nullptr);
}

void Connection::arm(Clock::time_point when)
{
	armed_ = when;
	timer_.expires_at(when);
	timer_.async_wait([weak = weak_from_this()](boost::system::error_code aborted) {
		if (const auto self = weak.lock(); self && !aborted && !self->has_ended_)
			self->look_for_late();
	});
}

// One timer for all, which fires now and then and not for each. A turn more for
// answers that came while we were busy: they may wait in the socket.
void Connection::look_for_late()
{
	armed_ = Clock::time_point::max();
	if (waiters_.empty()) {
		is_second_look_ = false;
		return;
	}
	const auto first = std::min_element(
		waiters_.begin(), waiters_.end(),
		[](const WaiterPtr &a, const WaiterPtr &b) { return a->deadline < b->deadline; });
	const bool is_late = (*first)->deadline <= Clock::now();
	if (is_late && is_second_look_)
		return end("Redis did not answer in time");
	is_second_look_ = is_late;
	arm((*first)->deadline);
}

} // namespace sidecar::redis
