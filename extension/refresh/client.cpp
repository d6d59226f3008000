#include "refresh/client.hpp"

#include "postgres/owner_query.hpp"
#include "schema/row_permission.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

// So many in a row, none ten minutes after the one before, are no matter of one token.
constexpr int kFailuresInARow = 10;
constexpr int kDeadGrantsInARow = 20;
constexpr TimestampTz kBurst = 600 * USECS_PER_SEC;
// Each pause is twice as long as the one before. A fault of configuration, which somebody
// must set right, pauses for up to an hour.
constexpr TimestampTz kFirstPause = 30 * USECS_PER_SEC;
constexpr TimestampTz kLongestPause = 600 * USECS_PER_SEC;
constexpr int kMostPauses = 8;

struct Record {
	int failures;
	int dead_grants;
	int pauses;
	bool was_paused; // and nothing has succeeded since
	TimestampTz updated_at;
};

bool speaks_for_clients()
{
	return !row_security_applies(token_table()) ||
		   compat::may_execute(internal_function("publish_refresh_rules", JSONBOID), GetUserId());
}

Record lock_record(const RefreshClient &client, TimestampTz now)
{
	static MemberQuery statement = {
		"INSERT INTO oauth_tokens_internal.refresh_clients AS c (provider, client_id, updated_at)"
		" VALUES (pg_catalog.split_part($1, '.', 1), $2, $3)"
		" ON CONFLICT (provider, client_id) DO UPDATE SET updated_at = c.updated_at"
		" RETURNING failures, dead_grants, pauses, paused_until IS NOT NULL, updated_at"};
	run_as_owner(statement,
				 {{TEXTOID, client.provider}, {TEXTOID, client.client_id}, as::timestamptz(now)});
	return {DatumGetInt32(returned(1)), DatumGetInt32(returned(2)), DatumGetInt32(returned(3)),
			DatumGetBool(returned(4)), DatumGetTimestampTz(returned(5))};
}

// ON CONFLICT locks the row also if nothing is to be written, and all refreshes of a client
// would wait there for each other's commit.
bool is_known_to_succeed(const RefreshClient &client, bool rotated)
{
	static MemberQuery statement = {
		"SELECT FROM oauth_tokens_internal.refresh_clients"
		" WHERE provider OPERATOR(pg_catalog.=) pg_catalog.split_part($1, '.', 1)"
		" AND client_id OPERATOR(pg_catalog.=) $2 AND failures OPERATOR(pg_catalog.=) 0"
		" AND dead_grants OPERATOR(pg_catalog.=) 0 AND paused_until IS NULL"
		" AND rotates OPERATOR(pg_catalog.=) $3"};
	return look_as_owner(
			   statement,
			   {{TEXTOID, client.provider}, {TEXTOID, client.client_id}, as::boolean(rotated)}) > 0;
}

} // namespace

Datum client_name(std::string_view client_id)
{
	constexpr int kMostBytes = 512;
	const int size = static_cast<int>(client_id.size());
	if (size <= kMostBytes)
		return PointerGetDatum(cstring_to_text_with_len(client_id.data(), size));
	const std::uint64_t hash =
		hash_bytes_extended(reinterpret_cast<const unsigned char *>(client_id.data()), size, 0);
	return PointerGetDatum(
		cstring_to_text(psprintf("%.*s~%016llx", pg_mbcliplen(client_id.data(), size, kMostBytes),
								 client_id.data(), static_cast<unsigned long long>(hash))));
}

TimestampTz client_pause(const RefreshClient &client, TimestampTz now, TimestampTz lease_until,
						 const text **reason)
{
	static MemberQuery find = {
		"SELECT paused_until, reason FROM oauth_tokens_internal.refresh_clients"
		" WHERE provider OPERATOR(pg_catalog.=) pg_catalog.split_part($1, '.', 1)"
		" AND client_id OPERATOR(pg_catalog.=) $2 AND paused_until IS NOT NULL"};
	// The first one after a pause tries whether it is over, alone.
	static MemberQuery probe = {
		"UPDATE oauth_tokens_internal.refresh_clients SET paused_until = $4"
		" WHERE provider OPERATOR(pg_catalog.=) pg_catalog.split_part($1, '.', 1)"
		" AND client_id OPERATOR(pg_catalog.=) $2 AND paused_until OPERATOR(pg_catalog.<=) $3"};
	if (run_as_owner(find, {{TEXTOID, client.provider}, {TEXTOID, client.client_id}}) == 0)
		return 0;
	const TimestampTz until = DatumGetTimestampTz(returned(1));
	*reason = returned_text(2);
	if (until > now)
		return until;
	if (!speaks_for_clients())
		return 0; // nobody shall wait for what it finds out
	return run_as_owner(probe, {{TEXTOID, client.provider},
								{TEXTOID, client.client_id},
								as::timestamptz(now),
								as::timestamptz(lease_until)}) > 0
			   ? 0
			   : lease_until;
}

void client_succeeded(const RefreshClient &client, bool rotated, TimestampTz now)
{
	static MemberQuery statement = {
		"INSERT INTO oauth_tokens_internal.refresh_clients AS c (provider, client_id, rotates,"
		" updated_at) VALUES (pg_catalog.split_part($1, '.', 1), $2, $3, $4)"
		" ON CONFLICT (provider, client_id) DO UPDATE SET failures = 0, dead_grants = 0,"
		" pauses = 0, paused_until = NULL, reason = NULL, rotates = $3, updated_at = $4"
		" WHERE c.failures OPERATOR(pg_catalog.>) 0 OR c.dead_grants OPERATOR(pg_catalog.>) 0"
		" OR c.paused_until IS NOT NULL OR c.rotates IS DISTINCT FROM $3"};
	if (!speaks_for_clients() || is_known_to_succeed(client, rotated))
		return;
	run_as_owner(statement, {{TEXTOID, client.provider},
							 {TEXTOID, client.client_id},
							 as::boolean(rotated),
							 as::timestamptz(now)});
}

bool client_failed(const RefreshClient &client, ClientFailure failure, const text *reason,
				   TimestampTz now)
{
	static MemberQuery statement = {
		"UPDATE oauth_tokens_internal.refresh_clients SET failures = $3, dead_grants = $4,"
		" pauses = $5, paused_until = CASE WHEN $6 THEN $7 END,"
		" reason = CASE WHEN $6 THEN $8 END, updated_at = $9"
		" WHERE provider OPERATOR(pg_catalog.=) pg_catalog.split_part($1, '.', 1)"
		" AND client_id OPERATOR(pg_catalog.=) $2"};
	if (!speaks_for_clients())
		return false;
	Record record = lock_record(client, now);
	// A pause may be longer than the time that ends a burst.
	if (!record.was_paused && now - record.updated_at > kBurst)
		record.failures = record.dead_grants = 0;
	record.failures += failure == ClientFailure::transient;
	record.dead_grants += failure == ClientFailure::dead_grant;
	// Who says of a grant that it is dead is there, and knows the client.
	const bool answers =
		failure == ClientFailure::dead_grant && record.dead_grants < kDeadGrantsInARow;
	if (answers)
		record.failures = record.pauses = 0;
	const bool pause =
		!answers && (record.was_paused || failure == ClientFailure::configuration ||
					 record.failures >= kFailuresInARow || record.dead_grants >= kDeadGrantsInARow);
	const TimestampTz longest =
		failure == ClientFailure::configuration ? kLongestPause * 6 : kLongestPause;
	const TimestampTz length = Min(kFirstPause << record.pauses, longest);
	if (pause)
		record.pauses = Min(record.pauses + 1, kMostPauses);
	run_as_owner(statement, {{TEXTOID, client.provider},
							 {TEXTOID, client.client_id},
							 as::int4(record.failures),
							 as::int4(record.dead_grants),
							 as::int4(record.pauses),
							 as::boolean(pause),
							 as::timestamptz(now + length),
							 as::text(reason),
							 as::timestamptz(now)});
	return failure == ClientFailure::configuration ||
		   (failure == ClientFailure::dead_grant && record.dead_grants >= kDeadGrantsInARow);
}

bool keeps_refresh_tokens(const RefreshClient &client)
{
	static MemberQuery statement = {
		"SELECT rotates FROM oauth_tokens_internal.refresh_clients"
		" WHERE provider OPERATOR(pg_catalog.=) pg_catalog.split_part($1, '.', 1)"
		" AND client_id OPERATOR(pg_catalog.=) $2 AND rotates IS NOT NULL"};
	return run_as_owner(statement, {{TEXTOID, client.provider}, {TEXTOID, client.client_id}}) > 0 &&
		   !DatumGetBool(returned(1));
}

} // namespace oauth_tokens
