// A Redis of the tests' own: in a directory under the temporary one, on a socket
// there and on a port of its own of this machine alone.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "address/redis_address.hpp"

namespace tests
{

class RedisServer
{
public:
	enum class Kind { redis, tls, sentinel };

	// `settings`: words of its command line; of a sentinel, lines of its file. The
	// certificate of TLS is for localhost and 127.0.0.1.
	explicit RedisServer(std::vector<std::string> settings = {}, Kind kind = Kind::redis);
	~RedisServer(); // stops and removes it
	RedisServer(const RedisServer &) = delete;
	RedisServer &operator=(const RedisServer &) = delete;

	void start();
	void stop(int signal);
	void send(int signal) const; // SIGSTOP, SIGCONT

	// Runs a command of plain words, blocking, and gives its first line of answer.
	std::string say(const std::string &words) const;

	unsigned short port() const noexcept { return port_; }
	std::string socket() const { return directory_ + "/socket"; }
	std::string ca_file() const { return directory_ + "/ca.pem"; }

	// redis://127.0.0.1:PORT, or what is said of host, user and the rest.
	std::string url(const std::string &user = {}, const std::string &rest = {}) const;
	std::string unix_url(const std::string &user = {}, const std::string &rest = {}) const;

private:
	void wait_until_it_listens() const;

	std::vector<std::string> words_;
	std::string directory_;
	unsigned short port_ = 0;
	pid_t pid_ = -1;
};

sidecar::address::RedisAddress endpoint_of(const std::string &url);

} // namespace tests
