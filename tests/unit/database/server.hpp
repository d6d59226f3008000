// A PostgreSQL server of the tests' own: in a directory under the temporary one,
// reached by a socket there and by no TCP port.
#pragma once

#include <sys/types.h>

#include <string>

#include "common/secret_string.hpp"

namespace tests
{

class Server
{
public:
	Server();  // makes it and starts it
	~Server(); // stops and removes it
	Server(const Server &) = delete;
	Server &operator=(const Server &) = delete;

	void start();
	void stop(int signal); // SIGINT: sessions end at once; SIGQUIT: without a word

	std::string address(const std::string &more = {}) const; // key=value form
	common::Secret url() const { return common::Secret(address()); }
	pid_t pid() const noexcept { return pid_; }

	// By a connection of its own, blocking. The first value of the last result.
	std::string run(const std::string &sql) const;

private:
	void make_data() const;

	std::string directory_;
	pid_t pid_ = -1;
};

} // namespace tests
