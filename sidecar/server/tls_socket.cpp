#include "server/tls_socket.hpp"

#include <openssl/err.h>
#include <sys/socket.h>

#include <cerrno>
#include <new>
#include <utility>

namespace sidecar::server
{

namespace
{

Step classify_errno(Want want) noexcept
{
	const bool is_early = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
	return is_early ? Step{0, want, false} : Step{0, Want::nothing, true};
}

constexpr Step kOver{0, Want::nothing, true};

} // namespace

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

Step TlsSocket::handshake() noexcept
{
	if (!socket_.is_open())
		return kOver;
	ERR_clear_error();
	return classify(SSL_do_handshake(tls_.get()), 0);
}

// A closed socket's number may be another connection's by now, and OpenSSL
// would use it: hence the tests of is_open().
Step TlsSocket::read(char *data, std::size_t size) noexcept
{
	if (!socket_.is_open())
		return kOver;
	if (tls_) {
		std::size_t bytes = 0;
		ERR_clear_error();
		const int result = SSL_read_ex(tls_.get(), data, size, &bytes);
		return classify(result, bytes);
	}
	const ssize_t bytes = ::recv(socket_.native_handle(), data, size, MSG_DONTWAIT);
	if (bytes < 0)
		return classify_errno(Want::read);
	return {static_cast<std::size_t>(bytes), Want::nothing, bytes == 0};
}

Step TlsSocket::write(const char *data, std::size_t size) noexcept
{
	if (!socket_.is_open())
		return kOver;
	if (tls_) {
		std::size_t bytes = 0;
		ERR_clear_error();
		const int result = SSL_write_ex(tls_.get(), data, size, &bytes);
		return classify(result, bytes);
	}
	const ssize_t bytes = ::send(socket_.native_handle(), data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (bytes < 0)
		return classify_errno(Want::write);
	return {static_cast<std::size_t>(bytes), Want::nothing, false};
}

Step TlsSocket::classify(int result, std::size_t bytes) noexcept
{
	if (result == 1)
		return {bytes, Want::nothing, false};
	switch (SSL_get_error(tls_.get(), result)) {
	case SSL_ERROR_WANT_READ:
		return {0, Want::read, false};
	case SSL_ERROR_WANT_WRITE:
		return {0, Want::write, false};
	default:
		ERR_clear_error();
		return kOver;
	}
}

// The close_notify of TLS is sent if there is room for it, and not waited for.
void TlsSocket::finish() noexcept
{
	if (!socket_.is_open())
		return;
	if (tls_ && SSL_is_init_finished(tls_.get())) {
		ERR_clear_error();
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
