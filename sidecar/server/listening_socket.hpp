// Opens a listener's socket.
#pragma once

#include <sys/types.h>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <string>

#include "settings/settings.hpp"

namespace sidecar::server
{

using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::generic::stream_protocol,
													boost::asio::io_context::executor_type>;

// A Unix socket's file. It is removed only if it is still the same file.
struct SocketFile {
	std::string path; // empty if there is none
	dev_t device = 0;
	ino_t inode = 0;

	void remove() noexcept;
};

struct ListeningSocket {
	Acceptor acceptor;
	unsigned short port; // 0 for a Unix socket
	SocketFile file;
};

// Throws std::runtime_error.
ListeningSocket open_listening(boost::asio::io_context &context, const settings::Address &address);

} // namespace sidecar::server
