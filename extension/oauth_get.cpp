// oauth_get and oauth_access_token: a token in clear, by its identity.

#include <algorithm>

#include "function.hpp"
#include "interval.hpp"
#include "token_codec.hpp"
#include "token_row.hpp"

namespace oauth_tokens
{

namespace
{

// Never on disk: two tokens of the largest size fit into memory many times.
constexpr int kResultKilobytes = 64 * 1024;

struct Get {
	Identity identity;
	ReturnSetInfo *result;
};

// The columns of oauth_get's result. Made once: the type is as fixed as the
// function's signature, and a descriptor a call would cost as much as a lookup.
TupleDesc result_descriptor()
{
	static TupleDesc descriptor = nullptr;
	if (descriptor == nullptr) {
		MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
		TupleDesc made = CreateTemplateTupleDesc(5);
		TupleDescInitEntry(made, 1, "access_token", TEXTOID, -1, 0);
		TupleDescInitEntry(made, 2, "refresh_token", TEXTOID, -1, 0);
		TupleDescInitEntry(made, 3, "scopes", TEXTOID, -1, 0);
		TupleDescInitEntry(made, 4, "expires_at", TIMESTAMPTZOID, -1, 0);
		TupleDescInitEntry(made, 5, "updated_at", TIMESTAMPTZOID, -1, 0);
		descriptor = made;
		MemoryContextSwitchTo(caller);
	}
	return descriptor;
}

void wipe_text(Datum value)
{
	fernet::wipe(DatumGetPointer(value), VARSIZE(DatumGetPointer(value)));
	pfree(DatumGetPointer(value));
}

void put_row(const TokenRow &row, void *state)
{
	const Get &get = *static_cast<Get *>(state);
	Datum values[5];
	bool nulls[5] = {false, !row.has_refresh_token, !row.has_scopes, !row.has_expires_at, false};
	values[0] = PointerGetDatum(open_token(DatumGetTextPP(row.encrypted_access_token),
										   {&get.identity, Column::access_token}));
	if (row.has_refresh_token)
		values[1] = PointerGetDatum(open_token(DatumGetTextPP(row.encrypted_refresh_token),
											   {&get.identity, Column::refresh_token}));
	values[2] = row.scopes;
	values[3] = TimestampTzGetDatum(row.expires_at);
	values[4] = TimestampTzGetDatum(row.updated_at);
	tuplestore_putvalues(get.result->setResult, result_descriptor(), values, nulls);
	wipe_text(values[0]);
	if (row.has_refresh_token)
		wipe_text(values[1]);
}

void begin_result(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
	if (result == nullptr || !IsA(result, ReturnSetInfo) ||
		(result->allowedModes & SFRM_Materialize) == 0)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("oauth_get is called where no set of rows is accepted")));
	MemoryContext caller = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
	result->returnMode = SFRM_Materialize;
	result->setResult = tuplestore_begin_heap((result->allowedModes & SFRM_Materialize_Random) != 0,
											  false, kResultKilobytes);
	result->setDesc = nullptr; // as declared, and not to be freed by the executor
	MemoryContextSwitchTo(caller);
}

struct Access {
	Identity identity;
	TimestampTz alive_at; // the token must not have expired by then
	text *token;
};

void take_access_token(const TokenRow &row, void *state)
{
	Access &access = *static_cast<Access *>(state);
	if (row.has_expires_at && row.expires_at < access.alive_at)
		return;
	access.token = open_token(DatumGetTextPP(row.encrypted_access_token),
							  {&access.identity, Column::access_token});
}

// The least expires_at of a token that is good for `min_ttl` from now.
TimestampTz alive_at(const Interval *min_ttl)
{
	const std::uint64_t least = std::max<std::uint64_t>(microseconds_of(min_ttl, "min_ttl"), 1);
	const TimestampTz now = GetCurrentTimestamp();
	if (least > static_cast<std::uint64_t>(END_TIMESTAMP - now))
		return DT_NOEND; // only a token that never expires lives that long
	return now + static_cast<TimestampTz>(least);
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

// Strict: no row for a null identity, as in a join.
OAUTH_FUNCTION(oauth_get)
{
	refuse_restricted_operation();
	begin_result(fcinfo);
	Get get = {identity_from_arguments(fcinfo, 0, lock_token_table(AccessShareLock)),
			   reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo)};
	visit_token_row(get.identity, Reads::everything, put_row, &get);
	PG_RETURN_NULL();
}

OAUTH_FUNCTION(oauth_access_token)
{
	refuse_restricted_operation();
	Access access = {identity_from_arguments(fcinfo, 0, lock_token_table(AccessShareLock)),
					 alive_at(PG_GETARG_INTERVAL_P(4)), nullptr};
	visit_token_row(access.identity, Reads::access_token, take_access_token, &access);
	if (access.token == nullptr)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(access.token);
}
