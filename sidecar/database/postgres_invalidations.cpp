#include "database/postgres_invalidations.hpp"

#include <charconv>
#include <unordered_set>

namespace sidecar::database
{

namespace
{

// Microseconds since 1970: a time that all readers can compare.
constexpr const char *kRegistration = R"(SELECT cache_id, registration_id, system_identifier,
	timeline, database, (extract(epoch FROM started_at) * 1000000)::bigint,
	extract(epoch FROM pg_catalog.clock_timestamp() - acknowledged_at)::float8
	FROM oauth_tokens_internal.cache_registration())";

constexpr const char *kRegister = "SELECT @extschema@.oauth_cache_register($1::text)";

constexpr const char *kUnregister = "SELECT @extschema@.oauth_cache_unregister($1::text)";

constexpr const char *kWait = "SELECT @extschema@.oauth_changes_wait()";

// One statement, so that the invalidations are all that there were under this registration id.
// It also acknowledges what was done before: it finds the invalidations as of before that.
constexpr const char *kPending =
	R"(SELECT r.registration_id, p.id, p.workspace_id, p.provider,
	p.actor_type, p.actor_id,
	(SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint),
	(SELECT @extschema@.oauth_changes_ack($2::uuid, $3::bigint[]) WHERE $3::bigint[] <> '{}')
	FROM oauth_tokens_internal.cache_registration() r
	LEFT JOIN @extschema@.oauth_changes_pending($1::bigint) p ON r.registration_id IS NOT NULL)";

constexpr const char *kAcknowledge = "SELECT @extschema@.oauth_changes_ack($1::uuid, $2::bigint[])";

// Of kPending
constexpr int kTimeColumn = 6;
constexpr int kAcknowledgedColumn = 7;

} // namespace

PostgresInvalidations::Awaitable<Registration> PostgresInvalidations::registration()
{
	const Rows rows = co_await caller_.run(kRegistration);
	Columns columns(rows);
	Registration found;
	found.cache_id = columns.text();
	found.registration_id = columns.text();
	found.database.system_identifier = columns.text();
	found.database.timeline = static_cast<std::uint32_t>(columns.integer());
	found.database.database = static_cast<std::uint32_t>(columns.integer());
	found.database.started_at = columns.integer();
	found.unacknowledged = columns.number();
	co_return found;
}

PostgresInvalidations::Awaitable<void>
PostgresInvalidations::register_cache(const std::string &cache_id)
{
	co_await caller_.run(kRegister, cache_id);
}

PostgresInvalidations::Awaitable<bool>
PostgresInvalidations::unregister_cache(const std::string &cache_id)
{
	const Rows rows = co_await caller_.run(kUnregister, cache_id);
	Columns columns(rows);
	co_return columns.boolean();
}

PostgresInvalidations::Awaitable<void> PostgresInvalidations::wait()
{
	co_await caller_.run(kWait);
}

PostgresInvalidations::Awaitable<PendingInvalidations>
PostgresInvalidations::pending(int most, const std::string &registration_id,
							   const std::vector<std::int64_t> &done)
{
	const std::unordered_set<std::int64_t> done_before(done.begin(), done.end());
	const Rows rows = co_await caller_.run(kPending, most, registration_id, done);
	PendingInvalidations pending;
	if (done.empty() || !rows.is_null(0, kAcknowledgedColumn))
		pending.registration_id = rows.text(0, 0);
	pending.has_more = rows.count() >= most;
	const std::string_view now = rows.text(0, kTimeColumn);
	std::from_chars(now.data(), now.data() + now.size(), pending.now);
	for (int row = 0; row < rows.count(); row++) {
		if (rows.is_null(row, 1)) // a registration without invalidations
			continue;
		Columns columns(rows, row);
		columns.text();
		Invalidation invalidation;
		invalidation.id = columns.integer();
		if (done_before.contains(invalidation.id))
			continue;
		if (!rows.is_null(row, 2)) {
			invalidation.identity.emplace();
			invalidation.identity->workspace_id = columns.text();
			invalidation.identity->provider = columns.text();
			invalidation.identity->actor_type = columns.text();
			invalidation.identity->actor_id = columns.text();
		}
		pending.invalidations.push_back(std::move(invalidation));
	}
	co_return pending;
}

PostgresInvalidations::Awaitable<std::optional<std::int64_t>>
PostgresInvalidations::acknowledge(const std::string &registration_id,
								   const std::vector<std::int64_t> &ids)
{
	const Rows rows = co_await caller_.run(kAcknowledge, registration_id, ids);
	if (rows.is_null(0, 0))
		co_return std::nullopt;
	Columns columns(rows);
	co_return columns.integer();
}

} // namespace sidecar::database
