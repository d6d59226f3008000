#include "server/tls_socket.hpp"

#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <cerrno>
#include <new>
#include <utility>

namespace sidecar::server
{

namespace asio = boost::asio;

TlsSocket::TlsSocket(Socket socket, SSL_CTX *tls) : socket_(std::move(socket))
{
	if (!tls)
		return;
	socket_.native_non_blocking(true);
	tls_.reset(SSL_new(tls));
	if (!tls_ || SSL_set_fd(tls_.get(), socket_.native_handle()) != 1)
		throw std::bad_alloc();
	SSL_set_accept_state(tls_.get());
}

asio::awaitable<bool> TlsSocket::wait(short wait_for)
{
	const auto type = wait_for == POLLOUT ? Socket::wait_write : Socket::wait_read;
	const auto [error] = co_await socket_.async_wait(type, asio::as_tuple(asio::deferred));
	// The number of a closed socket may belong to another connection by now.
	co_return !error && socket_.is_open();
}

asio::awaitable<bool> TlsSocket::wait_for_data()
{
	return wait(POLLIN);
}

// (In a loop's condition, g++ 12 evaluates a co_await behind && even if its left side is
// false.)
asio::awaitable<bool> TlsSocket::handshake()
{
	for (;;) {
		ERR_clear_error();
		const Step step = classify(SSL_do_handshake(tls_.get()), 1);
		if (step.wait_for == 0)
			co_return step.bytes > 0;
		if (!co_await wait(step.wait_for))
			co_return false;
	}
}

asio::awaitable<std::size_t> TlsSocket::read_some(asio::mutable_buffer to, bool may_wait)
{
	for (;;) {
		const Step step = try_read(to);
		if (step.wait_for == 0 || !may_wait)
			co_return step.bytes;
		if (!co_await wait(step.wait_for))
			co_return 0;
	}
}

asio::awaitable<std::size_t> TlsSocket::write_some(asio::const_buffer from)
{
	for (;;) {
		const Step step = try_write(from);
		if (step.wait_for == 0)
			co_return step.bytes;
		if (!co_await wait(step.wait_for))
			co_return 0;
	}
}

TlsSocket::Step TlsSocket::try_read(asio::mutable_buffer to) noexcept
{
	if (!socket_.is_open())
		return {};
	if (tls_) {
		std::size_t bytes = 0;
		ERR_clear_error();
		const int result = SSL_read_ex(tls_.get(), to.data(), to.size(), &bytes);
		return classify(result, bytes);
	}
	const ssize_t bytes = ::recv(socket_.native_handle(), to.data(), to.size(), MSG_DONTWAIT);
	if (bytes >= 0)
		return {static_cast<std::size_t>(bytes), 0};
	return {0, errno == EAGAIN || errno == EINTR ? short(POLLIN) : short(0)};
}

TlsSocket::Step TlsSocket::try_write(asio::const_buffer from) noexcept
{
	if (!socket_.is_open())
		return {};
	if (tls_) {
		std::size_t bytes = 0;
		ERR_clear_error();
		const int result = SSL_write_ex(tls_.get(), from.data(), from.size(), &bytes);
		return classify(result, bytes);
	}
	const ssize_t bytes =
		::send(socket_.native_handle(), from.data(), from.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
	if (bytes >= 0)
		return {static_cast<std::size_t>(bytes), 0};
	return {0, errno == EAGAIN || errno == EINTR ? short(POLLOUT) : short(0)};
}

TlsSocket::Step TlsSocket::classify(int result, std::size_t bytes) noexcept
{
	if (result == 1)
		return {bytes, 0};
	switch (SSL_get_error(tls_.get(), result)) {
	case SSL_ERROR_WANT_READ:
		return {0, POLLIN};
	case SSL_ERROR_WANT_WRITE:
		return {0, POLLOUT};
	default:
		ERR_clear_error();
		return {};
	}
}

// TLS's close_notify is sent if there is room for it. Nobody waits for it.
void TlsSocket::finish() noexcept
{
	if (!socket_.is_open())
		return;
	if (tls_ && SSL_is_init_finished(tls_.get())) {
		SSL_shutdown(tls_.get());
		ERR_clear_error();
	}
	boost::system::error_code ignored;
	socket_.shutdown(Socket::shutdown_send, ignored);
}

void TlsSocket::cancel() noexcept
{
	boost::system::error_code ignored;
	socket_.cancel(ignored);
}

void TlsSocket::close() noexcept
{
	boost::system::error_code ignored;
	socket_.close(ignored);
}

} // namespace sidecar::server
