#include "redis_server.hpp"

#include <arpa/inet.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>
#include <variant>

namespace tests
{

namespace
{

sockaddr_in local(unsigned short port)
{
	sockaddr_in address{};
	address.sin_family = AF_INET;
	address.sin_port = htons(port);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return address;
}

// A node of a cluster also takes the port 10,000 above its own.
unsigned short free_port()
{
	for (int i = 0; i < 100; i++) {
		const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
		sockaddr_in address = local(0);
		socklen_t size = sizeof address;
		const bool is_bound =
			bind(socket, reinterpret_cast<sockaddr *>(&address), size) == 0 &&
			getsockname(socket, reinterpret_cast<sockaddr *>(&address), &size) == 0;
		close(socket);
		if (is_bound && ntohs(address.sin_port) < 55'000)
			return ntohs(address.sin_port);
	}
	throw std::runtime_error("no free port");
}

// -1 where nobody listens.
int connect_to(unsigned short port)
{
	const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
	const sockaddr_in address = local(port);
	if (connect(socket, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0)
		return socket;
	close(socket);
	return -1;
}

bool listens(unsigned short port)
{
	const int socket = connect_to(port);
	if (socket >= 0)
		close(socket);
	return socket >= 0;
}

// A socket's file is there before its server listens.
bool listens(const std::string &path)
{
	sockaddr_un address{};
	address.sun_family = AF_UNIX;
	path.copy(address.sun_path, sizeof address.sun_path - 1);
	const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
	const bool listens =
		connect(socket, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0;
	close(socket);
	return listens;
}

// An authority of one day, and a certificate by it.
void make_certificates(const std::string &directory)
{
	std::ofstream(directory + "/names") << "subjectAltName=DNS:localhost,IP:127.0.0.1\n";
	const std::string command =
		"cd " + directory +
		" && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
		" -subj /CN=authority -keyout ca.key -out ca.pem 2>log"
		" && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=redis"
		" -keyout key.pem -out request.pem 2>>log"
		" && openssl x509 -req -days 1 -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial"
		" -extfile names -out certificate.pem 2>>log";
	if (std::system(command.c_str()) != 0)
		throw std::runtime_error("openssl made no certificates");
}

pid_t spawn(std::vector<std::string> words, const std::string &directory)
{
	const pid_t pid = fork();
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (freopen((directory + "/log").c_str(), "a", stdout) == nullptr || dup2(1, 2) < 0 ||
		chdir(directory.c_str()) != 0)
		_exit(126);
	std::vector<char *> arguments;
	for (std::string &word : words)
		arguments.push_back(word.data());
	arguments.push_back(nullptr);
	execvp(arguments[0], arguments.data());
	_exit(127);
}

} // namespace

RedisServer::RedisServer(std::vector<std::string> settings, Kind kind) : port_(free_port())
{
	std::string path = "/tmp/oauth-redis-XXXXXX";
	if (mkdtemp(path.data()) == nullptr)
		throw std::runtime_error("no temporary directory");
	directory_ = path;
	const std::string port = std::to_string(port_);
	words_ = {"redis-server"};
	if (kind == Kind::sentinel) {
		std::ofstream file(path + "/sentinel.conf");
		for (const std::string &line : settings)
			file << line << '\n';
		settings.clear();
		words_.insert(words_.end(), {path + "/sentinel.conf", "--sentinel"});
	}
	words_.insert(words_.end(),
				  {"--bind", "127.0.0.1", "--dir", path, "--save", "", "--unixsocket", socket()});
	if (kind == Kind::tls) {
		make_certificates(path);
		words_.insert(words_.end(), {"--port", "0", "--tls-port", port, "--tls-auth-clients", "no",
									 "--tls-cert-file", "certificate.pem", "--tls-key-file",
									 "key.pem", "--tls-ca-cert-file", "ca.pem"});
	} else {
		words_.insert(words_.end(), {"--port", port});
	}
	words_.insert(words_.end(), settings.begin(), settings.end());
	start();
}

RedisServer::~RedisServer()
{
	stop(SIGKILL);
	std::error_code ignored;
	std::filesystem::remove_all(directory_, ignored);
}

void RedisServer::start()
{
	pid_ = spawn(words_, directory_);
	wait_until_it_listens();
}

void RedisServer::wait_until_it_listens() const
{
	for (int i = 0; i < 1000; i++) {
		if (listens(port_) && listens(socket()))
			return;
		std::this_thread::sleep_for(std::chrono::milliseconds(20));
	}
	throw std::runtime_error("Redis did not start");
}

void RedisServer::stop(int signal)
{
	if (pid_ <= 0)
		return;
	kill(pid_, signal);
	waitpid(pid_, nullptr, 0);
	pid_ = -1;
	std::filesystem::remove(socket());
}

void RedisServer::send(int signal) const
{
	kill(pid_, signal);
}

std::string RedisServer::say(const std::string &words) const
{
	const int socket = connect_to(port_);
	const std::string line = words + "\r\n";
	std::string answer;
	char next = 0;
	if (write(socket, line.data(), line.size()) > 0)
		while (read(socket, &next, 1) == 1 && next != '\r')
			answer += next;
	close(socket);
	return answer;
}

std::string RedisServer::url(const std::string &user, const std::string &rest) const
{
	return "redis://" + user + "127.0.0.1:" + std::to_string(port_) + rest;
}

std::string RedisServer::unix_url(const std::string &user, const std::string &rest) const
{
	return "unix://" + user + socket() + rest;
}

sidecar::address::RedisAddress endpoint_of(const std::string &url)
{
	auto parsed = sidecar::address::parse_redis_address(url);
	if (const auto *fault = std::get_if<std::string_view>(&parsed))
		throw std::runtime_error(std::string(*fault));
	return std::get<sidecar::address::RedisAddress>(std::move(parsed));
}

} // namespace tests
