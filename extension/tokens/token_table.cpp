#include "tokens/token_table.hpp"

#include "errors.hpp"
#include "postgres/extension_row.hpp"
#include "schema/row_security.hpp"
#include "tokens/indexed_plan.hpp"
#include "tokens/row_storage.hpp"

extern "C" {
#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "rewrite/rowsecurity.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/reltrigger.h"
#include "utils/syscache.h"
}

namespace oauth_tokens
{

namespace
{

TokenTable cached;
MemoryContext cached_memory = nullptr;
// What was cached is good while the catalog has not changed since the look.
std::uint64_t catalog_changes = 1;
std::uint64_t looked_at = 0;

void relation_changed(Datum, Oid relid)
{
	if (relid == InvalidOid || relid == cached.relid || relid == cached.details_relid)
		catalog_changes++;
}

// A function or a schema changed: the extension may stand elsewhere now. Or a role
// did: what may be trusted, too.
void catalog_changed(Datum, int, uint32)
{
	catalog_changes++;
}

void relation_name_changed(Datum, int, uint32 hash)
{
	if (concerns_citus(hash))
		catalog_changes++;
}

// All that the text and the parameters of a kept plan depend on.
struct Shape {
	NameData schema;
	Oid relid;
	Oid details_relid;
	Oid type[kTableColumns];
};

void count_version()
{
	static Shape last;
	Shape now = {};
	namestrcpy(&now.schema, get_namespace_name(get_rel_namespace(cached.relid)));
	now.relid = cached.relid;
	now.details_relid = cached.details_relid;
	memcpy(now.type, cached.type, sizeof now.type);
	if (memcmp(&now, &last, sizeof now) != 0)
		cached.version++;
	last = now;
}

[[noreturn]] void raise_not_migrated(const char *missing)
{
	ereport(ERROR, (errcode(ERRCODE_NOT_MIGRATED), errmsg("oauth_tokens is not migrated yet"),
					errdetail("There is no table %s.", missing),
					errhint("As the role that is to own it: SELECT oauth_tokens_upgrade().")));
	pg_unreachable();
}

void find_columns(Relation table)
{
	for (int i = 0; i < kTableColumns; i++) {
		char *fault = nullptr;
		const auto column = static_cast<TableColumn>(i);
		const AttrNumber attno = table_find_column(table, column, &fault);
		if (attno == 0)
			raise_table_differs(cached.name, fault);
		cached.attno[i] = attno;
		cached.type[i] = TupleDescAttr(RelationGetDescr(table), attno - 1)->atttypid;
	}
	cached.enum_type = cached.type[kActorType];
}

// Before the row is written, or after it. Those of foreign keys check it alone.
bool has_trigger_on_writes(const TriggerDesc *triggers)
{
	constexpr int kWrites = TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE;
	const Oid ours = get_namespace_oid("oauth_tokens_internal", true);
	for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++) {
		const Trigger &trigger = triggers->triggers[i];
		if ((trigger.tgtype & kWrites) != 0 && !trigger.tgisinternal &&
			trigger.tgenabled != TRIGGER_DISABLED && get_func_namespace(trigger.tgfoid) != ours)
			return true;
	}
	return false;
}

void find_triggers(Relation table)
{
	// A copy: a look-up can free what the relation has, although the table is locked.
	TriggerDesc *triggers = CopyTriggerDesc(table->trigdesc);
	cached.triggers_write = !cached.rows_are_here || has_trigger_on_writes(triggers);
	cached.triggers_delete = triggers != nullptr && triggers->trig_delete_before_row;
	FreeTriggerDesc(triggers);
}

bool has_workspace_policy(const RowSecurityDesc *policies)
{
	ListCell *cell;
	foreach (cell, policies == nullptr ? NIL : policies->policies)
		if (strcmp(static_cast<RowSecurityPolicy *>(lfirst(cell))->policy_name,
				   kWorkspacePolicyName) == 0)
			return true;
	return false;
}

void prepare_identity_keys()
{
	Relation index = index_open(cached.identity_index, AccessShareLock);
	for (int i = 0; i < kIdentityColumns; i++) {
		const Oid type = index->rd_opcintype[i];
		const Oid equal =
			get_opfamily_member(index->rd_opfamily[i], type, type, BTEqualStrategyNumber);
		ScanKeyEntryInitialize(&cached.identity_keys[i], 0, i + 1, BTEqualStrategyNumber,
							   InvalidOid, index->rd_indcollation[i], get_opcode(equal), 0);
	}
	index_close(index, AccessShareLock);
}

void look_up()
{
	const std::uint64_t changes = catalog_changes;
	cached.relid = cached.details_relid = InvalidOid;
	if (cached_memory == nullptr)
		cached_memory =
			AllocSetContextCreate(CacheMemoryContext, "oauth_tokens table", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(cached_memory);
	MemoryContext caller = MemoryContextSwitchTo(cached_memory);

	cached.name = extension_object_name(kTableName);
	cached.details_name = extension_object_name(kDetailsName);
	cached.relid = get_relname_relid(kTableName, extension_schema());
	cached.details_relid = get_relname_relid(kDetailsName, extension_schema());
	if (!OidIsValid(cached.relid))
		raise_not_migrated(cached.name);
	if (!OidIsValid(cached.details_relid))
		raise_not_migrated(cached.details_name);

	// In the order in which both are dropped: a session that drops them makes us wait until they
	// are gone.
	const Rows rows = refuse_rows_elsewhere(cached.relid, cached.name);
	if (rows == Rows::gone)
		raise_not_migrated(cached.name);
	if (refuse_rows_elsewhere(cached.details_relid, cached.details_name) == Rows::gone)
		raise_not_migrated(cached.details_name);
	cached.rows_are_here = rows == Rows::here;
	Relation details = table_open(cached.details_relid, NoLock);
	cached.details_are_unique = details_are_unique(details);
	table_close(details, NoLock);
	Relation table = table_open(cached.relid, AccessShareLock);
	find_columns(table);
	find_triggers(table);
	cached.has_workspace_policy = has_workspace_policy(table->rd_rsdesc);
	cached.identity_index = table_find_identity_index(table);
	cached.identity_is_reindexed = table_is_identity_reindexed(table);
	if (OidIsValid(cached.identity_index))
		prepare_identity_keys();
	count_version();
	looked_at = changes; // what changed meanwhile makes us look again
	table_close(table, NoLock);
	MemoryContextSwitchTo(caller);
}

// Plans that were replaced. An outer call may be running one, but none does when the
// transaction ends.
List *retired_plans = NIL;

void retire(SPIPlanPtr plan)
{
	MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
	retired_plans = lappend(retired_plans, plan);
	MemoryContextSwitchTo(caller);
}

void free_retired_plans(XactEvent event, void *)
{
	if (likely(retired_plans == NIL) ||
		(event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE))
		return;
	ListCell *cell;
	foreach (cell, retired_plans)
		SPI_freeplan(static_cast<SPIPlanPtr>(lfirst(cell)));
	list_free(retired_plans);
	retired_plans = NIL;
}

Oid find_function(Oid schema, const char *name, Oid argument)
{
	oidvector *arguments = buildoidvector(&argument, OidIsValid(argument) ? 1 : 0);
	const Oid function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name),
										 PointerGetDatum(arguments), ObjectIdGetDatum(schema));
	if (!OidIsValid(function))
		elog(ERROR, "there is no function %s of oauth_tokens", name);
	return function;
}

} // namespace

void token_table_init()
{
	RegisterXactCallback(free_retired_plans, nullptr);
	CacheRegisterSyscacheCallback(RELNAMENSP, relation_name_changed, 0);
	CacheRegisterRelcacheCallback(relation_changed, 0);
	CacheRegisterSyscacheCallback(PROCOID, catalog_changed, 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, catalog_changed, 0);
	CacheRegisterSyscacheCallback(AUTHOID, catalog_changed, 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, catalog_changed, 0);
}

Oid extension_schema()
{
	return find_extension().schema;
}

char *extension_object_name(const char *name)
{
	return quote_qualified_identifier(get_namespace_name(extension_schema()), name);
}

Oid internal_function(const char *name, Oid argument)
{
	return find_function(get_namespace_oid("oauth_tokens_internal", false), name, argument);
}

Oid extension_function(const char *name)
{
	return find_function(extension_schema(), name, InvalidOid);
}

void raise_table_differs(const char *name, const char *how)
{
	ereport(ERROR,
			(errcode(ERRCODE_TABLE_DIFFERS),
			 errmsg("table %s is not as its migration made it", name),
			 errdetail("How it differs: %s.", how),
			 errhint("SELECT oauth_tokens_upgrade() repairs what is safe, and lists the rest.")));
	pg_unreachable();
}

std::uint64_t catalog_state()
{
	return catalog_changes;
}

const TokenTable &token_table_as_known()
{
	return cached;
}

const TokenTable &token_table()
{
	if (looked_at != catalog_changes) {
		look_up();
	} else {
		refuse_distributed_since(cached.relid);
		refuse_distributed_since(cached.details_relid);
	}
	return cached;
}

const TokenTable &lock_token_table(LOCKMODE mode)
{
	for (;;) {
		const Oid relid = token_table().relid;
		LockRelationOid(relid, mode); // hears of all changes before
		if (token_table().relid == relid)
			return cached;
		UnlockRelationOid(relid, mode);
	}
}

Relation open_token_table(LOCKMODE mode)
{
	return table_open(lock_token_table(mode).relid, NoLock);
}

void prepare_cached_plan(PlanCache &kept, const TokenTable &table, const char *sql, int arguments,
						 Oid *types)
{
	SPIPlanPtr plan = prepare_indexed_plan(sql, arguments, types);
	if (plan == nullptr)
		elog(ERROR, "could not prepare a statement on oauth_tokens: %s",
			 SPI_result_code_string(SPI_result));
	if (kept.plan != nullptr)
		retire(kept.plan);
	kept.plan = plan;
	kept.version = table.version;
}

} // namespace oauth_tokens
