#include "server/listening_socket.hpp"

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <cerrno>
#include <stdexcept>
#include <utility>

namespace sidecar::server
{

namespace
{

namespace asio = boost::asio;
using asio::ip::tcp;
using Local = asio::local::stream_protocol;
using Code = boost::system::error_code;

constexpr mode_t kSocketMode = 0660; // owner and group: the web server in front

// "127.0.0.1:8090", "[::1]:8090", "unix:/path"
std::string name_of(const settings::Address &address)
{
	if (!address.unix_path.empty())
		return "unix:" + address.unix_path;
	const bool is_v6 = address.host.find(':') != std::string::npos && address.host[0] != '[';
	return (is_v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

[[noreturn]] void fail(const settings::Address &address, const std::string &why)
{
	throw std::runtime_error("cannot listen on " + name_of(address) + ": " + why);
}

Code last_error()
{
	return {errno, boost::system::system_category()};
}

tcp::resolver::results_type resolve(asio::io_context &context, const settings::Address &address)
{
	std::string host = address.host;
	if (host.size() > 2 && host.front() == '[' && host.back() == ']')
		host = host.substr(1, host.size() - 2);
	tcp::resolver resolver(context);
	Code error;
	const auto found =
		resolver.resolve(host, std::to_string(address.port), tcp::resolver::passive, error);
	if (error || found.empty())
		fail(address, "the name cannot be resolved (" + error.message() + ")");
	return found;
}

// What is accepted inherits TCP_NODELAY.
Code open_tcp(Acceptor &acceptor, const tcp::endpoint &endpoint, bool has_others)
{
	Code error;
	acceptor.open(endpoint.protocol(), error);
	if (!error)
		acceptor.set_option(asio::socket_base::reuse_address(true), error);
	if (!error)
		acceptor.set_option(tcp::no_delay(true), error);
	// A name with addresses of both kinds gets a socket for each.
	if (!error && has_others && endpoint.address().is_v6())
		acceptor.set_option(asio::ip::v6_only(true), error);
	if (!error)
		acceptor.bind(endpoint, error);
	if (!error)
		acceptor.listen(asio::socket_base::max_listen_connections, error);
	return error;
}

unsigned short port_of(const Acceptor &acceptor)
{
	const auto endpoint = acceptor.local_endpoint();
	tcp::endpoint bound;
	if (endpoint.size() > bound.capacity())
		return 0;
	std::copy_n(reinterpret_cast<const char *>(endpoint.data()), endpoint.size(),
				reinterpret_cast<char *>(bound.data()));
	return bound.port();
}

// A machine without IPv6 still has a localhost with ::1 in its hosts file.
bool is_missing_family(const Code &error)
{
	return error == asio::error::address_family_not_supported ||
		   error == Code(EADDRNOTAVAIL, boost::system::system_category());
}

std::vector<ListeningSocket> open_host(asio::io_context &context, const settings::Address &address)
{
	const auto endpoints = resolve(context, address);
	std::vector<ListeningSocket> sockets;
	Code last;
	for (const auto &entry : endpoints) {
		Acceptor acceptor(context);
		const Code error = open_tcp(acceptor, entry.endpoint(), endpoints.size() > 1);
		if (error && !is_missing_family(error))
			fail(address, error.message());
		if (error) {
			last = error;
			continue;
		}
		const unsigned short port = port_of(acceptor);
		sockets.emplace_back(std::move(acceptor), port, SocketFile());
	}
	if (sockets.empty())
		fail(address, last.message());
	return sockets;
}

// Somebody who is gone left it behind: then it goes, too.
void remove_stale(asio::io_context &context, const settings::Address &address)
{
	const std::string &path = address.unix_path;
	struct stat status {
	};
	if (lstat(path.c_str(), &status) != 0) {
		if (errno != ENOENT)
			fail(address, last_error().message());
		return;
	}
	if (!S_ISSOCK(status.st_mode))
		fail(address, "a file that is no socket is there");
	Local::socket probe(context);
	Code error;
	probe.open(Local(), error);
	if (!error)
		probe.non_blocking(true, error); // a full backlog must not hold us up
	if (!error)
		probe.connect(Local::endpoint(path), error);
	if (!error || error == asio::error::would_block || error == asio::error::try_again)
		fail(address, "another process listens there");
	if (error != asio::error::connection_refused)
		fail(address, error.message());
	if (unlink(path.c_str()) != 0 && errno != ENOENT)
		fail(address, "the socket left there cannot be removed: " + last_error().message());
}

// The file takes its mode from the socket (less the umask), so that at no time
// is it open to more than it will be.
Code bind_file(Acceptor &acceptor, const std::string &path)
{
	Code error;
	acceptor.open(Local(), error);
	if (!error && fchmod(acceptor.native_handle(), kSocketMode) != 0)
		return last_error();
	if (!error)
		acceptor.bind(Local::endpoint(path), error);
	if (!error && chmod(path.c_str(), kSocketMode) != 0)
		return last_error();
	if (!error)
		acceptor.listen(asio::socket_base::max_listen_connections, error);
	return error;
}

ListeningSocket open_file(asio::io_context &context, const settings::Address &address)
{
	const std::string &path = address.unix_path;
	if (path.size() >= sizeof(sockaddr_un::sun_path))
		fail(address, "the path is longer than " +
						  std::to_string(sizeof(sockaddr_un::sun_path) - 1) + " bytes");
	remove_stale(context, address);
	Acceptor acceptor(context);
	if (const Code error = bind_file(acceptor, path))
		fail(address, error.message());
	struct stat status {
	};
	if (stat(path.c_str(), &status) != 0)
		fail(address, last_error().message());
	return {std::move(acceptor), 0, SocketFile{path, status.st_dev, status.st_ino}};
}

} // namespace

void SocketFile::remove() noexcept
{
	struct stat status {
	};
	if (!path.empty() && lstat(path.c_str(), &status) == 0 && status.st_dev == device &&
		status.st_ino == inode)
		unlink(path.c_str());
	path.clear();
}

std::vector<ListeningSocket> open_listening(asio::io_context &context,
											const settings::Address &address)
{
	if (address.unix_path.empty())
		return open_host(context, address);
	std::vector<ListeningSocket> sockets;
	sockets.push_back(open_file(context, address));
	return sockets;
}

} // namespace sidecar::server
