#include "tokens/get_result.hpp"

#include "tokens/token_codec.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/datum.h"
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

// Nobody else has this descriptor.
bool is_direct(const ReturnSetInfo *result)
{
	return result->expectedDesc == result_descriptor();
}

void wipe_text(Datum value)
{
	common::wipe(DatumGetPointer(value), VARSIZE(DatumGetPointer(value)));
	pfree(DatumGetPointer(value));
}

void wipe_tokens(const Datum *values, const bool *nulls)
{
	wipe_text(values[0]);
	if (!nulls[1])
		wipe_text(values[1]);
}

// The tokens are made in `memory`; scopes may point into the page.
void open_row(const TokenRow &row, const Identity &identity, MemoryContext memory, Datum *values,
			  bool *nulls)
{
	const text *access_token = DatumGetTextPP(row.encrypted_access_token);
	const text *refresh_token =
		row.has_refresh_token ? DatumGetTextPP(row.encrypted_refresh_token) : nullptr;
	MemoryContext caller = MemoryContextSwitchTo(memory);
	values[0] = PointerGetDatum(open_token(access_token, {&identity, Column::access_token}));
	if (refresh_token != nullptr)
		values[1] = PointerGetDatum(open_token(refresh_token, {&identity, Column::refresh_token}));
	MemoryContextSwitchTo(caller);
	values[2] = row.scopes;
	values[3] = TimestampTzGetDatum(row.expires_at);
	values[4] = TimestampTzGetDatum(row.updated_at);
	nulls[0] = nulls[4] = false;
	nulls[1] = refresh_token == nullptr;
	nulls[2] = !row.has_scopes;
	nulls[3] = !row.has_expires_at;
}

void keep_row(const TokenRow &row, const Identity &identity, DirectResult &result)
{
	open_row(row, identity, result.memory, result.values, result.nulls);
	result.is_found = true;
	if (result.nulls[2])
		return;
	MemoryContext caller = MemoryContextSwitchTo(result.memory);
	result.values[2] = datumCopy(row.scopes, false, -1);
	MemoryContextSwitchTo(caller);
}

} // namespace

// Made once: the type is as fixed as the function's signature, and a descriptor a call would
// cost as much as a lookup.
TupleDesc result_descriptor()
{
	static TupleDesc descriptor = nullptr;
	if (descriptor == nullptr) {
		MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
		TupleDesc made = CreateTemplateTupleDesc(kResultColumns);
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

void prepare_direct_result(DirectResult &result, ExprContext *context)
{
	result.call.type = T_ReturnSetInfo;
	result.call.econtext = context;
	result.call.expectedDesc = result_descriptor();
	result.memory = CurrentMemoryContext;
}

bool is_returned_directly(const DirectResult &result)
{
	return result.call.setDesc == result_descriptor();
}

void clear_direct_result(DirectResult &result)
{
	if (!result.is_found)
		return;
	result.is_found = false;
	wipe_tokens(result.values, result.nulls);
	if (!result.nulls[2])
		pfree(DatumGetPointer(result.values[2]));
}

ReturnSetInfo *begin_result(FunctionCallInfo fcinfo)
{
	auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
	if (result != nullptr && IsA(result, ReturnSetInfo) && is_direct(result)) {
		result->setDesc = result_descriptor();
		return result;
	}
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
	return result;
}

void return_row(const TokenRow &row, const Identity &identity, ReturnSetInfo *result)
{
	if (is_direct(result)) {
		keep_row(row, identity, *reinterpret_cast<DirectResult *>(result));
		return;
	}
	Datum values[kResultColumns];
	bool nulls[kResultColumns];
	open_row(row, identity, CurrentMemoryContext, values, nulls);
	tuplestore_putvalues(result->setResult, result_descriptor(), values, nulls);
	wipe_tokens(values, nulls);
}

} // namespace oauth_tokens
