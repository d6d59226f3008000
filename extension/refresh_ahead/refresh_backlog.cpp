// oauth_tokens_internal.refresh_backlog: how far refreshes ahead of time are behind, and
// what else is amiss with a provider's refreshes.

#include "postgres/function.hpp"
#include "postgres/owner_query.hpp"
#include "refresh_ahead/background_index.hpp"
#include "refresh_ahead/due_page.hpp"
#include "refresh_ahead/due_rules.hpp"
#include "schema/owner_boundary.hpp"
#include "schema/row_permission.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
}

namespace oauth_tokens
{

namespace
{

constexpr int kRowsAPage = 2000;
constexpr int kMostRows = 100000;

struct Backlog {
	std::int64_t due;
	TimestampTz oldest; // when the first of them became late, or will; 0: there is none
};

void count(const DueRules &rules, DueBy by, Backlog *backlog)
{
	const TimestampTz now = GetCurrentTimestamp();
	const DueTimes times = due_times(rules, by, now);
	// A token that only keeps its grant alive has expired long before, and is not late yet.
	const bool is_kept_alive = by == DueBy::access_expiry && rules.ahead == 0;
	const TimestampTz grace = is_kept_alive ? rules.keep_alive : 0;
	DueCursor from = before_all_at(times.after);
	for (int read = 0; read < kMostRows; read += kRowsAPage) {
		CHECK_FOR_INTERRUPTS();
		const DuePage page =
			read_due_page(rules.provider, by, from, after_all_at(times.to), kRowsAPage);
		for (int i = 0; i < page.size; i++) {
			const DueToken &token = page.rows[i].token;
			if (!is_due(token, rules, by, now))
				continue;
			backlog->due++;
			const TimestampTz since = token.at + grace;
			if (backlog->oldest == 0 || since < backlog->oldest)
				backlog->oldest = since;
		}
		const bool is_last = page.size < kRowsAPage;
		if (!is_last)
			from = place_of(page.rows[page.size - 1]);
		free_due_page(page);
		if (is_last)
			break;
	}
}

// What is known of each provider without a look at its tokens. A state goes with what was
// stored over an attempt, and a dead grant has no doubt left.
SPITupleTable *find_providers()
{
	static MemberQuery statement = {
		"SELECT r.provider, p.until, COALESCE(d.many, 0)"
		" FROM oauth_tokens_internal.refresh_rules r"
		" LEFT JOIN (SELECT provider, pg_catalog.max(paused_until) AS until"
		" FROM oauth_tokens_internal.refresh_clients GROUP BY 1) p"
		" ON p.provider OPERATOR(pg_catalog.=) r.provider"
		" LEFT JOIN (SELECT pg_catalog.split_part(a.provider, '.', 1) AS provider,"
		" pg_catalog.count(DISTINCT a.token_id) AS many"
		" FROM oauth_tokens_internal.refresh_attempts a"
		" JOIN oauth_tokens_internal.refresh_states s"
		" ON s.token_id OPERATOR(pg_catalog.=) a.token_id"
		" WHERE a.lease_until OPERATOR(pg_catalog.<=) $1"
		" AND s.kind IS DISTINCT FROM 'dead_grant' GROUP BY 1) d"
		" ON d.provider OPERATOR(pg_catalog.=) r.provider ORDER BY 1"};
	run_as_owner(statement, {as::timestamptz(GetCurrentTimestamp())});
	return SPI_tuptable;
}

Backlog count_due(const DueRuleList &list, Datum provider)
{
	Backlog backlog = {};
	for (int i = 0; i < list.size; i++) {
		const DueRules &rules = list.rules[i];
		if (!DatumGetBool(DirectFunctionCall2(byteaeq, rules.provider, provider)))
			continue;
		count(rules, DueBy::access_expiry, &backlog);
		if (rules.keep_alive > 0)
			count(rules, DueBy::grant_end, &backlog);
	}
	return backlog;
}

void put_backlogs(FunctionCallInfo fcinfo, bool can_look)
{
	const auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
	const DueRuleList list = can_look ? read_due_rules(0, true) : DueRuleList{};
	SPITupleTable *providers = find_providers();
	const DuePlans plans = begin_due_plans();
	for (std::uint64_t i = 0; i < providers->numvals; i++) {
		Datum values[5];
		bool nulls[5] = {};
		const auto column = [&](int number, bool *is_null) {
			return SPI_getbinval(providers->vals[i], providers->tupdesc, number, is_null);
		};
		values[0] = column(1, &nulls[0]);
		const Backlog backlog = count_due(list, values[0]);
		values[1] = Int64GetDatum(backlog.due);
		values[2] = TimestampTzGetDatum(backlog.oldest);
		nulls[2] = backlog.oldest == 0;
		values[3] = column(2, &nulls[3]);
		values[4] = column(3, &nulls[4]);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	end_due_plans(plans);
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_refresh_backlog)
{
	InitMaterializedSRF(fcinfo, 0);
	const TokenTable &table = use_tables(Use::read);
	SPI_connect();
	put_backlogs(fcinfo, has_background_indexes(table) && !row_security_applies(table));
	SPI_finish();
	PG_RETURN_NULL();
}
