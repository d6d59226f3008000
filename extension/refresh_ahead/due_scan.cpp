#include "refresh_ahead/due_scan.hpp"

#include "postgres/owner_query.hpp"
#include "refresh_ahead/due_clients.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
}

namespace oauth_tokens
{

DueScan read_scan(const DueRules &rules, DueBy by)
{
	static MemberQuery<2> statement = {
		"SELECT waiting_time, waiting_id, recent_time, recent_id"
		" FROM oauth_tokens_internal.refresh_scans WHERE provider OPERATOR(pg_catalog.=) $1"
		" AND kind OPERATOR(pg_catalog.=) $2",
		{TEXTOID, TEXTOID}};
	Datum values[] = {rules.provider, kind_of(by)};
	DueScan scan = {};
	if (run_as_owner(statement, values) == 0)
		return scan;
	for (int i = 0; i < 2; i++) {
		bool is_null;
		const Datum time = returned(2 * i + 1, &is_null);
		if (!is_null)
			(i == 0 ? scan.waiting : scan.recent) =
				DueCursor{DatumGetTimestampTz(time), *DatumGetUUIDP(returned(2 * i + 2))};
	}
	return scan;
}

void write_scan(const DueRules &rules, DueBy by, const DueScan &scan)
{
	static MemberQuery<6> statement = {
		"INSERT INTO oauth_tokens_internal.refresh_scans VALUES ($1, $2, $3, $4, $5, $6)"
		" ON CONFLICT (provider, kind) DO UPDATE SET waiting_time = $3, waiting_id = $4,"
		" recent_time = $5, recent_id = $6",
		{TEXTOID, TEXTOID, TIMESTAMPTZOID, UUIDOID, TIMESTAMPTZOID, UUIDOID}};
	Datum values[] = {rules.provider,
					  kind_of(by),
					  TimestampTzGetDatum(scan.waiting.time),
					  UUIDPGetDatum(&scan.waiting.id),
					  TimestampTzGetDatum(scan.recent.time),
					  UUIDPGetDatum(&scan.recent.id)};
	char nulls[] = "      ";
	if (scan.waiting.time == 0)
		nulls[2] = nulls[3] = 'n';
	if (scan.recent.time == 0)
		nulls[4] = nulls[5] = 'n';
	run_as_owner(statement, values, nulls);
}

} // namespace oauth_tokens
