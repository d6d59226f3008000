// Checks whether this Redis writes entries to disk or to replicas (docs/design/threats.md,
// C4).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <string>

#include "redis/client.hpp"

namespace sidecar::cache
{

struct Ephemeral {
	bool required = false; // OAUTH_CACHE_REQUIRE_EPHEMERAL
	bool sealed = false;   // entries are sealed, so it does not matter
};

// "writes an append-only file", "has replicas", …; empty: nothing. Throws
// redis::Error.
boost::asio::awaitable<std::string> persistence_of(redis::Client &connection);

class Persistence
{
public:
	explicit Persistence(Ephemeral ephemeral) : ephemeral_(ephemeral) {}

	// It is repeated, because persistence may be switched on later.
	bool is_due() const { return Clock::now() >= next_; }
	// Logs a warning if entries may outlive Redis, or throws Refused if that is not allowed.
	// Also throws redis::Error.
	boost::asio::awaitable<void> look(redis::Client &connection);

private:
	using Clock = std::chrono::steady_clock;

	const Ephemeral ephemeral_;
	Clock::time_point next_{};
	std::string told_; // what was logged last
};

} // namespace sidecar::cache
