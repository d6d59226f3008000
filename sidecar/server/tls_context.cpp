#include "server/tls_context.hpp"

#include <openssl/err.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace sidecar::server
{

namespace
{

constexpr unsigned char kProtocols[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

std::string reason()
{
	const unsigned long error = ERR_peek_last_error();
	ERR_clear_error();
	const char *text = ERR_reason_error_string(error);
	return text ? text : "no reason given";
}

[[noreturn]] void fail(const std::string &what)
{
	throw std::runtime_error(what + ": " + reason());
}

// OpenSSL's own message about a file that cannot be opened does not help.
void check_readable(const std::string &what, const std::string &file)
{
	errno = 0;
	if (!std::ifstream(file).good())
		throw std::runtime_error(what + " " + file + ": " +
								 (errno ? std::strerror(errno) : "cannot be read"));
}

// If a key has a passphrase, OpenSSL would ask for it at the terminal.
int no_passphrase(char *, int, int, void *)
{
	return -1;
}

int choose_protocol(SSL *, const unsigned char **chosen, unsigned char *size,
					const unsigned char *offered, unsigned offered_size, void *)
{
	unsigned char *found = nullptr;
	if (SSL_select_next_proto(&found, size, kProtocols, sizeof kProtocols, offered, offered_size) !=
		OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*chosen = found;
	return SSL_TLSEXT_ERR_OK;
}

void set_rules(SSL_CTX *context)
{
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
									 SSL_OP_CIPHER_SERVER_PREFERENCE);
	// Idle connections free their buffers.
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
	// Tickets resume sessions, so no session is kept here.
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_default_passwd_cb(context, no_passphrase);
	SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
}

} // namespace

std::shared_ptr<SSL_CTX> make_tls_context(const std::string &certificate_file,
										  const std::string &key_file)
{
	const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
	if (!context)
		fail("TLS cannot be set up");
	set_rules(context.get());
	check_readable("TLS certificate", certificate_file);
	check_readable("TLS key", key_file);
	ERR_clear_error();
	if (SSL_CTX_use_certificate_chain_file(context.get(), certificate_file.c_str()) != 1)
		fail("TLS certificate " + certificate_file + " cannot be used");
	if (SSL_CTX_use_PrivateKey_file(context.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1)
		fail("TLS key " + key_file + " cannot be used");
	if (SSL_CTX_check_private_key(context.get()) != 1)
		fail("TLS key " + key_file + " does not belong to " + certificate_file);
	return context;
}

} // namespace sidecar::server
