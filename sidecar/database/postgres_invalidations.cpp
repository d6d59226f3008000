#include "database/postgres_invalidations.hpp"

#include <charconv>

namespace sidecar::database
{

namespace
{

constexpr int kTimeColumn = 6; // of changes_pending

} // namespace

PostgresInvalidations::Awaitable<Registration> PostgresInvalidations::registration()
{
	Parameters none;
	const Rows rows = co_await caller_.run(&Statements::cache_registration, std::move(none));
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
	Parameters parameters;
	parameters.add(cache_id);
	co_await caller_.run(&Statements::cache_register, std::move(parameters));
}

PostgresInvalidations::Awaitable<bool>
PostgresInvalidations::unregister_cache(const std::string &cache_id)
{
	Parameters parameters;
	parameters.add(cache_id);
	const Rows rows = co_await caller_.run(&Statements::cache_unregister, std::move(parameters));
	Columns columns(rows);
	co_return columns.boolean();
}

PostgresInvalidations::Awaitable<void> PostgresInvalidations::wait()
{
	Parameters none;
	co_await caller_.run(&Statements::changes_wait, std::move(none));
}

PostgresInvalidations::Awaitable<PendingInvalidations> PostgresInvalidations::pending(int most)
{
	Parameters parameters;
	parameters.add(std::optional(most));
	const Rows rows = co_await caller_.run(&Statements::changes_pending, std::move(parameters));
	PendingInvalidations pending;
	pending.registration_id = rows.text(0, 0);
	const std::string_view now = rows.text(0, kTimeColumn);
	std::from_chars(now.data(), now.data() + now.size(), pending.now);
	for (int row = 0; row < rows.count(); row++) {
		if (rows.is_null(row, 1)) // a registration without invalidations
			continue;
		Columns columns(rows, row);
		columns.text();
		Invalidation invalidation;
		invalidation.id = columns.integer();
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
	Parameters parameters;
	parameters.add(registration_id).add(ids);
	const Rows rows = co_await caller_.run(&Statements::changes_ack, std::move(parameters));
	if (rows.is_null(0, 0))
		co_return std::nullopt;
	Columns columns(rows);
	co_return columns.integer();
}

} // namespace sidecar::database
