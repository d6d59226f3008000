// oauth_tokens_internal.refresh_purge(): what is kept of refreshes and says nothing any more.

#include "postgres/function.hpp"
#include "postgres/owner_query.hpp"
#include "schema/owner_boundary.hpp"
#include "schema/row_permission.hpp"
#include "tokens/table_query.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

constexpr int kRowsACall = 5000;

// Ids that may be of tokens that are gone: an answer may still come, or lie in a spool file,
// for a day.
Datum find_candidates()
{
	static MemberQuery statement = {
		"SELECT ARRAY(SELECT c.token_id FROM (SELECT token_id FROM"
		" oauth_tokens_internal.refresh_states WHERE GREATEST(lease_until, since, next_attempt_at)"
		" OPERATOR(pg_catalog.<) $1 UNION SELECT token_id FROM"
		" oauth_tokens_internal.refresh_attempts WHERE began_at OPERATOR(pg_catalog.<) $1) c"
		" LIMIT $2)"};
	const TimestampTz day_ago = GetCurrentTimestamp() - SECS_PER_DAY * USECS_PER_SEC;
	run_as_owner(statement, {as::timestamptz(day_ago), as::int8(kRowsACall)});
	return PointerGetDatum(PG_DETOAST_DATUM_COPY(returned(1)));
}

// With the caller's rights.
Datum find_gone(Datum candidates)
{
	static PlanCache kept;
	const TokenTable &table = use_tables(Use::read);
	run_on_tables(
		kept, table,
		[&] {
			return psprintf("SELECT ARRAY(SELECT c.id FROM pg_catalog.unnest($1) c (id)"
							" WHERE NOT EXISTS (SELECT FROM %s t"
							" WHERE t.id OPERATOR(pg_catalog.=) c.id))",
							table.name);
		},
		SpiParameters({{UUIDARRAYOID, candidates}}), SPI_OK_SELECT);
	return PointerGetDatum(PG_DETOAST_DATUM_COPY(returned(1)));
}

int64 delete_gone(Datum gone)
{
	static MemberQuery states = {"DELETE FROM oauth_tokens_internal.refresh_states WHERE token_id"
								 " OPERATOR(pg_catalog.=) ANY ($1)"};
	static MemberQuery attempts = {
		"DELETE FROM oauth_tokens_internal.refresh_attempts WHERE token_id"
		" OPERATOR(pg_catalog.=) ANY ($1)"};
	const std::uint64_t deleted = run_as_owner(states, {{UUIDARRAYOID, gone}});
	return static_cast<int64>(deleted + run_as_owner(attempts, {{UUIDARRAYOID, gone}}));
}

// Deletes clients without recent reports. A burst ends in minutes, the rate recovers in seconds,
// and that refresh tokens rotate is the default. A pause, and the fact that they do not rotate,
// are kept for a month; the next refresh finds them out again.
int64 delete_quiet_clients()
{
	static MemberQuery statement = {
		"DELETE FROM oauth_tokens_internal.refresh_clients WHERE ctid OPERATOR(pg_catalog.=)"
		" ANY (ARRAY(SELECT c.ctid FROM oauth_tokens_internal.refresh_clients c WHERE"
		" GREATEST(c.updated_at, c.credit_at, c.paused_until) OPERATOR(pg_catalog.<)"
		" CASE WHEN c.paused_until IS NULL AND c.rotates IS DISTINCT FROM false"
		" THEN $1 ELSE $2 END LIMIT $3 FOR UPDATE SKIP LOCKED))"};
	const TimestampTz now = GetCurrentTimestamp();
	constexpr TimestampTz kDay = SECS_PER_DAY * USECS_PER_SEC;
	return static_cast<int64>(
		run_as_owner(statement, {as::timestamptz(now - kDay), as::timestamptz(now - 30 * kDay),
								 as::int8(kRowsACall)}));
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

// Tokens that a policy hides are not gone.
OAUTH_FUNCTION(oauth_refresh_purge)
{
	PreventCommandIfReadOnly("refresh_purge()");
	if (row_security_applies(use_tables(Use::read)))
		PG_RETURN_INT64(0);
	SPI_connect();
	const int64 deleted = delete_gone(find_gone(find_candidates())) + delete_quiet_clients();
	SPI_finish();
	PG_RETURN_INT64(deleted);
}
