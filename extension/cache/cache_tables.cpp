#include "cache/cache_tables.hpp"

#include <cstdint>

#include "cache/triggers.hpp"
#include "token_table.hpp"

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
	if (relid == InvalidOid || relid == cached.tokens || relid == cached.marks ||
		relid == cached.registrations)
		catalog_changes++;
}

// A function or a schema changed: the extension may stand elsewhere now.
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

// 0 where it is not there or of another type. What the enum's values are called
// does not matter here.
AttrNumber identity_column(Relation table, TableColumn column, Oid type)
{
	const AttrNumber attno = get_attnum(RelationGetRelid(table), table_column_name(column));
	if (attno <= 0)
		return 0;
	const Oid actual = TupleDescAttr(RelationGetDescr(table), attno - 1)->atttypid;
	return (OidIsValid(type) ? actual == type : type_is_enum(actual)) ? attno : 0;
}

void look_up()
{
	const std::uint64_t changes = catalog_changes;
	const Oid internal = get_namespace_oid("oauth_tokens_internal", false);
	cached.marks = internal_table(internal, kMarksName);
	cached.registrations = internal_table(internal, kRegistrationsName);
	cached.triggers_whole = false;
	cached.tokens = get_relname_relid(kTableName, extension_schema());
	if (!OidIsValid(cached.tokens) || !is_ordinary_table(cached.tokens)) {
		cached.tokens = InvalidOid; // look again: nobody tells of a new table
		return;
	}
	// Without a lock: whoever writes has one, and who only asks must not wait
	// for it behind somebody's ALTER TABLE.
	Relation table = RelationIdGetRelation(cached.tokens);
	if (!RelationIsValid(table)) {
		cached.tokens = InvalidOid;
		return;
	}
	cached.identity[0] = identity_column(table, kWorkspaceId, UUIDOID);
	cached.identity[1] = identity_column(table, kProvider, TEXTOID);
	cached.identity[2] = identity_column(table, kActorType, InvalidOid);
	cached.identity[3] = identity_column(table, kActorId, TEXTOID);
	RelationClose(table);
	cached.triggers_whole = triggers_are_whole(cached.tokens);
	looked_at = changes; // what changed meanwhile makes us look again
}

} // namespace

void cache_tables_init()
{
	CacheRegisterRelcacheCallback(relation_changed, 0);
	CacheRegisterSyscacheCallback(PROCOID, catalog_changed, 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, catalog_changed, 0);
}

const CacheTables &cache_tables()
{
	// Hears of what others committed, as taking a lock would.
	AcceptInvalidationMessages();
	if (looked_at != catalog_changes)
		look_up();
	return cached;
}

} // namespace oauth_tokens
