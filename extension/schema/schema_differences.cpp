#include "schema/schema_differences.hpp"

#include "invalidation/trigger_definitions.hpp"
#include "schema/details_policies.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "access/relation.h"
#include "catalog/pg_class.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

namespace oauth_tokens
{

namespace
{

List *missing(const char *name)
{
	return list_make1(make_difference(psprintf("not migrated yet: there is no table %s", name),
									  pstrdup("SELECT oauth_tokens_upgrade()")));
}

List *with_name(List *differences, const char *name)
{
	ListCell *cell;
	foreach (cell, differences) {
		auto *difference = static_cast<Difference *>(lfirst(cell));
		difference->what = psprintf("%s: %s", name, difference->what);
	}
	return differences;
}

// Null: there is none, or it was dropped just now.
Relation open_existing(const char *name)
{
	const Oid relid = get_relname_relid(name, extension_schema());
	return OidIsValid(relid) ? try_relation_open(relid, AccessShareLock) : nullptr;
}

List *compare_details(Relation table)
{
	Relation details = open_existing(kDetailsName);
	if (details == nullptr)
		return missing(kDetailsName);
	const AttrNumber attno = table_find_column(table, kActorType, nullptr);
	const Oid enum_type = TupleDescAttr(RelationGetDescr(table), attno - 1)->atttypid;
	List *found = details_differences(details, kDetailsName, enum_type);
	if (found == NIL)
		found = policy_differences(details, kDetailsName, table->rd_rel->relforcerowsecurity);
	relation_close(details, AccessShareLock);
	return with_name(found, kDetailsName);
}

} // namespace

List *schema_differences()
{
	Relation table = open_existing(kTableName);
	if (table == nullptr)
		return missing(kTableName);
	List *found = with_name(table_differences(table, kTableName), kTableName);
	// Without the enum, it is not known what the other table must be like.
	if (table_find_column(table, kActorType, nullptr) != InvalidAttrNumber)
		found = list_concat(found, compare_details(table));
	relation_close(table, AccessShareLock);
	return found;
}

List *schema_trigger_differences()
{
	const Oid relid = get_relname_relid(kTableName, extension_schema());
	return OidIsValid(relid) ? trigger_differences(relid, kTableName) : NIL;
}

} // namespace oauth_tokens
