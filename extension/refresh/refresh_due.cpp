// oauth_tokens_internal.refresh_due: which tokens a sidecar refreshes now though nobody
// asks. Each look reads a few rows, whatever waits in the table; and what was handed out is
// out of the way as soon as oauth_refresh_begin() was called for it.

#include <algorithm>

#include "flow/permission.hpp"
#include "function.hpp"
#include "owner_boundary.hpp"
#include "refresh/background_index.hpp"
#include "refresh/client_credit.hpp"
#include "refresh/cluster.hpp"
#include "refresh/due_page.hpp"
#include "refresh/due_rule_list.hpp"
#include "refresh/member_statement.hpp"

namespace oauth_tokens
{

namespace
{

// Of a look: some 2 ms, and 1 ms where it reads again. What is passed waits for minutes.
constexpr int kRowsOn = 500;
constexpr int kRowsAgain = 200;
constexpr int kMostClients = 32; // that a look tells apart
constexpr std::uint16_t kLookLock = 1;

// What is kept of looks: table refresh_scans. Place 0 of time is none.
struct Scan {
	DuePlace passed; // up to here all that is there waits
	DuePlace again;  // from here on it is read once more
};

struct Look {
	FunctionCallInfo fcinfo;
	TimestampTz now;
	const DueRules *rules;
	DueBy by;
	std::int64_t wanted; // of this provider
	ClientCredit clients[kMostClients];
	int client_count;
};

Datum name_of(DueBy by)
{
	return CStringGetTextDatum(by == DueBy::grant_end ? "grant" : "access");
}

Scan read_scan(const Look &look)
{
	static FlowStatement<2> statement = {
		"SELECT passed_time, passed_id, again_time, again_id"
		" FROM oauth_tokens_internal.refresh_scans WHERE provider OPERATOR(pg_catalog.=) $1"
		" AND kind OPERATOR(pg_catalog.=) $2",
		{TEXTOID, TEXTOID}};
	Datum values[] = {look.rules->provider, name_of(look.by)};
	Scan scan = {};
	if (run_as_owner(statement, values) == 0)
		return scan;
	for (int i = 0; i < 2; i++) {
		bool is_null;
		DuePlace &place = i == 0 ? scan.passed : scan.again;
		const Datum time = returned(2 * i + 1, &is_null);
		if (!is_null)
			place = {DatumGetTimestampTz(time), *DatumGetUUIDP(returned(2 * i + 2))};
	}
	return scan;
}

void write_scan(const Look &look, const Scan &scan)
{
	static FlowStatement<6> statement = {
		"INSERT INTO oauth_tokens_internal.refresh_scans VALUES ($1, $2, $3, $4, $5, $6)"
		" ON CONFLICT (provider, kind) DO UPDATE SET passed_time = $3, passed_id = $4,"
		" again_time = $5, again_id = $6",
		{TEXTOID, TEXTOID, TIMESTAMPTZOID, UUIDOID, TIMESTAMPTZOID, UUIDOID}};
	Datum values[] = {look.rules->provider,
					  name_of(look.by),
					  TimestampTzGetDatum(scan.passed.time),
					  UUIDPGetDatum(&scan.passed.id),
					  TimestampTzGetDatum(scan.again.time),
					  UUIDPGetDatum(&scan.again.id)};
	char nulls[] = "      ";
	if (scan.passed.time == 0)
		nulls[2] = nulls[3] = 'n';
	if (scan.again.time == 0)
		nulls[4] = nulls[5] = 'n';
	run_as_owner(statement, values, nulls);
}

// Null where too many clients were met already: their tokens wait for the next look.
ClientCredit *credit_of(Look &look, Datum client_id)
{
	const text *wanted = DatumGetTextPP(client_id);
	for (int i = 0; i < look.client_count; i++) {
		const text *known = DatumGetTextPP(look.clients[i].client.client_id);
		if (VARSIZE_ANY_EXHDR(known) == VARSIZE_ANY_EXHDR(wanted) &&
			memcmp(VARDATA_ANY(known), VARDATA_ANY(wanted), VARSIZE_ANY_EXHDR(wanted)) == 0)
			return &look.clients[i];
	}
	if (look.client_count == kMostClients)
		return nullptr;
	const RefreshClient client = {look.rules->provider, client_id};
	look.clients[look.client_count] = find_credit(client, look.rules->per_second, look.now);
	return &look.clients[look.client_count++];
}

void hand_out(const Look &look, const DueRow &row)
{
	const auto *result = reinterpret_cast<ReturnSetInfo *>(look.fcinfo->resultinfo);
	const bool is_ahead = look.by == DueBy::access_expiry;
	auto *min_ttl = static_cast<Interval *>(palloc0(sizeof(Interval)));
	min_ttl->time = is_ahead ? look.rules->ahead : 0;
	const bool is_valid = !row.token.expires || row.token.expires_at > look.now;
	Datum values[] = {row.workspace_id,
					  row.provider,
					  row.actor_type,
					  row.actor_id,
					  IntervalPGetDatum(min_ttl),
					  BoolGetDatum(!is_ahead && is_valid)};
	bool nulls[lengthof(values)] = {};
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

enum class Met { handed_out, waits, waits_long, spent };

Met meet(Look &look, const DueRow &row)
{
	switch (is_due(row.token, *look.rules, look.by, look.now)) {
	case Due::after_a_wait:
		return Met::waits_long;
	case Due::soon:
		return Met::waits;
	case Due::now:
		break;
	}
	ClientCredit *credit = credit_of(look, row.client_id);
	if (credit == nullptr || credit->is_paused)
		return Met::waits;
	if (look.wanted == 0 || credit->credit < 1)
		return Met::spent;
	credit->credit -= 1;
	credit->is_spent = true;
	look.wanted--;
	hand_out(look, row);
	return Met::handed_out;
}

// Tokens in order, from where not all of them wait. Those with which it begins and that
// wait for long are passed.
DuePlace read_on(Look &look, DuePlace from, const DuePlace &to)
{
	const DuePage page = read_due_page(look.rules->provider, look.by, from, to, kRowsOn);
	bool is_passing = true;
	for (int i = 0; i < page.size; i++) {
		const Met met = meet(look, page.rows[i]);
		if (met == Met::spent)
			break;
		is_passing = is_passing && met == Met::waits_long;
		if (is_passing)
			from = place_of(page.rows[i]);
	}
	return from;
}

// Some of those that were passed. Returns from where the next look does the same.
DuePlace read_again(Look &look, DuePlace from, const DuePlace &to)
{
	const DuePage page = read_due_page(look.rules->provider, look.by, from, to, kRowsAgain);
	for (int i = 0; i < page.size; i++) {
		if (meet(look, page.rows[i]) == Met::spent)
			return from;
		from = place_of(page.rows[i]);
	}
	return page.size < kRowsAgain ? DuePlace{} : from;
}

bool is_same(const DuePlace &one, const DuePlace &other)
{
	return !is_before(one, other) && !is_before(other, one);
}

void look_by(Look &look, DueBy by)
{
	look.by = by;
	const DueTimes times = due_times(*look.rules, by, look.now);
	const DuePlace first = before_all_at(times.after);
	const DuePlace last = after_all_at(times.to);
	const Scan before = read_scan(look);
	Scan scan = before;
	// Rules may have changed.
	if (is_before(scan.passed, first) || is_before(last, scan.passed))
		scan = {};
	const bool has_passed = scan.passed.time != 0;
	const DuePlace passed = has_passed ? scan.passed : first;
	const DuePlace on = read_on(look, passed, last);
	if (is_before(first, on))
		scan.passed = on;
	if (has_passed)
		scan.again = read_again(look, is_before(first, scan.again) ? scan.again : first, passed);
	if (!is_same(scan.passed, before.passed) || !is_same(scan.again, before.again))
		write_scan(look, scan);
}

void look_at(Look &look)
{
	look_by(look, DueBy::access_expiry);
	if (look.rules->keep_alive > 0)
		look_by(look, DueBy::grant_end);
	for (int i = 0; i < look.client_count; i++)
		save_credit(look.clients[i], look.now);
}

// Until the transaction ends. Two that look at the same time would find the same.
bool lock_looks()
{
	LOCKTAG tag;
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, ExtensionRelationId,
					   get_extension_oid("oauth_tokens", false), kLookLock);
	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

// Providers in any order, since the first might leave nothing to the others.
void look_at_all(FunctionCallInfo fcinfo, std::int64_t wanted)
{
	const DueRuleList list = read_due_rules(PG_GETARG_DATUM(1), PG_ARGISNULL(1));
	const DuePlans plans = begin_due_plans();
	for (int i = 0; i < list.size; i++) {
		Look look = {};
		look.fcinfo = fcinfo;
		look.now = GetCurrentTimestamp();
		look.rules = &list.rules[i];
		const std::int64_t share = (wanted + list.size - i - 1) / (list.size - i);
		look.wanted = share;
		look_at(look);
		wanted -= share - look.wanted;
	}
	end_due_plans(plans);
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_refresh_due)
{
	PreventCommandIfReadOnly("refresh_due()");
	refuse_null_argument(fcinfo, 0, "max_rows");
	if (PG_GETARG_INT64(0) < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("max_rows must not be negative")));
	InitMaterializedSRF(fcinfo, 0);
	const TokenTable &table = use_tables(Use::read);
	// Policies would have all rows read, and hide others' anyway.
	if (!has_background_indexes(table) || row_security_applies(table))
		PG_RETURN_NULL();
	SPI_connect();
	check_cluster();
	if (lock_looks())
		look_at_all(fcinfo, PG_GETARG_INT64(0));
	SPI_finish();
	PG_RETURN_NULL();
}
