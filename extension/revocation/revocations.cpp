// oauth_tokens_internal.revocations_claim, revocation_done, revocations_waiting: how the
// sidecar works off the queue. No transaction stays open while the provider is called: a
// claim is a lease, after which somebody else gets the row.

#include <algorithm>

#include "postgres/function.hpp"
#include "postgres/interval.hpp"
#include "postgres/owner_query.hpp"
#include "refresh/cluster.hpp"
#include "revocation/revocation_queue.hpp"
#include "schema/owner_boundary.hpp"
#include "schema/row_permission.hpp"
#include "tokens/token_codec.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"
}

namespace oauth_tokens
{

namespace
{

constexpr int kMaxReasonBytes = 500;

// Columns of the statement in find_due().
enum Due {
	kId = 1,
	kWorkspaceId,
	kProvider,
	kActorType,
	kActorId,
	kClientId,
	kIssuer,
	kAccountId,
	kUnlessShared,
	kRefreshToken,
	kAccessToken,
	kAttempts
};

// Finds and locks them by the index on next_attempt_at, which is empty if nothing waits.
std::uint64_t find_due(Datum max_rows, bool all, Datum providers, bool any_provider)
{
	static MemberQuery statement = {
		"SELECT id, workspace_id, provider, actor_type, actor_id, client_id, issuer, account_id,"
		" unless_shared, encrypted_refresh_token, encrypted_access_token, attempts"
		" FROM oauth_tokens_internal.oauth_revocations"
		" WHERE next_attempt_at OPERATOR(pg_catalog.<=) $1 AND ($3 IS NULL"
		" OR pg_catalog.split_part(provider, '.', 1) OPERATOR(pg_catalog.=) ANY ($3)"
		" OR created_at OPERATOR(pg_catalog.<) ($1 OPERATOR(pg_catalog.-) interval '1 day'))"
		" ORDER BY next_attempt_at LIMIT $2 FOR UPDATE SKIP LOCKED"};
	return run_as_owner(statement, {as::timestamptz(GetCurrentTimestamp()),
									{INT8OID, max_rows, all},
									{TEXTARRAYOID, providers, any_provider}});
}

void lease(ArrayType *ids, TimestampTz until)
{
	static MemberQuery statement = {
		"UPDATE oauth_tokens_internal.oauth_revocations SET next_attempt_at = $2,"
		" give_up_at = COALESCE(give_up_at, $3 OPERATOR(pg_catalog.+) interval '1 day'),"
		" attempts = attempts OPERATOR(pg_catalog.+) 1"
		" WHERE id OPERATOR(pg_catalog.=) ANY ($1)"};
	run_as_owner(statement, {{UUIDARRAYOID, PointerGetDatum(ids)},
							 as::timestamptz(until),
							 as::timestamptz(GetCurrentTimestamp())});
}

Datum due(HeapTuple row, TupleDesc descriptor, Due column, bool *is_null)
{
	return SPI_getbinval(row, descriptor, column, is_null);
}

const text *due_text(HeapTuple row, TupleDesc descriptor, Due column)
{
	bool is_null;
	const Datum value = due(row, descriptor, column, &is_null);
	return is_null ? nullptr : DatumGetTextPP(value);
}

// False if there is no table, or its enum has no such value any more: all but actor_type is
// there then.
bool read_identity(HeapTuple row, TupleDesc descriptor, const TokenTable *table, Identity *identity)
{
	bool is_null;
	*identity = {};
	identity->values[0] = due(row, descriptor, kWorkspaceId, &is_null);
	identity->values[1] = PointerGetDatum(due_text(row, descriptor, kProvider));
	identity->values[3] = PointerGetDatum(due_text(row, descriptor, kActorId));
	const text *label = due_text(row, descriptor, kActorType);
	if (table == nullptr ||
		!SearchSysCacheExists2(ENUMTYPOIDNAME, ObjectIdGetDatum(table->enum_type),
							   CStringGetDatum(text_to_cstring(label))))
		return false;
	identity->values[2] = actor_type_named(label, *table);
	return true;
}

// Null if there is none, or none that a key of the ring opens.
text *open_queued(const text *sealed, const ValuePosition &place)
{
	return sealed == nullptr || is_damaged(sealed, place) ? nullptr : open_token(sealed, place);
}

bool is_shared(HeapTuple row, TupleDesc descriptor, const TokenTable &table,
			   const Identity &identity, bool is_known)
{
	bool is_null;
	if (!DatumGetBool(due(row, descriptor, kUnlessShared, &is_null)))
		return false;
	const GrantOwner owner = {due_text(row, descriptor, kAccountId),
							  due_text(row, descriptor, kIssuer),
							  due_text(row, descriptor, kClientId)};
	return is_account_shared(table, identity, owner) ||
		   (is_known && is_connected_again(table, identity, owner));
}

void put(FunctionCallInfo fcinfo, HeapTuple row, TupleDesc descriptor, const Identity &identity,
		 bool shared)
{
	auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
	const text *label = due_text(row, descriptor, kActorType);
	text *tokens[] = {open_queued(due_text(row, descriptor, kRefreshToken),
								  {&identity, Column::refresh_token, label}),
					  open_queued(due_text(row, descriptor, kAccessToken),
								  {&identity, Column::access_token, label})};
	constexpr Due copied[] = {kId, kProvider, kClientId, kIssuer};
	Datum values[8];
	bool nulls[8] = {};
	for (int i = 0; i < 4; i++)
		values[i] = due(row, descriptor, copied[i], &nulls[i]);
	for (int i = 0; i < 2; i++) {
		values[4 + i] = PointerGetDatum(tokens[i]);
		nulls[4 + i] = tokens[i] == nullptr;
	}
	values[6] = BoolGetDatum(shared);
	values[7] = Int32GetDatum(DatumGetInt32(due(row, descriptor, kAttempts, &nulls[7])) + 1);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	for (text *token : tokens)
		if (token != nullptr)
			common::wipe(token, VARSIZE(token));
}

// Null if oauth_tokens_downgrade() has dropped it: what was queued is revoked all the same.
const TokenTable *table_if_there()
{
	return OidIsValid(get_relname_relid(kTableName, extension_schema())) ? &use_tables(Use::read)
																		 : nullptr;
}

void claim(FunctionCallInfo fcinfo, TimestampTz until)
{
	const TokenTable *table = table_if_there();
	// It decides for each row; those of others stay, and must not be in the way.
	const bool is_restricted = table != nullptr && row_security_applies(*table);
	const std::uint64_t rows =
		find_due(PG_GETARG_DATUM(0), is_restricted, PG_GETARG_DATUM(2), PG_ARGISNULL(2));
	SPITupleTable *found = SPI_tuptable;
	if (rows > 0)
		check_cluster(); // not if nothing waits, or each call would fill the log
	auto *ids = static_cast<Datum *>(palloc(sizeof(Datum) * Max(rows, 1)));
	int taken = 0;
	for (std::uint64_t i = 0; i < rows && taken < PG_GETARG_INT64(0); i++) {
		HeapTuple row = found->vals[i];
		Identity identity;
		const bool is_known = read_identity(row, found->tupdesc, table, &identity);
		if (is_restricted && (!is_known || !may_store(*table, identity)))
			continue;
		put(fcinfo, row, found->tupdesc, identity,
			table != nullptr && is_shared(row, found->tupdesc, *table, identity, is_known));
		bool is_null;
		ids[taken++] = due(row, found->tupdesc, kId, &is_null);
	}
	if (taken > 0)
		lease(construct_array(ids, taken, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR), until);
}

std::uint64_t delete_row(Datum id)
{
	static MemberQuery statement = {"DELETE FROM oauth_tokens_internal.oauth_revocations"
									" WHERE id OPERATOR(pg_catalog.=) $1"};
	return run_as_owner(statement, {{UUIDOID, id}});
}

// False if there is no such row, or its day is over. The last attempt is made at its end.
bool postpone(Datum id, const text *reason, std::uint64_t retry_after)
{
	static MemberQuery statement = {
		"UPDATE oauth_tokens_internal.oauth_revocations SET reason = $2,"
		" next_attempt_at = LEAST(give_up_at, $4 OPERATOR(pg_catalog.+) GREATEST("
		"pg_catalog.make_interval(secs => $3), pg_catalog.make_interval(secs =>"
		" LEAST(3600, pg_catalog.power(2, LEAST(attempts, 13) OPERATOR(pg_catalog.-) 1))"
		" OPERATOR(pg_catalog.*) (0.8 OPERATOR(pg_catalog.+)"
		" (0.4 OPERATOR(pg_catalog.*) pg_catalog.random())))))"
		" WHERE id OPERATOR(pg_catalog.=) $1 AND give_up_at OPERATOR(pg_catalog.>) $4"};
	constexpr std::uint64_t kDay = std::uint64_t{SECS_PER_DAY} * USECS_PER_SEC;
	return run_as_owner(statement, {{UUIDOID, id},
									as::text(reason),
									as::float8(static_cast<double>(std::min(retry_after, kDay)) /
											   USECS_PER_SEC),
									as::timestamptz(GetCurrentTimestamp())}) > 0;
}

const text *shortened(const text *reason)
{
	const std::string_view all = view_of(reason);
	return cstring_to_text_with_len(
		all.data(), pg_mbcliplen(all.data(), static_cast<int>(all.size()), kMaxReasonBytes));
}

std::uint64_t not_negative(FunctionCallInfo fcinfo, int argument, const char *name)
{
	return PG_ARGISNULL(argument) ? 0 : microseconds_of(PG_GETARG_INTERVAL_P(argument), name);
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_revocations_claim)
{
	PreventCommandIfReadOnly("revocations_claim()");
	refuse_null_argument(fcinfo, 0, "max_rows");
	refuse_null_argument(fcinfo, 1, "lease");
	const std::uint64_t lease_time = not_negative(fcinfo, 1, "lease");
	if (PG_GETARG_INT64(0) < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("max_rows must not be negative")));
	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	const TimestampTz now = GetCurrentTimestamp();
	if (lease_time > static_cast<std::uint64_t>(END_TIMESTAMP - 1 - now))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("lease is out of range")));
	claim(fcinfo, now + static_cast<TimestampTz>(lease_time));
	SPI_finish();
	PG_RETURN_NULL();
}

OAUTH_FUNCTION(oauth_revocation_done)
{
	PreventCommandIfReadOnly("revocation_done()");
	refuse_null_argument(fcinfo, 0, "id");
	refuse_null_argument(fcinfo, 1, "outcome");
	const char *outcome = text_to_cstring(PG_GETARG_TEXT_PP(1));
	const bool again = strcmp(outcome, "retry") == 0;
	if (!again && strcmp(outcome, "done") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown outcome"),
						errhint("Use done or retry.")));
	const std::uint64_t retry_after = not_negative(fcinfo, 3, "retry_after");
	const text *reason = PG_ARGISNULL(2) ? nullptr : shortened(PG_GETARG_TEXT_PP(2));
	SPI_connect();
	const char *became = nullptr;
	if (again && postpone(PG_GETARG_DATUM(0), reason, retry_after))
		became = "retry";
	else if (delete_row(PG_GETARG_DATUM(0)) > 0)
		became = again ? "given_up" : "done";
	SPI_finish();
	if (became == nullptr)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(became));
}

OAUTH_FUNCTION(oauth_revocations_waiting)
{
	static MemberQuery statement = {
		"SELECT pg_catalog.count(*) FROM oauth_tokens_internal.oauth_revocations"};
	SPI_connect();
	run_as_owner(statement, {});
	const int64 waiting = DatumGetInt64(returned(1));
	SPI_finish();
	PG_RETURN_INT64(waiting);
}
