// The TLS context: certificate, key and options.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

namespace sidecar::server
{

// TLS 1.2 and up, HTTP/1.1, no renegotiation. Throws std::runtime_error with a
// text that says which file is wrong and why.
std::shared_ptr<SSL_CTX> make_tls_context(const std::string &certificate_file,
										  const std::string &key_file);

} // namespace sidecar::server
