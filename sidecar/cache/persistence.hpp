// Whether this Redis keeps its entries longer than it runs, or elsewhere (THREATS C4).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>

#include "redis/connection.hpp"

namespace sidecar::cache
{

struct Ephemeral {
	bool required = false; // OAUTH_CACHE_REQUIRE_EPHEMERAL
	bool sealed = false;   // entries are, so that it does not matter
};

// "writes an append-only file", "has 2 replicas", …; empty: nothing. Throws
// redis::Error.
boost::asio::awaitable<std::string> persistence_of(redis::Connection &connection);

// Logs a warning where it does, or throws Refused where that is asked for.
boost::asio::awaitable<void> check_persistence(redis::Connection &connection, Ephemeral ephemeral);

} // namespace sidecar::cache
