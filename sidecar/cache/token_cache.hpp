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
	Entry entry;
	std::string details; // as StoredToken has them
};

// The right to fill an entry with what the database says from now on.
struct FillLease {
	oauth::Identity identity;
	std::string entry_key;
	std::string id;
	std::shared_ptr<const Coherence::Known> known;
};

// One of the two, or none: then the database answers, and nothing is filled.
struct Lookup {
	std::optional<CachedToken> hit;
	std::optional<FillLease> lease;
};

enum class CacheState {
	none, // not configured
	ok,
	off, // Redis is there, and nothing may be served from it
	down // Redis is not
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
	// None of these throws. The database is read only after the lease was got.
	virtual boost::asio::awaitable<Lookup> look_up(const oauth::Identity &identity) = 0;
	// What the database said to the holder of the lease; null: nothing to keep.
	virtual void fill(FillLease lease, const database::StoredToken *found) = 0;
	// After a change that this sidecar has made itself: whoever made it must not read
	// what was before. Others hear of it by its invalidation.
	virtual boost::asio::awaitable<void> evict(const oauth::Identity &identity) = 0;
	virtual bool keeps_refresh_tokens() const noexcept = 0;
	virtual CacheState state() const noexcept = 0;
};

class NoCache : public TokenCache
{
public:
	boost::asio::awaitable<Lookup> look_up(const oauth::Identity &) override { co_return Lookup(); }
	void fill(FillLease, const database::StoredToken *) override {}
	boost::asio::awaitable<void> evict(const oauth::Identity &) override { co_return; }
	bool keeps_refresh_tokens() const noexcept override { return false; }
	CacheState state() const noexcept override { return CacheState::none; }
};

} // namespace sidecar::cache
