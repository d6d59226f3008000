// TLS to Redis, without I/O: bytes of the wire go in and come out.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>

#include "redis/buffer.hpp"

namespace sidecar::redis
{

// TLS 1.2 and up; the certificate must be vouched for by `ca_file` (PEM), or by
// the system's store where that is empty. Throws Error.
std::shared_ptr<SSL_CTX> make_tls_context(const std::string &ca_file);

class Tls
{
public:
	// The certificate must be that of `host`, a name or an IP address.
	Tls(SSL_CTX *context, const std::string &host);

	// Goes as far as it can, and says whether it has got to the end. Throws Error.
	bool handshake();

	void receive(std::string_view wire); // from the other end
	// As much as there is room for of what the other end wrote. 0 where there is
	// nothing yet, or never will be: see is_over().
	std::size_t read(char *plain, std::size_t size) noexcept;
	bool is_over() const noexcept { return is_over_; }

	// False where it is over.
	bool write(std::string_view plain) noexcept;
	// Appends what is to be sent to the other end, after each of the above.
	void send(Buffer &wire);

private:
	struct Free {
		void operator()(SSL *tls) const noexcept { SSL_free(tls); }
	};

	std::unique_ptr<SSL, Free> tls_;
	BIO *in_ = nullptr; // both are tls_'s
	BIO *out_ = nullptr;
	bool is_over_ = false;
};

} // namespace sidecar::redis
