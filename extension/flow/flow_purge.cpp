// oauth_tokens_internal.flow_purge: what has expired goes, also where nobody makes
// or follows links any more.

#include "flow/confirmation.hpp"
#include "flow/link.hpp"
#include "flow/statement.hpp"
#include "function.hpp"

namespace oauth_tokens
{

namespace
{

std::uint64_t sweep_all_attempts(TimestampTz now)
{
	static FlowStatement<1> statement = {
		"DELETE FROM oauth_tokens_internal.flow_attempts WHERE state_hash"
		" OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT state_hash"
		" FROM oauth_tokens_internal.flow_attempts WHERE expires_at OPERATOR(pg_catalog.<=) $1"
		" FOR UPDATE SKIP LOCKED))",
		{TIMESTAMPTZOID}};
	Datum values[] = {TimestampTzGetDatum(now)};
	return run(statement, values);
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_flow_purge)
{
	PreventCommandIfReadOnly("flow_purge()");
	SPI_connect();
	const TimestampTz now = GetCurrentTimestamp();
	const std::uint64_t purged =
		sweep_all_attempts(now) + sweep_all_links(now) + sweep_all_confirmations(now);
	SPI_finish();
	PG_RETURN_INT64(static_cast<int64>(purged));
}
