#include "schema/owner_code.hpp"

#include "settings.hpp"
#include "tokens/row_storage.hpp"

#include <algorithm>
#include <iterator>

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_index.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rowsecurity.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/reltrigger.h"
#include "utils/rls.h"
#include "utils/syscache.h"
}

namespace oauth_tokens
{

namespace
{

bool is_built_in(Oid object)
{
	return object < FirstGenbkiObjectId;
}

// They ask with the caller's rights, and look for code themselves.
bool is_of_details_policies(Oid function)
{
	if (get_func_namespace(function) != get_namespace_oid("oauth_tokens_internal", true))
		return false;
	const char *name = get_func_name(function);
	return strcmp(name, "sees_token") == 0 || strcmp(name, "may_update_token") == 0;
}

// PostgreSQL's own functions run nothing that they are handed if they are
// IMMUTABLE, as query_to_xml(), say, is not. These do not either.
bool is_harmless(Oid function)
{
	constexpr Oid harmless[] = {F_NOW,
								F_TRANSACTION_TIMESTAMP,
								F_STATEMENT_TIMESTAMP,
								F_CLOCK_TIMESTAMP,
								F_GEN_RANDOM_UUID,
								F_ENUM_IN,
								F_ENUM_OUT};
	if (!is_built_in(function))
		return is_of_details_policies(function);
	return func_volatile(function) == PROVOLATILE_IMMUTABLE ||
		   std::ranges::find(harmless, function) != std::end(harmless);
}

bool is_harmful(Oid function, void *)
{
	return !is_harmless(function);
}

// What is not listed may run anything: a domain's constraints, say.
bool is_simple(const Node *node)
{
	switch (nodeTag(node)) {
	case T_List:
	case T_Var:
	case T_Const:
	case T_FuncExpr:
	case T_OpExpr:
	case T_DistinctExpr:
	case T_NullIfExpr:
	case T_ScalarArrayOpExpr:
	case T_BoolExpr:
	case T_NullTest:
	case T_BooleanTest:
	case T_RelabelType:
	case T_CoerceViaIO:
	case T_ArrayExpr:
	case T_ArrayCoerceExpr:
	case T_CaseExpr:
	case T_CaseWhen:
	case T_CaseTestExpr:
	case T_CoalesceExpr:
	case T_MinMaxExpr:
	case T_CollateExpr:
	case T_SQLValueFunction:
		return true;
	default:
		return false;
	}
}

// As the policy that oauth_tokens_enable_row_security() makes reads it. Other settings may be for
// superusers alone.
bool reads_workspace_id(const Node *node)
{
	if (!IsA(node, FuncExpr))
		return false;
	const auto *call = reinterpret_cast<const FuncExpr *>(node);
	if (call->funcid != F_CURRENT_SETTING_TEXT_BOOL || !IsA(linitial(call->args), Const) ||
		!IsA(lsecond(call->args), Const))
		return false;
	const auto *name = static_cast<const Const *>(linitial(call->args));
	return !name->constisnull &&
		   strcmp(TextDatumGetCString(name->constvalue), kWorkspaceIdSetting) == 0;
}

bool has_code(Node *node, void *context)
{
	if (node == nullptr || reads_workspace_id(node))
		return false;
	return !is_simple(node) || check_functions_in_node(node, is_harmful, nullptr) ||
		   compat::walk_expression(node, has_code, context);
}

bool has_code(const char *expression)
{
	return has_code(static_cast<Node *>(stringToNode(expression)), nullptr);
}

bool has_code(HeapTuple tuple, AttrNumber column, TupleDesc descriptor)
{
	bool is_null;
	const Datum expression = heap_getattr(tuple, column, descriptor, &is_null);
	return !is_null && has_code(TextDatumGetCString(expression));
}

// A range type may bring a function that index builds call, and a domain has
// constraints; base types are made by superusers.
bool is_simple_type(Oid type)
{
	return is_built_in(type) || get_typtype(type) == TYPTYPE_BASE ||
		   get_typtype(type) == TYPTYPE_ENUM;
}

bool has_simple_types(Relation relation)
{
	const TupleDesc descriptor = RelationGetDescr(relation);
	for (int i = 0; i < descriptor->natts; i++)
		if (!TupleDescAttr(descriptor, i)->attisdropped &&
			!is_simple_type(TupleDescAttr(descriptor, i)->atttypid))
			return false;
	return true;
}

bool indexes_simple_types(Relation table, Relation index)
{
	for (int i = 0; i < index->rd_index->indnatts; i++) {
		const AttrNumber column = index->rd_index->indkey.values[i];
		if (column > 0 &&
			!is_simple_type(TupleDescAttr(RelationGetDescr(table), column - 1)->atttypid))
			return false;
	}
	return has_simple_types(index);
}

char *find_in_indexes(Relation table, Use use)
{
	Relation catalog = table_open(IndexRelationId, AccessShareLock);
	char *found = nullptr;
	List *indexes = RelationGetIndexList(table);
	ListCell *cell;
	foreach (cell, indexes) {
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);
		const char *name = quote_identifier(RelationGetRelationName(index));
		if (has_code(index->rd_indextuple, Anum_pg_index_indexprs, RelationGetDescr(catalog)) ||
			has_code(index->rd_indextuple, Anum_pg_index_indpred, RelationGetDescr(catalog)))
			found = psprintf("an expression in index %s", name);
		else if (use == Use::write && !indexes_simple_types(table, index))
			found = psprintf("a type of its own in index %s", name);
		index_close(index, NoLock);
		if (found != nullptr)
			break;
	}
	list_free(indexes);
	table_close(catalog, AccessShareLock);
	return found;
}

char *find_in_statistics(Relation table)
{
	char *found = nullptr;
	List *statistics = RelationGetStatExtList(table);
	ListCell *cell;
	foreach (cell, statistics) {
		HeapTuple tuple = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(lfirst_oid(cell)));
		if (!HeapTupleIsValid(tuple))
			continue;
		bool is_null;
		const Datum expressions =
			SysCacheGetAttr(STATEXTOID, tuple, Anum_pg_statistic_ext_stxexprs, &is_null);
		if (!is_null && has_code(TextDatumGetCString(expressions)))
			found = psprintf(
				"an expression in statistics %s",
				quote_identifier(NameStr(((Form_pg_statistic_ext)GETSTRUCT(tuple))->stxname)));
		ReleaseSysCache(tuple);
	}
	list_free(statistics);
	return found;
}

// A column that our statements leave out gets its default, or that of its type.
char *find_in_column(Form_pg_attribute attribute, const char *expression)
{
	const char *name = quote_identifier(NameStr(attribute->attname));
	if (expression != nullptr && has_code(expression))
		return psprintf("a function in %s column %s",
						attribute->attgenerated != '\0' ? "generated" : "the default of", name);
	if (get_typtype(attribute->atttypid) == TYPTYPE_DOMAIN && !is_built_in(attribute->atttypid))
		return psprintf("a domain as type of column %s", name);
	return nullptr;
}

const char *default_of(const TupleConstr *constraints, AttrNumber column)
{
	for (int i = 0; constraints != nullptr && i < constraints->num_defval; i++)
		if (constraints->defval[i].adnum == column)
			return constraints->defval[i].adbin;
	return nullptr;
}

char *find_in_columns(Relation table, Use use, bool (*is_own)(const char *))
{
	const TupleDesc descriptor = RelationGetDescr(table);
	char *found = nullptr;
	for (int i = 0; i < descriptor->natts && found == nullptr; i++) {
		const Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
		const bool is_read_or_set = use == Use::read || is_own(NameStr(attribute->attname));
		if (!attribute->attisdropped && (attribute->attgenerated != '\0' || !is_read_or_set))
			found = find_in_column(attribute, default_of(descriptor->constr, i + 1));
	}
	return found;
}

// The planner reads them, too, if constraint_exclusion is on.
char *find_in_checks(Relation table)
{
	const TupleConstr *constraints = RelationGetDescr(table)->constr;
	for (int i = 0; constraints != nullptr && i < constraints->num_check; i++)
		if (has_code(constraints->check[i].ccbin))
			return psprintf("a function in constraint %s",
							quote_identifier(constraints->check[i].ccname));
	return nullptr;
}

// An update compares the old and the new key, with a cast if the types differ.
// Those that the upgrade makes for the details do no harm.
bool has_harmful_policies(Relation table)
{
	if (table->rd_rsdesc == nullptr ||
		check_enable_rls(RelationGetRelid(table), InvalidOid, true) != RLS_ENABLED)
		return false;
	ListCell *cell;
	foreach (cell, table->rd_rsdesc->policies) {
		const auto *policy = static_cast<RowSecurityPolicy *>(lfirst(cell));
		if (has_code(reinterpret_cast<Node *>(policy->qual), nullptr) ||
			has_code(reinterpret_cast<Node *>(policy->with_check_qual), nullptr))
			return true;
	}
	return false;
}

char *find_in_foreign_keys(Relation table)
{
	ListCell *cell;
	foreach (cell, RelationGetFKeyList(table)) {
		const auto *key = static_cast<ForeignKeyCacheInfo *>(lfirst(cell));
		for (int i = 0; i < key->nkeys; i++)
			if (!is_built_in(TupleDescAttr(RelationGetDescr(table), key->conkey[i] - 1)->atttypid))
				return pstrdup("a foreign key over a type of its own");
	}
	return nullptr;
}

char *find_in_triggers(Relation table)
{
	// A copy: a look-up can free what the relation has, although the table is locked.
	const TriggerDesc *triggers = CopyTriggerDesc(table->trigdesc);
	for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++) {
		const Trigger &trigger = triggers->triggers[i];
		// Internal ones are those of foreign keys and constraints.
		if (trigger.tgisinternal || trigger.tgenabled == TRIGGER_DISABLED ||
			(trigger.tgfoid == internal_function("record_change") && trigger.tgqual == nullptr))
			continue;
		return psprintf("trigger %s", quote_identifier(trigger.tgname));
	}
	return nullptr;
}

} // namespace

char *find_owner_code(Relation table, Use use, bool (*is_own)(const char *column))
{
	if (has_harmful_policies(table))
		return pstrdup("row security policies");
	if (table->rd_rel->relispartition)
		return pstrdup("a table of which it is a partition");
	if (has_child_tables(RelationGetRelid(table)))
		return pstrdup("child tables");
	char *found = find_in_indexes(table, use);
	if (found == nullptr)
		found = find_in_statistics(table);
	if (found == nullptr)
		found = find_in_checks(table);
	if (found == nullptr)
		found = find_in_columns(table, use, is_own);
	if (found != nullptr || use == Use::read)
		return found;
	if (table->rd_rules != nullptr)
		return pstrdup("rules");
	found = find_in_foreign_keys(table);
	return found != nullptr ? found : find_in_triggers(table);
}

} // namespace oauth_tokens
