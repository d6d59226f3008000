#include "database/postgres_refreshes.hpp"

#include <cmath>

namespace sidecar::database
{

namespace
{

using Begun = BegunRefresh::Outcome;

StoreError unknown_word()
{
	return StoreError("42804", "the extension answered in another form than expected");
}

Begun begun_of(std::string_view word)
{
	constexpr std::pair<std::string_view, Begun> kWords[] = {
		{"granted", Begun::granted},
		{"fresh", Begun::fresh},
		{"busy", Begun::busy},
		{"backoff", Begun::backoff},
		{"no_refresh_token", Begun::no_refresh_token},
		{"needs_reauthorization", Begun::needs_reauthorization},
		{"not_connected", Begun::not_connected}};
	for (const auto &[known, outcome] : kWords)
		if (known == word)
			return outcome;
	throw unknown_word();
}

RefreshEnd read_end(const Rows &rows)
{
	constexpr std::pair<std::string_view, RefreshEnd> kWords[] = {
		{"committed", RefreshEnd::committed},
		{"superseded", RefreshEnd::superseded},
		{"deleted", RefreshEnd::deleted},
		{"busy", RefreshEnd::busy}};
	Columns columns(rows);
	const std::string word = columns.text();
	for (const auto &[known, end] : kWords)
		if (known == word)
			return end;
	throw unknown_word();
}

oauth::Identity read_identity(Columns &columns)
{
	oauth::Identity identity;
	identity.workspace_id = columns.text();
	identity.provider = columns.text();
	identity.actor_type = columns.text();
	identity.actor_id = columns.text();
	return identity;
}

} // namespace

PostgresRefreshes::Awaitable<BegunRefresh> PostgresRefreshes::begin(const WantedRefresh &wanted,
																	std::chrono::milliseconds lease)
{
	Parameters parameters;
	add_identity(parameters, wanted.identity);
	parameters.add(std::to_string(wanted.min_ttl.count()));
	parameters.add_or_null(wanted.force ? "t" : "f");
	if (wanted.if_token_sha256)
		parameters.add(*wanted.if_token_sha256);
	else
		parameters.add_null();
	parameters.add(std::to_string(lease.count()));
	const Rows rows = co_await caller_.run(&Statements::refresh_begin, std::move(parameters));
	Columns columns(rows);
	BegunRefresh begun;
	begun.outcome = begun_of(columns.text());
	if (begun.outcome == Begun::granted)
		begun.fence = columns.integer();
	else
		columns.text();
	begun.refresh_token = columns.secret();
	begun.scopes = columns.optional_text();
	begun.details = columns.text();
	begun.spool_key = columns.secret();
	begun.in_doubt = columns.boolean();
	begun.retry_in = std::chrono::duration<double>(columns.number());
	begun.reason = columns.text();
	begun.cluster = columns.text();
	co_return begun;
}

PostgresRefreshes::Awaitable<RefreshEnd> PostgresRefreshes::commit(const oauth::Identity &identity,
																   std::int64_t fence,
																   const oauth::Grant &grant)
{
	Parameters parameters;
	add_identity(parameters, identity);
	parameters.add(std::to_string(fence))
		.add(grant.access_token)
		.add(grant.refresh_token)
		.add(grant.expires_in)
		.add(grant.scopes)
		.add_or_null(grant.details);
	const Rows rows = co_await caller_.run(&Statements::refresh_commit, std::move(parameters));
	co_return read_end(rows);
}

PostgresRefreshes::Awaitable<std::string>
PostgresRefreshes::fail(const oauth::Identity &identity, std::int64_t fence, std::string_view kind,
						const std::string &detail, std::optional<std::chrono::seconds> retry_after)
{
	Parameters parameters;
	add_identity(parameters, identity);
	parameters.add(std::to_string(fence)).add_or_null(kind).add_or_null(detail);
	if (retry_after)
		parameters.add(std::to_string(retry_after->count()));
	else
		parameters.add_null();
	const Rows rows = co_await caller_.run(&Statements::refresh_fail, std::move(parameters));
	Columns columns(rows);
	co_return columns.text();
}

PostgresRefreshes::Awaitable<RefreshEnd> PostgresRefreshes::replay(const spool::Entry &entry)
{
	Parameters parameters;
	add_identity(parameters, entry.identity);
	parameters.add(std::to_string(entry.fence)).add(entry.sealed);
	const Rows rows = co_await caller_.run(&Statements::refresh_replay, std::move(parameters));
	co_return read_end(rows);
}

PostgresRefreshes::Awaitable<bool> PostgresRefreshes::is_refreshing(const oauth::Identity &identity)
{
	Parameters parameters;
	add_identity(parameters, identity);
	const Rows rows = co_await caller_.run(&Statements::refresh_is_running, std::move(parameters));
	co_return rows.count() > 0 && rows.text(0, 0) == "t";
}

PostgresRefreshes::Awaitable<Cluster> PostgresRefreshes::cluster()
{
	Parameters none;
	const Rows rows = co_await caller_.run(&Statements::cluster, std::move(none));
	Columns columns(rows);
	Cluster cluster;
	cluster.id = columns.text();
	cluster.is_adopted = columns.boolean();
	co_return cluster;
}

PostgresRefreshes::Awaitable<std::vector<WantedRefresh>>
PostgresRefreshes::due(int most, const std::vector<std::string> &providers)
{
	Parameters parameters;
	parameters.add(std::optional(most)).add(providers);
	const Rows rows = co_await caller_.run(&Statements::refresh_due, std::move(parameters));
	std::vector<WantedRefresh> due;
	for (int row = 0; row < rows.count(); row++) {
		Columns columns(rows, row);
		WantedRefresh wanted;
		wanted.identity = read_identity(columns);
		wanted.min_ttl = std::chrono::seconds(static_cast<long long>(std::ceil(columns.number())));
		wanted.force = columns.boolean();
		due.push_back(std::move(wanted));
	}
	co_return due;
}

PostgresRefreshes::Awaitable<std::vector<RefreshBacklog>> PostgresRefreshes::backlogs()
{
	Parameters none;
	const Rows rows = co_await caller_.run(&Statements::refresh_backlog, std::move(none));
	std::vector<RefreshBacklog> backlogs;
	for (int row = 0; row < rows.count(); row++) {
		Columns columns(rows, row);
		RefreshBacklog backlog;
		backlog.provider = columns.text();
		backlog.due = columns.integer();
		backlog.oldest = std::chrono::duration<double>(columns.number());
		backlog.paused_for = std::chrono::duration<double>(columns.number());
		backlog.in_doubt = columns.integer();
		backlogs.push_back(std::move(backlog));
	}
	co_return backlogs;
}

PostgresRefreshes::Awaitable<std::vector<WantedRefresh>> PostgresRefreshes::wait_for_requests()
{
	Parameters none;
	const Rows rows = co_await listener_.run(&Statements::refresh_requests_wait, std::move(none));
	std::vector<WantedRefresh> requests;
	for (int row = 0; row < rows.count(); row++) {
		Columns columns(rows, row);
		WantedRefresh wanted;
		wanted.identity = read_identity(columns);
		wanted.min_ttl = std::chrono::seconds(static_cast<long long>(std::ceil(columns.number())));
		requests.push_back(std::move(wanted));
	}
	co_return requests;
}

PostgresRefreshes::Awaitable<void>
PostgresRefreshes::answer_request(const oauth::Identity &identity, std::string_view outcome,
								  const std::string &reason)
{
	Parameters parameters;
	add_identity(parameters, identity);
	parameters.add_or_null(outcome).add_or_null(reason);
	co_await caller_.run(&Statements::refresh_request_done, std::move(parameters));
}

PostgresRefreshes::Awaitable<void> PostgresRefreshes::publish_rules(const std::string &rules)
{
	Parameters parameters;
	parameters.add(rules);
	co_await caller_.run(&Statements::publish_refresh_rules, std::move(parameters));
}

PostgresRefreshes::Awaitable<std::vector<std::string>> PostgresRefreshes::doubts(bool with_ahead)
{
	const Caller::StatementsPtr texts = co_await caller_.known();
	Parameters parameters;
	parameters.add(std::string(with_ahead ? "t" : "f")).add(texts->schema);
	const Rows rows = co_await caller_.run(&Statements::refresh_doubts, std::move(parameters));
	std::vector<std::string> doubts;
	for (int row = 0; row < rows.count(); row++)
		doubts.emplace_back(rows.text(row, 0));
	co_return doubts;
}

PostgresRefreshes::Awaitable<std::int64_t> PostgresRefreshes::purge()
{
	Parameters none;
	const Rows rows = co_await caller_.run(&Statements::refresh_purge, std::move(none));
	Columns columns(rows);
	co_return columns.integer();
}

} // namespace sidecar::database
