// Opens connections in a thread of its own, because looking up a host's name
// blocks. One at a time.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "common/secret_string.hpp"
#include "database/result.hpp"

namespace sidecar::database
{

class Connector
{
public:
	// Called through the executor. Without a connection, `error` says why: it may
	// name host and user, never the password.
	using Handler = std::function<void(ConnectionHandle connection, std::string error)>;

	// `timeout` is for each address of each host, where the URL has no connect_timeout
	// and one host alone.
	Connector(boost::asio::any_io_executor executor, Secret url, std::chrono::milliseconds timeout);
	// The handler is not called any more. Waits for a thread under way, but not
	// for a name server that does not answer.
	~Connector();
	Connector(const Connector &) = delete;
	Connector &operator=(const Connector &) = delete;

	// Must not be called again before the handler was.
	void start(Handler handler);

	struct Shared;

private:
	std::shared_ptr<Shared> shared_;
};

} // namespace sidecar::database
