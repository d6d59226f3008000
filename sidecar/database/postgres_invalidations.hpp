// MarkStore over PostgreSQL.
#pragma once

#include "database/caller.hpp"
#include "database/invalidation_queue.hpp"

namespace sidecar::database
{

class PostgresMarks : public MarkStore
{
public:
	// A pool of one connection, not through a pooler of transactions: a wait
	// remembers what the session has seen.
	explicit PostgresMarks(Pool &pool) : caller_(pool) {}

	Awaitable<Registration> registration() override;
	Awaitable<void> enroll(const std::string &cache_id) override;
	Awaitable<bool> withdraw(const std::string &cache_id) override;
	Awaitable<void> wait() override;
	Awaitable<PendingMarks> pending(int most) override;
	Awaitable<std::optional<std::int64_t>>
	acknowledge(const std::string &incarnation, const std::vector<std::int64_t> &ids) override;

private:
	Caller caller_;
};

} // namespace sidecar::database
