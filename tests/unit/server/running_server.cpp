#include "running_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <filesystem>
#include <future>
#include <stdexcept>
#include <strings.h>

namespace sidecar::server
{

namespace
{

namespace asio = boost::asio;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

http::Response refuse(int status, const std::string &)
{
	return http::Response(status, "text/plain", "refused");
}

int connect_to(int family, const void *address, socklen_t size)
{
	const int socket = ::socket(family, SOCK_STREAM, 0);
	if (connect(socket, static_cast<const sockaddr *>(address), size) == 0)
		return socket;
	close(socket);
	return -1;
}

} // namespace

RunningServer::RunningServer(const Limits &limits, const Prepare &prepare, int loops)
	: loops_(static_cast<std::size_t>(loops)), context_(loops_.front().context)
{
	const auto observer = [this](const AccessRecord &served) {
		const std::lock_guard lock(mutex_);
		seen_.push_back({served.request_id, std::string(served.method), std::string(served.path),
						 std::string(served.endpoint), served.status});
	};
	std::vector<Loop> made;
	for (Running &loop : loops_)
		made.push_back(
			{loop.context,
			 [this, &loop](http::Request request) { return handle(loop, std::move(request)); },
			 observer});
	server_ = std::make_unique<Server>(std::move(made), limits, refuse);
	if (prepare)
		prepare(*server_);
	settings::Address address;
	address.host = "127.0.0.1";
	port_ = server_->listen(address, http::Audience::everything);
	for (Running &loop : loops_)
		loop.thread = std::thread([&loop] { loop.context.run(); });
}

// The other loops end before the server.
RunningServer::~RunningServer()
{
	for (std::size_t i = 1; i < loops_.size(); i++) {
		loops_[i].context.stop();
		loops_[i].thread.join();
	}
	on_thread([this](Server &) { server_.reset(); });
	asio::post(context_, [this] { loops_.front().held.cancel(); });
	loops_.front().work.reset();
	loops_.front().thread.join();
}

// /echo tells what arrived; /hold waits for release(), and /wait/<ms> so long; /throw and /inject
// misbehave.
asio::awaitable<http::Response> RunningServer::handle(Running &loop, http::Request request)
{
	if (request.path.starts_with("/wait/")) {
		asio::steady_timer timer(loop.context);
		timer.expires_after(milliseconds(std::stoi(request.path.substr(6))));
		co_await timer.async_wait(asio::use_awaitable);
	}
	if (request.path == "/hold") {
		boost::system::error_code released;
		co_await loop.held.async_wait(asio::redirect_error(asio::use_awaitable, released));
	}
	handled_++;
	loop.handled++;
	if (request.path == "/throw")
		throw std::runtime_error("a secret");
	const char flags[] = {request.has_authorization ? 'a' : '-',
						  request.has_doubled_header ? 'd' : '-', request.is_prefetch ? 'p' : '-',
						  0};
	http::Response response(200, "text/plain",
							request.method + "|" + request.path + "|" + request.query + "|" +
								request.cookie + "|" + request.authorization + "|" + flags + "|" +
								std::to_string(request.body_bytes));
	response.endpoint = "echo";
	if (request.path.starts_with("/big/"))
		response.body.assign(std::stoul(request.path.substr(5)), 'x');
	if (request.path == "/inject")
		response.with("X-One", "a\r\nX-Two: b").with("X-Three", "fine");
	co_return response;
}

void RunningServer::on_thread(const std::function<void(Server &)> &action)
{
	std::promise<void> done;
	asio::post(context_, [&] {
		action(*server_);
		done.set_value();
	});
	done.get_future().wait();
}

Statistics RunningServer::statistics()
{
	Statistics statistics;
	on_thread([&](Server &server) { statistics = server.statistics(); });
	return statistics;
}

void RunningServer::release()
{
	for (Running &loop : loops_)
		asio::post(loop.context, [&loop] { loop.held.cancel(); });
}

std::vector<int> RunningServer::handled_by_loop() const
{
	std::vector<int> handled;
	for (const Running &loop : loops_)
		handled.push_back(loop.handled);
	return handled;
}

bool RunningServer::settles(int connections, int requests)
{
	for (int tries = 0; tries < 2000; tries++) {
		const Statistics now = statistics();
		if (now.connections == connections && now.requests == requests)
			return true;
		std::this_thread::sleep_for(milliseconds(5));
	}
	return false;
}

void RunningServer::start_drain(milliseconds deadline)
{
	on_thread([&](Server &server) {
		const auto begin = Clock::now();
		asio::co_spawn(context_, server.drain(deadline), [this, begin](std::exception_ptr) {
			drained_ = static_cast<int>((Clock::now() - begin) / milliseconds(1));
		});
	});
}

bool RunningServer::wait_drained()
{
	for (int tries = 0; drained_ < 0 && tries < 4000; tries++)
		std::this_thread::sleep_for(milliseconds(5));
	return drained_ >= 0;
}

std::vector<Seen> RunningServer::seen()
{
	const std::lock_guard lock(mutex_);
	return seen_;
}

std::string Answer::header(const std::string &name) const
{
	for (std::size_t at = head.find("\r\n"); at != std::string::npos; at = head.find("\r\n", at)) {
		at += 2;
		if (strncasecmp(head.c_str() + at, (name + ": ").c_str(), name.size() + 2) == 0)
			return head.substr(at + name.size() + 2, head.find("\r\n", at) - at - name.size() - 2);
	}
	return "";
}

LackOfDescriptors::LackOfDescriptors()
{
	getrlimit(RLIMIT_NOFILE, &before_);
	int highest = 0;
	for (const auto &open : std::filesystem::directory_iterator("/proc/self/fd"))
		highest = std::max(highest, std::stoi(open.path().filename()));
	// Those below are taken, so that each one that is closed from now on can be opened again.
	int next;
	while ((next = dup(0)) < highest)
		fillers_.push_back(next);
	close(next);
	const rlimit tight{static_cast<rlim_t>(next) + 1, before_.rlim_max};
	setrlimit(RLIMIT_NOFILE, &tight);
}

LackOfDescriptors::~LackOfDescriptors()
{
	setrlimit(RLIMIT_NOFILE, &before_);
	for (const int filler : fillers_)
		close(filler);
}

Client::Client(unsigned short port, bool tls)
{
	sockaddr_in address{};
	address.sin_family = AF_INET;
	address.sin_port = htons(port);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	socket_ = connect_to(AF_INET, &address, sizeof address);
	if (!tls || socket_ < 0)
		return;
	context_.reset(SSL_CTX_new(TLS_client_method()));
	tls_.reset(SSL_new(context_.get()));
	SSL_set_fd(tls_.get(), socket_);
	static constexpr unsigned char kOffer[] = {2,   'h', '2', 8,   'h', 't',
											   't', 'p', '/', '1', '.', '1'};
	SSL_set_alpn_protos(tls_.get(), kOffer, sizeof kOffer);
	if (SSL_connect(tls_.get()) != 1) {
		close(socket_);
		socket_ = -1;
	}
}

Client::Client(const std::string &unix_path)
{
	sockaddr_un address{};
	address.sun_family = AF_UNIX;
	unix_path.copy(address.sun_path, sizeof address.sun_path - 1);
	socket_ = connect_to(AF_UNIX, &address, sizeof address);
}

Client::~Client()
{
	if (socket_ >= 0)
		close(socket_);
}

bool Client::send(const std::string &bytes)
{
	if (tls_)
		return SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size())) > 0;
	return ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
		   static_cast<ssize_t>(bytes.size());
}

// Bytes read; 0 at the end, -1 when nothing came in time.
int Client::read_some(milliseconds within)
{
	pollfd poll_for{socket_, POLLIN, 0};
	if (!(tls_ && SSL_has_pending(tls_.get())) &&
		poll(&poll_for, 1, static_cast<int>(within.count())) == 0)
		return -1;
	char bytes[16384];
	const ssize_t size =
		tls_ ? SSL_read(tls_.get(), bytes, sizeof bytes) : recv(socket_, bytes, sizeof bytes, 0);
	if (size <= 0)
		return 0;
	pending_.append(bytes, static_cast<std::size_t>(size));
	return static_cast<int>(size);
}

Answer Client::receive(bool has_body)
{
	Answer answer;
	std::size_t end;
	while ((end = pending_.find("\r\n\r\n")) == std::string::npos)
		if (read_some(std::chrono::seconds(5)) <= 0)
			return answer;
	answer.head = pending_.substr(0, end + 2);
	pending_.erase(0, end + 4);
	const std::string length = answer.header("Content-Length");
	const std::size_t size = has_body && !length.empty() ? std::stoul(length) : 0;
	while (pending_.size() < size)
		if (read_some(std::chrono::seconds(5)) <= 0)
			return answer;
	answer.status = std::stoi(answer.head.substr(9, 3));
	answer.body = pending_.substr(0, size);
	pending_.erase(0, size);
	return answer;
}

Answer Client::ask(const std::string &bytes, bool has_body)
{
	send(bytes);
	return receive(has_body);
}

bool Client::is_closed(milliseconds within)
{
	return pending_.empty() && read_some(within) == 0;
}

void Client::finish()
{
	shutdown(socket_, SHUT_WR);
}

void Client::reset()
{
	const linger now{1, 0};
	setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(socket_);
	socket_ = -1;
}

std::string get(const std::string &target, const std::string &more_headers)
{
	return "GET " + target + " HTTP/1.1\r\nHost: h\r\n" + more_headers + "\r\n";
}

} // namespace sidecar::server
