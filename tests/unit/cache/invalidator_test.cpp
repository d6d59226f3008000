// Passes of the cache's invalidator, over a real Redis and a database that fails as
// it is told.
#include "cache/invalidator.hpp"

#include <new>

#include "../redis/running_redis.hpp"

namespace sidecar::cache
{

using namespace std::chrono_literals;

namespace
{

class FakeInvalidations : public database::InvalidationQueue
{
public:
	std::vector<database::Invalidation> invalidations;
	std::function<void()> at_pending = [] {};
	int acknowledged = 0;
	int looks = 0;
	int waits = 0;
	std::int64_t now = 1'000'000;
	bool deletes = true;

	Awaitable<database::Registration> registration() override
	{
		co_return database::Registration{cache_id_, kRegistrationId, {"1", 2, 3, 4}, 0};
	}
	Awaitable<void> register_cache(const std::string &cache_id) override
	{
		cache_id_ = cache_id;
		co_return;
	}
	Awaitable<bool> unregister_cache(const std::string &) override { co_return true; }
	Awaitable<void> wait() override
	{
		waits++;
		co_await tests::sleep_for(1ms);
	}
	Awaitable<database::PendingInvalidations>
	pending(int most, const std::string &registration_id,
			const std::vector<std::int64_t> &done) override
	{
		at_pending();
		looks++;
		if (!done.empty())
			co_await acknowledge(registration_id, done);
		database::PendingInvalidations pending{kRegistrationId, invalidations, false, ++now};
		pending.has_more = pending.invalidations.size() >= static_cast<std::size_t>(most);
		if (pending.has_more)
			pending.invalidations.resize(static_cast<std::size_t>(most));
		co_return pending;
	}
	Awaitable<std::optional<std::int64_t>>
	acknowledge(const std::string &, const std::vector<std::int64_t> &ids) override
	{
		acknowledged++;
		if (!deletes)
			co_return 0;
		std::erase_if(invalidations, [&](const database::Invalidation &invalidation) {
			return std::find(ids.begin(), ids.end(), invalidation.id) != ids.end();
		});
		co_return static_cast<std::int64_t>(ids.size());
	}

private:
	static constexpr const char *kRegistrationId = "22222222-2222-4222-8222-222222222222";
	std::string cache_id_;
};

class InvalidatorTest : public tests::RedisTest
{
protected:
	void SetUp() override { begin({}); }
	void begin(Ephemeral ephemeral)
	{
		connection_ = connected(server_.url());
		invalidator_ = std::make_unique<Invalidator>(io_.get_executor(), invalidations_,
													 *connection_, *connection_, keys_, "0/test",
													 ephemeral, coherence_, changes_, metrics_);
		boost::asio::co_spawn(io_, invalidator_->run(), boost::asio::detached);
	}
	// Coroutines end with the loop, and what they use lives longer.
	void TearDown() override { connection_->close(); }

	std::string get(const std::string &key)
	{
		redis::Command command{"GET", key};
		return std::string(run(*connection_, std::move(command)).text());
	}
	void set(const std::string &key, const std::string &value = "value")
	{
		redis::Command command{"SET", key, value};
		run(*connection_, std::move(command));
	}
	bool says(const std::string &metric)
	{
		return metrics_.text({}).find("oauth_sidecar_cache_" + metric + "\n") != std::string::npos;
	}
	bool is_heartbeat_fresh()
	{
		return coherence_.known && get(keys_.live) == coherence_.known->epoch.id;
	}

	tests::RedisServer server_;
	const cache_entry::Keys keys_{"", "oauth:cache"};
	FakeInvalidations invalidations_;
	Coherence coherence_;
	ChangeMemory changes_;
	Metrics metrics_;
	ClientPtr connection_;
	std::unique_ptr<Invalidator> invalidator_;
};

class SealingInvalidatorTest : public InvalidatorTest
{
protected:
	void SetUp() override { begin({false, true}); }
};

const oauth::Identity kAnn{"11111111-1111-4111-8111-111111111111", "fake", "user", "ann"};

} // namespace

TEST_F(InvalidatorTest, EvictsWhatIsInvalidated)
{
	until([&] { return is_heartbeat_fresh(); });
	const std::string entry = keys_.entries.key(kAnn);
	for (const std::string &key : {entry, keys_.entry_metadata(entry), keys_.lease(entry)})
		set(key);
	set(entry + "a");
	invalidations_.invalidations = {{1, kAnn}, {2, kAnn}};
	until([&] { return invalidations_.invalidations.empty(); });
	for (const std::string &key : {entry, keys_.entry_metadata(entry), keys_.lease(entry)})
		EXPECT_EQ(get(key), "") << key;
	EXPECT_EQ(get(entry + "a"), "value");
}

TEST_F(InvalidatorTest, DropsAllByANewEpoch)
{
	until([&] { return is_heartbeat_fresh(); });
	const std::string before = coherence_.known->epoch.id;
	set(keys_.entries.key(kAnn));
	set("somebody:elses");
	invalidations_.invalidations = {{1, std::nullopt}};
	until([&] { return invalidations_.invalidations.empty() && is_heartbeat_fresh(); });
	EXPECT_NE(coherence_.known->epoch.id, before);
	EXPECT_EQ(get(keys_.entries.key(kAnn)), "");
	EXPECT_EQ(get("somebody:elses"), "value");
}

TEST_F(SealingInvalidatorTest, DropsMany)
{
	until([&] { return is_heartbeat_fresh(); });
	std::vector<std::string> entries;
	std::vector<database::Invalidation> invalidations;
	for (std::int64_t id = 0; id < 10'401; id++) {
		oauth::Identity identity = kAnn;
		identity.actor_id = std::to_string(id);
		entries.push_back(keys_.entries.key(identity));
		invalidations.push_back({id, identity});
		if (id % 100 == 0)
			set(entries.back());
	}
	invalidations_.invalidations = invalidations;
	until([&] { return invalidations_.invalidations.empty(); });
	for (std::size_t i = 0; i < entries.size(); i += 100)
		EXPECT_EQ(get(entries[i]), "") << i;
}

// Changes do not wake it; but what the drainer does not evict, it does.
TEST_F(InvalidatorTest, LooksOnWhileAnotherDaemonDrains) // C22
{
	until([&] { return is_heartbeat_fresh() && says("draining 1"); });
	set(keys_.drainer); // by another name
	until([&] { return says("draining 0"); });
	const int waits = invalidations_.waits;
	const std::string entry = keys_.entries.key(kAnn);
	set(entry);
	invalidations_.invalidations = {{1, kAnn}};
	until([&] { return invalidations_.invalidations.empty(); });
	EXPECT_EQ(get(entry), "");
	EXPECT_TRUE(is_heartbeat_fresh());
	EXPECT_EQ(invalidations_.waits, waits);
	redis::Command leave{"DEL", keys_.drainer};
	run(*connection_, std::move(leave));
	until([&] { return invalidations_.waits > waits; });
	EXPECT_TRUE(says("draining 1"));
}

TEST_F(InvalidatorTest, ResignsForGood) // C22
{
	until([&] { return is_heartbeat_fresh() && says("draining 1"); });
	EXPECT_NE(get(keys_.drainer), "");
	tests::finish(io_, invalidator_->resign());
	EXPECT_EQ(get(keys_.drainer), "");
	set(keys_.entries.key(kAnn));
	invalidations_.invalidations = {{1, kAnn}};
	sleep(600ms); // after which a heartbeat is due
	EXPECT_EQ(get(keys_.drainer), "");
	EXPECT_EQ(get(keys_.entries.key(kAnn)), "");
}

TEST_F(InvalidatorTest, ResignsWithoutAnothersPlace) // C22
{
	until([&] { return is_heartbeat_fresh() && says("draining 1"); });
	set(keys_.drainer); // by another name
	tests::finish(io_, invalidator_->resign());
	EXPECT_EQ(get(keys_.drainer), "value");
}

// An onlooker's last heartbeat may just have taken it.
TEST_F(InvalidatorTest, ResignsFromAPlaceThatItDoesNotKnowOf) // C22
{
	until([&] { return is_heartbeat_fresh() && says("draining 1"); });
	const std::string name = get(keys_.drainer);
	set(keys_.drainer);
	until([&] { return says("draining 0"); });
	set(keys_.drainer, name);
	tests::finish(io_, invalidator_->resign());
	EXPECT_EQ(get(keys_.drainer), "");
}

TEST_F(InvalidatorTest, AStrangersKeyInTheDrainersPlaceMakesAnOnlooker) // C22
{
	until([&] { return is_heartbeat_fresh() && says("draining 1"); });
	redis::Command leave{"DEL", keys_.drainer, keys_.live};
	redis::Command take{"RPUSH", keys_.drainer, "not a name"};
	run(*connection_, std::move(leave));
	run(*connection_, std::move(take));
	until([&] { return says("draining 0"); });
	until([&] { return is_heartbeat_fresh(); });
}

// Whatever it is, it must not end: nobody would drop anything any more.
TEST_F(InvalidatorTest, OutlivesWhateverIsThrown)
{
	until([&] { return is_heartbeat_fresh(); });
	const std::vector<std::function<void()>> faults = {
		[] { throw std::bad_alloc(); },
		[] { throw std::runtime_error("something else"); },
		[] { throw database::StoreError("", "the connection was lost"); },
		[] { throw database::StoreError("57P01", "terminated"); },
		[] { throw redis::Error::unavailable("no answer"); },
		[] { throw redis::Error::refused("OOM"); },
		[] { throw EpochLost("lost"); },
	};
	for (const auto &fault : faults) {
		bool has_failed = false;
		invalidations_.at_pending = [&] {
			if (!std::exchange(has_failed, true))
				fault();
		};
		until([&] { return has_failed; });
		invalidations_.invalidations = {{1, kAnn}};
		until([&] { return invalidations_.invalidations.empty() && is_heartbeat_fresh(); });
		invalidations_.at_pending = [] {};
	}
}

// Invalidations that another session is about to delete stay where they are for a while.
TEST_F(InvalidatorTest, DoesNotSpinOnInvalidationsThatStay)
{
	until([&] { return is_heartbeat_fresh(); });
	invalidations_.deletes = false;
	for (std::int64_t id = 0; id < 20'000; id++)
		invalidations_.invalidations.push_back({id, kAnn});
	const int before = invalidations_.acknowledged;
	sleep(500ms);
	EXPECT_LT(invalidations_.acknowledged - before, 50);
}

// Others must have time to see it; and it is one change, however often it is read (C19).
TEST_F(SealingInvalidatorTest, ShowsWhatIsInvalidated)
{
	until([&] { return is_heartbeat_fresh(); });
	const std::string entry = keys_.entries.key(kAnn);
	set(entry);
	invalidations_.invalidations = {{1, kAnn}};
	const auto begun = std::chrono::steady_clock::now();
	until([&] { return get(entry).empty(); });
	set(entry);
	const int before = invalidations_.looks;
	until([&] { return invalidations_.invalidations.empty(); });
	EXPECT_GE(std::chrono::steady_clock::now() - begun, ChangeMemory::kShownFor);
	EXPECT_GT(invalidations_.looks - before, 2);
	EXPECT_EQ(get(entry), "value");
	EXPECT_TRUE(is_heartbeat_fresh());
}

TEST_F(SealingInvalidatorTest, BeginsOneEpochForWhatItShows)
{
	until([&] { return is_heartbeat_fresh(); });
	const std::string before = coherence_.known->epoch.id;
	invalidations_.invalidations = {{1, std::nullopt}};
	until([&] {
		return coherence_.known && coherence_.known->epoch.id != before && is_heartbeat_fresh();
	});
	EXPECT_FALSE(invalidations_.invalidations.empty());
	const std::string next = coherence_.known->epoch.id;
	until([&] { return invalidations_.invalidations.empty(); });
	EXPECT_EQ(coherence_.known->epoch.id, next);
}

TEST_F(SealingInvalidatorTest, BelievesNothingOfBefore)
{
	until([&] { return is_heartbeat_fresh(); });
	const std::string entry = keys_.entries.key(kAnn), other = entry + "a";
	const auto read_at = [](std::int64_t time) { return Fill{"", time, INT64_MAX}; };
	const std::int64_t then = invalidations_.now + 1;
	EXPECT_FALSE(changes_.allows(other, read_at(999'999)));
	until([&] { return changes_.allows(entry, read_at(then)); });
	invalidations_.invalidations = {{1, kAnn}};
	until([&] { return !changes_.allows(entry, read_at(then)); });
	EXPECT_TRUE(changes_.allows(other, read_at(then)));
	until([&] { return changes_.allows(entry, read_at(invalidations_.now)); });
	EXPECT_FALSE(invalidations_.invalidations.empty()); // or what follows shows nothing
	for (std::int64_t id = 2; id < 200'002; id++)
		invalidations_.invalidations.push_back({id, kAnn});
	until([&] { return !changes_.allows(other, read_at(then)); });
}

TEST_F(SealingInvalidatorTest, DoesNotSpinOnInvalidationsThatAreShown)
{
	until([&] { return is_heartbeat_fresh(); });
	for (std::int64_t id = 0; id < 20'000; id++)
		invalidations_.invalidations.push_back({id, kAnn});
	const int before = invalidations_.looks;
	until([&] { return invalidations_.invalidations.empty() && is_heartbeat_fresh(); });
	EXPECT_LT(invalidations_.looks - before, 1000);
}

} // namespace sidecar::cache
