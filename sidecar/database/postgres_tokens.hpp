// The store in PostgreSQL: one statement a call, through the functions of the
// extension and no table of it but by its views.
#pragma once

#include <chrono>

#include "database/caller.hpp"
#include "database/token_store.hpp"

namespace sidecar::database
{

// What oauth_authorize_url() checks links against.
struct PublishedSettings {
	std::string public_url;
	int flow_seconds = 600;
	std::vector<std::string> return_to_origins;
	std::vector<std::string> providers; // base names
};

// A row of oauth_doctor().
struct Finding {
	std::string item;
	std::string status; // error, warning or ok
	std::string text;   // what was found, and what to do about it
};

class PostgresTokens : public TokenStore
{
public:
	explicit PostgresTokens(Pool &pool) : caller_(pool) {}

	Awaitable<std::string> authorize_url(const oauth::Link &link) override;
	Awaitable<std::optional<oauth::OpenedAttempt>>
	open_attempt(const common::Digest &ticket_hash, const std::string &provider,
				 const oauth::ProviderEndpoints &endpoints, const std::string &client_id) override;
	Awaitable<std::optional<oauth::ClaimedAttempt>>
	claim(const oauth::ClaimAttempt &claim) override;
	Awaitable<oauth::StoreResult> store(const common::Digest &ticket_hash,
										const oauth::Grant &grant) override;
	Awaitable<std::optional<ConnectedAccount>> connection(const oauth::Identity &identity) override;
	Awaitable<std::optional<StoredToken>> token(const oauth::Identity &identity,
												bool with_refresh_token) override;
	Awaitable<DeletedToken> delete_token(const oauth::Identity &identity,
										 oauth::Revoke revoke) override;
	Awaitable<Readiness> readiness() override;

	// For housekeeping.
	Awaitable<void> publish(const PublishedSettings &settings);
	// Deletes what has expired; how many rows.
	Awaitable<std::int64_t> purge();

	// For --check: every privilege that the sidecar needs and lacks, as texts such
	// as "EXECUTE on oauth_tokens_internal.flow_begin"; and notes about settings of
	// the database (confirm_flows off).
	Awaitable<std::vector<std::string>> missing_privileges();
	Awaitable<bool> confirms_flows();
	Awaitable<std::vector<Finding>> ask_doctor();
	// Goes through a whole flow in a transaction that is rolled back; throws the
	// error that a user would have met: no key, a missing right, a read-only server.
	Awaitable<void> rehearse();

private:
	Awaitable<bool> look();
	Awaitable<void> rehearse_now_and_then(bool is_current);

	Caller caller_;
	std::chrono::steady_clock::time_point rehearsed_ =
		std::chrono::steady_clock::now() - std::chrono::hours(1);
	std::optional<StoreError> last_rehearsal_; // how it failed
};

} // namespace sidecar::database
