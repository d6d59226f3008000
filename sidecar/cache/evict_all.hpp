// Evicts every entry, of whatever epoch.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>

#include "cache_entry/keys.hpp"
#include "redis/connection.hpp"

namespace sidecar::cache
{

// By whole SCANs, never by FLUSHDB: others use that Redis, too. Leases go first, all
// of them, so that no fill that began before can put back an entry behind the second
// scan. `keep_alive` is called about once a second meanwhile. False where the epoch (its text) is
// another by now, and somebody else drops. Throws redis::Error.
boost::asio::awaitable<bool>
evict_all(redis::Client &connection, const Keys &keys, const std::string &epoch,
		  const std::function<boost::asio::awaitable<void>()> &keep_alive);

} // namespace sidecar::cache
