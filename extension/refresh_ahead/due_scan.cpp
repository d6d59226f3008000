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
	static MemberQuery statement = {
		"SELECT waiting_time, waiting_id, recent_time, recent_id"
		" FROM oauth_tokens_internal.refresh_scans WHERE provider OPERATOR(pg_catalog.=) $1"
		" AND kind OPERATOR(pg_catalog.=) $2"};
	DueScan scan = {};
	if (run_as_owner(statement, {{TEXTOID, rules.provider}, {TEXTOID, kind_of(by)}}) == 0)
		return scan;
	for (int i = 0; i < 2; i++) {
		if (const TimestampTz time = returned_time(2 * i + 1))
			(i == 0 ? scan.waiting : scan.recent) = {time, *DatumGetUUIDP(returned(2 * i + 2))};
	}
	return scan;
}

void write_scan(const DueRules &rules, DueBy by, const DueScan &scan)
{
	static MemberQuery statement = {
		"INSERT INTO oauth_tokens_internal.refresh_scans VALUES ($1, $2, $3, $4, $5, $6)"
		" ON CONFLICT (provider, kind) DO UPDATE SET waiting_time = $3, waiting_id = $4,"
		" recent_time = $5, recent_id = $6"};
	const auto id_of = [](const DueCursor &cursor) {
		return as::uuid(cursor.time == 0 ? nullptr : &cursor.id);
	};
	run_as_owner(statement, {{TEXTOID, rules.provider},
							 {TEXTOID, kind_of(by)},
							 as::timestamptz_or_null(scan.waiting.time),
							 id_of(scan.waiting),
							 as::timestamptz_or_null(scan.recent.time),
							 id_of(scan.recent)});
}

} // namespace oauth_tokens
