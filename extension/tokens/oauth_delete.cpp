// oauth_delete: forgets a token, and queues its grant for being revoked at the provider
// if that is wanted. It needs no key: the ciphertexts move as they are.

#include "postgres/function.hpp"
#include "postgres/member_query.hpp"
#include "revocation/revocation_queue.hpp"
#include "schema/owner_boundary.hpp"
#include "tokens/table_query.hpp"
#include "tokens/token_details.hpp"
#include "tokens/token_row.hpp"
#include "tokens/token_table.hpp"
#include "tokens/written_row.hpp"

extern "C" {
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
}

namespace oauth_tokens
{

namespace
{

enum class Revoke { never, always, unless_shared };

struct Deleted {
	bool was_there;
	bool is_queued;
};

// What the statement returns. Who deletes need not have the right to read the
// ciphertexts, so a plan returns them only if nothing else gets at them.
enum class Returns { nothing, id, tokens };
constexpr const char *kReturning[] = {
	"", " RETURNING id", " RETURNING id, encrypted_access_token, encrypted_refresh_token"};

bool delete_row(const TokenTable &table, const Identity &identity, Returns returns)
{
	static PlanCache kept[lengthof(kReturning)];
	const int form = static_cast<int>(returns);
	const std::uint64_t rows = run_on_tables(
		kept[form], table,
		[&] {
			return psprintf("DELETE FROM %s WHERE %s%s", table.name, kWhereIdentity,
							kReturning[form]);
		},
		identity_parameters(table, identity),
		returns == Returns::nothing ? SPI_OK_DELETE : SPI_OK_DELETE_RETURNING);
	if (rows == 0)
		check_deleted_row(table, identity);
	return rows > 0;
}

// Deletes the row, and its ciphertexts are in `tokens`. False if there was none.
bool take_row(const TokenTable &table, const Identity &identity, pg_uuid_t *id,
			  SealedTokens *tokens)
{
	const bool is_direct = table.rows_are_here && OidIsValid(table.identity_index);
	CommandCounterIncrement();
	const CommandId command = GetCurrentCommandId(false); // the one that deletes
	if (!delete_row(table, identity, is_direct ? Returns::id : Returns::tokens))
		return false;
	*id = *DatumGetUUIDP(returned(1));
	*tokens = is_direct ? tokens_deleted_by(command, table, identity)
						: SealedTokens{returned_text(2), returned_text(3)};
	return true;
}

Deleted delete_token(const TokenTable &table, const Identity &identity, Revoke revoke)
{
	if (revoke == Revoke::never) {
		const bool was_there = delete_row(table, identity, Returns::nothing);
		if (was_there)
			details_delete(table, identity);
		return {was_there, false};
	}
	pg_uuid_t id;
	SealedTokens tokens;
	if (!take_row(table, identity, &id, &tokens))
		return {false, false};
	const GrantOwner owner = details_take(table, identity, id);
	if (revoke == Revoke::unless_shared) {
		lock_account(identity, owner);
		if (is_account_shared(table, identity, owner))
			return {true, false};
	}
	queue_revocation(identity, tokens, owner, revoke == Revoke::unless_shared);
	return {true, true};
}

Revoke revoke_argument(const text *name)
{
	constexpr const char *names[] = {"never", "always", "auto"};
	const char *given = text_to_cstring(name);
	for (int i = 0; i < static_cast<int>(lengthof(names)); i++)
		if (strcmp(given, names[i]) == 0)
			return static_cast<Revoke>(i);
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown value of revoke"),
					errhint("Use auto, always or never.")));
	pg_unreachable();
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_delete)
{
	PreventCommandIfReadOnly("oauth_delete()");
	const TokenTable &table = use_tables(Use::write);
	const Identity identity = identity_from_arguments(fcinfo, 0, table);
	const bool revoke = !PG_ARGISNULL(4) && PG_GETARG_BOOL(4);
	SPI_connect();
	const Deleted deleted = delete_token(table, identity, revoke ? Revoke::always : Revoke::never);
	SPI_finish();
	PG_RETURN_BOOL(deleted.was_there);
}

OAUTH_FUNCTION(oauth_delete_token)
{
	PreventCommandIfReadOnly("delete_token()");
	const TokenTable &table = use_tables(Use::write);
	const Identity identity = identity_from_arguments(fcinfo, 0, table);
	refuse_null_argument(fcinfo, kIdentityColumns, "revoke");
	const Revoke revoke = revoke_argument(PG_GETARG_TEXT_PP(kIdentityColumns));
	TupleDesc descriptor;
	if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "delete_token() must return a row");
	SPI_connect();
	const Deleted deleted = delete_token(table, identity, revoke);
	SPI_finish();
	Datum values[] = {BoolGetDatum(deleted.was_there),
					  CStringGetTextDatum(deleted.is_queued ? "queued" : "skipped")};
	bool nulls[] = {false, false};
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}
