// Connections to PostgreSQL: libpq, asynchronous, on the one event loop.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/secret_string.hpp"

namespace sidecar::database
{

// A parameter in text form; nothing is NULL. Wiped when the statement is done,
// but for the copy in libpq's buffer, which the next statement overwrites.
using Parameter = std::optional<Secret>;

// The rows of one statement. The memory that libpq held them in is wiped.
class Rows
{
public:
	struct Impl;
	explicit Rows(std::unique_ptr<Impl> impl);
	Rows(Rows &&) noexcept;
	Rows &operator=(Rows &&) noexcept;
	~Rows();

	int count() const noexcept;
	bool is_null(int row, int column) const noexcept;
	std::string_view text(int row, int column) const noexcept; // empty where NULL
	std::optional<std::string> optional_text(int row, int column) const;

private:
	std::unique_ptr<Impl> impl_;
};

struct PoolStatistics {
	int open = 0;
	int busy = 0;
	int waiting = 0;
};

struct PoolLimits {
	int connections = 8;
	std::size_t waiting = 1000;           // beyond it: an error at once
	std::chrono::milliseconds wait{2000}; // for a free connection
	std::chrono::milliseconds statement{5000};
	std::chrono::seconds connect{5};
};

// Statements are prepared once a connection. One statement at a time on each,
// so that one that waits for a lock delays no other; each is a transaction of
// its own.
class Pool
{
public:
	Pool(boost::asio::any_io_executor executor, Secret url, PoolLimits limits = {});
	~Pool();
	Pool(const Pool &) = delete;
	Pool &operator=(const Pool &) = delete;

	// Throws StoreError. A statement that was sent is never sent again, unless the
	// server said that it has not run it. `sql` must live until it is done; texts
	// are kept for good, so let them be few, with values as parameters.
	boost::asio::awaitable<Rows> query(const std::string &sql, std::vector<Parameter> parameters);

	PoolStatistics statistics() const noexcept;

	// The server is read-only: gives up every session, so that the next statement gets
	// a new one, which may lead to another server. It does so now and then, however often
	// it is called: where no other server is, new sessions are no better.
	void leave_read_only();

	// Finishes what runs, refuses what comes, and lets go of every connection.
	void close();

private:
	struct Impl;
	std::shared_ptr<Impl> impl_;
};

} // namespace sidecar::database
