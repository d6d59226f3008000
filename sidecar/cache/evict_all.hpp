// Evicts every entry, of any epoch.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>

#include "cache_entry/keys.hpp"
#include "redis/client.hpp"

namespace sidecar::cache
{

// By whole SCANs, never by FLUSHDB: others use that Redis, too. All leases are deleted first,
// so that no fill that began before can write an entry behind the second scan. `keep_alive` is
// called about once a second. False if the epoch (its text) has changed, and another daemon
// evicts. Throws redis::Error.
boost::asio::awaitable<bool>
evict_all(redis::Client &connection, const cache_entry::Keys &keys, const std::string &epoch,
		  const std::function<boost::asio::awaitable<void>()> &keep_alive);

} // namespace sidecar::cache
