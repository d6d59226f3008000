// oauth_tokens_internal.refresh_backlog: how far refreshes ahead of time are behind.

#include "flow/permission.hpp"
#include "function.hpp"
#include "owner_boundary.hpp"
#include "refresh/background_index.hpp"
#include "refresh/due_page.hpp"
#include "refresh/due_rule_list.hpp"
#include "refresh/member_statement.hpp"

namespace oauth_tokens
{

namespace
{

constexpr int kRowsAPage = 2000;
constexpr int kMostRows = 100000;

struct Backlog {
	std::int64_t due;
	TimestampTz oldest; // 0: there is none
};

void count(const DueRules &rules, DueBy by, Backlog *backlog)
{
	const TimestampTz now = GetCurrentTimestamp();
	const DueTimes times = due_times(rules, by, now);
	DuePlace from = before_all_at(times.after);
	for (int read = 0; read < kMostRows; read += kRowsAPage) {
		CHECK_FOR_INTERRUPTS();
		const DuePage page =
			read_due_page(rules.provider, by, from, after_all_at(times.to), kRowsAPage);
		for (int i = 0; i < page.size; i++) {
			const DueToken &token = page.rows[i].token;
			if (!is_due(token, rules, by, now))
				continue;
			backlog->due++;
			const bool is_time = token.expires && !TIMESTAMP_NOT_FINITE(token.expires_at);
			const TimestampTz since = is_time ? token.expires_at : token.at;
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

TimestampTz longest_pause(Datum provider)
{
	static FlowStatement<1> statement = {
		"SELECT pg_catalog.max(paused_until) FROM oauth_tokens_internal.refresh_clients"
		" WHERE provider OPERATOR(pg_catalog.=) $1",
		{TEXTOID}};
	Datum values[] = {provider};
	run_as_owner(statement, values);
	bool is_null;
	const Datum until = returned(1, &is_null);
	return is_null ? 0 : DatumGetTimestampTz(until);
}

void put_time(TimestampTz time, Datum *value, bool *is_null)
{
	*value = TimestampTzGetDatum(time);
	*is_null = time == 0;
}

void put_backlogs(FunctionCallInfo fcinfo, bool can_look)
{
	const auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
	const DueRuleList list = read_due_rules(0, true);
	const DuePlans plans = begin_due_plans();
	for (int i = 0; i < list.size; i++) {
		const DueRules &rules = list.rules[i];
		Backlog backlog = {};
		if (can_look)
			count(rules, DueBy::access_expiry, &backlog);
		if (can_look && rules.keep_alive > 0)
			count(rules, DueBy::grant_end, &backlog);
		Datum values[4] = {rules.provider, Int64GetDatum(backlog.due)};
		bool nulls[4] = {};
		put_time(backlog.oldest, &values[2], &nulls[2]);
		put_time(longest_pause(rules.provider), &values[3], &nulls[3]);
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
