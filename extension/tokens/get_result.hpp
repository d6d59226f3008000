// How oauth_get() returns its row: in a tuplestore, as the executor takes it from a function,
// or directly to get_scan.cpp.
#pragma once

#include "tokens/token_row.hpp"

extern "C" {
#include "nodes/execnodes.h"
}

OAUTH_EXPORT_BEGIN
Datum oauth_get(PG_FUNCTION_ARGS);
OAUTH_EXPORT_END

namespace oauth_tokens
{

inline constexpr int kResultColumns = 5;

// The columns of oauth_get's result.
TupleDesc result_descriptor();

// What a call is given as its resultinfo if it is to return the row in here.
struct DirectResult {
	ReturnSetInfo call;   // first
	MemoryContext memory; // of the values
	bool is_found;
	Datum values[kResultColumns];
	bool nulls[kResultColumns];
};

// Zeroed before.
void prepare_direct_result(DirectResult &result, ExprContext *context);

// Whether the function that was called with it is oauth_get().
bool is_returned_directly(const DirectResult &result);

// Wipes the row's tokens and frees it, if there is one.
void clear_direct_result(DirectResult &result);

// For oauth_get(): before the row is looked up.
ReturnSetInfo *begin_result(FunctionCallInfo fcinfo);

// Opens the row's tokens and returns it.
void return_row(const TokenRow &row, const Identity &identity, ReturnSetInfo *result);

} // namespace oauth_tokens
