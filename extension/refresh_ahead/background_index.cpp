#include "refresh_ahead/background_index.hpp"

#include "errors.hpp"
#include "postgres/function.hpp"
#include "postgres/owner_query.hpp"
#include "postgres/safe_settings.hpp"
#include "schema/table_owner.hpp"

extern "C" {
#include "access/genam.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

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

// As it stands in the catalog; null if there is none.
Node *expression_of(Relation index, AttrNumber attribute)
{
	bool is_null;
	const Datum tree = SysCacheGetAttr(INDEXRELID, index->rd_indextuple, attribute, &is_null);
	return is_null ? nullptr : static_cast<Node *>(stringToNode(TextDatumGetCString(tree)));
}

bool is_constant(const void *node, Oid type, Datum value)
{
	if (!IsA(node, Const))
		return false;
	const auto *constant = static_cast<const Const *>(node);
	if (constant->consttype != type || constant->constisnull)
		return false;
	return type == INT4OID ? constant->constvalue == value
						   : DatumGetBool(DirectFunctionCall2Coll(texteq, C_COLLATION_OID,
																  constant->constvalue, value));
}

bool is_column(const void *node, AttrNumber column)
{
	return IsA(node, Var) && static_cast<const Var *>(node)->varattno == column;
}

// split_part(provider, '.', 1)
bool is_base_name(const Node *expressions, AttrNumber provider)
{
	if (expressions == nullptr || list_length(reinterpret_cast<const List *>(expressions)) != 1)
		return false;
	const auto *call =
		static_cast<const FuncExpr *>(linitial(reinterpret_cast<const List *>(expressions)));
	return IsA(call, FuncExpr) && call->funcid == F_SPLIT_PART &&
		   is_column(linitial(call->args), provider) &&
		   is_constant(lsecond(call->args), TEXTOID, CStringGetTextDatum(".")) &&
		   is_constant(lthird(call->args), INT4OID, Int32GetDatum(1));
}

// Whether the index has all rows that a look asks for.
bool is_implied(Node *condition, Oid table, const BackgroundIndex &wanted)
{
	if (condition == nullptr)
		return true;
	List *parts = make_ands_implicit(reinterpret_cast<Expr *>(condition));
	ListCell *cell;
	foreach (cell, parts) {
		const auto *test = static_cast<const NullTest *>(lfirst(cell));
		if (!IsA(test, NullTest) || test->argisrow || test->nulltesttype != IS_NOT_NULL)
			return false;
		if (!is_column(test->arg, get_attnum(table, wanted.time)) &&
			!is_column(test->arg, get_attnum(table, "encrypted_refresh_token")))
			return false;
	}
	return true;
}

bool serves(Oid table, Oid index_id, const BackgroundIndex &wanted)
{
	Relation index = index_open(index_id, AccessShareLock);
	const Form_pg_index form = index->rd_index;
	const AttrNumber provider = get_attnum(table, "provider");
	const bool fits = index->rd_rel->relam == BTREE_AM_OID && form->indisvalid &&
					  form->indisready && form->indislive && form->indnkeyatts == kKeys &&
					  form->indkey.values[0] == 0 &&
					  form->indkey.values[1] == get_attnum(table, wanted.time) &&
					  form->indkey.values[2] == get_attnum(table, wanted.id) &&
					  is_base_name(expression_of(index, Anum_pg_index_indexprs), provider) &&
					  is_implied(expression_of(index, Anum_pg_index_indpred), table, wanted);
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
	static MemberQuery scans = {"DELETE FROM oauth_tokens_internal.refresh_scans"};
	static MemberQuery places = {"DELETE FROM oauth_tokens_internal.refresh_places"};
	run_as_owner(scans, {});
	run_as_owner(places, {});
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
