// A connection's socket, with TLS or without.
//
// TLS is OpenSSL directly on the socket, which takes 9 KiB for a connection.
// asio::ssl::stream takes 51 KiB: 250 MiB for 5,000 idle connections, which a daemon must
// endure beside the others. We do not use the time limits of beast::basic_stream, because it
// closes the socket when one has passed: a client that is late must get an answer (408).
#pragma once

#include <openssl/ssl.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>

namespace sidecar::server
{

using Socket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol,
												boost::asio::io_context::executor_type>;

class TlsSocket
{
public:
	// Without a context it is plain.
	TlsSocket(Socket socket, SSL_CTX *tls);

	bool is_tls() const noexcept { return tls_ != nullptr; }
	// Whether there is data to read that a wait for the socket would not notice.
	bool has_pending() const noexcept { return tls_ && SSL_has_pending(tls_.get()); }

	// Waits until there is something to read. False after cancel() or close().
	boost::asio::awaitable<bool> wait_for_data();
	boost::asio::awaitable<bool> handshake();
	// These return the number of bytes. 0 if the other end has closed, on an error, or after
	// cancel() or close(); if `may_wait` is false, also if nothing has arrived yet.
	boost::asio::awaitable<std::size_t> read_some(boost::asio::mutable_buffer to,
												  bool may_wait = true);
	boost::asio::awaitable<std::size_t> write_some(boost::asio::const_buffer from);
	// Tells the other end that nothing more will be written.
	void finish() noexcept;

	void cancel() noexcept;
	void close() noexcept;

private:
	struct Free {
		void operator()(SSL *tls) const noexcept { SSL_free(tls); }
	};
	// The result of one try: `bytes`, or what to wait for before the next one. Neither: it has
	// ended.
	struct Step {
		std::size_t bytes = 0;
		short wait_for = 0; // POLLIN or POLLOUT
	};

	Step try_read(boost::asio::mutable_buffer to) noexcept;
	Step try_write(boost::asio::const_buffer from) noexcept;
	Step classify(int result, std::size_t bytes) noexcept;
	boost::asio::awaitable<bool> wait(short wait_for);

	Socket socket_;
	std::unique_ptr<SSL, Free> tls_;
};

} // namespace sidecar::server
