#include "refresh_ahead/due_rule_list.hpp"

#include "postgres/owner_query.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
}

namespace oauth_tokens
{

namespace
{

// A refresh that ends the access token is never made early.
constexpr const char *kStatement =
	"SELECT provider, kills_access, rotation OPERATOR(pg_catalog.=) ANY ('{none,until_used}'),"
	" CASE WHEN kills_access THEN 0 ELSE pg_catalog.date_part('epoch', ahead) END,"
	" pg_catalog.date_part('epoch', keep_alive), per_second"
	" FROM oauth_tokens_internal.refresh_rules"
	" WHERE (NOT kills_access AND ahead OPERATOR(pg_catalog.>) '0'"
	" OR keep_alive OPERATOR(pg_catalog.>) '0')"
	" AND ($1 IS NULL OR provider OPERATOR(pg_catalog.=) ANY ($1))"
	" ORDER BY pg_catalog.random()";

TimestampTz microseconds(Datum seconds)
{
	return static_cast<TimestampTz>(DatumGetFloat8(seconds)) * USECS_PER_SEC;
}

} // namespace

DueRuleList read_due_rules(Datum providers, bool all)
{
	static MemberQuery statement = {kStatement};
	const auto size = static_cast<int>(run_as_owner(statement, {{TEXTARRAYOID, providers, all}}));
	SPITupleTable *found = SPI_tuptable;
	DueRuleList list = {static_cast<DueRules *>(palloc0(sizeof(DueRules) * Max(size, 1))), size};
	for (int i = 0; i < size; i++) {
		bool is_null;
		const auto column = [&](int number) {
			return SPI_getbinval(found->vals[i], found->tupdesc, number, &is_null);
		};
		list.rules[i] = {column(1),
						 DatumGetBool(column(2)),
						 DatumGetBool(column(3)),
						 microseconds(column(4)),
						 microseconds(column(5)),
						 DatumGetFloat8(column(6))};
	}
	return list;
}

} // namespace oauth_tokens
