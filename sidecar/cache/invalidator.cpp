#include "cache/invalidator.hpp"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <unordered_set>
#include <utility>

#include "base/log.hpp"
#include "cache/scripts.hpp"

namespace sidecar::cache
{

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace
{

// The shortest time between two heartbeats. The wait for a change adds at most its time-out.
constexpr auto kHeartbeatDistance = 500ms;
// The longest time between two heartbeats of a drainer that works, and some more. If it dies,
// hangs or is cut off, another one drains then.
constexpr auto kDrainerLife = 2000ms;
// Of an onlooker, between two batches: how long a change waits at most if the drainer does not do
// its work.
constexpr auto kOnlookerPause = 100ms;
constexpr int kInvalidationsAtOnce = 10000;
// The limit if invalidations stay pending for a while. While there are more, nothing is
// believed that was read before.
constexpr int kInvalidationsShown = 200'000;
constexpr std::size_t kIdentitiesAtOnce = 200; // three keys each
constexpr std::size_t kCommandsAtOnce = 50;
constexpr auto kRefusedPause = 1000ms;
constexpr auto kConnectPause = 50ms;
constexpr auto kBusyPause = 100ms;
constexpr auto kLongestRest = 500ms;

std::int64_t number(std::string_view text)
{
	std::int64_t value = 0;
	std::from_chars(text.data(), text.data() + text.size(), value);
	return value;
}

std::vector<std::int64_t> ids_of(const std::vector<database::Invalidation> &invalidations)
{
	std::vector<std::int64_t> ids;
	ids.reserve(invalidations.size());
	for (const database::Invalidation &invalidation : invalidations)
		ids.push_back(invalidation.id);
	return ids;
}

bool tells_of_all(const std::vector<database::Invalidation> &invalidations)
{
	return std::ranges::any_of(invalidations, [](const auto &one) { return !one.identity; });
}

} // namespace

Invalidator::Invalidator(asio::any_io_executor executor, database::InvalidationQueue &invalidations,
						 redis::Client &connection, redis::Client &reading,
						 const cache_entry::Keys &keys, std::string home, Ephemeral ephemeral,
						 Coherence &coherence, ChangeMemory &changes, Metrics &metrics)
	: executor_(std::move(executor)), invalidations_(invalidations), connection_(connection),
	  reading_(reading), keys_(keys), epochs_(invalidations, connection, keys, std::move(home)),
	  persistence_(ephemeral), coherence_(coherence), changes_(changes),
	  is_sealed_(ephemeral.sealed), metrics_(metrics), name_(cache_entry::new_epoch_id())
{
}

Invalidator::Awaitable<void> Invalidator::run()
{
	for (;;) {
		const std::chrono::milliseconds wait = co_await try_once();
		if (wait == 0ms)
			continue;
		metrics_.cache_draining(false);
		co_await pause(wait);
	}
}

// How long to wait before the next try.
Invalidator::Awaitable<std::chrono::milliseconds> Invalidator::try_once()
{
	try {
		if (!coherence_.known)
			co_await begin();
		co_await run_batch();
		backoff_.succeed();
		co_return 0ms;
	} catch (const Refused &refused) {
		turn_off(refused.what());
		co_return kRefusedPause;
	} catch (const EpochLost &) {
		coherence_.change(nullptr);
	} catch (const redis::Error &error) {
		turn_off(error.what());
		if (error.is_unavailable())
			co_return kConnectPause;
	} catch (const database::StoreError &error) {
		// Other daemons may continue: readers see that by the heartbeat. If the database does
		// not answer, the pool logs it.
		if (!error.sqlstate().empty())
			complain("the cache cannot read changes from the database", error.text());
	} catch (const std::exception &error) {
		turn_off(error.what());
	}
	backoff_.fail(Clock::now());
	co_return std::chrono::ceil<std::chrono::milliseconds>(backoff_.next() - Clock::now());
}

void Invalidator::turn_off(std::string_view reason)
{
	coherence_.change(nullptr);
	complain("the cache is off; tokens come from the database", reason);
}

// Each complaint is logged once, until a heartbeat is written again.
void Invalidator::complain(std::string_view what, std::string_view reason)
{
	if (last_reason_ != reason)
		log::error(what, {{"reason", reason}});
	last_reason_ = reason;
	is_on_ = false;
}

Invalidator::Awaitable<void> Invalidator::begin()
{
	changes_.lose_sight();
	unacknowledged_.clear();
	while (connection_.server() == nullptr)
		co_await pause(kConnectPause);
	co_await persistence_.look(connection_);
	auto known = co_await epochs_.establish();
	coherence_.change(std::move(known));
	begin_at_once();
}

// No entry is served before the first heartbeat of an epoch, so that one does not wait.
void Invalidator::begin_at_once()
{
	heartbeat_written_at_ = {};
	has_more_ = true;
	drains_ = true;
}

// Redis may have been restarted between two commands, with an epoch that it had saved. A
// heartbeat would then be for entries of long ago.
redis::Client &Invalidator::same_redis()
{
	const redis::ServerInfo *server = connection_.server();
	if (server != nullptr && server->run_id != coherence_.known->epoch.run_id)
		throw EpochLost("Redis was restarted");
	return connection_;
}

// A change wakes the drainer. If it woke onlookers, too, each daemon would make stores slower.
Invalidator::Awaitable<void> Invalidator::rest()
{
	if (has_more_)
		co_return;
	if (!drains_)
		co_await pause(kOnlookerPause);
	else if (unacknowledged_.empty())
		co_await invalidations_.wait();
}

// The time is taken before the invalidations are read: everything that was committed by then
// is evicted when the heartbeat is written.
Invalidator::Awaitable<void> Invalidator::run_batch()
{
	co_await rest();
	const Clock::time_point begun = Clock::now();
	std::int64_t since = 0;
	if (is_heartbeat_due())
		since = co_await redis_time();
	const int most = is_sealed_ ? kInvalidationsShown : kInvalidationsAtOnce;
	const std::vector<std::int64_t> done = std::exchange(unacknowledged_, {});
	database::PendingInvalidations pending =
		co_await invalidations_.pending(most, coherence_.known->epoch.registration_id, done);
	if (pending.registration_id != coherence_.known->epoch.registration_id)
		throw EpochLost("the registration has ended");
	has_more_ = pending.has_more;
	const std::vector<database::Invalidation> invalidations = take_new(pending);
	if (is_sealed_)
		changes_.looked(begun, pending.now, changes_of(invalidations));
	metrics_.cache_pending(invalidations.size());
	if (!invalidations.empty()) {
		co_await evict(invalidations);
		metrics_.cache_invalidated(
			invalidations.size(),
			std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begun));
	}
	if (is_sealed_)
		for (const database::Invalidation &invalidation : invalidations)
			done_.emplace(invalidation.id, Clock::now());
	std::vector<std::int64_t> acknowledged = is_sealed_ ? due(pending) : ids_of(invalidations);
	// With the next read, which comes at once, unless something waits for it.
	if (since == 0 && !has_more_)
		unacknowledged_ = std::move(acknowledged);
	else if (since != 0 || !acknowledged.empty())
		co_await acknowledge(acknowledged);
	if (since != 0 && !has_more_ && !has_resigned_)
		co_await write_heartbeat(since);
	if (persistence_.is_due())
		co_await persistence_.look(same_redis());
	// Each batch reads all pending invalidations, so it pauses for as long as that took.
	if (!done_.empty())
		co_await pause(std::min(std::chrono::ceil<std::chrono::milliseconds>(Clock::now() - begun),
								std::chrono::milliseconds(kLongestRest)));
}

// If entries are sealed, invalidations that are done stay pending for a while, so that other
// daemons see them.
std::vector<database::Invalidation> Invalidator::take_new(database::PendingInvalidations &pending)
{
	if (!is_sealed_)
		return std::move(pending.invalidations);
	if (done_under_ != pending.registration_id)
		done_.clear();
	done_under_ = pending.registration_id;
	std::unordered_map<std::int64_t, Clock::time_point> still_there;
	std::vector<database::Invalidation> fresh;
	for (const database::Invalidation &invalidation : pending.invalidations)
		if (const auto found = done_.find(invalidation.id); found != done_.end())
			still_there.insert(*found);
		else
			fresh.push_back(invalidation);
	done_.swap(still_there);
	return fresh;
}

std::vector<std::int64_t> Invalidator::due(const database::PendingInvalidations &pending) const
{
	std::vector<std::int64_t> ids;
	const Clock::time_point now = Clock::now();
	for (const database::Invalidation &invalidation : pending.invalidations)
		if (const auto found = done_.find(invalidation.id);
			found != done_.end() && now - found->second >= ChangeMemory::kShownFor)
			ids.push_back(invalidation.id);
	return ids;
}

// Changes that were not read, because there were too many, may concern any entry.
ChangeMemory::Changes
Invalidator::changes_of(const std::vector<database::Invalidation> &invalidations) const
{
	ChangeMemory::Changes changes;
	changes.of_others = has_more_ || tells_of_all(invalidations);
	for (const database::Invalidation &invalidation : invalidations)
		if (invalidation.identity)
			changes.hashes.push_back(ChangeMemory::hash(keys_.entries.key(*invalidation.identity)));
	return changes;
}

Invalidator::Awaitable<void>
Invalidator::evict(const std::vector<database::Invalidation> &invalidations)
{
	if (tells_of_all(invalidations)) {
		auto renewed = co_await epochs_.renew(coherence_.known);
		coherence_.change(std::move(renewed));
		begin_at_once();
		co_return;
	}
	std::unordered_set<std::string> entries;
	for (const database::Invalidation &invalidation : invalidations)
		entries.insert(keys_.entries.key(*invalidation.identity));
	std::vector<redis::Command> commands;
	std::size_t identities = 0;
	for (const std::string &entry : entries) {
		// As many as Redis can evict within the time-out of one answer.
		if (commands.size() == kCommandsAtOnce && identities % kIdentitiesAtOnce == 0)
			co_await ask(std::exchange(commands, {}));
		if (identities++ % kIdentitiesAtOnce == 0)
			commands.push_back(redis::Command{"DEL"});
		commands.back().add(entry);
		commands.back().add(keys_.entry_metadata(entry));
		commands.back().add(keys_.lease(entry));
	}
	co_await ask(std::move(commands));
}

// Throws at the first that Redis refuses.
Invalidator::Awaitable<redis::Replies> Invalidator::ask(std::vector<redis::Command> commands)
{
	redis::Replies replies = co_await same_redis().run(std::move(commands));
	for (const redis::Reply &reply : replies)
		if (reply.is_error())
			throw redis::Error::refused(reply.error_code());
	co_return replies;
}

// Also without any: this is the heartbeat in the database.
Invalidator::Awaitable<void> Invalidator::acknowledge(const std::vector<std::int64_t> &ids)
{
	const auto deleted =
		co_await invalidations_.acknowledge(coherence_.known->epoch.registration_id, ids);
	if (!deleted)
		throw EpochLost("the registration has ended");
	// Another daemon is about to delete them. Those behind them have to wait.
	if (has_more_ && !ids.empty() && *deleted == 0)
		co_await pause(kBusyPause);
}

bool Invalidator::is_heartbeat_due() const
{
	return Clock::now() - heartbeat_written_at_ >= kHeartbeatDistance;
}

// Also checks that it is still the same run of Redis: a proxy may have connected us to
// another.
Invalidator::Awaitable<std::int64_t> Invalidator::redis_time()
{
	std::vector<redis::Command> questions;
	questions.push_back(redis::Command{"TIME"});
	questions.push_back(redis::Command{"INFO", "server"});
	const redis::Replies answers = co_await ask(std::move(questions));
	if (redis::parse_server_info(answers[1].text()).run_id != coherence_.known->epoch.run_id) {
		connection_.drop();
		throw EpochLost("another Redis answers");
	}
	const std::int64_t seconds = number(answers[0][0].text());
	if (seconds <= 0)
		throw redis::Error::refused("TIME");
	co_return seconds * 1000 + number(answers[0][1].text()) / 1000;
}

Invalidator::Awaitable<void> Invalidator::write_heartbeat(std::int64_t since)
{
	const Coherence::Known &known = *coherence_.known;
	const std::string until = std::to_string(since + kHeartbeatLife.count());
	const std::string drainer_life = std::to_string(kDrainerLife.count());
	redis::Command write_heartbeat{
		"EVAL",     kHeartbeatScript, "3",   keys_.epoch, keys_.live,  keys_.drainer,
		known.text, known.epoch.id,   until, name_,       drainer_life};
	const redis::Reply reply = co_await same_redis().run(std::move(write_heartbeat));
	if (reply.integer() == 0)
		throw EpochLost("Redis has another epoch");
	heartbeat_written_at_ = coherence_.heartbeat_at = Clock::now();
	drains_ = reply.integer() == 2;
	coherence_.changed();
	metrics_.cache_heartbeat();
	metrics_.cache_draining(drains_);
	if (!is_on_)
		log::info("the cache is on", {{"epoch", std::string_view(known.epoch.id)}});
	is_on_ = true;
	last_reason_.clear();
	// The connection may be to a Redis that is no longer the cache.
	if (const redis::ServerInfo *server = reading_.server();
		server != nullptr && server->run_id != known.epoch.run_id)
		reading_.drop();
}

// Nothing that comes later takes the place again, and what was sent before is done before. An
// onlooker asks, too: a heartbeat whose answer is under way may have given it the place.
Invalidator::Awaitable<void> Invalidator::resign()
{
	has_resigned_ = true;
	redis::Command leave{"EVAL", kReleaseScript, "1", keys_.drainer, name_};
	try {
		co_await connection_.run(std::move(leave));
	} catch (const redis::Error &) { // the place ends by itself
	}
}

Invalidator::Awaitable<void> Invalidator::pause(std::chrono::milliseconds duration)
{
	asio::steady_timer timer(executor_, duration);
	boost::system::error_code ignored;
	co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

} // namespace sidecar::cache
