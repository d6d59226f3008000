// oauth_fresh_access_token: the access token, after a refresh if it takes one.
// docs/refresh-requests.md.

#include <algorithm>

#include "errors.hpp"
#include "fresh_token/refresh_requests.hpp"
#include "fresh_token/waited_row.hpp"
#include "postgres/function.hpp"
#include "postgres/interval.hpp"
#include "postgres/member_query.hpp"
#include "tokens/access_token.hpp"
#include "tokens/token_codec.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "access/xact.h"
#include "access/xlog.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

// Of libpq/libpq.h, which wants the headers of GSSAPI.
extern bool pq_check_connection(void);
}

namespace oauth_tokens
{

namespace
{

constexpr std::int64_t kLookEvery = 250; // ms: a change notification may be lost

struct Call {
	FunctionCallInfo fcinfo;
	std::uint64_t min_ttl;        // microseconds
	std::int64_t deadline;        // monotonic_milliseconds()
	TimestampTz first_expires_at; // of the row before the wait
	bool is_waiting;
	RefreshTicket ticket;
	RefreshAnswer answer;
	text *token; // null: there is no row any more
};

enum class Step { go_on, done };

// The locks that a look takes are its own: it gives them back, so that nobody holds
// them in a sleep. An error releases them with the transaction.
template <typename Look>
void look(Look body)
{
	ResourceOwner outer = CurrentResourceOwner;
	ResourceOwner ours = ResourceOwnerCreate(outer, "oauth_fresh_access_token");
	CurrentResourceOwner = ours;
	body();
	CurrentResourceOwner = outer;
	ResourceOwnerRelease(ours, RESOURCE_RELEASE_BEFORE_LOCKS, false, false);
	ResourceOwnerRelease(ours, RESOURCE_RELEASE_LOCKS, false, false);
	ResourceOwnerRelease(ours, RESOURCE_RELEASE_AFTER_LOCKS, false, false);
	ResourceOwnerDelete(ours);
}

// The table may be another one each time: nobody locks it between two looks.
Identity find_identity(FunctionCallInfo fcinfo)
{
	return identity_from_arguments(fcinfo, 0, lock_token_table(AccessShareLock));
}

char *describe_identity(const Call &call)
{
	char *description = nullptr;
	look([&] { description = identity_describe(find_identity(call.fcinfo)); });
	return description;
}

[[noreturn]] void raise_needs_reauthorization(const Call &call, const char *reason)
{
	ereport(ERROR, (errcode(ERRCODE_NEEDS_REAUTHORIZATION),
					errmsg("the token needs reauthorization%s%s", reason[0] ? ": " : "", reason),
					errdetail("The token is of %s.", describe_identity(call)),
					errhint("Let the user connect the account again: oauth_authorize_url().")));
	pg_unreachable();
}

[[noreturn]] void raise_no_refresh_token(const char *identity)
{
	ereport(ERROR, (errcode(ERRCODE_NO_REFRESH_TOKEN),
					errmsg("the token cannot be refreshed: there is no refresh token"),
					errdetail("The token is of %s.", identity),
					errhint("oauth_access_token() returns the stored token while it lives. Then "
							"let the user connect the account again.")));
	pg_unreachable();
}

[[noreturn]] void raise_nobody_listens()
{
	ereport(ERROR, (errcode(ERRCODE_NOBODY_LISTENS),
					errmsg("no sidecar is listening for refreshes in this database"),
					errhint("Start oauth-sidecar for it. oauth_access_token() returns the stored "
							"token while it lives.")));
	pg_unreachable();
}

[[noreturn]] void raise_not_refreshed(const char *why)
{
	ereport(ERROR, (errcode(ERRCODE_NOT_REFRESHED), errmsg("the token was not refreshed in time"),
					errdetail("%s", why),
					errhint("Try again later. oauth_access_token() returns the stored token while "
							"it lives.")));
	pg_unreachable();
}

[[noreturn]] void raise_cannot_wait(const char *why, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
					errmsg("this transaction cannot wait for a refresh of the token"),
					errdetail("%s", why), errhint("%s", hint)));
	pg_unreachable();
}

void refuse_where_nobody_can_wait()
{
	if (!can_request_refresh())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("a refresh needs oauth_tokens in shared_preload_libraries"),
						errhint("Add it to the server's configuration and restart the server.")));
	if (RecoveryInProgress())
		ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
						errmsg("a standby cannot refresh a token"),
						errhint("Call oauth_fresh_access_token() on the primary server.")));
	if (IsolationUsesXactSnapshot())
		raise_cannot_wait("Its snapshot would not show the new row.",
						  "Use isolation level READ COMMITTED.");
}

void refuse_own_changes(const TokenTable &table, const WaitedRow &row)
{
	constexpr const char *kHint = "Commit first.";
	if (row.is_ours || (row.is_known && are_details_ours(table, row.id)))
		raise_cannot_wait("It has itself changed or locked the row, and a refresh would wait for "
						  "its end.",
						  kHint);
	if (are_tables_locked_by_us(table))
		raise_cannot_wait("It has locked the table, and a refresh would wait for its end.", kHint);
	if (has_written_clients())
		raise_cannot_wait("It has itself begun or ended a refresh, and another would wait for its "
						  "end.",
						  kHint);
}

// What the row, and the state beside it, say against a wait.
void refuse_hopeless(const Call &call)
{
	RefreshRefusal refusal = {};
	bool is_refused = false;
	look([&] {
		const TokenTable &table = lock_token_table(AccessShareLock);
		const Identity identity = identity_from_arguments(call.fcinfo, 0, table);
		const WaitedRow row = find_waited_row(table, identity);
		refuse_own_changes(table, row);
		if (!row.has_refresh_token)
			raise_no_refresh_token(identity_describe(identity));
		is_refused = find_refusal(row, refusal);
	});
	if (!is_refused)
		return;
	if (refusal.needs_user)
		raise_needs_reauthorization(call, refusal.reason);
	const std::int64_t wait = call.deadline - monotonic_milliseconds();
	if (TimestampDifferenceMilliseconds(GetCurrentTimestamp(), refusal.next_attempt) > wait)
		raise_not_refreshed(psprintf("The last refresh failed: %s.", refusal.reason));
}

// With a new snapshot. A token that was replaced during the wait is taken if it is valid.
Step look_at_row(Call &call)
{
	AccessToken found = {};
	PushActiveSnapshot(GetLatestSnapshot());
	look([&] {
		const Identity identity = find_identity(call.fcinfo);
		found = look_up_access_token(identity, expiry_after(call.min_ttl));
		if (call.is_waiting && found.is_there && found.token == nullptr &&
			found.expires_at != call.first_expires_at)
			found = look_up_access_token(identity, expiry_after(0));
	});
	PopActiveSnapshot();
	if (!call.is_waiting)
		call.first_expires_at = found.expires_at;
	call.token = found.token;
	return found.is_there && found.token == nullptr ? Step::go_on : Step::done;
}

// It is as fresh as it can be: taken if it is valid.
Step take_as_it_is(Call &call)
{
	AccessToken found = {};
	PushActiveSnapshot(GetLatestSnapshot());
	look([&] { found = look_up_access_token(find_identity(call.fcinfo), expiry_after(0)); });
	PopActiveSnapshot();
	call.token = found.token;
	if (found.is_there && found.token == nullptr)
		raise_not_refreshed("The refresh brought a token that has expired.");
	return Step::done;
}

Step follow_answer(Call &call)
{
	if (!read_refresh_answer(call.ticket, static_cast<std::int64_t>(call.min_ttl), call.answer))
		return Step::go_on;
	switch (call.answer.outcome) {
	case RefreshOutcome::needs_reauthorization:
		raise_needs_reauthorization(call, call.answer.reason);
	case RefreshOutcome::no_refresh_token:
		raise_no_refresh_token(describe_identity(call));
	case RefreshOutcome::not_connected:
		raise_not_refreshed("The sidecar does not see the token.");
	case RefreshOutcome::fresh:
		if (call.answer.is_for_all)
			return take_as_it_is(call);
		break;
	case RefreshOutcome::backoff:
		if (call.answer.is_for_all)
			raise_not_refreshed(call.answer.reason[0] ? call.answer.reason
													  : "The last refresh failed.");
		break;
	}
	ask_refresh_again(call.ticket, static_cast<std::int64_t>(call.min_ttl));
	return Step::go_on;
}

void raise_timeout(const Call &call)
{
	if (call.ticket.request < 0)
		raise_not_refreshed("All requests that this role and database may have are in use.");
	raise_not_refreshed(is_refresh_taken(call.ticket) ? "A sidecar is working on it."
													  : "No sidecar has taken the request.");
}

// As client_connection_check_interval does, which is off by default: nobody waits any more.
void end_without_client()
{
	if (MyProcPort == nullptr || !WaitEventSetCanReportClosed() || pq_check_connection())
		return;
	ClientConnectionLost = true;
	InterruptPending = true;
}

// One look and, unless that was the last, one sleep.
Step wait_for_refresh(Call &call, const RequestedIdentity &requested)
{
	const auto min_ttl = static_cast<std::int64_t>(call.min_ttl);
	bool has_joined = call.ticket.request >= 0;
	if (!has_joined) {
		expect_free_request();
		has_joined = join_refresh(requested, min_ttl, call.ticket);
	}
	if (has_joined)
		expect_refresh(call.ticket);
	if (look_at_row(call) == Step::done)
		return Step::done;
	if (has_joined && follow_answer(call) == Step::done)
		return Step::done;
	refuse_hopeless(call);
	if (!is_refresh_listener_there())
		raise_nobody_listens();
	const std::int64_t left = call.deadline - monotonic_milliseconds();
	if (left <= 0)
		raise_timeout(call);
	const std::int64_t sleep = std::min(left, kLookEvery);
	if (has_joined)
		sleep_for_refresh(call.ticket, sleep);
	else
		sleep_for_free_request(sleep);
	end_without_client();
	CHECK_FOR_INTERRUPTS();
	return Step::go_on;
}

// Many looks need no more memory than one.
void wait_until_refreshed(Call &call)
{
	RequestedIdentity requested = {};
	look([&] { requested = requested_identity(find_identity(call.fcinfo)); });
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext ours =
		AllocSetContextCreate(caller, "oauth_fresh_access_token", ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(ours);
	call.is_waiting = true;
	while (wait_for_refresh(call, requested) == Step::go_on)
		MemoryContextReset(ours);
	MemoryContextSwitchTo(caller);
	if (call.token != nullptr)
		call.token = DatumGetTextPCopy(PointerGetDatum(call.token));
	MemoryContextDelete(ours);
}

text *refreshed_token(FunctionCallInfo fcinfo, std::uint64_t min_ttl, std::uint64_t timeout)
{
	refuse_where_nobody_can_wait();
	Call call = {};
	call.fcinfo = fcinfo;
	call.min_ttl = std::min<std::uint64_t>(min_ttl, PG_INT64_MAX);
	call.deadline = monotonic_milliseconds() + static_cast<std::int64_t>(timeout / 1000);
	call.ticket.request = -1;
	if (look_at_row(call) == Step::done)
		return call.token;
	refuse_hopeless(call);
	if (!is_refresh_listener_there())
		raise_nobody_listens();
	PG_TRY();
	{
		wait_until_refreshed(call);
	}
	PG_CATCH();
	{
		leave_refresh(call.ticket);
		PG_RE_THROW();
	}
	PG_END_TRY();
	leave_refresh(call.ticket);
	return call.token;
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_fresh_access_token)
{
	refuse_restricted_operation();
	refuse_null_argument(fcinfo, 4, "min_ttl");
	refuse_null_argument(fcinfo, 5, "timeout");
	const std::uint64_t min_ttl = microseconds_of(PG_GETARG_INTERVAL_P(4), "min_ttl");
	const std::uint64_t timeout = microseconds_of(PG_GETARG_INTERVAL_P(5), "timeout");
	AccessToken found = {};
	look([&] { found = look_up_access_token(find_identity(fcinfo), expiry_after(min_ttl)); });
	text *token = found.token;
	if (found.is_there && token == nullptr)
		token = refreshed_token(fcinfo, min_ttl, timeout);
	if (token == nullptr)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(token);
}
