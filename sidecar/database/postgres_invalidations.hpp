// InvalidationQueue over PostgreSQL.
#pragma once

#include "database/caller.hpp"
#include "database/invalidation_queue.hpp"

namespace sidecar::database
{

class PostgresInvalidations : public InvalidationQueue
{
public:
	// A pool of one connection, not through a pooler of transactions: a wait
	// remembers what the session has seen.
	explicit PostgresInvalidations(Pool &pool) : caller_(pool) {}

	Awaitable<Registration> registration() override;
	Awaitable<void> register_cache(const std::string &cache_id) override;
	Awaitable<bool> unregister_cache(const std::string &cache_id) override;
	Awaitable<void> wait() override;
	Awaitable<PendingInvalidations> pending(int most, const std::string &registration_id,
											const std::vector<std::int64_t> &done) override;
	Awaitable<std::optional<std::int64_t>>
	acknowledge(const std::string &registration_id, const std::vector<std::int64_t> &ids) override;

private:
	Caller caller_;
};

} // namespace sidecar::database
