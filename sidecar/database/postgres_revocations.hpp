// RevocationStore over PostgreSQL.
#pragma once

#include "database/caller.hpp"
#include "database/revocations.hpp"

namespace sidecar::database
{

class PostgresRevocations : public RevocationStore
{
public:
	explicit PostgresRevocations(Pool &pool) : caller_(pool) {}

	Awaitable<std::vector<ClaimedRevocation>>
	claim(int most, std::chrono::seconds lease, const std::vector<std::string> &providers) override;
	Awaitable<Ended> done(const std::string &id) override;
	Awaitable<Ended> retry(const std::string &id, const std::string &reason,
						   std::optional<std::chrono::seconds> after) override;
	Awaitable<std::int64_t> waiting() override;

private:
	Awaitable<Ended> end(Parameters parameters);

	Caller caller_;
};

} // namespace sidecar::database
