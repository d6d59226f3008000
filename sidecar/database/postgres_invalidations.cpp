#include "database/postgres_invalidations.hpp"

#include <charconv>

namespace sidecar::database
{

namespace
{

constexpr int kTimeColumn = 6; // of changes_pending

} // namespace

PostgresMarks::Awaitable<Registration> PostgresMarks::registration()
{
	Parameters none;
	const Rows rows = co_await caller_.run(&Statements::cache_registration, std::move(none));
	Columns columns(rows);
	Registration found;
	found.cache_id = columns.text();
	found.incarnation = columns.text();
	found.database.system_identifier = columns.text();
	found.database.timeline = static_cast<std::uint32_t>(columns.integer());
	found.database.database = static_cast<std::uint32_t>(columns.integer());
	found.database.started_at = columns.integer();
	found.undrained = columns.number();
	co_return found;
}

PostgresMarks::Awaitable<void> PostgresMarks::enroll(const std::string &cache_id)
{
	Parameters parameters;
	parameters.add(cache_id);
	co_await caller_.run(&Statements::cache_register, std::move(parameters));
}

PostgresMarks::Awaitable<bool> PostgresMarks::withdraw(const std::string &cache_id)
{
	Parameters parameters;
	parameters.add(cache_id);
	const Rows rows = co_await caller_.run(&Statements::cache_unregister, std::move(parameters));
	Columns columns(rows);
	co_return columns.boolean();
}

PostgresMarks::Awaitable<void> PostgresMarks::wait()
{
	Parameters none;
	co_await caller_.run(&Statements::changes_wait, std::move(none));
}

PostgresMarks::Awaitable<PendingMarks> PostgresMarks::pending(int most)
{
	Parameters parameters;
	parameters.add(std::optional(most));
	const Rows rows = co_await caller_.run(&Statements::changes_pending, std::move(parameters));
	PendingMarks pending;
	pending.incarnation = rows.text(0, 0);
	const std::string_view now = rows.text(0, kTimeColumn);
	std::from_chars(now.data(), now.data() + now.size(), pending.now);
	for (int row = 0; row < rows.count(); row++) {
		if (rows.is_null(row, 1)) // a registration without marks
			continue;
		Columns columns(rows, row);
		columns.text();
		Mark mark;
		mark.id = columns.integer();
		if (!rows.is_null(row, 2)) {
			mark.identity.emplace();
			mark.identity->workspace_id = columns.text();
			mark.identity->provider = columns.text();
			mark.identity->actor_type = columns.text();
			mark.identity->actor_id = columns.text();
		}
		pending.marks.push_back(std::move(mark));
	}
	co_return pending;
}

PostgresMarks::Awaitable<std::optional<std::int64_t>>
PostgresMarks::acknowledge(const std::string &incarnation, const std::vector<std::int64_t> &ids)
{
	Parameters parameters;
	parameters.add(incarnation).add(ids);
	const Rows rows = co_await caller_.run(&Statements::changes_ack, std::move(parameters));
	if (rows.is_null(0, 0))
		co_return std::nullopt;
	Columns columns(rows);
	co_return columns.integer();
}

} // namespace sidecar::database
