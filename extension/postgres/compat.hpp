// PostgreSQL's headers, and every difference between the versions that we
// support (15 to 18). Include it after all C++ headers: port.h renames printf
// and its friends.
#pragma once

extern "C" {
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/twophase.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "common/int.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "port/atomics.h"
#include "storage/bufmgr.h"
#include "storage/condition_variable.h"
#include "storage/freespace.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/shmem.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"
#include "utils/uuid.h"
#include "utils/wait_event.h"
}

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "oauth_tokens supports PostgreSQL 15 to 18"
#endif

// What PostgreSQL looks up in the library. Before version 16 PGDLLEXPORT is
// empty here, and -fvisibility=hidden would hide even the magic block.
#define OAUTH_EXPORT_BEGIN                                                                         \
	_Pragma("GCC visibility push(default)") extern "C"                                             \
	{
#define OAUTH_EXPORT_END                                                                           \
	}                                                                                              \
	_Pragma("GCC visibility pop")

// From version 18 on the library can tell its name and version, and the plain macro
// leaves them uninitialized.
#if PG_VERSION_NUM >= 180000
#define OAUTH_MODULE_MAGIC                                                                         \
	PG_MODULE_MAGIC_EXT(.name = "oauth_tokens", .version = OAUTH_TOKENS_VERSION)
#else
#define OAUTH_MODULE_MAGIC PG_MODULE_MAGIC
#endif

namespace compat
{

inline Oid primary_key_index(Relation table)
{
#if PG_VERSION_NUM >= 180000
	return ::RelationGetPrimaryKeyIndex(table, false);
#else
	return ::RelationGetPrimaryKeyIndex(table);
#endif
}

inline IndexScanDesc index_beginscan(Relation table, Relation index, Snapshot snapshot, int nkeys)
{
#if PG_VERSION_NUM >= 180000
	return ::index_beginscan(table, index, snapshot, nullptr, nkeys, 0);
#else
	return ::index_beginscan(table, index, snapshot, nkeys, 0);
#endif
}

#if PG_VERSION_NUM >= 160000
using UpdateIndexes = TU_UpdateIndexes;
inline bool needs_index_entries(UpdateIndexes update)
{
	return update != TU_None;
}
#else
using UpdateIndexes = bool;
inline bool needs_index_entries(UpdateIndexes update)
{
	return update;
}
#endif

// Whether a role may call a function.
inline bool may_execute(Oid function, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(ProcedureRelationId, function, role, ACL_EXECUTE) == ACLCHECK_OK;
#else
	return pg_proc_aclcheck(function, role, ACL_EXECUTE) == ACLCHECK_OK;
#endif
}

// Calls `visit` for each child of a node of an expression until one returns true.
inline bool walk_expression(Node *node, bool (*visit)(Node *, void *), void *context)
{
#if PG_VERSION_NUM >= 160000
	return expression_tree_walker(node, visit, context);
#else
	const auto any = reinterpret_cast<void (*)()>(visit); // as C casts it, without a warning
	return expression_tree_walker(node, reinterpret_cast<bool (*)()>(any), context);
#endif
}

// A new, empty file for the table, which is this one's if the transaction commits.
inline void set_new_storage(Relation relation)
{
#if PG_VERSION_NUM >= 160000
	RelationSetNewRelfilenumber(relation, relation->rd_rel->relpersistence);
#else
	RelationSetNewRelfilenode(relation, relation->rd_rel->relpersistence);
#endif
}

// Index entries for a new version of a row that changed no indexed column.
inline void insert_index_entries(ResultRelInfo *target, TupleTableSlot *slot, EState *estate,
								 UpdateIndexes update)
{
#if PG_VERSION_NUM >= 160000
	ExecInsertIndexTuples(target, slot, estate, true, false, nullptr, NIL,
						  update == TU_Summarizing);
#else
	(void)update;
	ExecInsertIndexTuples(target, slot, estate, true, false, nullptr, NIL);
#endif
}

} // namespace compat
