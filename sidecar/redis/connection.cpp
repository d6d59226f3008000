#include "redis/connection.hpp"

#include <openssl/ssl.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace sidecar::redis
{

namespace asio = boost::asio;
namespace ssl = asio::ssl;

namespace
{

constexpr std::size_t kInput = 64 << 10;      // bytes to read at once
constexpr std::size_t kKeptOutput = 16 << 10; // bytes of memory between turns, or twice as many
// With every reply, hiredis moves the rest of its buffer, so that must be short.
constexpr std::size_t kBite = 4096;
constexpr const char *kLost = "the connection to Redis was lost";

// Why the next command would fail, too; or nothing. Until 7.0, the error that a script met is
// at the end of the text.
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

// SSL_set1_host() distinguishes names and addresses; SNI is only for names.
bool expect_host(SSL *tls, const std::string &host)
{
	boost::system::error_code is_name;
	asio::ip::make_address(host, is_name);
	SSL_set_hostflags(tls, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(tls, host.c_str()) == 1 &&
		   (!is_name || SSL_set_tlsext_host_name(tls, host.c_str()) == 1);
}

} // namespace

ssl::context make_tls_context(const std::string &ca_file)
try {
	ssl::context context(ssl::context::tls_client);
	SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
	SSL_CTX_set_options(context.native_handle(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(context.native_handle(), SSL_SESS_CACHE_OFF);
	context.set_verify_mode(ssl::verify_peer);
	if (ca_file.empty())
		context.set_default_verify_paths();
	else
		context.load_verify_file(ca_file);
	return context;
} catch (const boost::system::system_error &error) {
	throw Error::unavailable("the certificates of " +
							 (ca_file.empty() ? "the system's store" : ca_file) +
							 " cannot be used: " + error.code().message());
}

Connection::Connection(asio::any_io_executor executor, const Limits &limits)
	: socket_(executor), limits_(limits), timer_(executor), decoder_(limits.reply), input_(kInput)
{
}

template <typename Operation>
void Connection::on_stream(Operation operation)
{
	if (tls_)
		operation(*tls_);
	else
		operation(socket_);
}

asio::awaitable<void> Connection::open(Endpoint where, ssl::context *tls, std::string host)
{
	const auto self = shared_from_this();
	timer_.expires_after(limits_.connect);
	timer_.async_wait([weak = weak_from_this()](boost::system::error_code aborted) {
		if (const auto late = weak.lock(); late && !aborted && !late->is_up_)
			late->end("no answer in time");
	});
	boost::system::error_code error;
	co_await socket_.async_connect(where, asio::redirect_error(asio::use_awaitable, error));
	if (error || has_ended_)
		throw Error::unavailable(has_ended_ ? fault_ : error.message());
	if (where.protocol().family() != AF_UNIX)
		socket_.set_option(asio::ip::tcp::no_delay(true));
	if (tls != nullptr)
		co_await shake_hands(*tls, host);
	timer_.cancel();
	is_up_ = true;
	receive();
}

asio::awaitable<void> Connection::shake_hands(ssl::context &context, const std::string &host)
{
	tls_.emplace(socket_, context);
	SSL *const tls = tls_->native_handle();
	if (!expect_host(tls, host))
		throw std::bad_alloc();
	boost::system::error_code error;
	co_await tls_->async_handshake(ssl::stream_base::client,
								   asio::redirect_error(asio::use_awaitable, error));
	const long verdict = SSL_get_verify_result(tls);
	if (!error && !has_ended_)
		co_return;
	if (!has_ended_ && verdict != X509_V_OK)
		throw Error::unavailable(std::string("the server's certificate is not trusted: ") +
								 X509_verify_cert_error_string(verdict));
	throw Error::unavailable("TLS failed: " + (has_ended_ ? fault_ : error.message()));
}

void Connection::serve(std::function<void(const std::string &)> on_end)
{
	is_serving_ = true;
	on_end_ = std::move(on_end);
	// It is set for the log-in's deadline, which is later than a command's.
	timer_.cancel();
	is_watched_ = false;
	is_late_ = false;
}

asio::awaitable<Replies> Connection::run(std::vector<Command> commands)
{
	return asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr, Replies)>(
		[](auto handler, const std::shared_ptr<Connection> &self,
		   const std::vector<Command> &pipeline) { self->send(std::move(handler), pipeline); },
		asio::use_awaitable, shared_from_this(), std::move(commands));
}

void Connection::send(Handler handler, std::span<const Command> commands)
{
	if (has_ended_)
		return fail_soon(std::move(handler), fault_);
	if (pipelines_.size() >= limits_.waiting)
		return fail_soon(std::move(handler), "too many commands wait for Redis");
	for (const Command &command : commands)
		command.write_to(output_);
	const auto deadline = Clock::now() + (is_serving_ ? limits_.command : limits_.connect);
	pipelines_.push_back({std::move(handler), {}, commands.size(), deadline});
	if (!is_watched_)
		watch(deadline);
	flush_soon();
}

// In a later turn of the loop, because an operation must not end before it has begun.
void Connection::fail_soon(Handler handler, const std::string &fault)
{
	asio::post(socket_.get_executor(), [handler = std::move(handler), fault]() mutable {
		std::move(handler)(std::make_exception_ptr(Error::unavailable(fault)), Replies());
	});
}

void Connection::end(const std::string &fault)
{
	if (has_ended_)
		return;
	has_ended_ = true;
	fault_ = fault;
	boost::system::error_code ignored;
	socket_.close(ignored);
	timer_.cancel();
	output_.wipe();
	if (!pipelines_.empty())
		asio::post(socket_.get_executor(), [pipelines = std::exchange(pipelines_, {}),
											error = Error::unavailable(fault)]() mutable {
			for (Pipeline &pipeline : pipelines)
				std::move(pipeline.handler)(std::make_exception_ptr(error), Replies());
		});
	if (const auto handler = std::exchange(on_end_, nullptr))
		handler(fault);
}

void Connection::flush_soon()
{
	if (std::exchange(is_flush_due_, true))
		return;
	asio::post(socket_.get_executor(), [self = shared_from_this()] {
		self->is_flush_due_ = false;
		self->flush();
	});
}

void Connection::flush()
{
	if (has_ended_ || !sent_.empty() || output_.empty())
		return;
	std::swap(sent_, output_); // each keeps its memory for later turns
	on_stream([this](auto &stream) {
		asio::async_write(
			stream, asio::buffer(sent_.reveal()),
			[self = shared_from_this()](boost::system::error_code error, std::size_t) {
				const bool was_long = self->sent_.size() > kKeptOutput;
				self->sent_.wipe();
				if (was_long)
					const common::Secret freed = std::move(self->sent_);
				if (error)
					return self->end(kLost);
				self->flush();
			});
	});
}

void Connection::receive()
{
	on_stream([this](auto &stream) {
		stream.async_read_some(
			asio::buffer(input_),
			[self = shared_from_this()](boost::system::error_code error, std::size_t bytes) {
				if (error)
					self->end(kLost);
				self->take({self->input_.data(), bytes});
				common::wipe(self->input_.data(), bytes);
				if (!self->has_ended_)
					self->receive();
			});
	});
}

void Connection::take(std::string_view bytes)
{
	while (!bytes.empty() && !has_ended_) {
		if (std::optional<Reply> texts = decoder_.take_texts(bytes)) {
			deliver(std::move(*texts));
			continue;
		}
		decoder_.feed(bytes.substr(0, kBite));
		bytes.remove_prefix(std::min(bytes.size(), kBite));
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

// The coroutines that waited continue here, and may end this connection.
void Connection::deliver(Reply reply)
{
	if (pipelines_.empty())
		return end("Redis sent a reply that nobody asked for");
	if (is_serving_ && reply.is_error())
		if (const std::string_view code = unavailable_code(reply); !code.empty())
			return end("Redis cannot serve: " + std::string(code));
	Pipeline &first = pipelines_.front();
	// Not before the first one: memory that many requests hold at a time is slow to get and free.
	if (first.replies.empty())
		first.replies.reserve(first.size);
	first.replies.push_back(std::move(reply));
	if (first.replies.size() < first.size)
		return;
	Pipeline done = std::move(first);
	pipelines_.pop_front();
	std::move(done.handler)(nullptr, std::move(done.replies));
}

void Connection::watch(Clock::time_point deadline)
{
	is_watched_ = true;
	timer_.expires_at(deadline);
	timer_.async_wait([weak = weak_from_this()](boost::system::error_code aborted) {
		if (const auto self = weak.lock(); self && !aborted && !self->has_ended_)
			self->look_for_late();
	});
}

// One timer for all: the first pipeline's deadline is the earliest. It waits for one more turn
// of the loop, because answers that came while we were busy may still be in the socket.
void Connection::look_for_late()
{
	is_watched_ = false;
	const bool was_late = std::exchange(is_late_, false);
	if (pipelines_.empty())
		return;
	is_late_ = pipelines_.front().deadline <= Clock::now();
	if (is_late_ && was_late)
		return end("Redis did not answer in time");
	watch(pipelines_.front().deadline);
}

} // namespace sidecar::redis
