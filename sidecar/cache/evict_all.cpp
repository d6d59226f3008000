#include "cache/evict_all.hpp"

#include <chrono>

#include "cache/scripts.hpp"

namespace sidecar::cache
{

namespace asio = boost::asio;

namespace
{

using Clock = std::chrono::steady_clock;

constexpr std::string_view kKeysAtOnce = "1000";
constexpr std::chrono::seconds kKeepAlive{1};

} // namespace

// A prefix contains no character with a meaning in a pattern (settings/cache.cpp).
asio::awaitable<bool> evict_all(redis::Client &connection, const cache_entry::Keys &keys,
								const std::string &epoch,
								const std::function<asio::awaitable<void>()> &keep_alive)
{
	const std::string patterns[] = {keys.lease_prefix + "*", keys.entries.scan_pattern(),
									keys.metadata_prefix + "*"};
	Clock::time_point kept_alive = Clock::now();
	for (const std::string &pattern : patterns) {
		std::string cursor = "0";
		do {
			redis::Command hold{"EVAL", kHoldScript, "2", keys.epoch, keys.live, epoch};
			const redis::Reply held = co_await connection.run(std::move(hold));
			if (held.integer() != 1)
				co_return false;
			if (Clock::now() - kept_alive > kKeepAlive) {
				co_await keep_alive();
				kept_alive = Clock::now();
			}
			redis::Command scan{"SCAN", cursor, "MATCH", pattern, "COUNT", kKeysAtOnce};
			const redis::Reply page = co_await connection.run(std::move(scan));
			cursor = page[0].text();
			const redis::Reply &names = page[1];
			if (names.size() == 0)
				continue;
			redis::Command unlink{"UNLINK"};
			for (std::size_t i = 0; i < names.size(); i++)
				unlink.add(names[i].text());
			co_await connection.run(std::move(unlink));
		} while (cursor != "0");
	}
	co_return true;
}

} // namespace sidecar::cache
