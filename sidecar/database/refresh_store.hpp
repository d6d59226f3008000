// What refreshes need from the database (docs/design/refresh.md, "In the database").
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/digest.hpp"
#include "common/secret_string.hpp"
#include "database/database_error.hpp"
#include "oauth/attempt.hpp"
#include "oauth/grant.hpp"
#include "spool/entry.hpp"

namespace sidecar::database
{

// What a caller asks of a token.
struct WantedRefresh {
	oauth::Identity identity;
	std::chrono::seconds min_ttl{120};
	// Refreshes a valid token, too; given a digest, only while the stored access token has it.
	bool force = false;
	std::optional<common::Digest> if_token_sha256;
};

// The answer of oauth_refresh_begin().
struct BegunRefresh {
	enum class Outcome {
		granted,
		fresh,
		busy,
		backoff,
		no_refresh_token,
		needs_reauthorization,
		not_connected
	};
	Outcome outcome = Outcome::not_connected;
	std::int64_t fence = 0;
	common::Secret refresh_token;
	std::optional<std::string> scopes;
	std::string details; // JSON object, or empty
	common::Secret spool_key;
	bool in_doubt = false;
	// Until retry_at, by the database's clock; granted: until the lease is over.
	std::chrono::duration<double> retry_in{0};
	std::string reason;
	std::string cluster; // of this database
};

enum class RefreshEnd { committed, superseded, deleted, busy };

struct Cluster {
	std::string id;
	bool is_adopted = false;
};

class RefreshStore
{
public:
	template <typename T>
	using Awaitable = boost::asio::awaitable<T>;

	virtual ~RefreshStore() = default;
	// All of these throw StoreError; each is a transaction of its own.
	virtual Awaitable<BegunRefresh> begin(const WantedRefresh &wanted,
										  std::chrono::milliseconds lease) = 0;
	virtual Awaitable<RefreshEnd> commit(const oauth::Identity &identity, std::int64_t fence,
										 const oauth::Grant &grant) = 0;
	// The state that follows: backing_off, needs_reauthorization, or superseded.
	virtual Awaitable<std::string> fail(const oauth::Identity &identity, std::int64_t fence,
										std::string_view kind, const std::string &detail,
										std::optional<std::chrono::seconds> retry_after) = 0;
	virtual Awaitable<RefreshEnd> replay(const spool::Entry &entry) = 0;
	// Whether it is being refreshed now.
	virtual Awaitable<bool> is_refreshing(const oauth::Identity &identity) = 0;
	virtual Awaitable<Cluster> cluster() = 0;

	// Tokens of these providers to refresh ahead of time now: call begin() for each of them.
	virtual Awaitable<std::vector<WantedRefresh>>
	due(int most, const std::vector<std::string> &providers) = 0;

	// The requests of callers of oauth_fresh_access_token(). Sleeps for a second at most. The
	// session that calls it counts as a listener: always use the same.
	virtual Awaitable<std::vector<WantedRefresh>> wait_for_requests() = 0;
	// No commit follows. `outcome` is one of oauth_refresh_begin()'s.
	virtual Awaitable<void> answer_request(const oauth::Identity &identity,
										   std::string_view outcome, const std::string &reason) = 0;
};

} // namespace sidecar::database
