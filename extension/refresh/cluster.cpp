#include "refresh/cluster.hpp"

#include "errors.hpp"
#include "postgres/function.hpp"
#include "postgres/owner_query.hpp"

extern "C" {
#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
}

namespace oauth_tokens
{

namespace
{

// A cluster by its system identifier; pg_upgrade and a restore have another one. And
// the database in it, because CREATE DATABASE copies, too.
text *own_id()
{
	return cstring_to_text(psprintf(UINT64_FORMAT "/%u", GetSystemIdentifier(), MyDatabaseId));
}

// Null if none is recorded.
const text *recorded_id()
{
	static MemberQuery statement = {"SELECT id FROM oauth_tokens_internal.cluster"};
	return run_as_owner(statement, {}) == 0 ? nullptr : DatumGetTextPP(returned(1));
}

bool is_adopted()
{
	const text *recorded = recorded_id();
	return recorded != nullptr &&
		   DatumGetBool(
			   DirectFunctionCall2(byteaeq, PointerGetDatum(recorded), PointerGetDatum(own_id())));
}

} // namespace

void check_cluster()
{
	if (!is_adopted())
		ereport(ERROR,
				(errcode(ERRCODE_CLUSTER_NOT_ADOPTED),
				 errmsg("this database is not the one whose tokens it holds"),
				 errdetail("It was restored, upgraded by pg_upgrade, or copied. If two databases "
						   "refresh one token, the provider may end the grant of both."),
				 errhint("If no other database refreshes these tokens any more: SELECT "
						 "oauth_tokens_adopt_cluster();")));
}

void record_cluster()
{
	static MemberQuery statement = {
		"INSERT INTO oauth_tokens_internal.cluster (id, adopted_at) VALUES ($1, $2)"
		" ON CONFLICT (one) DO NOTHING"};
	run_as_owner(statement, {as::text(own_id()), as::timestamptz(GetCurrentTimestamp())});
}

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_tokens_adopt_cluster)
{
	static MemberQuery statement = {
		"INSERT INTO oauth_tokens_internal.cluster (id, adopted_at) VALUES ($1, $2)"
		" ON CONFLICT (one) DO UPDATE SET id = $1, adopted_at = $2"};
	PreventCommandIfReadOnly("oauth_tokens_adopt_cluster()");
	SPI_connect();
	run_as_owner(statement, {as::text(own_id()), as::timestamptz(GetCurrentTimestamp())});
	SPI_finish();
	PG_RETURN_VOID();
}

OAUTH_FUNCTION(oauth_cluster)
{
	TupleDesc descriptor;
	if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "cluster() must return a row");
	Datum values[] = {PointerGetDatum(own_id()), 0};
	bool nulls[] = {false, false};
	SPI_connect();
	values[1] = BoolGetDatum(is_adopted());
	SPI_finish();
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}
