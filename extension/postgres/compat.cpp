#include "postgres/compat.hpp"

#include <cstdlib>

extern "C" {
#include "access/genam.h"
#include "access/tableam.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "commands/explain.h"
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
}

namespace oauth_tokens::compat
{

Oid primary_key_index(Relation table)
{
#if PG_VERSION_NUM >= 180000
	return ::RelationGetPrimaryKeyIndex(table, false);
#else
	return ::RelationGetPrimaryKeyIndex(table);
#endif
}

IndexScanDescData *index_beginscan(Relation table, Relation index, Snapshot snapshot, int nkeys)
{
#if PG_VERSION_NUM >= 180000
	return ::index_beginscan(table, index, snapshot, nullptr, nkeys, 0);
#else
	return ::index_beginscan(table, index, snapshot, nkeys, 0);
#endif
}

bool may_execute(Oid function, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(ProcedureRelationId, function, role, ACL_EXECUTE) == ACLCHECK_OK;
#else
	return pg_proc_aclcheck(function, role, ACL_EXECUTE) == ACLCHECK_OK;
#endif
}

bool may_use_schema(Oid schema, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(NamespaceRelationId, schema, role, ACL_USAGE) == ACLCHECK_OK;
#else
	return pg_namespace_aclcheck(schema, role, ACL_USAGE) == ACLCHECK_OK;
#endif
}

bool walk_expression(Node *node, bool (*visit)(Node *, void *), void *context)
{
#if PG_VERSION_NUM >= 160000
	return expression_tree_walker(node, visit, context);
#else
	const auto any = reinterpret_cast<void (*)()>(visit); // as C casts it, without a warning
	return expression_tree_walker(node, reinterpret_cast<bool (*)()>(any), context);
#endif
}

bool walk_query(Query *query, bool (*visit)(Node *, void *), void *context)
{
#if PG_VERSION_NUM >= 160000
	return query_tree_walker(query, visit, context, 0);
#else
	const auto any = reinterpret_cast<void (*)()>(visit);
	return query_tree_walker(query, reinterpret_cast<bool (*)()>(any), context, 0);
#endif
}

void explain_expression(const char *label, Node *expression, Plan *plan, List *ancestors,
						ExplainState *state)
{
	List *context = set_deparse_context_plan(state->deparse_cxt, plan, ancestors);
	const bool has_prefix = state->verbose || list_length(state->rtable) > 1;
	ExplainPropertyText(label, deparse_expression(expression, context, has_prefix, false), state);
}

void *guc_allocate(std::size_t size)
{
#if PG_VERSION_NUM >= 160000
	return guc_malloc(LOG, size);
#else
	return std::malloc(size);
#endif
}

void guc_release(void *memory)
{
#if PG_VERSION_NUM >= 160000
	guc_free(memory);
#else
	std::free(memory);
#endif
}

const config_generic *find_setting(const char *name)
{
#if PG_VERSION_NUM >= 160000
	return find_option(name, false, true, ERROR);
#else
	config_generic **settings = get_guc_variables();
	for (int i = 0; i < GetNumConfigOptions(); i++)
		if (pg_strcasecmp(settings[i]->name, name) == 0)
			return settings[i];
	return nullptr;
#endif
}

void set_new_storage(Relation relation)
{
#if PG_VERSION_NUM >= 160000
	RelationSetNewRelfilenumber(relation, relation->rd_rel->relpersistence);
#else
	RelationSetNewRelfilenode(relation, relation->rd_rel->relpersistence);
#endif
}

bool update_row(ResultRelInfo *target, EState *estate, ItemPointerData *tid,
				TupleTableSlot *new_row, CommandId command, Snapshot snapshot, bool wait)
{
	TM_FailureData failure;
	LockTupleMode lock_mode;
#if PG_VERSION_NUM >= 160000
	TU_UpdateIndexes update;
#else
	bool update;
#endif
	if (table_tuple_update(target->ri_RelationDesc, tid, new_row, command, snapshot,
						   InvalidSnapshot, wait, &failure, &lock_mode, &update) != TM_Ok)
		return false;
#if PG_VERSION_NUM >= 160000
	if (update != TU_None)
		ExecInsertIndexTuples(target, new_row, estate, true, false, nullptr, NIL,
							  update == TU_Summarizing);
#else
	if (update)
		ExecInsertIndexTuples(target, new_row, estate, true, false, nullptr, NIL);
#endif
	return true;
}

} // namespace oauth_tokens::compat
