#include "cache/invalidator.hpp"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <unordered_set>
#include <utility>

#include "cache/scripts.hpp"
#include "base/log.hpp"

namespace sidecar::cache
{

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace
{

// Between two heartbeats, at least; the longest wait for a change comes on top.
constexpr auto kHeartbeatDistance = 500ms;
constexpr int kMarksAtOnce = 10000;
// Where marks are shown for a while. While there are more, nothing is believed that was
// read before.
constexpr int kMarksShown = 200'000;
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

std::vector<std::int64_t> ids_of(const std::vector<database::Mark> &marks)
{
	std::vector<std::int64_t> ids;
	ids.reserve(marks.size());
	for (const database::Mark &mark : marks)
		ids.push_back(mark.id);
	return ids;
}

bool tells_of_all(const std::vector<database::Mark> &marks)
{
	for (const database::Mark &mark : marks)
		if (!mark.identity)
			return true;
	return false;
}

} // namespace

Invalidator::Invalidator(asio::any_io_executor executor, database::MarkStore &marks,
						 redis::Connection &connection, redis::Connection &reading,
						 const Keys &keys, std::string home, Ephemeral ephemeral,
						 Coherence &coherence, ChangeMemory &changes, Metrics &metrics)
	: executor_(std::move(executor)), marks_(marks), connection_(connection), reading_(reading),
	  keys_(keys), epochs_(marks, connection, keys, std::move(home)), persistence_(ephemeral),
	  coherence_(coherence), changes_(changes), is_sealed_(ephemeral.sealed), metrics_(metrics)
{
}

Invalidator::Awaitable<void> Invalidator::run()
{
	for (;;) {
		const std::chrono::milliseconds wait = co_await try_once();
		if (wait > 0ms)
			co_await pause(wait);
	}
}

// How long to wait before the next try.
Invalidator::Awaitable<std::chrono::milliseconds> Invalidator::try_once()
{
	try {
		if (!coherence_.known)
			co_await begin();
		co_await pass();
		backoff_.succeed();
		co_return 0ms;
	} catch (const Refused &refused) {
		turn_off(refused.what());
		co_return kRefusedPause;
	} catch (const EpochLost &) {
		coherence_.known.reset();
	} catch (const redis::Error &error) {
		turn_off(error.what());
		if (error.is_unavailable())
			co_return kConnectPause;
	} catch (const database::StoreError &error) {
		// Other sidecars may go on: the heartbeat tells readers. The pool logs a
		// database that does not answer.
		if (!error.sqlstate().empty())
			complain("the database does not tell the cache of changes", error.text());
	} catch (const std::exception &error) {
		turn_off(error.what());
	}
	backoff_.fail(Clock::now());
	co_return std::chrono::ceil<std::chrono::milliseconds>(backoff_.next() - Clock::now());
}

void Invalidator::turn_off(std::string_view reason)
{
	coherence_.known.reset();
	complain("the cache is off; tokens come from the database", reason);
}

// Each complaint once, until a heartbeat is set again.
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
	while (connection_.server() == nullptr)
		co_await pause(kConnectPause);
	co_await persistence_.look(connection_);
	coherence_.known = co_await epochs_.establish();
	begin_at_once();
}

// Nobody may read before the first heartbeat of an epoch, so it need not wait.
void Invalidator::begin_at_once()
{
	stamped_ = {};
	has_more_ = true;
}

// It may have come back between two commands, with an epoch that it had saved: what
// is vouched for then is what stood there long ago.
redis::Connection &Invalidator::same_redis()
{
	const redis::ServerInfo *server = connection_.server();
	if (server != nullptr && server->run_id != coherence_.known->epoch.run_id)
		throw EpochLost("Redis was restarted");
	return connection_;
}

// The time is taken before the marks are read: whatever was committed by then is
// gone from Redis when the heartbeat is set.
Invalidator::Awaitable<void> Invalidator::pass()
{
	if (!has_more_)
		co_await marks_.wait();
	const Clock::time_point begun = Clock::now();
	std::int64_t since = 0;
	if (is_stamp_due())
		since = co_await redis_time();
	const int most = is_sealed_ ? kMarksShown : kMarksAtOnce;
	database::PendingMarks pending = co_await marks_.pending(most);
	if (pending.incarnation != coherence_.known->epoch.incarnation)
		throw EpochLost("the registration has ended");
	has_more_ = pending.marks.size() >= static_cast<std::size_t>(most);
	const std::vector<database::Mark> marks = take_new(pending);
	if (is_sealed_) {
		changes_.looked(begun, pending.now);
		remember(marks, pending.now);
	}
	metrics_.cache_pending(marks.size());
	if (!marks.empty()) {
		co_await drop(marks);
		metrics_.cache_invalidated(
			marks.size(),
			std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begun));
	}
	if (is_sealed_)
		for (const database::Mark &mark : marks)
			done_.emplace(mark.id, Clock::now());
	const std::vector<std::int64_t> acknowledged = is_sealed_ ? due(pending) : ids_of(marks);
	if (!acknowledged.empty() || since != 0)
		co_await acknowledge(acknowledged);
	if (since != 0 && !has_more_)
		co_await stamp(since);
	if (persistence_.is_due())
		co_await persistence_.look(same_redis());
	// Each pass reads all that is shown: it rests for as long as that took.
	if (!done_.empty())
		co_await pause(std::min(std::chrono::ceil<std::chrono::milliseconds>(Clock::now() - begun),
								std::chrono::milliseconds(kLongestRest)));
}

// Where entries are sealed, marks that are done stay for a while, for others to see.
std::vector<database::Mark> Invalidator::take_new(database::PendingMarks &pending)
{
	if (!is_sealed_)
		return std::move(pending.marks);
	if (done_under_ != pending.incarnation)
		done_.clear();
	done_under_ = pending.incarnation;
	std::unordered_map<std::int64_t, Clock::time_point> still_there;
	std::vector<database::Mark> fresh;
	for (const database::Mark &mark : pending.marks)
		if (const auto found = done_.find(mark.id); found != done_.end())
			still_there.insert(*found);
		else
			fresh.push_back(mark);
	done_.swap(still_there);
	return fresh;
}

std::vector<std::int64_t> Invalidator::due(const database::PendingMarks &pending) const
{
	std::vector<std::int64_t> ids;
	const Clock::time_point now = Clock::now();
	for (const database::Mark &mark : pending.marks)
		if (const auto found = done_.find(mark.id);
			found != done_.end() && now - found->second >= ChangeMemory::kShownFor)
			ids.push_back(mark.id);
	return ids;
}

// What was not read for want of room may have changed anything.
void Invalidator::remember(const std::vector<database::Mark> &marks, std::int64_t now)
{
	if (has_more_)
		changes_.distrust(now);
	for (const database::Mark &mark : marks)
		if (mark.identity)
			changes_.changed(keys_.entries.key(*mark.identity), now);
		else
			changes_.distrust(now);
}

Invalidator::Awaitable<void> Invalidator::drop(const std::vector<database::Mark> &marks)
{
	if (tells_of_all(marks)) {
		coherence_.known = co_await epochs_.renew(coherence_.known);
		begin_at_once();
		co_return;
	}
	std::unordered_set<std::string> entries;
	for (const database::Mark &mark : marks)
		entries.insert(keys_.entries.key(*mark.identity));
	std::vector<redis::Command> commands;
	std::size_t identities = 0;
	for (const std::string &entry : entries) {
		// No more than Redis does in the time that it has for one answer.
		if (commands.size() == kCommandsAtOnce && identities % kIdentitiesAtOnce == 0)
			co_await drop_keys(std::exchange(commands, {}));
		if (identities++ % kIdentitiesAtOnce == 0)
			commands.push_back(redis::Command{"DEL"});
		commands.back().add(entry);
		commands.back().add(keys_.companion(entry));
		commands.back().add(keys_.lease(entry));
	}
	co_await drop_keys(std::move(commands));
}

Invalidator::Awaitable<void> Invalidator::drop_keys(std::vector<redis::Command> commands)
{
	const std::vector<redis::Reply> replies = co_await same_redis().run(std::move(commands));
	for (const redis::Reply &reply : replies)
		if (reply.is_error())
			throw redis::Error::refused(reply.error_code());
}

// Also with none: it tells the database that this cache is alive.
Invalidator::Awaitable<void> Invalidator::acknowledge(const std::vector<std::int64_t> &ids)
{
	const auto deleted = co_await marks_.acknowledge(coherence_.known->epoch.incarnation, ids);
	if (!deleted)
		throw EpochLost("the registration has ended");
	// Somebody else is about to delete them: what lies behind them has to wait.
	if (has_more_ && !ids.empty() && *deleted == 0)
		co_await pause(kBusyPause);
}

bool Invalidator::is_stamp_due() const
{
	return Clock::now() - stamped_ >= kHeartbeatDistance;
}

// And whether it still is the same run of Redis: a proxy may have put another one behind
// this connection.
Invalidator::Awaitable<std::int64_t> Invalidator::redis_time()
{
	std::vector<redis::Command> questions;
	questions.push_back(redis::Command{"TIME"});
	questions.push_back(redis::Command{"INFO", "server"});
	const std::vector<redis::Reply> answers = co_await same_redis().run(std::move(questions));
	for (const redis::Reply &answer : answers)
		if (answer.is_error())
			throw redis::Error::refused(answer.error_code());
	if (redis::parse_server_info(answers[1].text()).run_id != coherence_.known->epoch.run_id) {
		connection_.drop();
		throw EpochLost("another Redis answers");
	}
	const std::int64_t seconds = number(answers[0][0].text());
	if (seconds <= 0)
		throw redis::Error::refused("TIME");
	co_return seconds * 1000 + number(answers[0][1].text()) / 1000;
}

Invalidator::Awaitable<void> Invalidator::stamp(std::int64_t since)
{
	const Coherence::Known &known = *coherence_.known;
	const std::string until = std::to_string(since + kHeartbeatLife.count());
	redis::Command stamp{"EVAL",     kStampScript,   "2",  keys_.epoch, keys_.live,
						 known.text, known.epoch.id, until};
	const redis::Reply stamped = co_await same_redis().run(std::move(stamp));
	if (stamped.integer() != 1)
		throw EpochLost("another epoch stands in Redis");
	stamped_ = coherence_.vouched_at = Clock::now();
	metrics_.cache_heartbeat();
	if (!is_on_)
		log::info("the cache is on", {{"epoch", std::string_view(known.epoch.id)}});
	is_on_ = true;
	last_reason_.clear();
	// It may have stayed behind with a Redis that is not the one any more.
	if (const redis::ServerInfo *server = reading_.server();
		server != nullptr && server->run_id != known.epoch.run_id)
		reading_.drop();
}

Invalidator::Awaitable<void> Invalidator::pause(std::chrono::milliseconds duration)
{
	asio::steady_timer timer(executor_, duration);
	boost::system::error_code ignored;
	co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

} // namespace sidecar::cache
