// A server on a thread of its own, and clients that talk to it over real sockets.
#pragma once

#include <openssl/ssl.h>
#include <sys/resource.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "server/server.hpp"

namespace sidecar::server
{

// What was told to the observer.
struct Seen {
	std::string request_id, method, path, endpoint;
	int status;
};

class RunningServer
{
public:
	using Prepare = std::function<void(Server &)>;

	// Listens on 127.0.0.1 after `prepare`.
	explicit RunningServer(const Limits &limits = {}, const Prepare &prepare = {}, int loops = 1);
	~RunningServer();

	unsigned short port() const { return port_; }
	// Runs something on the server's thread and waits for it.
	void on_thread(const std::function<void(Server &)> &action);
	Statistics statistics();
	void release(); // ends the waiting of each /hold
	// How many requests each loop has answered.
	std::vector<int> handled_by_loop() const;
	// Until connections and requests are as wanted; false after many tries.
	bool settles(int connections, int requests = 0);
	void start_drain(std::chrono::milliseconds deadline);
	// Milliseconds that draining took, or -1 while it goes on.
	int drained() const { return drained_; }
	bool wait_drained();

	std::vector<Seen> seen();
	int handled() const { return handled_; }

private:
	// A loop of the server, on a thread of its own.
	struct Running {
		boost::asio::io_context context{1};
		boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{
			context.get_executor()};
		// Each /hold waits for it, and it is cancelled only.
		boost::asio::steady_timer held{context, std::chrono::steady_clock::time_point::max()};
		std::atomic<int> handled = 0;
		std::thread thread;
	};

	boost::asio::awaitable<http::Response> handle(Running &loop, http::Request request);

	std::deque<Running> loops_;
	boost::asio::io_context &context_;
	std::unique_ptr<Server> server_;
	unsigned short port_ = 0;
	std::atomic<int> drained_ = -1;
	std::atomic<int> handled_ = 0;
	std::mutex mutex_;
	std::vector<Seen> seen_;
};

// While it lives, one more descriptor can be opened: a client's own, and none for the server.
class LackOfDescriptors
{
public:
	LackOfDescriptors();
	~LackOfDescriptors();
	LackOfDescriptors(const LackOfDescriptors &) = delete;
	LackOfDescriptors &operator=(const LackOfDescriptors &) = delete;

private:
	rlimit before_{};
	std::vector<int> fillers_;
};

struct Answer {
	int status = 0; // 0: none came
	std::string head;
	std::string body;

	std::string header(const std::string &name) const;
};

class Client
{
public:
	explicit Client(unsigned short port, bool tls = false);
	explicit Client(const std::string &unix_path);
	~Client();
	Client(const Client &) = delete;
	Client &operator=(const Client &) = delete;

	bool is_connected() const { return socket_ >= 0; }
	bool send(const std::string &bytes);
	Answer receive(bool has_body = true);
	Answer ask(const std::string &bytes, bool has_body = true);
	// Nothing more comes and the other end has closed, within that time.
	bool is_closed(std::chrono::milliseconds within = std::chrono::seconds(10));
	void finish(); // shuts our direction down
	void reset();  // closes with RST
	int socket() const { return socket_; }
	SSL *tls() const { return tls_.get(); }

private:
	struct Free {
		void operator()(SSL *tls) const { SSL_free(tls); }
		void operator()(SSL_CTX *context) const { SSL_CTX_free(context); }
	};
	int read_some(std::chrono::milliseconds within);

	int socket_ = -1;
	std::unique_ptr<SSL_CTX, Free> context_;
	std::unique_ptr<SSL, Free> tls_;
	std::string pending_;
};

std::string get(const std::string &target, const std::string &more_headers = "");

} // namespace sidecar::server
