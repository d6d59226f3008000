// Whether this Redis keeps its entries longer than it runs, or elsewhere (docs/design/threats.md,
// C4).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <string>

#include "redis/connection.hpp"

namespace sidecar::cache
{

struct Ephemeral {
	bool required = false; // OAUTH_CACHE_REQUIRE_EPHEMERAL
	bool sealed = false;   // entries are, so that it does not matter
};

// "writes an append-only file", "has replicas", …; empty: nothing. Throws
// redis::Error.
boost::asio::awaitable<std::string> persistence_of(redis::Client &connection);

class Persistence
{
public:
	explicit Persistence(Ephemeral ephemeral) : ephemeral_(ephemeral) {}

	// Somebody may switch it on while we work.
	bool is_due() const { return Clock::now() >= next_; }
	// Logs a warning where entries outlive Redis, or throws Refused where that is not
	// wanted. Throws redis::Error, too.
	boost::asio::awaitable<void> look(redis::Client &connection);

private:
	using Clock = std::chrono::steady_clock;

	const Ephemeral ephemeral_;
	Clock::time_point next_{};
	std::string told_; // what the log knows
};

} // namespace sidecar::cache
