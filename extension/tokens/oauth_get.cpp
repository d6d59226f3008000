// oauth_get and oauth_access_token: a token in clear, by its identity.

#include "postgres/function.hpp"
#include "postgres/interval.hpp"
#include "tokens/access_token.hpp"
#include "tokens/token_codec.hpp"
#include "tokens/token_row.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "nodes/execnodes.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
}

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
	common::wipe(DatumGetPointer(value), VARSIZE(DatumGetPointer(value)));
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
	const AccessToken found =
		look_up_access_token(identity_from_arguments(fcinfo, 0, lock_token_table(AccessShareLock)),
							 expiry_after(microseconds_of(PG_GETARG_INTERVAL_P(4), "min_ttl")));
	if (found.token == nullptr)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(found.token);
}
