// RefreshStore over PostgreSQL.
#pragma once

#include "database/caller.hpp"
#include "database/refresh_store.hpp"

namespace sidecar::database
{

// How far refreshes ahead of time are behind at a provider, and what else is amiss with them.
struct RefreshBacklog {
	std::string provider;
	std::int64_t due = 0;
	std::chrono::duration<double> oldest{0};     // since the oldest has expired
	std::chrono::duration<double> paused_for{0}; // one of its clients, at most
	std::int64_t in_doubt = 0;                   // tokens: nobody knows what became of a refresh
};

// How many tokens are in a state of their refreshes, by its name in oauth_connections.
struct TokensInState {
	std::string state;
	std::int64_t tokens = 0;
};

class PostgresRefreshes : public RefreshStore
{
public:
	// `listening`: a pool of one connection, for wait_for_requests().
	PostgresRefreshes(Pool &pool, Pool &listening) : caller_(pool), listener_(listening) {}

	Awaitable<BegunRefresh> begin(const WantedRefresh &wanted,
								  std::chrono::milliseconds lease) override;
	Awaitable<RefreshEnd> commit(const oauth::Identity &identity, std::int64_t fence,
								 const oauth::Grant &grant) override;
	Awaitable<std::string> fail(const oauth::Identity &identity, std::int64_t fence,
								std::string_view kind, const std::string &detail,
								std::optional<std::chrono::seconds> retry_after) override;
	Awaitable<RefreshEnd> replay(const spool::Entry &entry) override;
	Awaitable<bool> is_refreshing(const oauth::Identity &identity) override;
	Awaitable<Cluster> cluster() override;
	Awaitable<std::vector<WantedRefresh>> due(int most,
											  const std::vector<std::string> &providers) override;
	Awaitable<std::vector<WantedRefresh>> wait_for_requests() override;
	Awaitable<void> answer_request(const oauth::Identity &identity, std::string_view outcome,
								   const std::string &reason) override;

	// For housekeeping. `rules` is of oauth::refresh_rules().
	Awaitable<std::vector<RefreshBacklog>> backlogs();
	// Of the tokens that are being refreshed or whose refresh has failed, up to 100,000; and how
	// many "other" ones there are, if the server has an estimate of the table's size.
	Awaitable<std::vector<TokensInState>> token_states();
	Awaitable<void> publish_rules(const std::string &rules);
	// Why nothing is refreshed, or nothing ahead of time, though no call fails: a line for each.
	Awaitable<std::vector<std::string>> doubts(bool with_ahead);
	// Deletes what is kept of tokens that are gone; how many rows.
	Awaitable<std::int64_t> purge();

private:
	Caller caller_;
	Caller listener_;
};

} // namespace sidecar::database
