// Gives the spool's answers to the database: at start, and as long as there are any.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/backoff.hpp"
#include "refresh/refresh_context.hpp"

namespace sidecar::refresh
{

class Replayer
{
public:
	template <typename T>
	using Awaitable = boost::asio::awaitable<T>;

	explicit Replayer(const RefreshContext &context) : context_(context), timer_(context.executor)
	{
	}

	// Never ends. A failure is logged once, and tried again.
	Awaitable<void> run();
	// Call it when a commit has failed.
	void wake();

	// For an answer that an attempt has just written, and still commits itself.
	void hold(const std::string &name) { held_.insert(name); }
	void release(const std::string &name) { held_.erase(name); }

	// At the last check.
	std::size_t files() const noexcept { return files_; }
	std::size_t set_aside() const noexcept { return set_aside_; }

private:
	Awaitable<bool> run_batch();
	Awaitable<std::optional<spool::Listing>> list();
	Awaitable<bool> take(const std::string &name, const std::string &cluster);
	Awaitable<bool> replay(const std::string &name, const spool::Entry &entry);
	Awaitable<void> remove(const std::string &name);
	Awaitable<void> put_aside(const std::string &name, std::string reason);
	Awaitable<void> wait(bool has_more);
	void complain(const std::string &about, std::string_view message, const std::string &reason);

	const RefreshContext &context_;
	boost::asio::steady_timer timer_;
	Backoff backoff_;
	bool is_woken_ = false;
	std::set<std::string> held_;
	std::map<std::string, std::string> complaints_; // by file; empty: the spool as a whole
	std::size_t files_ = 0;
	std::size_t set_aside_ = 0;
};

} // namespace sidecar::refresh
