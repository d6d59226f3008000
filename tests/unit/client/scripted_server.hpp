// A server on 127.0.0.1 that does to each connection what a test says, in a
// thread for each, with TLS or without.
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace tests
{

// A key and a certificate for 127.0.0.1 that it signs itself; `file` has the
// latter as PEM, and goes with it.
struct Certificate {
	Certificate();
	~Certificate();
	Certificate(const Certificate &) = delete;
	Certificate &operator=(const Certificate &) = delete;

	EVP_PKEY *key;
	X509 *certificate;
	std::string file;
};

class Peer
{
public:
	Peer(int socket, SSL_CTX *tls);
	~Peer();
	Peer(const Peer &) = delete;
	Peer &operator=(const Peer &) = delete;

	std::string read_request(); // empty: the peer is gone
	bool write(std::string_view text);
	void hang_up();

private:
	long read_some(char *into, std::size_t size);

	int socket_;
	SSL *tls_ = nullptr;
	bool is_open_ = true;
};

class ScriptedServer
{
public:
	using Script = std::function<void(Peer &peer, const std::string &request)>;

	explicit ScriptedServer(Script script, const Certificate *certificate = nullptr);
	~ScriptedServer();
	ScriptedServer(const ScriptedServer &) = delete;
	ScriptedServer &operator=(const ScriptedServer &) = delete;

	std::string url(const std::string &path = "/") const;
	int requests() const noexcept { return requests_; }
	int connections() const noexcept { return connections_; }
	std::string last_request() const;

private:
	void accept();
	void serve(int socket);

	const Script script_;
	int listener_;
	int port_ = 0;
	SSL_CTX *tls_ = nullptr;
	std::atomic<int> requests_ = 0;
	std::atomic<int> connections_ = 0;
	mutable std::mutex mutex_;
	std::string last_request_;
	std::list<int> sockets_;
	std::list<std::thread> threads_;
	std::thread acceptor_;
};

} // namespace tests
