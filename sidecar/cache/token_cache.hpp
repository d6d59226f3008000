// The cache in front of the database, as the endpoints see it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cache/coherence.hpp"
#include "cache_entry/entry.hpp"
#include "database/token_store.hpp"
#include "oauth/attempt.hpp"

namespace sidecar::cache
{

struct CachedToken {
	cache_entry::Entry entry;
	std::string details; // as StoredToken has them
};

// The right to fill an entry with a token that is read from now on.
struct FillLease {
	oauth::Identity identity;
	std::string entry_key;
	std::string id;
	std::shared_ptr<const Coherence::Known> known;
};

// One of the two, or neither. Without both, the database answers, and nothing is filled.
struct Lookup {
	std::optional<CachedToken> hit;
	std::optional<FillLease> lease;
};

enum class CacheState {
	none, // not configured
	ok,
	off, // Redis is there, but nothing is served from it
	down // Redis does not answer
};

constexpr std::string_view name_of(CacheState state)
{
	constexpr std::string_view names[] = {"none", "ok", "off", "down"};
	return names[static_cast<int>(state)];
}

class TokenCache
{
public:
	virtual ~TokenCache() = default;
	// None of these throws. Read the database after you have the lease. `found` is empty before
	// (to return it would move its texts several times).
	virtual boost::asio::awaitable<void> look_up(const oauth::Identity &identity,
												 Lookup &found) = 0;
	// The token that the holder of the lease has read; null: nothing to fill.
	virtual void fill(FillLease lease, const database::StoredToken *found) = 0;
	// After a change by this daemon itself: its caller must not read the old entry. Other
	// daemons see the change by its invalidation.
	virtual boost::asio::awaitable<void> evict(const oauth::Identity &identity) = 0;
	virtual bool keeps_refresh_tokens() const noexcept = 0;
	virtual CacheState state() const noexcept = 0;
};

class NoCache : public TokenCache
{
public:
	boost::asio::awaitable<void> look_up(const oauth::Identity &, Lookup &) override { co_return; }
	void fill(FillLease, const database::StoredToken *) override {}
	boost::asio::awaitable<void> evict(const oauth::Identity &) override { co_return; }
	bool keeps_refresh_tokens() const noexcept override { return false; }
	CacheState state() const noexcept override { return CacheState::none; }
};

} // namespace sidecar::cache
