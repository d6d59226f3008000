// The database's side of the cache (docs/design/cache.md): its registration, and the invalidations
// that writers leave of what they changed.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cache_entry/epoch.hpp"
#include "database/database_error.hpp"
#include "oauth/attempt.hpp"

namespace sidecar::database
{

// Empty texts: no cache is registered.
struct Registration {
	std::string cache_id;
	std::string registration_id;
	cache_entry::DatabaseId database;
	double unacknowledged = 0; // seconds since a sidecar has last acknowledged
};

struct Invalidation {
	std::int64_t id = 0;
	std::optional<oauth::Identity> identity; // nothing: all changed
};

struct PendingInvalidations {
	std::string registration_id; // empty: no cache is registered, and invalidations were not read
	std::vector<Invalidation> invalidations;
	bool has_more = false; // as many were read as were wanted
	std::int64_t now = 0;  // the database's clock thereafter, microseconds since 1970 UTC
};

class InvalidationQueue
{
public:
	template <typename T>
	using Awaitable = boost::asio::awaitable<T>;

	virtual ~InvalidationQueue() = default;
	// All of these throw StoreError.
	virtual Awaitable<Registration> registration() = 0;
	// OT016 if another cache is registered, 55P03 while a writer is under way.
	virtual Awaitable<void> register_cache(const std::string &cache_id) = 0;
	virtual Awaitable<bool> unregister_cache(const std::string &cache_id) = 0;
	// Until something may have changed since the last wait, or a second has passed.
	virtual Awaitable<void> wait() = 0;
	// Registration id and invalidations as of one moment; acknowledges `done` in the same
	// statement, if the registration is that one.
	virtual Awaitable<PendingInvalidations> pending(int most, const std::string &registration_id,
													const std::vector<std::int64_t> &done) = 0;
	// How many were deleted; nothing if the registration id is another by now.
	virtual Awaitable<std::optional<std::int64_t>>
	acknowledge(const std::string &registration_id, const std::vector<std::int64_t> &ids) = 0;
};

} // namespace sidecar::database
