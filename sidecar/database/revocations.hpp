// The database's side of revocation (docs/design/refresh.md, "Revocation"): deleted grants that
// wait for it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/secret_string.hpp"
#include "database/caller.hpp"

namespace sidecar::database
{

struct ClaimedRevocation {
	std::string id;
	std::string provider;         // with its label
	std::string client_id;        // that made the grant; empty: not known
	std::string issuer;           // the same
	common::Secret refresh_token; // empty: there is none, or none that can be opened
	common::Secret access_token;
	bool is_shared = false; // the account is needed by another token: not to be revoked
	int attempts = 0;       // with this one
};

class Revocations
{
public:
	template <typename T>
	using Awaitable = boost::asio::awaitable<T>;
	enum class Ended { done, retry, given_up, gone };

	explicit Revocations(Pool &pool) : caller_(pool) {}

	// All of these throw StoreError. OT017: the database is a copy that nobody adopted.
	Awaitable<std::vector<ClaimedRevocation>> claim(int most, std::chrono::seconds lease,
													const std::vector<std::string> &providers);
	Awaitable<Ended> done(const std::string &id) { return end(id, "done", {}, std::nullopt); }
	Awaitable<Ended> retry(const std::string &id, const std::string &reason,
						   std::optional<std::chrono::seconds> after)
	{
		return end(id, "retry", reason, after);
	}
	Awaitable<std::int64_t> waiting();

private:
	Awaitable<Ended> end(const std::string &id, std::string_view outcome, std::string_view reason,
						 std::optional<std::chrono::seconds> after);

	Caller caller_;
};

} // namespace sidecar::database
