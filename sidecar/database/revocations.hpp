// The database's side of revocation (docs/design/refresh.md, "Revocation"): deleted grants that
// wait for it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/secret_string.hpp"
#include "database/database_error.hpp"

namespace sidecar::database
{

struct ClaimedRevocation {
	std::string id;
	std::string provider;  // with its label
	std::string client_id; // that made the grant; empty: not known
	std::string issuer;    // the same
	Secret refresh_token;  // empty: there is none, or none that can be opened
	Secret access_token;
	bool is_shared = false; // the account is needed by another token: not to be revoked
	int attempts = 0;       // with this one
};

class RevocationStore
{
public:
	template <typename T>
	using Awaitable = boost::asio::awaitable<T>;
	enum class Ended { done, retry, given_up, gone };

	virtual ~RevocationStore() = default;
	// All of these throw StoreError. OT017: the database is a copy that nobody adopted.
	virtual Awaitable<std::vector<ClaimedRevocation>>
	claim(int most, std::chrono::seconds lease, const std::vector<std::string> &providers) = 0;
	virtual Awaitable<Ended> done(const std::string &id) = 0;
	virtual Awaitable<Ended> retry(const std::string &id, const std::string &reason,
								   std::optional<std::chrono::seconds> after) = 0;
	virtual Awaitable<std::int64_t> waiting() = 0;
};

} // namespace sidecar::database
