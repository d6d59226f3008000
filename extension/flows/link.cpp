#include "flows/link.hpp"

#include "postgres/member_query.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

Datum after(TimestampTz now, int seconds)
{
	return TimestampTzGetDatum(now + static_cast<int64>(seconds) * USECS_PER_SEC);
}

} // namespace

void insert_link(const LinkRequest &request, const flow::Hash &ticket_hash, TimestampTz now)
{
	static MemberQuery<11> statement = {
		"INSERT INTO oauth_tokens_internal.flow_links (ticket_hash, workspace_id, provider,"
		" actor_type, actor_id, scopes, return_to, confirm, attempt_seconds, created_at,"
		" expires_at, vanishes_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)",
		{BYTEAOID, UUIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, BOOLOID, INT4OID,
		 TIMESTAMPTZOID, TIMESTAMPTZOID}};
	Datum values[] = {bytea_datum(ticket_hash),
					  request.identity.workspace_id(),
					  request.identity.provider(),
					  request.actor_type,
					  request.identity.actor_id(),
					  PointerGetDatum(request.scopes),
					  PointerGetDatum(request.return_to),
					  BoolGetDatum(request.confirm),
					  Int32GetDatum(Min(request.seconds, kMaxAttemptSeconds)),
					  TimestampTzGetDatum(now),
					  after(now, request.seconds)};
	char nulls[] = "           ";
	static_assert(sizeof nulls == lengthof(values) + 1);
	nulls[5] = request.scopes == nullptr ? 'n' : ' ';
	nulls[6] = request.return_to == nullptr ? 'n' : ' ';
	run(statement, values, nulls);
}

// OFFSET locks what it skips, so the rows are chosen first and locked then.
void trim_links(const LinkRequest &request, TimestampTz now)
{
	static MemberQuery<6> statement = {
		"DELETE FROM oauth_tokens_internal.flow_links WHERE ticket_hash"
		" OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT ticket_hash"
		" FROM oauth_tokens_internal.flow_links WHERE ticket_hash"
		" OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT ticket_hash"
		" FROM oauth_tokens_internal.flow_links"
		" WHERE workspace_id OPERATOR(pg_catalog.=) $1 AND provider OPERATOR(pg_catalog.=) $2"
		" AND actor_type OPERATOR(pg_catalog.=) $3 AND actor_id OPERATOR(pg_catalog.=) $4"
		" AND expires_at OPERATOR(pg_catalog.>) $5"
		" ORDER BY created_at DESC, ticket_hash OFFSET $6)) FOR UPDATE SKIP LOCKED))",
		{UUIDOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, INT8OID}};
	Datum values[] = {
		request.identity.workspace_id(), request.identity.provider(), request.actor_type,
		request.identity.actor_id(),     TimestampTzGetDatum(now),    Int64GetDatum(kMaxOpenLinks)};
	run(statement, values);
}

std::uint64_t purge_links(TimestampTz now, int at_most)
{
	static MemberQuery<2> statement = {
		"DELETE FROM oauth_tokens_internal.flow_links WHERE ticket_hash"
		" OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT ticket_hash"
		" FROM oauth_tokens_internal.flow_links WHERE vanishes_at OPERATOR(pg_catalog.<=) $1"
		" ORDER BY vanishes_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
		{TIMESTAMPTZOID, INT8OID}};
	Datum values[] = {TimestampTzGetDatum(now), Int64GetDatum(at_most)};
	return run(statement, values);
}

} // namespace oauth_tokens
