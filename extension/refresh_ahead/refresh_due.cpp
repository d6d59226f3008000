// oauth_tokens_internal.refresh_due: which tokens a sidecar refreshes now though nobody
// asks. Each look reads a few rows, whatever waits in the table; and what was handed out is
// out of the way as soon as oauth_refresh_begin() was called for it.

#include "fresh_token/waited_row.hpp"
#include "postgres/function.hpp"
#include "postgres/owner_query.hpp"
#include "refresh/cluster.hpp"
#include "refresh_ahead/background_index.hpp"
#include "refresh_ahead/due_clients.hpp"
#include "refresh_ahead/due_rules.hpp"
#include "schema/owner_boundary.hpp"
#include "schema/row_permission.hpp"

extern "C" {
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "storage/lock.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"
}

namespace oauth_tokens
{

namespace
{

// What a look reads, whatever waits in the table: in the order of its parts, backlogs of
// clients first. All that is there is read by looks one after the other.
constexpr int kBacklogRows = 250; // of one client, or of those that stand there, too
constexpr int kBacklogs = 2;
constexpr int kWaitingRows = 300;
constexpr int kRecentRows = 500;
constexpr int kMostRows = kBacklogs * kBacklogRows + kWaitingRows + kRecentRows;
constexpr std::uint16_t kLookLock = 1;

struct Look {
	FunctionCallInfo fcinfo;
	const TokenTable *table;
	TimestampTz now;
	const DueRules *rules;
	std::int64_t wanted; // of this provider
	DueClients clients;
	pg_uuid_t *handed_out;
	int count; // of these
};

void put_row(const Look &look, const DueRow &row)
{
	const auto *result = reinterpret_cast<ReturnSetInfo *>(look.fcinfo->resultinfo);
	const bool is_ahead = look.clients.by == DueBy::access_expiry;
	auto *min_ttl = static_cast<Interval *>(palloc0(sizeof(Interval)));
	min_ttl->time = is_ahead ? look.rules->ahead : 0;
	const bool is_valid = !row.token.expires || row.token.expires_at > look.now;
	Datum values[] = {row.identity.workspace_id(),
					  row.identity.provider(),
					  row.actor_type,
					  row.identity.actor_id(),
					  IntervalPGetDatum(min_ttl),
					  BoolGetDatum(!is_ahead && is_valid)};
	bool nulls[lengthof(values)] = {};
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

bool is_handed_out(const Look &look, const DueRow &row)
{
	for (int i = 0; i < look.count; i++)
		if (memcmp(&look.handed_out[i], &row.token.id, UUID_LEN) == 0)
			return true;
	return false;
}

// What oauth_refresh_begin() could not take up costs its client nothing.
void hand_out(Look &look, DueClient &client, const DueRow &row)
{
	if (is_handed_out(look, row) || !can_be_begun(*look.table, row.identity))
		return;
	client.credit.credit -= 1;
	client.credit.is_spent = client.is_met = true;
	look.wanted--;
	look.handed_out[look.count++] = row.token.id;
	put_row(look, row);
}

// Behind `before`, which is before all of its backlog that is known, or where this goes on.
void wait(DueClient &client, const DueCursor &before)
{
	if (client.has_backlog && is_before(before, client.from) && client.resume.time == 0)
		client.resume = client.from;
	client.has_backlog = client.is_moved = client.is_met = client.is_stopped = true;
	client.from = before;
}

// `start` of the page, and the place `before` the row.
void meet(Look &look, const DueCursor &start, const DueCursor &before, const DueRow &row)
{
	if (!is_due(row.token, *look.rules, look.clients.by, look.now))
		return;
	DueClient &client = find_client(look.clients, row.client_id);
	const bool is_first = !client.has_backlog || !is_before(client.from, place_of(row));
	const bool goes_on = !client.is_stopped && !is_before(client.from, start);
	if (!is_first && !goes_on)
		return; // others of the client come before it
	if (look.wanted > 0 && client.credit.credit >= 1 && !client.credit.is_paused)
		hand_out(look, client, row);
	else if (!is_handed_out(look, row))
		wait(client, before);
}

// Of those whose backlog goes on here, all up to `end` was handed out, or is not due.
void move_on(DueClients &clients, const DueCursor &start, const DueCursor &end, bool is_all)
{
	for (int i = 0; i < clients.size; i++) {
		DueClient &client = clients.list[i];
		const bool is_few = !client.is_met;
		const bool goes_on = client.has_backlog && !client.is_stopped &&
							 !is_before(client.from, start) && is_before(client.from, end);
		client.is_met = client.is_stopped = false;
		if (!goes_on)
			continue;
		client.from = is_few && is_before(end, client.resume) ? client.resume : end;
		if (!is_before(client.from, client.resume))
			client.resume = {};
		client.has_backlog = !is_all;
		client.is_moved = true;
	}
}

// Returns up to where it has read: `to`, if there is no more. `last`: of all.
DueCursor read_rows(Look &look, const DueCursor &start, const DueCursor &to, const DueCursor &last,
					int limit)
{
	const DuePage page = read_due_page(look.rules->provider, look.clients.by, start, to, limit);
	DueCursor before = start;
	for (int i = 0; i < page.size; i++) {
		meet(look, start, before, page.rows[i]);
		before = place_of(page.rows[i]);
	}
	const DueCursor end = page.size < limit ? to : before;
	move_on(look.clients, start, end, !is_before(end, last));
	free_due_page(page);
	return end;
}

// Rules may have changed.
void keep_between(DueClient &client, const DueCursor &first, const DueCursor &last)
{
	client.has_backlog = is_before(client.from, last);
	client.is_moved = !client.has_backlog || is_before(client.from, first);
	if (!client.is_moved)
		return;
	client.from = first;
	client.resume = {};
}

void read_backlogs(Look &look, const DueCursor &first, const DueCursor &last)
{
	find_waiting_clients(look.clients);
	const int waiting = look.clients.size;
	int pages = 0;
	for (int i = 0; i < waiting * kBacklogs && pages < kBacklogs && look.wanted > 0; i++) {
		DueClient &client = look.clients.list[i % waiting];
		if (!client.has_backlog || client.credit.credit < 1)
			continue;
		keep_between(client, first, last);
		read_rows(look, client.from, last, last, kBacklogRows);
		pages++;
	}
}

// Up to where looks have gone: table refresh_scans. A time of 0: the next look begins anew.
struct DueScan {
	DueCursor waiting;
	DueCursor recent;
};

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
		DueCursor &cursor = i == 0 ? scan.waiting : scan.recent;
		cursor.time = returned_time(2 * i + 1);
		if (cursor.time != 0)
			cursor.id = *DatumGetUUIDP(returned(2 * i + 2));
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

// Some of what stands there, from where the look before has come to.
DueCursor read_part(Look &look, const DueCursor &before, const DueCursor &first,
					const DueCursor &to, const DueCursor &last, int limit)
{
	const bool goes_on = before.time != 0 && is_before(first, before) && is_before(before, to);
	const DueCursor end = read_rows(look, goes_on ? before : first, to, last, limit);
	return is_before(end, to) ? end : DueCursor{};
}

bool is_same(const DueCursor &one, const DueCursor &other)
{
	return !is_before(one, other) && !is_before(other, one);
}

void look_by(Look &look, DueBy by)
{
	look.clients = due_clients(look.rules, by, look.now);
	const DueTimes times = due_times(*look.rules, by, look.now);
	const DueCursor first = before_all_at(times.after);
	const DueCursor recent = after_all_at(times.recent);
	const DueCursor last = after_all_at(times.to);
	read_backlogs(look, first, last);
	const DueScan before = read_scan(*look.rules, by);
	const DueScan scan = {read_part(look, before.waiting, first, recent, last, kWaitingRows),
						  read_part(look, before.recent, recent, last, last, kRecentRows)};
	if (!is_same(scan.waiting, before.waiting) || !is_same(scan.recent, before.recent))
		write_scan(*look.rules, by, scan);
	save_clients(look.clients);
}

void look_at(Look &look)
{
	look.handed_out = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t) * 2 * kMostRows));
	look_by(look, DueBy::access_expiry);
	if (look.rules->keep_alive > 0)
		look_by(look, DueBy::grant_end);
	pfree(look.handed_out);
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
void look_at_all(FunctionCallInfo fcinfo, const TokenTable &table, std::int64_t wanted)
{
	const DueRuleList list = read_due_rules(PG_GETARG_DATUM(1), PG_ARGISNULL(1));
	const DuePlans plans = begin_due_plans();
	for (int i = 0; i < list.size; i++) {
		Look look = {};
		look.fcinfo = fcinfo;
		look.table = &table;
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
		look_at_all(fcinfo, table, PG_GETARG_INT64(0));
	SPI_finish();
	PG_RETURN_NULL();
}
