#include "invalidation/cache_tables.hpp"

#include "invalidation/trigger_definitions.hpp"
#include "tokens/row_storage.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace oauth_tokens
{

namespace
{

CacheTables cached;
// What was cached is good while the catalog has not changed since the look.
std::uint64_t catalog_changes = 1;
std::uint64_t looked_at = 0;

void relation_changed(Datum, Oid relid)
{
	if (relid == InvalidOid || relid == cached.tokens || relid == cached.invalidations ||
		relid == cached.registrations)
		catalog_changes++;
}

// A function or a schema changed: the extension may stand elsewhere now. Or a label of
// an enum did.
void catalog_changed(Datum, int, uint32)
{
	catalog_changes++;
}

Oid internal_table(Oid schema, const char *name)
{
	const Oid relid = get_relname_relid(name, schema);
	if (!OidIsValid(relid))
		elog(ERROR, "there is no table oauth_tokens_internal.%s", name);
	return relid;
}

// 0 if it is not there or of another type. What the enum's values are called
// does not matter here.
AttrNumber identity_column(Relation table, TableColumn column, Oid type)
{
	const AttrNumber attno = get_attnum(RelationGetRelid(table), table_column_name(column));
	if (attno <= 0)
		return 0;
	const Oid actual = TupleDescAttr(RelationGetDescr(table), attno - 1)->atttypid;
	return (OidIsValid(type) ? actual == type : type_is_enum(actual)) ? attno : 0;
}

// ALTER TABLE may rewrite a column's values; it writes the column's row anew. A
// frozen row still tells by whom it was written.
std::uint64_t add_columns(std::uint64_t version, Oid table)
{
	for (int column = 0; column < kTableColumns; column++) {
		const char *name = table_column_name(static_cast<TableColumn>(column));
		const HeapTuple tuple = SearchSysCacheAttName(table, name);
		if (!HeapTupleIsValid(tuple))
			return 0;
		version = add_to_version(version, HeapTupleHeaderGetRawXmin(tuple->t_data));
		ReleaseSysCache(tuple);
	}
	return version;
}

// ALTER TYPE … RENAME VALUE gives rows, and what is cached of them, another meaning
// and changes none of them. It writes the label's row anew.
std::uint64_t add_labels(std::uint64_t version, Oid enum_type)
{
	Relation catalog = table_open(EnumRelationId, AccessShareLock);
	ScanKeyData key;
	ScanKeyInit(&key, Anum_pg_enum_enumtypid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(enum_type));
	SysScanDesc scan = systable_beginscan(catalog, EnumTypIdLabelIndexId, true, nullptr, 1, &key);
	// They come by label, so that their order changes with the labels.
	while (const HeapTuple tuple = systable_getnext(scan)) {
		version = add_to_version(version, ((Form_pg_enum)GETSTRUCT(tuple))->oid);
		version = add_to_version(version, HeapTupleHeaderGetRawXmin(tuple->t_data));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return version;
}

std::uint64_t table_version(Oid table)
{
	std::uint64_t version = triggers_version(table);
	version = version == 0 ? 0 : add_columns(version, table);
	if (version == 0)
		return 0;
	const AttrNumber attno = get_attnum(table, table_column_name(kActorType));
	return add_labels(version, get_atttype(table, attno));
}

void look_up()
{
	const std::uint64_t changes = catalog_changes;
	const Oid internal = get_namespace_oid("oauth_tokens_internal", false);
	cached.invalidations = internal_table(internal, kInvalidationsName);
	cached.registrations = internal_table(internal, kRegistrationsName);
	cached.version = 0;
	cached.rows_are_here = true;
	cached.tokens = get_relname_relid(kTableName, extension_schema());
	if (!OidIsValid(cached.tokens) || get_rel_relkind(cached.tokens) != RELKIND_RELATION) {
		cached.tokens = InvalidOid; // look again: nobody tells of a new table
		return;
	}
	// Without a lock: writers have one, and a caller that only asks must not wait behind an
	// ALTER TABLE.
	Relation table = RelationIdGetRelation(cached.tokens);
	if (!RelationIsValid(table)) {
		cached.tokens = InvalidOid;
		return;
	}
	cached.rows_are_here = find_rows(table).rows == Rows::here;
	cached.identity[0] = identity_column(table, kWorkspaceId, UUIDOID);
	cached.identity[1] = identity_column(table, kProvider, TEXTOID);
	cached.identity[2] = identity_column(table, kActorType, InvalidOid);
	cached.identity[3] = identity_column(table, kActorId, TEXTOID);
	RelationClose(table);
	cached.version = table_version(cached.tokens);
	looked_at = changes; // what changed meanwhile makes us look again
}

} // namespace

std::uint64_t add_to_version(std::uint64_t version, std::uint32_t number)
{
	return hash_bytes_uint32_extended(number, version) | 1;
}

void cache_tables_init()
{
	CacheRegisterRelcacheCallback(relation_changed, 0);
	CacheRegisterSyscacheCallback(PROCOID, catalog_changed, 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, catalog_changed, 0);
	CacheRegisterSyscacheCallback(ENUMOID, catalog_changed, 0);
}

const CacheTables &cache_tables()
{
	// Hears of what others committed, as taking a lock would.
	AcceptInvalidationMessages();
	// Nobody tells when the last child table goes.
	if (looked_at != catalog_changes || !cached.rows_are_here)
		look_up();
	return cached;
}

} // namespace oauth_tokens
