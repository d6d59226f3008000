// oauth_refresh_begin: who refreshes a token, and when.

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "errors.hpp"
#include "postgres/durable_commit.hpp"
#include "postgres/function.hpp"
#include "postgres/interval.hpp"
#include "postgres/member_query.hpp"
#include "refresh/attempt.hpp"
#include "refresh/client.hpp"
#include "refresh/cluster.hpp"
#include "refresh/doubt.hpp"
#include "refresh/state.hpp"
#include "refresh/stored_details.hpp"
#include "schema/owner_boundary.hpp"
#include "tokens/token_codec.hpp"

extern "C" {
#include "access/htup_details.h"
#include "common/int.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

enum Argument { kMinTtl = kIdentityColumns, kLease, kForce, kIfTokenSha256 };
enum ResultColumn {
	kOutcome,
	kFence,
	kRefreshToken,
	kScopes,
	kDetails,
	kSpoolKey,
	kInDoubt,
	kRetryAt,
	kReason,
	kColumns
};

constexpr TimestampTz kLongestLease = SECS_PER_HOUR * USECS_PER_SEC;

struct Request {
	TimestampTz now; // when the row was locked, as lease_until
	TimestampTz lease_until;
	TimestampTz min_ttl;
	TimestampTz lease;
	bool force;
	const bytea *if_token_sha256; // null: whatever it is
};

// The row that is returned.
struct Answer {
	Datum values[kColumns] = {};
	bool nulls[kColumns];

	explicit Answer(const char *outcome)
	{
		std::fill(std::begin(nulls), std::end(nulls), true);
		set(kOutcome, CStringGetTextDatum(outcome));
		set(kInDoubt, BoolGetDatum(false));
	}
	void set(ResultColumn column, Datum value)
	{
		values[column] = value;
		nulls[column] = false;
	}
	void set_text(ResultColumn column, const text *value)
	{
		if (value != nullptr)
			set(column, PointerGetDatum(value));
	}
};

// A token is not refreshed in the first half of its life, whatever is asked for: what
// lives shorter than min_ttl would be refreshed at each read.
bool lives_long_enough(const LockedToken &token, const StoredDetails &details,
					   const Request &request)
{
	if (!token.expires)
		return true;
	if (token.expires_at <= request.now) // before a difference: it may be -infinity
		return false;
	const TimestampTz left = token.expires_at - request.now;
	if (left > request.min_ttl)
		return true;
	TimestampTz life = details.lifetime;
	if (life <= 0 && (pg_sub_s64_overflow(token.expires_at, token.updated_at, &life) || life <= 0))
		life = PG_INT64_MAX; // written by a clock that is ahead, or infinite: not known
	return left > life / 2;
}

bool is_sha256_of(const bytea *sha256, const text *token)
{
	const std::string_view plain = view_of(token);
	const std::string_view utf8 = to_utf8(plain);
	unsigned char hash[32];
	const int made = EVP_Digest(utf8.data(), utf8.size(), hash, nullptr, EVP_sha256(), nullptr);
	if (utf8.data() != plain.data())
		common::wipe(const_cast<char *>(utf8.data()), utf8.size());
	return made == 1 && view_of(sha256).size() == sizeof hash &&
		   CRYPTO_memcmp(view_of(sha256).data(), hash, sizeof hash) == 0;
}

bool is_fresh(const LockedToken &token, const StoredDetails &details, const Request &request)
{
	if (!request.force)
		return lives_long_enough(token, details, request);
	return request.if_token_sha256 != nullptr &&
		   !is_sha256_of(request.if_token_sha256, token.access_token);
}

Answer wait_until(const char *outcome, TimestampTz retry_at, const text *reason)
{
	Answer answer(outcome);
	answer.set(kRetryAt, TimestampTzGetDatum(retry_at));
	answer.set_text(kReason, reason);
	return answer;
}

Answer grant(const LockedToken &token, const StoredDetails &details, const RefreshState &state,
			 const Request &request, bool in_doubt)
{
	SpoolKey key;
	const int64 fence = begin_attempt(token, details.owner, request.now, request.lease_until, key);
	save_state(token, state, request.lease_until);
	Answer answer("granted");
	answer.set(kFence, Int64GetDatum(fence));
	answer.set_text(kRefreshToken, token.refresh_token);
	answer.set_text(kScopes, token.scopes);
	if (details.json != nullptr)
		answer.set(kDetails, JsonbPGetDatum(details.json));
	answer.set(kSpoolKey, PointerGetDatum(cstring_to_text_with_len(key, sizeof key)));
	common::wipe(key, sizeof key);
	answer.set(kInDoubt, BoolGetDatum(in_doubt));
	answer.set(kRetryAt, TimestampTzGetDatum(request.lease_until));
	return answer;
}

// For a token that should be refreshed, and has a refresh token.
Answer decide(const LockedToken &token, const StoredDetails &details, Request request)
{
	const RefreshClient client = {token.identity.provider(), details.client_id};
	const RefreshState state = find_state(token);
	const Attempts attempts = attempts_at(token, request.now, 0);
	if (attempts.lease_until != 0)
		return wait_until("busy", attempts.lease_until, nullptr);
	const bool in_doubt = attempts.in_doubt_since != 0;
	if (in_doubt) {
		const Doubt doubt =
			end_of_doubt(attempts.in_doubt_since, request.lease, token, client, request.now);
		if (doubt.until > request.now) {
			Answer answer = wait_until("busy", doubt.until, state.reason);
			answer.set(kInDoubt, BoolGetDatum(true));
			return answer;
		}
		if (doubt.grace_until != 0)
			request.lease_until = Min(request.lease_until, doubt.grace_until);
	}
	if (state.next_attempt > request.now)
		return wait_until(needs_reauthorization(state.kind) ? "needs_reauthorization" : "backoff",
						  state.next_attempt, state.reason);
	const text *reason = nullptr;
	const TimestampTz pause = client_pause(client, request.now, request.lease_until, &reason);
	if (pause != 0)
		return wait_until("backoff", pause, reason);
	return grant(token, details, state, request, in_doubt);
}

Answer answer_for(const TokenTable &table, const LockedToken &token, Request request)
{
	request.now = GetCurrentTimestamp();
	request.lease_until = request.now + request.lease;
	const StoredDetails details = stored_details(table, token);
	if (is_fresh(token, details, request))
		return Answer("fresh");
	if (token.refresh_token == nullptr)
		return Answer("no_refresh_token");
	return decide(token, details, request);
}

Answer begin(const TokenTable &table, const Identity &identity, const Request &request)
{
	LockedToken token;
	if (!lock_token(table, identity, &token))
		return Answer("not_connected");
	Answer answer = answer_for(table, token, request);
	if (!answer.nulls[kRefreshToken])
		token.refresh_token = nullptr; // form_row() wipes it
	wipe_token(token);
	return answer;
}

// The row outlives the SPI connection; what was put into it does not, and is wiped.
Datum form_row(TupleDesc descriptor, Answer &answer, MemoryContext context)
{
	MemoryContext spi = MemoryContextSwitchTo(context);
	const Datum row =
		HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), answer.values, answer.nulls));
	MemoryContextSwitchTo(spi);
	for (const ResultColumn secret : {kRefreshToken, kSpoolKey})
		if (!answer.nulls[secret])
			common::wipe(DatumGetPointer(answer.values[secret]),
						 VARSIZE_ANY(DatumGetPointer(answer.values[secret])));
	return row;
}

Request read_request(FunctionCallInfo fcinfo)
{
	refuse_null_argument(fcinfo, kMinTtl, "min_ttl");
	refuse_null_argument(fcinfo, kLease, "lease");
	refuse_null_argument(fcinfo, kForce, "force");
	const std::uint64_t lease = microseconds_of(PG_GETARG_INTERVAL_P(kLease), "lease");
	if (lease == 0 || lease > static_cast<std::uint64_t>(kLongestLease))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("lease must be more than 0 and at most an hour"),
						errhint("It is how long the provider may take to answer, and half a "
								"minute.")));
	Request request = {};
	request.min_ttl =
		static_cast<TimestampTz>(Min(microseconds_of(PG_GETARG_INTERVAL_P(kMinTtl), "min_ttl"),
									 static_cast<std::uint64_t>(PG_INT64_MAX)));
	request.lease = static_cast<TimestampTz>(lease);
	request.force = PG_GETARG_BOOL(kForce);
	request.if_token_sha256 =
		PG_ARGISNULL(kIfTokenSha256) ? nullptr : PG_GETARG_BYTEA_PP(kIfTokenSha256);
	return request;
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_refresh_begin)
{
	PreventCommandIfReadOnly("oauth_refresh_begin()");
	const TokenTable &table = use_tables(Use::write);
	const Identity identity = identity_from_arguments(fcinfo, 0, table);
	const Request request = read_request(fcinfo);
	TupleDesc descriptor;
	if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "oauth_refresh_begin() must return a row");
	MemoryContext caller = CurrentMemoryContext;
	SPI_connect();
	check_cluster();
	commit_durably();
	Answer answer = begin(table, identity, request);
	const Datum row = form_row(descriptor, answer, caller);
	SPI_finish();
	PG_RETURN_DATUM(row);
}
