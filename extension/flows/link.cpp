#include "flows/link.hpp"

#include "postgres/owner_query.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

void insert_link(const LinkRequest &request, const common::Hash &ticket_hash, TimestampTz now)
{
	static MemberQuery statement = {
		"INSERT INTO oauth_tokens_internal.flow_links (ticket_hash, workspace_id, provider,"
		" actor_type, actor_id, scopes, return_to, confirm, attempt_seconds, created_at,"
		" expires_at, vanishes_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)"};
	run_as_owner(statement,
				 {{BYTEAOID, bytea_datum(ticket_hash)},
				  {UUIDOID, request.identity.workspace_id()},
				  {TEXTOID, request.identity.provider()},
				  {TEXTOID, request.actor_type},
				  {TEXTOID, request.identity.actor_id()},
				  as::text(request.scopes),
				  as::text(request.return_to),
				  as::boolean(request.confirm),
				  as::int4(Min(request.seconds, kMaxAttemptSeconds)),
				  as::timestamptz(now),
				  as::timestamptz(now + static_cast<int64>(request.seconds) * USECS_PER_SEC)});
}

// OFFSET locks what it skips, so the rows are chosen first and locked then.
void trim_links(const LinkRequest &request, TimestampTz now)
{
	static MemberQuery statement = {
		"DELETE FROM oauth_tokens_internal.flow_links WHERE ticket_hash"
		" OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT ticket_hash"
		" FROM oauth_tokens_internal.flow_links WHERE ticket_hash"
		" OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT ticket_hash"
		" FROM oauth_tokens_internal.flow_links"
		" WHERE workspace_id OPERATOR(pg_catalog.=) $1 AND provider OPERATOR(pg_catalog.=) $2"
		" AND actor_type OPERATOR(pg_catalog.=) $3 AND actor_id OPERATOR(pg_catalog.=) $4"
		" AND expires_at OPERATOR(pg_catalog.>) $5"
		" ORDER BY created_at DESC, ticket_hash OFFSET $6)) FOR UPDATE SKIP LOCKED))"};
	run_as_owner(statement, {{UUIDOID, request.identity.workspace_id()},
							 {TEXTOID, request.identity.provider()},
							 {TEXTOID, request.actor_type},
							 {TEXTOID, request.identity.actor_id()},
							 as::timestamptz(now),
							 as::int8(kMaxOpenLinks)});
}

std::uint64_t purge_links(TimestampTz now, int at_most)
{
	static MemberQuery statement = {
		"DELETE FROM oauth_tokens_internal.flow_links WHERE ticket_hash"
		" OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT ticket_hash"
		" FROM oauth_tokens_internal.flow_links WHERE vanishes_at OPERATOR(pg_catalog.<=) $1"
		" ORDER BY vanishes_at LIMIT $2 FOR UPDATE SKIP LOCKED))"};
	return run_as_owner(statement, {as::timestamptz(now), as::int8(at_most)});
}

} // namespace oauth_tokens
