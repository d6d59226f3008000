// oauth_tokens_internal.refresh_requests_wait and refresh_request_done: the sidecar's
// side of docs/refresh-requests.md.

#include <algorithm>

#include "fresh_token/refresh_requests.hpp"
#include "postgres/function.hpp"
#include "postgres/interval.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
}

namespace oauth_tokens
{

namespace
{

constexpr std::int64_t kLongestWait = 1000; // ms: a sleeping statement holds back VACUUM

struct OutcomeName {
	const char *name;
	RefreshOutcome outcome;
};

constexpr OutcomeName kOutcomes[] = {
	{"fresh", RefreshOutcome::fresh},
	{"needs_reauthorization", RefreshOutcome::needs_reauthorization},
	{"no_refresh_token", RefreshOutcome::no_refresh_token},
	{"backoff", RefreshOutcome::backoff},
	{"not_connected", RefreshOutcome::not_connected}};

RefreshOutcome outcome_argument(const text *argument)
{
	const char *name = text_to_cstring(argument);
	for (const OutcomeName &known : kOutcomes)
		if (strcmp(known.name, name) == 0)
			return known.outcome;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown outcome"),
					errhint("Use fresh, needs_reauthorization, no_refresh_token, backoff or "
							"not_connected.")));
	pg_unreachable();
}

// Cut at a whole character.
char *reason_argument(const text *argument)
{
	char *reason = text_to_cstring(argument);
	const int size = strlen(reason);
	reason[pg_mbcliplen(reason, size, kMaxReasonBytes)] = '\0';
	return reason;
}

void refuse_where_nobody_can_listen(const char *function)
{
	if (!can_request_refresh())
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("%s needs oauth_tokens in shared_preload_libraries", function),
						errhint("Add it to the server's configuration and restart the server.")));
	PreventCommandDuringRecovery(function);
}

void listen()
{
	if (!listen_for_refreshes())
		ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
						errmsg("too many sessions of this database listen for refreshes"),
						errdetail("At most %d can, and fewer where other databases have many.",
								  kRefreshListeners / 2)));
}

void put_taken(const ReturnSetInfo *result, const TakenRefresh &taken)
{
	Datum values[kIdentityColumns + 1];
	bool nulls[kIdentityColumns + 1] = {};
	Interval min_ttl = {};
	min_ttl.time = taken.min_ttl;
	put_identity(taken.identity, values);
	values[kIdentityColumns] = IntervalPGetDatum(&min_ttl);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

// Whether there were any.
bool put_all(const ReturnSetInfo *result)
{
	bool found = false;
	TakenRefresh taken;
	while (take_refresh(taken)) {
		put_taken(result, taken);
		found = true;
	}
	return found;
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_refresh_requests_wait)
{
	refuse_null_argument(fcinfo, 0, "timeout");
	refuse_where_nobody_can_listen("refresh_requests_wait()");
	const std::uint64_t asked = microseconds_of(PG_GETARG_INTERVAL_P(0), "timeout") / 1000;
	const std::int64_t end =
		monotonic_milliseconds() +
		static_cast<std::int64_t>(std::min<std::uint64_t>(asked, kLongestWait));
	InitMaterializedSRF(fcinfo, 0);
	const auto *result = reinterpret_cast<const ReturnSetInfo *>(fcinfo->resultinfo);
	listen();
	for (;;) {
		prepare_to_listen();
		const bool found = put_all(result);
		const std::int64_t left = end - monotonic_milliseconds();
		if (found || left <= 0)
			break;
		sleep_for_requests(left);
		CHECK_FOR_INTERRUPTS();
	}
	end_listening();
	return (Datum)0;
}

OAUTH_FUNCTION(oauth_refresh_request_done)
{
	refuse_where_nobody_can_listen("refresh_request_done()");
	refuse_null_argument(fcinfo, 4, "outcome");
	const RefreshOutcome outcome = outcome_argument(PG_GETARG_TEXT_PP(4));
	const char *reason = PG_ARGISNULL(5) ? "" : reason_argument(PG_GETARG_TEXT_PP(5));
	const RequestedIdentity requested =
		requested_identity(identity_from_arguments(fcinfo, 0, lock_token_table(AccessShareLock)));
	PG_RETURN_BOOL(answer_refresh(requested, outcome, reason));
}
