// oauth_tokens_internal.flow_purge: what has expired goes, also if nobody makes
// or follows links any more.

#include "flows/confirmation.hpp"
#include "flows/link.hpp"
#include "postgres/function.hpp"
#include "postgres/owner_query.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

// Of each kind: a fraction of a second, so that a backlog of any size goes call by
// call, where one statement for all of it would run into a timeout each time.
constexpr int kPurgedRows = 5000;

std::uint64_t purge_attempts(TimestampTz now, int at_most)
{
	static MemberQuery statement = {
		"DELETE FROM oauth_tokens_internal.flow_attempts WHERE state_hash"
		" OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT state_hash"
		" FROM oauth_tokens_internal.flow_attempts WHERE expires_at OPERATOR(pg_catalog.<=) $1"
		" ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))"};
	return run_as_owner(statement, {as::timestamptz(now), as::int8(at_most)});
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_flow_purge)
{
	PreventCommandIfReadOnly("flow_purge()");
	SPI_connect();
	const TimestampTz now = GetCurrentTimestamp();
	const std::uint64_t purged = purge_attempts(now, kPurgedRows) + purge_links(now, kPurgedRows) +
								 purge_confirmations(now, kPurgedRows);
	SPI_finish();
	PG_RETURN_INT64(static_cast<int64>(purged));
}
