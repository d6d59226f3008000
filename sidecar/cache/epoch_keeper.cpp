#include "cache/epoch_keeper.hpp"

#include <functional>

#include "base/log.hpp"
#include "cache/evict_all.hpp"
#include "cache/scripts.hpp"

namespace sidecar::cache
{

namespace asio = boost::asio;

namespace
{

constexpr std::string_view kRegisteredElsewhere = "OT016";
constexpr int kTries = 3;
// Seconds: a heartbeat's life, and the interval of those in the database.
constexpr double kSilentSeconds = 7;

cache_entry::Epoch next_epoch(const database::Registration &registration, const std::string &run_id)
{
	return {cache_entry::new_epoch_id(), cache_entry::Epoch::State::evicting,
			registration.registration_id, run_id, registration.database};
}

} // namespace

EpochKeeper::Awaitable<EpochKeeper::KnownPtr> EpochKeeper::establish()
{
	const redis::ServerInfo *server = connection_.server();
	if (server == nullptr)
		throw EpochLost("Redis is not connected");
	const std::string run_id = server->run_id;
	const std::string cache_id = run_id + "/" + home_;
	const database::Registration registration = co_await register_cache(cache_id);
	for (int i = 0; i < kTries; i++) {
		KnownPtr known = co_await agree(registration, run_id);
		if (known)
			co_return known;
	}
	throw EpochLost("other daemons change the epoch at the same time");
}

// If this process has registered another Redis before, that registration can be ended as soon
// as its last heartbeat has ended. But if other daemons still use that Redis, they keep the
// cache.
EpochKeeper::Awaitable<database::Registration>
EpochKeeper::register_cache(const std::string &cache_id)
{
	database::Registration found = co_await invalidations_.registration();
	if (!held_.empty() && held_ != cache_id && found.cache_id == held_) {
		if (found.unacknowledged < kSilentSeconds)
			throw Refused("this is not the Redis that is registered; waiting until no daemon uses "
						  "that one any more");
		co_await invalidations_.unregister_cache(held_);
		held_.clear();
	}
	try {
		co_await invalidations_.register_cache(cache_id);
	} catch (const database::StoreError &error) {
		if (error.sqlstate() != kRegisteredElsewhere)
			throw;
		throw Refused("another Redis, or one with other settings, is registered as the cache, and "
					  "was used within 30 seconds; give all daemons of one database the same "
					  "REDIS_URL and cache settings");
	}
	held_ = cache_id;
	found = co_await invalidations_.registration();
	if (found.registration_id.empty() || found.cache_id != cache_id)
		throw EpochLost("the registration has ended meanwhile");
	co_return found;
}

// Nothing if another daemon was faster.
EpochKeeper::Awaitable<EpochKeeper::KnownPtr>
EpochKeeper::agree(const database::Registration &registration, const std::string &run_id)
{
	redis::Command read{"MGET", keys_.epoch, keys_.live};
	const redis::Reply there = co_await connection_.run(std::move(read));
	const std::string text(there[0].text());
	const bool is_alive = !there[1].is_nil();
	const auto found = cache_entry::Epoch::parse(text);
	cache_entry::EpochStatus claim =
		text.empty() ? cache_entry::EpochStatus::take_over : cache_entry::EpochStatus::foreign;
	if (found)
		claim = cache_entry::classify(*found, registration.database, registration.registration_id,
									  run_id);
	// No daemon uses it, and both starts are of one timeline: a clock was corrected.
	if (claim == cache_entry::EpochStatus::deposed && !is_alive &&
		found->database.timeline == registration.database.timeline)
		claim = cache_entry::EpochStatus::take_over;
	if (claim == cache_entry::EpochStatus::deposed)
		throw Refused(
			"this Redis is the cache of a later primary of the same database; the primary "
			"in DATABASE_URL was deposed. If it was not: DEL " +
			keys_.epoch);
	if (claim == cache_entry::EpochStatus::foreign && is_alive)
		throw Refused("another database uses this Redis under the same prefix; give each database "
					  "an OAUTH_CACHE_PREFIX or a database number of its own");
	cache_entry::Epoch epoch =
		claim == cache_entry::EpochStatus::ours ? *found : next_epoch(registration, run_id);
	if (claim == cache_entry::EpochStatus::ours && epoch.state == cache_entry::Epoch::State::ready)
		co_return std::make_shared<const Coherence::Known>(std::move(epoch));
	if (claim != cache_entry::EpochStatus::ours) {
		const bool swapped = co_await swap(text, epoch);
		if (!swapped)
			co_return nullptr;
	}
	co_return co_await finish_eviction(std::move(epoch));
}

EpochKeeper::Awaitable<EpochKeeper::KnownPtr> EpochKeeper::renew(KnownPtr known)
{
	cache_entry::Epoch next = known->epoch;
	next.id = cache_entry::new_epoch_id();
	next.state = cache_entry::Epoch::State::evicting;
	const bool swapped = co_await swap(known->text, next);
	KnownPtr renewed;
	if (swapped)
		renewed = co_await finish_eviction(std::move(next));
	if (!renewed)
		throw EpochLost("another daemon has changed the epoch");
	co_return renewed;
}

EpochKeeper::Awaitable<bool> EpochKeeper::swap(const std::string &expected,
											   const cache_entry::Epoch &next)
{
	const std::string text = next.text();
	redis::Command swap{"EVAL", kSwapScript, "2", keys_.epoch, keys_.live, expected, text};
	const redis::Reply swapped = co_await connection_.run(std::move(swap));
	co_return swapped.integer() == 1;
}

// A daemon that finds an unfinished eviction finishes it, because the one that began it may be
// dead. If that one lives, the second of them finds the epoch ready.
EpochKeeper::Awaitable<EpochKeeper::KnownPtr> EpochKeeper::finish_eviction(cache_entry::Epoch epoch)
{
	log::info("a new epoch begins: every entry is evicted",
			  {{"epoch", std::string_view(epoch.id)}});
	const std::string evicting = epoch.text();
	epoch.state = cache_entry::Epoch::State::ready;
	// During a long eviction, this daemon must not seem dead.
	const std::function<Awaitable<void>()> keep_alive = [this, &epoch]() -> Awaitable<void> {
		const std::vector<std::int64_t> none;
		co_await invalidations_.acknowledge(epoch.registration_id, none);
	};
	bool is_ready = co_await evict_all(connection_, keys_, evicting, keep_alive);
	if (is_ready)
		is_ready = co_await swap(evicting, epoch);
	if (!is_ready) {
		redis::Command read{"GET", keys_.epoch};
		const redis::Reply there = co_await connection_.run(std::move(read));
		is_ready = there.text() == epoch.text();
	}
	if (!is_ready)
		co_return nullptr;
	co_return std::make_shared<const Coherence::Known>(std::move(epoch));
}

} // namespace sidecar::cache
