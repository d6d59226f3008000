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

class Eviction
{
public:
	using KeepAlive = std::function<asio::awaitable<void>()>;

	Eviction(redis::Client &connection, const Keys &keys, const std::string &epoch,
			 const KeepAlive &keep_alive)
		: connection_(connection), keys_(keys), epoch_(epoch), keep_alive_(keep_alive)
	{
	}

	asio::awaitable<bool> matching(std::string pattern)
	{
		std::string cursor = "0";
		do {
			const bool held = co_await hold();
			if (!held)
				co_return false;
			redis::Command scan{"SCAN", cursor, "MATCH", pattern, "COUNT", kKeysAtOnce};
			const redis::Reply page = co_await connection_.run(std::move(scan));
			co_await unlink(page[1]);
			cursor = page[0].text();
		} while (cursor != "0");
		co_return true;
	}

private:
	asio::awaitable<bool> hold()
	{
		redis::Command hold{"EVAL", kHoldScript, "2", keys_.epoch, keys_.live, epoch_};
		const redis::Reply held = co_await connection_.run(std::move(hold));
		if (Clock::now() - kept_alive_ > kKeepAlive) {
			co_await keep_alive_();
			kept_alive_ = Clock::now();
		}
		co_return held.integer() == 1;
	}

	asio::awaitable<void> unlink(const redis::Reply &names)
	{
		if (names.size() == 0)
			co_return;
		redis::Command unlink{"UNLINK"};
		for (std::size_t i = 0; i < names.size(); i++)
			unlink.add(names[i].text());
		const redis::Reply gone = co_await connection_.run(std::move(unlink));
	}

	redis::Client &connection_;
	const Keys &keys_;
	const std::string &epoch_;
	const KeepAlive &keep_alive_;
	Clock::time_point kept_alive_ = Clock::now();
};

} // namespace

// A prefix contains no character with a meaning in a pattern (settings/cache.cpp).
asio::awaitable<bool> evict_all(redis::Client &connection, const Keys &keys,
								const std::string &epoch,
								const std::function<asio::awaitable<void>()> &keep_alive)
{
	const std::string patterns[] = {keys.lease_prefix + "*", keys.entries.scan_pattern(),
									keys.metadata_prefix + "*"};
	Eviction eviction(connection, keys, epoch, keep_alive);
	for (const std::string &pattern : patterns) {
		const bool done = co_await eviction.matching(pattern);
		if (!done)
			co_return false;
	}
	co_return true;
}

} // namespace sidecar::cache
