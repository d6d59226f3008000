// postgres.h, and every difference between the versions that we support (15 to 18). Other
// headers of PostgreSQL are included by each file that uses them, in a block of extern "C"
// after all C++ headers: port.h renames printf and its friends.
#pragma once

extern "C" {
#include "postgres.h"

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "storage/itemptr.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif
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

// The last parameter of ExecutorRun, before version 18
#if PG_VERSION_NUM >= 180000
#define COMPAT_EXECUTE_ONCE
#define COMPAT_PASS_EXECUTE_ONCE
#else
#define COMPAT_EXECUTE_ONCE , bool execute_once
#define COMPAT_PASS_EXECUTE_ONCE , execute_once
#endif

struct EState;
struct ExplainState;
struct IndexScanDescData;
struct List;
struct Plan;
struct Query;
struct ResultRelInfo;
struct TupleTableSlot;
struct config_generic;

namespace oauth_tokens::compat
{

Oid primary_key_index(Relation table);

IndexScanDescData *index_beginscan(Relation table, Relation index, Snapshot snapshot, int nkeys);

// Whether a role may call a function, or use a schema.
bool may_execute(Oid function, Oid role);
bool may_use_schema(Oid schema, Oid role);

// Calls `visit` for each child of a node of an expression until one returns true.
bool walk_expression(Node *node, bool (*visit)(Node *, void *), void *context);

// The same for a query, with the queries in it.
bool walk_query(Query *query, bool (*visit)(Node *, void *), void *context);

// A line of EXPLAIN for an expression of a plan's node.
void explain_expression(const char *label, Node *expression, Plan *plan, List *ancestors,
						ExplainState *state);

// Memory for what a setting's check hook has worked out; null: there is none.
void *guc_allocate(std::size_t size);
void guc_release(void *memory);

// A setting, also one that no library has defined yet; null: there is none.
const config_generic *find_setting(const char *name);

// A new, empty file for the table, which is this one's if the transaction commits.
void set_new_storage(Relation relation);

// Replaces a row by a version that changes no indexed column, with index entries if it needs
// any. False if it was not replaced: another transaction has changed it or, unless this may
// `wait`, has locked it in any way.
bool update_row(ResultRelInfo *target, EState *estate, ItemPointerData *tid,
				TupleTableSlot *new_row, CommandId command, Snapshot snapshot, bool wait);

} // namespace oauth_tokens::compat
