#include "redis/tls.hpp"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <new>

#include "redis/error.hpp"

namespace sidecar::redis
{

namespace
{

std::string reason()
{
	const unsigned long error = ERR_peek_last_error();
	ERR_clear_error();
	const char *text = error != 0 ? ERR_reason_error_string(error) : nullptr;
	return text != nullptr ? text : "no reason given";
}

bool is_ip_address(const std::string &host) noexcept
{
	in6_addr address{};
	return inet_pton(AF_INET, host.c_str(), &address) == 1 ||
		   inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

bool expect_host(SSL *tls, const std::string &host) noexcept
{
	X509_VERIFY_PARAM *expected = SSL_get0_param(tls);
	if (is_ip_address(host))
		return X509_VERIFY_PARAM_set1_ip_asc(expected, host.c_str()) == 1;
	X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set1_host(expected, host.data(), host.size()) == 1 &&
		   SSL_set_tlsext_host_name(tls, host.c_str()) == 1;
}

} // namespace

std::shared_ptr<SSL_CTX> make_tls_context(const std::string &ca_file)
{
	ERR_clear_error();
	const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
	if (!context)
		throw Error::unavailable("TLS cannot be set up: " + reason());
	SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
	SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
	const int found = ca_file.empty() ? SSL_CTX_set_default_verify_paths(context.get())
									  : SSL_CTX_load_verify_file(context.get(), ca_file.c_str());
	if (found != 1)
		throw Error::unavailable("the certificates of " +
								 (ca_file.empty() ? "the system's store" : ca_file) +
								 " cannot be used: " + reason());
	return context;
}

Tls::Tls(SSL_CTX *context, const std::string &host) : tls_(SSL_new(context))
{
	if (!tls_ || !expect_host(tls_.get(), host))
		throw std::bad_alloc();
	in_ = BIO_new(BIO_s_mem());
	out_ = BIO_new(BIO_s_mem());
	SSL_set_bio(tls_.get(), in_, out_);
	if (in_ == nullptr || out_ == nullptr)
		throw std::bad_alloc();
	BIO_set_mem_eof_return(in_, -1); // empty is no end
	BIO_set_mem_eof_return(out_, -1);
	SSL_set_connect_state(tls_.get());
}

bool Tls::handshake()
{
	ERR_clear_error();
	const int result = SSL_do_handshake(tls_.get());
	if (result == 1)
		return true;
	if (SSL_get_error(tls_.get(), result) == SSL_ERROR_WANT_READ)
		return false;
	const long verdict = SSL_get_verify_result(tls_.get());
	if (verdict != X509_V_OK) {
		ERR_clear_error();
		throw Error::unavailable(std::string("the server's certificate is not trusted: ") +
								 X509_verify_cert_error_string(verdict));
	}
	throw Error::unavailable("TLS failed: " + reason());
}

void Tls::receive(std::string_view wire)
{
	if (BIO_write(in_, wire.data(), static_cast<int>(wire.size())) != static_cast<int>(wire.size()))
		throw std::bad_alloc();
}

std::size_t Tls::read(char *plain, std::size_t size) noexcept
{
	std::size_t bytes = 0;
	ERR_clear_error();
	const int result = SSL_read_ex(tls_.get(), plain, size, &bytes);
	if (result == 1)
		return bytes;
	if (SSL_get_error(tls_.get(), result) != SSL_ERROR_WANT_READ)
		is_over_ = true;
	ERR_clear_error();
	return 0;
}

// Memory takes all at once.
bool Tls::write(std::string_view plain) noexcept
{
	std::size_t bytes = 0;
	ERR_clear_error();
	if (SSL_write_ex(tls_.get(), plain.data(), plain.size(), &bytes) != 1)
		is_over_ = true;
	ERR_clear_error();
	return !is_over_;
}

void Tls::send(Buffer &wire)
{
	char *bytes = nullptr;
	const long size = BIO_get_mem_data(out_, &bytes);
	if (size <= 0)
		return;
	wire.append({bytes, static_cast<std::size_t>(size)});
	BIO_reset(out_);
}

} // namespace sidecar::redis
