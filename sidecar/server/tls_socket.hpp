// A connection's socket, with TLS or without. Nothing here waits: each step does
// what can be done at once and says what to wait for.
//
// TLS is OpenSSL straight on the socket. asio::ssl::stream holds 34 KB of
// buffers for every connection, which 5,000 idle ones would feel.
#pragma once

#include <openssl/ssl.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>

namespace sidecar::server
{

using Socket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol,
												boost::asio::io_context::executor_type>;

enum class Want { nothing, read, write };

struct Step {
	std::size_t bytes = 0;
	Want want = Want::nothing;
	bool is_over = false; // the other end closed, or something broke
};

class TlsSocket
{
public:
	// Without a context it is plain.
	TlsSocket(Socket socket, SSL_CTX *tls);

	bool is_tls() const noexcept { return tls_ != nullptr; }
	// There is something to read that waiting would not notice.
	bool has_pending() const noexcept { return tls_ && SSL_has_pending(tls_.get()); }

	Step handshake() noexcept;
	Step read(char *data, std::size_t size) noexcept;
	Step write(const char *data, std::size_t size) noexcept;
	// Says that nothing more will be written.
	void finish() noexcept;

	// Ends with an error after cancel() or close().
	auto wait(Want want)
	{
		const auto type = want == Want::write ? Socket::wait_write : Socket::wait_read;
		return socket_.async_wait(type, boost::asio::as_tuple(boost::asio::deferred));
	}
	void cancel() noexcept;
	void close() noexcept;

private:
	struct Free {
		void operator()(SSL *tls) const noexcept { SSL_free(tls); }
	};

	Step classify(int result, std::size_t bytes) noexcept;

	Socket socket_;
	std::unique_ptr<SSL, Free> tls_;
};

} // namespace sidecar::server
