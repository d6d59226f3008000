#include "scripted_server.hpp"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>
#include <strings.h>

namespace tests
{

namespace
{

std::size_t content_length(const std::string &head)
{
	for (std::size_t line = 0; line != head.npos; line = head.find("\r\n", line + 2))
		if (strncasecmp(head.c_str() + line, "\r\nContent-Length:", 17) == 0)
			return std::stoul(head.substr(line + 17));
	return 0;
}

} // namespace

Certificate::Certificate() : key(EVP_EC_gen("P-256")), certificate(X509_new())
{
	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_set_pubkey(certificate, key);
	X509_NAME *name = X509_get_subject_name(certificate);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
							   reinterpret_cast<const unsigned char *>("tests"), -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	X509_EXTENSION *names =
		X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
	X509_add_ext(certificate, names, -1);
	X509_EXTENSION_free(names);
	X509_sign(certificate, key, EVP_sha256());

	file = "/tmp/oauth-sidecar-ca-XXXXXX";
	const int descriptor = mkstemp(file.data());
	FILE *stream = fdopen(descriptor, "w");
	PEM_write_X509(stream, certificate);
	fclose(stream);
}

Certificate::~Certificate()
{
	unlink(file.c_str());
	X509_free(certificate);
	EVP_PKEY_free(key);
}

Peer::Peer(int socket, SSL_CTX *tls) : socket_(socket)
{
	if (tls == nullptr)
		return;
	tls_ = SSL_new(tls);
	SSL_set_fd(tls_, socket);
	is_open_ = SSL_accept(tls_) == 1;
}

Peer::~Peer()
{
	if (tls_ != nullptr && is_open_)
		SSL_shutdown(tls_);
	SSL_free(tls_);
	shutdown(socket_, SHUT_RDWR);
}

void Peer::hang_up()
{
	is_open_ = false;
	shutdown(socket_, SHUT_RDWR);
}

long Peer::read_some(char *into, std::size_t size)
{
	return tls_ != nullptr ? SSL_read(tls_, into, static_cast<int>(size))
						   : recv(socket_, into, size, 0);
}

std::string Peer::read_request()
{
	std::string text;
	char some[65536];
	std::size_t end = text.npos;
	while (is_open_) {
		if (end == text.npos && (end = text.find("\r\n\r\n")) != text.npos)
			end += 4 + content_length(text.substr(0, end + 2));
		if (end != text.npos && text.size() >= end)
			return text;
		const long got = read_some(some, sizeof some);
		is_open_ = got > 0;
		if (is_open_)
			text.append(some, static_cast<std::size_t>(got));
	}
	return {};
}

bool Peer::write(std::string_view text)
{
	while (is_open_ && !text.empty()) {
		const long sent = tls_ != nullptr
							  ? SSL_write(tls_, text.data(), static_cast<int>(text.size()))
							  : send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
		is_open_ = sent > 0;
		if (is_open_)
			text.remove_prefix(static_cast<std::size_t>(sent));
	}
	return is_open_;
}

ScriptedServer::ScriptedServer(Script script, const Certificate *certificate)
	: script_(std::move(script)), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
{
	signal(SIGPIPE, SIG_IGN);
	sockaddr_in address{};
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	socklen_t size = sizeof address;
	auto *any = reinterpret_cast<sockaddr *>(&address);
	if (bind(listener_, any, size) != 0 || listen(listener_, 100) != 0 ||
		getsockname(listener_, any, &size) != 0)
		throw std::runtime_error("no socket to listen on");
	port_ = ntohs(address.sin_port);
	if (certificate != nullptr) {
		tls_ = SSL_CTX_new(TLS_server_method());
		SSL_CTX_use_certificate(tls_, certificate->certificate);
		SSL_CTX_use_PrivateKey(tls_, certificate->key);
	}
	acceptor_ = std::thread([this] { accept(); });
}

ScriptedServer::~ScriptedServer()
{
	shutdown(listener_, SHUT_RDWR);
	acceptor_.join();
	{
		const std::lock_guard lock(mutex_);
		for (const int socket : sockets_)
			shutdown(socket, SHUT_RDWR);
	}
	for (std::thread &thread : threads_)
		thread.join();
	for (const int socket : sockets_)
		close(socket);
	close(listener_);
	SSL_CTX_free(tls_);
}

void ScriptedServer::accept()
{
	int socket = -1;
	while ((socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0) {
		connections_++;
		const std::lock_guard lock(mutex_);
		sockets_.push_back(socket);
		threads_.emplace_back([this, socket] { serve(socket); });
	}
}

void ScriptedServer::serve(int socket)
{
	Peer peer(socket, tls_);
	std::string request;
	while (!(request = peer.read_request()).empty()) {
		requests_++;
		{
			const std::lock_guard lock(mutex_);
			last_request_ = request;
		}
		script_(peer, request);
	}
}

std::string ScriptedServer::url(const std::string &path) const
{
	return (tls_ != nullptr ? "https" : "http") + std::string("://127.0.0.1:") +
		   std::to_string(port_) + path;
}

std::string ScriptedServer::last_request() const
{
	const std::lock_guard lock(mutex_);
	return last_request_;
}

} // namespace tests
