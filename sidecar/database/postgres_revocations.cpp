#include "database/postgres_revocations.hpp"

namespace sidecar::database
{

PostgresRevocations::Awaitable<std::vector<ClaimedRevocation>>
PostgresRevocations::claim(int most, std::chrono::seconds lease,
						   const std::vector<std::string> &providers)
{
	Parameters parameters;
	parameters.add(std::optional(most))
		.add(std::optional(static_cast<int>(lease.count())))
		.add(providers);
	const Rows rows = co_await caller_.run(&Statements::revocations_claim, std::move(parameters));
	std::vector<ClaimedRevocation> claimed;
	for (int row = 0; row < rows.count(); row++) {
		Columns columns(rows, row);
		ClaimedRevocation &one = claimed.emplace_back();
		one.id = columns.text();
		one.provider = columns.text();
		one.client_id = columns.text();
		one.issuer = columns.text();
		one.refresh_token = columns.secret();
		one.access_token = columns.secret();
		one.is_shared = columns.boolean();
		one.attempts = static_cast<int>(columns.integer());
	}
	co_return claimed;
}

PostgresRevocations::Awaitable<RevocationStore::Ended>
PostgresRevocations::done(const std::string &id)
{
	Parameters parameters;
	parameters.add(id).add(std::string("done")).add_null().add_null();
	co_return co_await end(std::move(parameters));
}

PostgresRevocations::Awaitable<RevocationStore::Ended>
PostgresRevocations::retry(const std::string &id, const std::string &reason,
						   std::optional<std::chrono::seconds> after)
{
	Parameters parameters;
	parameters.add(id).add(std::string("retry")).add_or_null(reason);
	if (after)
		parameters.add(std::optional(static_cast<int>(after->count())));
	else
		parameters.add_null();
	co_return co_await end(std::move(parameters));
}

PostgresRevocations::Awaitable<RevocationStore::Ended>
PostgresRevocations::end(Parameters parameters)
{
	const Rows rows = co_await caller_.run(&Statements::revocation_done, std::move(parameters));
	Columns columns(rows);
	const std::string ended = columns.text();
	co_return ended == "done" ? Ended::done
	: ended == "retry"        ? Ended::retry
	: ended == "given_up"     ? Ended::given_up
							  : Ended::gone;
}

PostgresRevocations::Awaitable<std::int64_t> PostgresRevocations::waiting()
{
	Parameters none;
	const Rows rows = co_await caller_.run(&Statements::revocations_waiting, std::move(none));
	Columns columns(rows);
	co_return columns.integer();
}

} // namespace sidecar::database
