// oauth_refresh_fail: a refresh that did not succeed, and what follows.

#include <algorithm>

#include "errors.hpp"
#include "fresh_token/changed_tokens.hpp"
#include "fresh_token/refresh_requests.hpp"
#include "postgres/durable_commit.hpp"
#include "postgres/function.hpp"
#include "postgres/interval.hpp"
#include "postgres/member_query.hpp"
#include "refresh/client.hpp"
#include "refresh/cluster.hpp"
#include "refresh/doubt.hpp"
#include "refresh/ended_attempt.hpp"
#include "refresh/state.hpp"
#include "refresh/stored_details.hpp"
#include "schema/owner_boundary.hpp"
#include "tokens/token_codec.hpp"

extern "C" {
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

enum Argument { kFence = kIdentityColumns, kKind, kDetail, kRetryAfter };

enum class Kind { transient, no_answer, dead_grant, needs_interaction, client_config, not_sent };
constexpr const char *kKinds[] = {"transient",         "no_answer",     "dead_grant",
								  "needs_interaction", "client_config", "not_sent"};

constexpr int kMaxDetailBytes = 500;
constexpr TimestampTz kFirstBackOff = 10 * USECS_PER_SEC;
constexpr TimestampTz kLongestBackOff = 600 * USECS_PER_SEC;
constexpr TimestampTz kLongestRetryAfter = SECS_PER_DAY * USECS_PER_SEC;
// The user must do something; a provider that was wrong is found out all the same.
constexpr TimestampTz kFirstProbe = 6 * SECS_PER_HOUR * USECS_PER_SEC;
constexpr TimestampTz kLongestProbe = SECS_PER_DAY * USECS_PER_SEC;

struct Failure {
	Kind kind;
	const text *reason;      // "kind: detail"
	TimestampTz retry_after; // microseconds; 0: the provider named none
};

Kind read_kind(FunctionCallInfo fcinfo)
{
	refuse_null_argument(fcinfo, kKind, "kind");
	const std::string_view word = view_of(PG_GETARG_TEXT_PP(kKind));
	for (std::size_t i = 0; i < lengthof(kKinds); i++)
		if (word == kKinds[i])
			return static_cast<Kind>(i);
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown kind of failure"),
					errhint("Use transient, no_answer, dead_grant, needs_interaction, "
							"client_config or not_sent.")));
	pg_unreachable();
}

// For logs and pages: of one line.
const text *make_reason(Kind kind, const text *detail)
{
	const char *word = kKinds[static_cast<int>(kind)];
	if (detail == nullptr || view_of(detail).empty())
		return cstring_to_text(word);
	const std::string_view whole = view_of(detail);
	const int size = pg_mbcliplen(whole.data(), static_cast<int>(whole.size()), kMaxDetailBytes);
	char *line = psprintf("%s: %.*s", word, size, whole.data());
	for (char *at = line; *at != 0; at++)
		if (static_cast<unsigned char>(*at) < ' ' || *at == 0x7f)
			*at = ' ';
	return cstring_to_text(line);
}

Failure read_failure(FunctionCallInfo fcinfo)
{
	Failure failure = {};
	failure.kind = read_kind(fcinfo);
	failure.reason =
		make_reason(failure.kind, PG_ARGISNULL(kDetail) ? nullptr : PG_GETARG_TEXT_PP(kDetail));
	if (!PG_ARGISNULL(kRetryAfter))
		failure.retry_after = static_cast<TimestampTz>(
			std::min(microseconds_of(PG_GETARG_INTERVAL_P(kRetryAfter), "retry_after"),
					 static_cast<std::uint64_t>(kLongestRetryAfter)));
	return failure;
}

// Twice as long each time; between a half and the whole of it, so that accounts which
// failed together do not come back together.
TimestampTz jittered(TimestampTz first, TimestampTz longest, int failures)
{
	const TimestampTz length = std::min(first << std::min(failures - 1, 20), longest);
	uint32 random;
	if (!pg_strong_random(&random, sizeof random))
		return length;
	return length / 2 + static_cast<TimestampTz>(static_cast<double>(random) / PG_UINT32_MAX *
												 static_cast<double>(length / 2));
}

bool is_user_needed(Kind kind)
{
	return kind == Kind::dead_grant || kind == Kind::needs_interaction;
}

// Whether the client is at fault, so that nothing follows for this token. What the provider
// said of it may tell of its account, and the client's other tokens may be another tenant's.
bool tell_client(const RefreshClient &client, const Failure &failure, TimestampTz now)
{
	const text *kind = make_reason(failure.kind, nullptr);
	switch (failure.kind) {
	case Kind::transient:
	case Kind::no_answer:
		return client_failed(client, ClientFailure::transient, kind, now);
	case Kind::dead_grant:
		return client_failed(client, ClientFailure::dead_grant, kind, now);
	case Kind::client_config:
		return client_failed(client, ClientFailure::configuration, failure.reason, now);
	case Kind::needs_interaction:
	case Kind::not_sent:
		break;
	}
	return false;
}

TimestampTz next_attempt(const EndedAttempt &ended, const RefreshClient &client,
						 const Failure &failure, int failures, TimestampTz now)
{
	if (is_user_needed(failure.kind))
		return now + std::max(failure.retry_after, jittered(kFirstProbe, kLongestProbe, failures));
	const TimestampTz next =
		now + std::max(failure.retry_after, jittered(kFirstBackOff, kLongestBackOff, failures));
	if (failure.kind != Kind::no_answer)
		return next;
	// A back-off would use up the grace. If the old refresh token lives on without an end,
	// the first retry comes at once, too, and the others as after any failure.
	const Attempt &attempt = ended.attempt;
	const Doubt doubt = end_of_doubt(attempt.began_at, attempt.lease_until - attempt.began_at,
									 ended.token, client, now);
	const bool is_sure = doubt.until <= now;
	return doubt.grace_until != 0 || (is_sure && failures == 1) ? now : std::max(next, doubt.until);
}

// The provider was not asked, so there is no more to be said of the token than before. It
// waits for a moment; after an attempt in doubt the doubt says for how long.
const char *record_not_sent(const LockedToken &token, const Failure &failure, bool others,
							TimestampTz now)
{
	RefreshState state = find_state(token);
	const char *kind = kKinds[static_cast<int>(failure.kind)];
	if (!others) {
		if (state.kind == nullptr) {
			state.kind = kind;
			state.since = now;
		}
		if (strcmp(state.kind, kind) == 0)
			state.reason = failure.reason;
		state.next_attempt = now + jittered(kFirstBackOff, kFirstBackOff, 1);
	}
	save_state(token, state, 0);
	return needs_reauthorization(state.kind) ? "needs_reauthorization" : "backing_off";
}

// `others`: there are attempts of before, which are in doubt.
const char *record(const TokenTable &table, const EndedAttempt &ended, const Failure &failure,
				   bool others, TimestampTz now)
{
	const LockedToken &token = ended.token;
	if (failure.kind == Kind::not_sent)
		return record_not_sent(token, failure, others, now);
	const RefreshClient client = {token.identity.provider(),
								  stored_details(table, token).client_id};
	RefreshState state = find_state(token);
	if (tell_client(client, failure, now)) {
		if (state.kind == nullptr && !others)
			forget_refresh(token.id); // there is nothing to say of it
		else
			save_state(token, state, 0);
		return needs_reauthorization(state.kind) ? "needs_reauthorization" : "backing_off";
	}
	const char *kind = kKinds[static_cast<int>(failure.kind)];
	if (state.kind == nullptr || strcmp(state.kind, kind) != 0) {
		state.failures = 0;
		state.since = now;
	}
	state.kind = kind;
	state.failures++;
	state.reason = failure.reason;
	state.next_attempt = next_attempt(ended, client, failure, state.failures, now);
	save_state(token, state, 0);
	return is_user_needed(failure.kind) ? "needs_reauthorization" : "backing_off";
}

const char *fail_attempt(const TokenTable &table, const EndedAttempt &ended, int64 fence,
						 const Failure &failure)
{
	if (!ended.is_known || ended.is_hidden)
		return "superseded";
	const TimestampTz now = GetCurrentTimestamp();
	const bool is_in_doubt = failure.kind == Kind::no_answer && ended.has_row &&
							 has_spent_token(ended.attempt, ended.token);
	if (is_in_doubt)
		leave_in_doubt(fence, now);
	else
		delete_attempt(fence);
	if (!ended.has_row || ended.attempt.stored_over || !has_both_tokens(ended.attempt, ended.token))
		return "superseded";
	const int64 last = attempts_at(ended.token, now, fence).last;
	return last > fence ? "superseded" : record(table, ended, failure, last != 0, now);
}

const char *fail(const TokenTable &table, const Identity &identity, int64 fence,
				 const Failure &failure)
{
	const EndedAttempt ended = find_ended(table, identity, fence);
	const char *state = fail_attempt(table, ended, fence, failure);
	wipe_token(ended.token);
	return state;
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_refresh_fail)
{
	PreventCommandIfReadOnly("oauth_refresh_fail()");
	const TokenTable &table = use_tables(Use::write);
	const Identity identity = identity_from_arguments(fcinfo, 0, table);
	refuse_null_argument(fcinfo, kFence, "fence");
	const Failure failure = read_failure(fcinfo);
	SPI_connect();
	check_cluster();
	commit_durably();
	const char *state = fail(table, identity, PG_GETARG_INT64(kFence), failure);
	SPI_finish();
	if (is_refresh_awaited())
		note_changed_token(identity_hash(identity.values));
	PG_RETURN_TEXT_P(cstring_to_text(state));
}
