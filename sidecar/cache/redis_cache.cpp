#include "cache/redis_cache.hpp"

#include <cmath>

#include "base/log.hpp"
#include "base/task.hpp"
#include "cache/fill.hpp"
#include "cache/scripts.hpp"
#include "cache_entry/lifetime.hpp"

namespace sidecar::cache
{

namespace asio = boost::asio;

namespace
{

// Longer than a database may take to answer (database/pool.hpp).
constexpr std::chrono::seconds kLeaseLife{10};

std::int64_t microseconds(double seconds)
{
	return std::llround(seconds * 1'000'000);
}

std::optional<long long> whole_seconds(const std::optional<double> &time)
{
	return time ? std::optional(static_cast<long long>(std::floor(*time))) : std::nullopt;
}

cache_entry::Entry entry_of(const database::StoredToken &token, bool with_refresh_token)
{
	cache_entry::Entry entry;
	entry.access_token = token.access_token.clone();
	if (with_refresh_token && token.has_refresh_token)
		entry.refresh_token = token.refresh_token.clone();
	entry.expires_at = whole_seconds(token.expires_at);
	entry.scope = token.scopes;
	return entry;
}

} // namespace

RedisCache::RedisCache(asio::any_io_executor executor, redis::Client &connection,
					   const cache_entry::Keys &keys, Coherence &coherence,
					   const ChangeMemory &changes, const settings::Cache &settings,
					   Metrics &metrics)
	: executor_(std::move(executor)), connection_(connection), keys_(keys), coherence_(coherence),
	  changes_(changes), settings_(settings), metrics_(metrics), entries_(settings.key),
	  metadata_format_(settings.key)
{
}

CacheState RedisCache::state() const noexcept
{
	if (connection_.server() == nullptr || circuit_.is_open())
		return CacheState::down;
	return usable() && coherence_.is_heartbeat_fresh() ? CacheState::ok : CacheState::off;
}

// Another run of Redis may have loaded what it saved long ago.
std::shared_ptr<const Coherence::Known> RedisCache::usable() const
{
	const redis::ServerInfo *server = connection_.server();
	const auto &known = coherence_.known;
	return server != nullptr && known && known->epoch.run_id == server->run_id ? known : nullptr;
}

// One coroutine for a hit, because each costs as much as reading the entry.
asio::awaitable<void> RedisCache::look_up(const oauth::Identity &identity, Lookup &found)
{
	auto known = usable();
	if (!known || !keys_.entries.caches(identity) || !circuit_.admit(Circuit::Clock::now())) {
		metrics_.cache_read(CacheRead::bypass);
		co_return;
	}
	try {
		const std::string metadata_key = keys_.entry_metadata(identity);
		auto asking = connection_.ask(read_of(metadata_key));
		redis::Answer answer = co_await std::move(asking);
		const redis::Reply values = answer.take();
		// Without a heartbeat of this epoch, nobody would believe a fill.
		const bool is_fresh = is_heartbeat_fresh(values, *known);
		if (is_fresh)
			open(identity, keys_.entry_of(metadata_key), values, *known, found);
		if (is_fresh && !found.hit) {
			auto taking = take_lease(identity, metadata_key, std::move(known), found);
			co_await std::move(taking);
		}
		circuit_.succeed();
		metrics_.cache_read(found.hit ? CacheRead::hit : CacheRead::miss);
	} catch (const redis::Error &error) {
		failed(error);
		metrics_.cache_read(CacheRead::bypass);
	} catch (const std::exception &) { // no memory, or OpenSSL fails
		metrics_.cache_read(CacheRead::bypass);
	}
}

// Entry, entry metadata and heartbeat as of one moment.
redis::Command RedisCache::read_of(std::string_view metadata_key) const
{
	return {"MGET", keys_.entry_of(metadata_key), metadata_key, keys_.live};
}

bool RedisCache::is_heartbeat_fresh(const redis::Reply &values, const Coherence::Known &known)
{
	if (values.size() != 3 || values[2].text() != known.epoch.id)
		return false;
	coherence_.heartbeat_at = std::chrono::steady_clock::now();
	return true;
}

void RedisCache::open(const oauth::Identity &identity, std::string_view key,
					  const redis::Reply &values, const Coherence::Known &known, Lookup &found)
{
	const std::string_view value = values[0].text();
	auto entry_metadata = metadata_format_.read(values[1].text(), identity, value);
	if (!entry_metadata || entry_metadata->epoch_id != known.epoch.id)
		return;
	auto entry = entries_.read(key, value);
	if (!entry || !is_true(*entry, key, known))
		return;
	CachedToken &hit = found.hit.emplace();
	hit.entry = std::move(*entry);
	hit.details = std::move(entry_metadata->details);
}

// For a sealed entry, Redis is not trusted: we check here that it was filled under this epoch,
// that it is not past its end, and that nothing has changed since.
bool RedisCache::is_true(const cache_entry::Entry &entry, std::string_view key,
						 const Coherence::Known &known) const
{
	if (settings_.key.empty())
		return true;
	const auto fill = Fill::parse(entry.fill);
	return fill && fill->epoch_id == known.epoch.id && changes_.allows(key, *fill);
}

// The last holder of the lease may have filled since our read, so we read again.
asio::awaitable<void> RedisCache::take_lease(const oauth::Identity &identity,
											 std::string_view metadata_key,
											 std::shared_ptr<const Coherence::Known> known,
											 Lookup &found)
{
	FillLease lease{identity, std::string(keys_.entry_of(metadata_key)),
					cache_entry::new_epoch_id(), std::move(known)};
	const std::string name = keys_.lease(lease.entry_key);
	const std::string life = std::to_string(std::chrono::milliseconds(kLeaseLife).count());
	std::vector<redis::Command> commands;
	commands.push_back(redis::Command{"SET", name, lease.id, "NX", "PX", life});
	commands.push_back(read_of(metadata_key));
	if (usable() != lease.known)
		co_return;
	const std::vector<redis::Reply> replies = co_await connection_.run(std::move(commands));
	// Nil: another reader fills. An error: for example, Redis is full.
	if (replies[0].kind() != redis::Reply::Kind::status)
		co_return;
	if (is_heartbeat_fresh(replies[1], *lease.known))
		open(lease.identity, lease.entry_key, replies[1], *lease.known, found);
	if (found.hit)
		fill(std::move(lease), nullptr);
	else
		found.lease = std::move(lease);
}

void RedisCache::fill(FillLease lease, const database::StoredToken *found)
{
	try {
		Filling filling = filling_of(lease, found);
		if (filling.value.empty())
			start_task(executor_, "release of a lease", release(std::move(lease)));
		else
			start_task(executor_, "fill of the cache", store(std::move(lease), std::move(filling)));
	} catch (const std::exception &) { // the lease ends by itself
		metrics_.cache_fill(CacheFill::failed);
	}
}

// For a token of a standby, a deposed primary, or another registration, this epoch's
// invalidations may not come.
RedisCache::Filling RedisCache::filling_of(const FillLease &lease,
										   const database::StoredToken *found) const
{
	const cache_entry::Epoch &epoch = lease.known->epoch;
	Filling filling;
	if (found == nullptr || found->registration_id != epoch.registration_id)
		return filling;
	const auto life = cache_entry::entry_life(found->expires_at, found->now, settings_.max_ttl);
	if (!life)
		return filling;
	filling.life = *life;
	cache_entry::Entry entry = entry_of(*found, settings_.refresh_token);
	if (!settings_.key.empty())
		entry.fill =
			Fill{epoch.id, microseconds(found->read_at),
				 microseconds(found->now) + std::chrono::microseconds(filling.life).count()}
				.text();
	filling.value = entries_.write(lease.entry_key, entry);
	filling.entry_metadata =
		metadata_format_.write(epoch.id, lease.identity, filling.value.reveal(), found->details);
	return filling;
}

asio::awaitable<void> RedisCache::store(FillLease lease, Filling filling)
{
	const std::string key_count = "4";
	const std::string lease_name = keys_.lease(lease.entry_key);
	const std::string metadata_key = keys_.entry_metadata(lease.entry_key);
	const std::string milliseconds = std::to_string(filling.life.count());
	redis::Command fill{"EVAL",          kFillScript,  key_count,         keys_.epoch, lease_name,
						lease.entry_key, metadata_key, lease.known->text, lease.id};
	fill.add(filling.value);
	fill.add(filling.entry_metadata);
	fill.add(milliseconds);
	// Epoch and lease that Redis loaded from a file do not count.
	if (usable() != lease.known) {
		metrics_.cache_fill(CacheFill::refused);
		co_return;
	}
	try {
		const redis::Reply filled = co_await connection_.run(std::move(fill));
		metrics_.cache_fill(filled.integer() == 1 ? CacheFill::stored : CacheFill::refused);
	} catch (const redis::Error &error) {
		failed(error);
		metrics_.cache_fill(CacheFill::failed);
	}
}

// Otherwise others could not fill before it ends by itself.
asio::awaitable<void> RedisCache::release(FillLease lease)
{
	const std::string name = keys_.lease(lease.entry_key);
	redis::Command release{"EVAL", kReleaseScript, "1", name, lease.id};
	co_await run_quietly(std::move(release));
}

// Other shards may still read what this one cannot reach.
asio::awaitable<void> RedisCache::evict(const oauth::Identity &identity)
{
	const bool is_evicted = co_await try_to_evict(identity);
	if (is_evicted || !evict_elsewhere)
		co_return;
	auto others = evict_elsewhere(identity);
	co_await std::move(others);
}

asio::awaitable<bool> RedisCache::try_to_evict(const oauth::Identity &identity)
{
	if (!usable() || circuit_.is_open())
		co_return false;
	const std::string key = keys_.entries.key(identity);
	redis::Command evict{"DEL", key, keys_.entry_metadata(key), keys_.lease(key)};
	const bool is_evicted = co_await run_quietly(std::move(evict));
	co_return is_evicted;
}

asio::awaitable<bool> RedisCache::run_quietly(redis::Command command)
{
	try {
		co_await connection_.run(std::move(command));
		co_return true;
	} catch (const redis::Error &error) {
		failed(error);
	}
	co_return false;
}

// If this is an outage, the connection has usually told the log just now.
void RedisCache::failed(const redis::Error &error)
{
	if (error.is_unavailable() && circuit_.fail(Circuit::Clock::now()))
		connection_.outage().complain([&] {
			log::warning("the cache is skipped for a while", {{"reason", error.what()}});
		});
}

} // namespace sidecar::cache
