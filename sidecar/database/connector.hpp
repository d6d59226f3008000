// Opens sessions: looks up the servers that an address names, and tries one after the other.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/secret_string.hpp"
#include "database/hosts.hpp"
#include "database/session.hpp"

namespace sidecar::database
{

class Connector
{
public:
	// `attempt` is for each address of each host, if the URL has no connect_timeout
	// and one host alone; `statement` for each of the session's.
	Connector(boost::asio::any_io_executor executor, common::Secret url,
			  std::chrono::milliseconds attempt, std::chrono::milliseconds statement);

	// A session that is set up. Throws StoreError, which may name host and user, never the
	// password. One at a time.
	boost::asio::awaitable<std::shared_ptr<Session>> connect();

private:
	using Clock = std::chrono::steady_clock;

	boost::asio::awaitable<std::vector<Host>> look_up(std::vector<Host> listed);
	void put_off_silent(std::vector<Host> &hosts);

	const boost::asio::any_io_executor executor_;
	const common::Secret url_;
	const std::chrono::milliseconds attempt_;
	const std::chrono::milliseconds statement_;
	boost::asio::ip::tcp::resolver resolver_;
	std::map<std::string, Clock::time_point> silent_; // when a server was last silent
	std::string reasons_;                             // of this time
};

} // namespace sidecar::database
