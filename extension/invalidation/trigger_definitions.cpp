#include "invalidation/trigger_definitions.hpp"

#include "invalidation/cache_tables.hpp"
#include "schema/table_definition.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_trigger.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
}

namespace oauth_tokens
{

namespace
{

struct TriggerDefinition {
	const char *name;
	int16 type;
	const char *events;
	const char *level;
};

constexpr TriggerDefinition kTriggers[] = {
	{"oauth_cache_invalidate_row",
	 TRIGGER_TYPE_ROW | TRIGGER_TYPE_AFTER | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE |
		 TRIGGER_TYPE_DELETE,
	 "INSERT OR UPDATE OR DELETE", "ROW"},
	{"oauth_cache_invalidate_truncate",
	 TRIGGER_TYPE_STATEMENT | TRIGGER_TYPE_AFTER | TRIGGER_TYPE_TRUNCATE, "TRUNCATE", "STATEMENT"},
};

// How a trigger stands in the catalog, as far as it matters.
struct TriggerState {
	Oid oid; // InvalidOid: there is none
	bool fits;
	bool fires_always;
	TransactionId written_by;
};

// The caller needs no right to it.
Oid invalidate_function()
{
	return internal_function("record_change");
}

bool fits(HeapTuple tuple, Relation catalog, const TriggerDefinition &wanted)
{
	const Form_pg_trigger form = (Form_pg_trigger)GETSTRUCT(tuple);
	bool no_condition;
	heap_getattr(tuple, Anum_pg_trigger_tgqual, RelationGetDescr(catalog), &no_condition);
	return form->tgfoid == invalidate_function() && form->tgtype == wanted.type &&
		   !OidIsValid(form->tgconstraint) && form->tgattr.dim1 == 0 && no_condition;
}

TriggerState find_trigger(Oid table, const TriggerDefinition &wanted)
{
	TriggerState state = {InvalidOid, false, false, InvalidTransactionId};
	Relation catalog = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData keys[2];
	ScanKeyInit(&keys[0], Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(table));
	ScanKeyInit(&keys[1], Anum_pg_trigger_tgname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(wanted.name));
	SysScanDesc scan = systable_beginscan(catalog, TriggerRelidNameIndexId, true, nullptr, 2, keys);
	const HeapTuple tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple)) {
		const Form_pg_trigger form = (Form_pg_trigger)GETSTRUCT(tuple);
		state = {form->oid, fits(tuple, catalog, wanted), form->tgenabled == TRIGGER_FIRES_ALWAYS,
				 HeapTupleHeaderGetRawXmin(tuple->t_data)};
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return state;
}

bool goes_with_extension(Oid trigger)
{
	return list_member_oid(getAutoExtensionsOfObject(TriggerRelationId, trigger),
						   get_extension_oid("oauth_tokens", false));
}

char *depend_statement(const char *name, const TriggerDefinition &trigger)
{
	return psprintf("ALTER TRIGGER %s ON %s DEPENDS ON EXTENSION oauth_tokens", trigger.name, name);
}

char *enable_statement(const char *name, const TriggerDefinition &trigger)
{
	return psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s", name, trigger.name);
}

char *create_statement(const char *name, const TriggerDefinition &trigger)
{
	return psprintf("CREATE TRIGGER %s AFTER %s ON %s FOR EACH %s"
					" EXECUTE FUNCTION oauth_tokens_internal.record_change(); %s",
					trigger.name, trigger.events, name, trigger.level,
					enable_statement(name, trigger));
}

Difference *missing(const char *name, const TriggerDefinition &wanted)
{
	return make_difference_beside_readers(psprintf("trigger %s is missing", wanted.name),
										  create_statement(name, wanted));
}

Difference *trigger_difference(Oid table, const char *name, const TriggerDefinition &wanted)
{
	const TriggerState state = find_trigger(table, wanted);
	if (!OidIsValid(state.oid))
		return missing(name, wanted);
	if (!state.fits)
		return make_difference(psprintf("trigger %s is not as it must be", wanted.name),
							   psprintf("DROP TRIGGER %s ON %s; %s", wanted.name, name,
										create_statement(name, wanted)));
	if (!state.fires_always)
		return make_difference_beside_readers(
			psprintf("trigger %s is not ENABLE ALWAYS", wanted.name),
			enable_statement(name, wanted));
	if (!goes_with_extension(state.oid))
		return make_difference(psprintf("trigger %s would stop DROP EXTENSION", wanted.name),
							   depend_statement(name, wanted));
	return nullptr;
}

} // namespace

std::uint64_t triggers_version(Oid table)
{
	std::uint64_t version = 1;
	for (const TriggerDefinition &wanted : kTriggers) {
		const TriggerState state = find_trigger(table, wanted);
		if (!state.fits || !state.fires_always)
			return 0;
		version = add_to_version(version, state.oid);
		version = add_to_version(version, state.written_by);
	}
	return version;
}

List *trigger_differences(Oid table, const char *name)
{
	List *found = NIL;
	for (const TriggerDefinition &wanted : kTriggers) {
		Difference *difference = trigger_difference(table, name, wanted);
		if (difference != nullptr)
			found = lappend(found, difference);
	}
	return found;
}

List *missing_triggers(Oid table, const char *name)
{
	List *found = NIL;
	for (const TriggerDefinition &wanted : kTriggers)
		if (!OidIsValid(find_trigger(table, wanted).oid))
			found = lappend(found, missing(name, wanted));
	return found;
}

char *triggers_create_statement(const char *name)
{
	return psprintf("%s; %s", create_statement(name, kTriggers[0]),
					create_statement(name, kTriggers[1]));
}

void bind_triggers_to_extension(Oid table)
{
	const ObjectAddress extension = {ExtensionRelationId, get_extension_oid("oauth_tokens", false),
									 0};
	for (const TriggerDefinition &ours : kTriggers) {
		const ObjectAddress trigger = {TriggerRelationId, find_trigger(table, ours).oid, 0};
		if (!goes_with_extension(trigger.objectId))
			recordDependencyOn(&trigger, &extension, DEPENDENCY_AUTO_EXTENSION);
	}
	CommandCounterIncrement();
}

} // namespace oauth_tokens
