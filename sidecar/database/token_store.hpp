// What endpoints need from the database.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/secret_string.hpp"
#include "database/database_error.hpp"
#include "oauth/attempt.hpp"
#include "oauth/callback_flow.hpp"
#include "oauth/provider.hpp"

namespace sidecar::database
{

// A line of oauth_connections. Times are seconds since 1970 UTC.
struct ConnectedAccount {
	std::string state; // active, expiring, expired, refreshing, backing_off, needs_reauthorization
	std::optional<std::string> scopes;
	bool has_refresh_token = false;
	std::optional<double> expires_at;
	std::string details; // JSON object, or empty
	std::optional<double> updated_at;
	std::optional<std::string> reason; // of the last failure: "dead_grant: HTTP 400, …"
	std::optional<double> since;
	std::optional<double> next_attempt_at;
	std::optional<double> refresh_expires_at; // of the grant itself; nothing: unknown
};

struct StoredToken {
	common::Secret access_token;
	std::optional<std::string> scopes;
	std::optional<double> expires_at; // seconds since 1970 UTC
	bool has_refresh_token = false;
	double now = 0;     // the database's clock
	double read_at = 0; // by it: before this was read
	std::string details;
	std::string registration_id;  // of the cache's registration; empty: none, or a standby's
	common::Secret refresh_token; // if it was asked for
};

struct DeletedToken {
	bool was_there = false;
	bool is_queued = false; // to be revoked at the provider
};

// Whether requests can be served, in words for a person.
struct Readiness {
	std::string fault;    // what makes them fail; empty: nothing
	bool is_away = false; // the fault is that there is no answer: the pool logs that
	std::string warning;  // requests succeed, but this must be corrected; or empty
};

class TokenStore
{
public:
	template <typename T>
	using Awaitable = boost::asio::awaitable<T>;

	virtual ~TokenStore() = default;
	// All of these throw StoreError.
	// The link's address (docs/design/flow.md, "The link"); errors of its arguments have SQLSTATEs.
	virtual Awaitable<std::string> authorize_url(const oauth::Link &link) = 0;
	// Nothing if the link is unknown, used or expired. `provider` is the base name.
	virtual Awaitable<std::optional<oauth::OpenedAttempt>>
	open_attempt(const common::Digest &ticket_hash, const std::string &provider,
				 const oauth::ProviderEndpoints &endpoints, const std::string &client_id) = 0;
	virtual Awaitable<std::optional<oauth::ClaimedAttempt>>
	claim(const oauth::ClaimAttempt &claim) = 0;
	// In one transaction. Throws only if it is certain that nothing was stored, or if there was
	// no answer.
	virtual Awaitable<oauth::StoreResult> store(const common::Digest &ticket_hash,
												const oauth::Grant &grant) = 0;
	virtual Awaitable<std::optional<ConnectedAccount>>
	connection(const oauth::Identity &identity) = 0;
	virtual Awaitable<std::optional<StoredToken>> token(const oauth::Identity &identity,
														bool with_refresh_token) = 0;
	// `automatic`: not while another token is of the same provider, client and account.
	virtual Awaitable<DeletedToken> delete_token(const oauth::Identity &identity,
												 oauth::Revoke revoke) = 0;
	// Whether extension, tables and rights are there, and the server takes writes.
	// Throws no StoreError.
	virtual Awaitable<Readiness> readiness() = 0;
};

} // namespace sidecar::database
