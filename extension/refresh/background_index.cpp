#include "refresh/background_index.hpp"

#include "errors.hpp"
#include "function.hpp"
#include "owner_boundary.hpp"
#include "refresh/member_statement.hpp"
#include "safe_settings.hpp"

namespace oauth_tokens
{

namespace
{

// By base name, since rules are by it; the id makes each place in the order a single one.
struct BackgroundIndex {
	const char *name;
	const char *time; // columns after the expression
	const char *id;
	const char *condition;
};
constexpr BackgroundIndex kTokens = {
	"idx_oauth_tokens_refresh", "access_token_expires_at", "id",
	"encrypted_refresh_token IS NOT NULL AND access_token_expires_at IS NOT NULL"};
constexpr BackgroundIndex kDetails = {"idx_oauth_token_details_refresh", "refresh_expires_at",
									  "token_id", "refresh_expires_at IS NOT NULL"};
constexpr int kKeys = 3;

Oid find_index(Oid table, const BackgroundIndex &wanted)
{
	const Oid found = get_relname_relid(wanted.name, get_rel_namespace(table));
	return OidIsValid(found) && IndexGetRelation(found, true) == table ? found : InvalidOid;
}

bool serves(Oid table, Oid index_id, const BackgroundIndex &wanted)
{
	Relation index = index_open(index_id, AccessShareLock);
	const Form_pg_index form = index->rd_index;
	const bool fits = index->rd_rel->relam == BTREE_AM_OID && form->indisvalid &&
					  form->indisready && form->indislive && form->indnkeyatts == kKeys &&
					  form->indkey.values[0] == 0 &&
					  form->indkey.values[1] == get_attnum(table, wanted.time) &&
					  form->indkey.values[2] == get_attnum(table, wanted.id);
	index_close(index, NoLock);
	return fits;
}

bool has_index(Oid table, const BackgroundIndex &wanted)
{
	const Oid found = find_index(table, wanted);
	return OidIsValid(found) && serves(table, found, wanted);
}

char *qualified(Oid table, const char *name)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(table)), name);
}

void require_owner(Oid table)
{
	Relation relation = table_open(table, NoLock);
	const Oid owner = relation->rd_rel->relowner;
	table_close(relation, NoLock);
	if (!has_privs_of_role(GetUserId(), owner))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("must be owner of table %s", get_rel_name(table)),
						errhint("Call this as role %s, or as a superuser.",
								quote_identifier(GetUserNameFromId(owner, false)))));
}

void drop_index(Oid table, const BackgroundIndex &unwanted)
{
	if (OidIsValid(find_index(table, unwanted)))
		execute_safely(psprintf("DROP INDEX %s", qualified(table, unwanted.name)));
}

// One that was made beforehand, CONCURRENTLY, is taken as it is.
void make_index(Oid table, const BackgroundIndex &wanted)
{
	if (has_index(table, wanted))
		return;
	drop_index(table, wanted);
	execute_safely(psprintf("CREATE INDEX %s ON %s ((pg_catalog.split_part(provider, '.', 1)), "
							"%s, %s) WHERE %s",
							wanted.name, qualified(table, get_rel_name(table)), wanted.time,
							wanted.id, wanted.condition));
}

// The places of looks by the index that there was.
void forget_looks()
{
	static FlowStatement<1> scans = {"DELETE FROM oauth_tokens_internal.refresh_scans WHERE $1",
									 {BOOLOID}};
	static FlowStatement<1> places = {"DELETE FROM oauth_tokens_internal.refresh_places WHERE $1",
									  {BOOLOID}};
	Datum values[] = {BoolGetDatum(true)};
	run_as_owner(scans, values);
	run_as_owner(places, values);
}

// One at a time, and no migration meanwhile.
const TokenTable &lock_for_change()
{
	LockDatabaseObject(ExtensionRelationId, get_extension_oid("oauth_tokens", false), 0,
					   ShareUpdateExclusiveLock);
	const TokenTable &table = use_tables(Use::read);
	require_owner(table.relid);
	require_owner(table.details_relid);
	return table;
}

} // namespace

bool has_background_indexes(const TokenTable &table)
{
	return has_index(table.relid, kTokens) && has_index(table.details_relid, kDetails);
}

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_tokens_enable_background_refresh)
{
	PreventCommandIfReadOnly("oauth_tokens_enable_background_refresh()");
	const SafeSettings settings = begin_safe_settings();
	SPI_connect();
	const TokenTable &table = lock_for_change();
	const Oid details = table.details_relid;
	make_index(table.relid, kTokens);
	make_index(details, kDetails);
	SPI_finish();
	end_safe_settings(settings);
	PG_RETURN_VOID();
}

OAUTH_FUNCTION(oauth_tokens_disable_background_refresh)
{
	PreventCommandIfReadOnly("oauth_tokens_disable_background_refresh()");
	const SafeSettings settings = begin_safe_settings();
	SPI_connect();
	const TokenTable &table = lock_for_change();
	const Oid details = table.details_relid;
	drop_index(table.relid, kTokens);
	drop_index(details, kDetails);
	forget_looks();
	SPI_finish();
	end_safe_settings(settings);
	PG_RETURN_VOID();
}
