#include "tokens/row_storage.hpp"

#include "errors.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/pg_am.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace oauth_tokens
{

namespace
{

constexpr const char *kCitusCatalog = "pg_dist_partition";
constexpr const char *kCitusColumn = "logicalrelid";
// Of its name in the cache of relation names. Computed if the catalog may be read,
// which a callback of invalidations must not do. 0: nobody has asked yet.
uint32 citus_hash = 0;
bool citus_is_there = false;

const char *kind_of(char relkind)
{
	switch (relkind) {
	case RELKIND_VIEW:
		return "it is a view";
	case RELKIND_MATVIEW:
		return "it is a materialized view";
	case RELKIND_FOREIGN_TABLE:
		return "it is a foreign table";
	case RELKIND_PARTITIONED_TABLE:
		return "it is a partitioned table";
	case RELKIND_SEQUENCE:
		return "it is a sequence";
	case RELKIND_COMPOSITE_TYPE:
		return "it is a composite type";
	default:
		return "it is not a table";
	}
}

// The flag of rules stays, too; these are what is there.
bool has_rules(Relation relation)
{
	return relation->rd_rules != nullptr && relation->rd_rules->numLocks > 0;
}

[[noreturn]] void raise_unknown_citus(const char *how)
{
	ereport(ERROR, (errcode(ERRCODE_TABLE_DIFFERS),
					errmsg("cannot tell whether Citus distributes oauth_tokens"),
					errdetail("pg_catalog.%s %s.", kCitusCatalog, how),
					errhint("This version of Citus is not supported.")));
	pg_unreachable();
}

bool names_relation(Relation catalog, AttrNumber column, Oid relid)
{
	ScanKeyData key;
	ScanKeyInit(&key, column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, nullptr, 1, &key);
	const bool found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	return found;
}

// Citus lists its distributed, reference and managed local tables there, one row
// each, and keeps their rows in shards.
bool is_distributed(Oid relid)
{
	NameData name;
	namestrcpy(&name, kCitusCatalog);
	citus_hash = GetSysCacheHashValue2(RELNAMENSP, NameGetDatum(&name),
									   ObjectIdGetDatum(PG_CATALOG_NAMESPACE));
	const Oid catalog_id = get_relname_relid(kCitusCatalog, PG_CATALOG_NAMESPACE);
	citus_is_there = OidIsValid(catalog_id);
	if (!citus_is_there)
		return false;
	if (get_rel_relkind(catalog_id) != RELKIND_RELATION)
		raise_unknown_citus("is not a table");
	const AttrNumber column = get_attnum(catalog_id, kCitusColumn);
	const Oid type = column > 0 ? get_atttype(catalog_id, column) : InvalidOid;
	if (type != REGCLASSOID && type != OIDOID)
		raise_unknown_citus(psprintf("has no column %s of type regclass", kCitusColumn));
	Relation catalog = table_open(catalog_id, AccessShareLock);
	const bool found = names_relation(catalog, column, relid);
	table_close(catalog, AccessShareLock);
	return found;
}

} // namespace

// The flag stays for a while after the last one was dropped.
bool has_child_tables(Oid relid)
{
	return has_subclass(relid) && find_inheritance_children(relid, NoLock) != NIL;
}

// Every way in which rows can be elsewhere than in the relation's own heap:
//
//   it has no heap: a view, a foreign table, a partitioned table,
//     a sequence, an index, a composite type                      elsewhere
//   a materialized view: a copy of other rows                     elsewhere
//   rules, which may send what is written to somewhere else       elsewhere
//   a table access method other than heap                         elsewhere
//   Citus keeps the rows in shards, the heap is an empty shell    elsewhere
//   child tables of inheritance, whose rows count as the parent's seen by a plan
//   unlogged, during recovery: no rows exist; the planner says so seen by a plan
//
// A partition of a table, and a child table, have their own rows in their own heap.
// So do tables in any tablespace, and temporary ones; none of these is created in the
// extension's schema. TOAST tables and row security are not questions of where.
RowStorage find_rows(Relation relation)
{
	const Form_pg_class form = relation->rd_rel;
	if (form->relkind != RELKIND_RELATION)
		return {Rows::elsewhere, pstrdup(kind_of(form->relkind)), false};
	if (is_distributed(RelationGetRelid(relation)))
		return {Rows::elsewhere, pstrdup("it is distributed by Citus"), true};
	if (form->relam != HEAP_TABLE_AM_OID)
		return {Rows::elsewhere,
				psprintf("it uses table access method %s, and must use heap",
						 quote_identifier(get_am_name(form->relam))),
				false};
	if (has_rules(relation))
		return {Rows::elsewhere, pstrdup("it has rules"), false};
	if (has_child_tables(RelationGetRelid(relation)))
		return {Rows::seen_by_plan, pstrdup("it has child tables"), false};
	if (form->relpersistence == RELPERSISTENCE_UNLOGGED && RecoveryInProgress())
		return {Rows::seen_by_plan, pstrdup("it is unlogged, and this is a standby"), false};
	return {Rows::here, nullptr, false};
}

void refuse_distributed(Relation relation, const RowStorage &storage)
{
	if (!storage.distributed)
		return;
	const char *name = quote_qualified_identifier(
		get_namespace_name(RelationGetNamespace(relation)), RelationGetRelationName(relation));
	ereport(ERROR,
			(errcode(ERRCODE_TABLE_DIFFERS),
			 errmsg("%s is distributed by Citus", RelationGetRelationName(relation)),
			 errdetail("Its rows are in shards, where this extension neither reads nor writes."),
			 errhint("SELECT undistribute_table(%s) makes it an ordinary table again; call "
					 "oauth_tokens_upgrade() then.",
					 quote_literal_cstr(name))));
}

void refuse_distributed_since(Oid relid)
{
	if (likely(!citus_is_there) || !is_distributed(relid))
		return;
	Relation relation = relation_open(relid, AccessShareLock);
	refuse_distributed(relation, {Rows::elsewhere, nullptr, true});
	relation_close(relation, NoLock);
}

Rows refuse_rows_elsewhere(Oid relid, const char *name)
{
	Relation relation = try_relation_open(relid, AccessShareLock);
	if (relation == nullptr)
		return Rows::gone;
	const RowStorage storage = find_rows(relation);
	refuse_distributed(relation, storage);
	if (storage.rows == Rows::elsewhere)
		raise_table_differs(name, storage.why);
	relation_close(relation, NoLock);
	return storage.rows;
}

bool concerns_citus(uint32 hash)
{
	return hash == 0 || hash == citus_hash; // 0: all of that cache
}

} // namespace oauth_tokens
