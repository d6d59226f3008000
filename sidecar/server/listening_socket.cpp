#include "server/listening_socket.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/system/system_error.hpp>
#include <cerrno>
#include <stdexcept>
#include <utility>

#include "settings/address.hpp"

namespace sidecar::server
{

namespace
{

namespace asio = boost::asio;
using asio::ip::tcp;
using Local = asio::local::stream_protocol;
template <typename Protocol>
using AcceptorOf = asio::basic_socket_acceptor<Protocol, asio::io_context::executor_type>;

constexpr mode_t kSocketMode = 0660; // owner and group: the web server in front

void check(int result)
{
	if (result != 0)
		throw boost::system::system_error(errno, boost::system::system_category());
}

// Accepted sockets inherit TCP_NODELAY.
ListeningSocket open_tcp(asio::io_context &context, const settings::Address &address)
{
	const tcp::endpoint endpoint(asio::ip::make_address(address.host), address.port);
	AcceptorOf<tcp> acceptor(context, endpoint.protocol());
	acceptor.set_option(asio::socket_base::reuse_address(true));
	acceptor.set_option(tcp::no_delay(true));
	acceptor.bind(endpoint);
	acceptor.listen();
	const unsigned short port = acceptor.local_endpoint().port();
	return {std::move(acceptor), port, {}};
}

// Removes a socket that a killed daemon has left behind.
void remove_stale(asio::io_context &context, const std::string &path)
{
	struct stat status {
	};
	if (lstat(path.c_str(), &status) != 0 && errno == ENOENT)
		return;
	if (!S_ISSOCK(status.st_mode))
		throw std::runtime_error("there is a file that is no socket");
	Local::socket probe(context, Local());
	probe.non_blocking(true); // a full backlog must not block us
	boost::system::error_code error;
	probe.connect(Local::endpoint(path), error);
	if (!error || error == asio::error::would_block)
		throw std::runtime_error("another process listens there");
	if (error != asio::error::connection_refused)
		throw boost::system::system_error(error);
	check(unlink(path.c_str()));
}

// The file gets its mode from the socket (less the umask), so it is never open to more users
// than intended.
ListeningSocket open_file(asio::io_context &context, const std::string &path)
{
	remove_stale(context, path);
	AcceptorOf<Local> acceptor(context, Local());
	check(fchmod(acceptor.native_handle(), kSocketMode));
	acceptor.bind(Local::endpoint(path));
	check(chmod(path.c_str(), kSocketMode));
	acceptor.listen();
	struct stat status {
	};
	check(stat(path.c_str(), &status));
	return {std::move(acceptor), 0, {path, status.st_dev, status.st_ino}};
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

ListeningSocket open_listening(asio::io_context &context, const settings::Address &address)
{
	std::string why;
	try {
		return address.unix_path.empty() ? open_tcp(context, address)
										 : open_file(context, address.unix_path);
	} catch (const boost::system::system_error &error) {
		why = error.code().message();
	} catch (const std::runtime_error &error) {
		why = error.what();
	}
	throw std::runtime_error("cannot listen on " + settings::text_of(address) + ": " + why);
}

} // namespace sidecar::server
