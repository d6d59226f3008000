// oauth_tokens_upgrade, oauth_tokens_current, oauth_tokens_downgrade: the table
// is no member of the extension, so that dumps carry it whole and DROP
// EXTENSION never drops a token. These functions make it, adopt one that is
// there, and drop it.

#include <span>

#include "errors.hpp"
#include "invalidation/registration.hpp"
#include "invalidation/trigger_definitions.hpp"
#include "keys/used_keys.hpp"
#include "postgres/function.hpp"
#include "postgres/owner_query.hpp"
#include "postgres/safe_settings.hpp"
#include "refresh/cluster.hpp"
#include "refresh/state.hpp"
#include "schema/details_policies.hpp"
#include "schema/repair.hpp"
#include "schema/row_permission.hpp"
#include "schema/row_security.hpp"
#include "schema/schema_differences.hpp"
#include "schema/table_owner.hpp"
#include "schema/upgrade_notices.hpp"
#include "tokens/row_storage.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace oauth_tokens
{

namespace
{

// As the Python service's Alembic history names them.
constexpr const char *kBefore = "ce6ac882b60d";
constexpr const char *kHead = "bb51836389e7";
constexpr const char *kRunning = "Running upgrade ce6ac882b60d -> bb51836389e7";
constexpr Repair kRepairTokens = {kRunning, kTableName};
constexpr Repair kRepairDetails = {kRunning, kDetailsName};
constexpr const char *kAfterDeadlock =
	"Make what is missing beforehand, without stopping writers, as docs/adopting.md shows "
	"(CONCURRENTLY); or try again when fewer write.";

Oid owner_of_relation(Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	const Oid owner = ((Form_pg_class)GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

// The owner of a table can plant a trigger on it, which then runs with the rights
// of each role that writes to it. So a superuser, who is a member of every role
// and may be made one of any by others, adopts from superusers alone.
bool may_adopt_from(Oid owner)
{
	if (owner == GetUserId())
		return true;
	return superuser() ? superuser_arg(owner) : is_member_of_role_nosuper(GetUserId(), owner);
}

void refuse_foreign_owner(const char *kind, const char *name, Oid owner)
{
	if (may_adopt_from(owner))
		return;
	const char *owner_name = quote_identifier(GetUserNameFromId(owner, false));
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("%s %s belongs to role %s", kind, name, owner_name),
			 errdetail("Its owner could run code with the rights of every role that uses it."),
			 errhint("If you trust it: SELECT oauth_tokens_grant(%s, 'admin'); SET ROLE %s; "
					 "and call oauth_tokens_upgrade() again.",
					 quote_literal_cstr(owner_name), owner_name)));
}

// The schema-qualified name of the enum that actor_type takes, made if there
// is none. One of another role's is used only if it cannot be overlooked.
char *find_or_create_enum(Oid schema)
{
	const char *const name = extension_object_name(kEnumName);
	Oid found = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(kEnumName),
								ObjectIdGetDatum(schema));
	if (!OidIsValid(found)) {
		execute_safely("SELECT t.oid, t.typowner FROM pg_catalog.pg_type t"
					   " JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace"
					   " WHERE t.typname = 'actor_type_enum' AND t.typtype = 'e'"
					   " AND n.nspname !~ '^pg_(toast_)?temp_' ORDER BY t.oid");
		int usable = 0;
		for (std::uint64_t i = 0; i < SPI_processed; i++) {
			bool is_null;
			const HeapTuple row = SPI_tuptable->vals[i];
			const TupleDesc descriptor = SPI_tuptable->tupdesc;
			if (!may_adopt_from(DatumGetObjectId(SPI_getbinval(row, descriptor, 2, &is_null))))
				continue;
			found = DatumGetObjectId(SPI_getbinval(row, descriptor, 1, &is_null));
			usable++;
		}
		if (usable > 1)
			ereport(ERROR, (errcode(ERRCODE_AMBIGUOUS_PARAMETER),
							errmsg("%d enums are named %s", usable, kEnumName),
							errhint("Move the right one to the extension's schema: ALTER TYPE … "
									"SET SCHEMA %s.",
									quote_identifier(get_namespace_name(schema)))));
	}
	if (!OidIsValid(found)) {
		execute_safely(psprintf("CREATE TYPE %s AS ENUM ('user', 'api_key')", name));
		return pstrdup(name);
	}
	if (!type_is_enum(found) || !is_actor_type_enum(found))
		ereport(ERROR, (errcode(ERRCODE_TABLE_DIFFERS),
						errmsg("type %s is not an enum with the values user and api_key",
							   format_type_be_qualified(found)),
						errhint("Add the missing values, or rename the type.")));
	HeapTuple type = SearchSysCache1(TYPEOID, ObjectIdGetDatum(found));
	const Oid owner = ((Form_pg_type)GETSTRUCT(type))->typowner;
	ReleaseSysCache(type);
	refuse_foreign_owner("type", format_type_be_qualified(found), owner);
	return format_type_be_qualified(found);
}

// Raises if a person must decide. `name` is the relation's, qualified and quoted.
void refuse(const char *name, const List *differences)
{
	const char *unsafe = without_fix(differences);
	if (unsafe != nullptr)
		ereport(ERROR, (errcode(ERRCODE_TABLE_DIFFERS),
						errmsg("table %s cannot be adopted as it is", name),
						errdetail("How it differs: %s.", unsafe),
						errhint("Nothing was changed. Alter the table, then call "
								"oauth_tokens_upgrade() again.")));
}

// SET NOT NULL looks at each row, and readers wait meanwhile, unless a valid CHECK proves it. That
// takes two transactions.
void refuse_long_look(Relation table, const char *name, const List *differences)
{
	constexpr BlockNumber kShortLook = 1024; // pages, 8 MB: milliseconds
	StringInfoData proof, settings;
	initStringInfo(&proof);
	initStringInfo(&settings);
	const ListCell *cell;
	foreach (cell, differences) {
		const char *column = static_cast<const Difference *>(lfirst(cell))->not_null;
		if (column == nullptr)
			continue;
		appendStringInfo(&proof, "%s%s IS NOT NULL", proof.len > 0 ? " AND " : "", column);
		appendStringInfo(&settings, "%s ALTER %s SET NOT NULL", settings.len > 0 ? "," : "",
						 column);
	}
	if (proof.len > 0 && RelationGetNumberOfBlocks(table) > kShortLook)
		ereport(ERROR,
				(errcode(ERRCODE_TABLE_DIFFERS),
				 errmsg("columns of table %s allow null, and readers would wait while each row is "
						"looked at",
						name),
				 errdetail("Nothing was changed."),
				 errhint("SET lock_timeout = '50ms'; then each in a transaction of its own, and "
						 "again if it fails: ALTER TABLE %s ADD CONSTRAINT oauth_not_null CHECK "
						 "(%s) NOT VALID; ALTER TABLE %s VALIDATE CONSTRAINT "
						 "oauth_not_null; ALTER TABLE %s%s; ALTER TABLE %s DROP CONSTRAINT "
						 "oauth_not_null; then call oauth_tokens_upgrade() again.",
						 name, proof.data, name, name, settings.data, name)));
}

// A table that is there.
struct Found {
	Oid relid;
	const char *relation;
	const char *name; // qualified and quoted
};

// Before the lock, since nobody is to wait for what is not adopted; and after it.
void refuse_foreign(const Found &table)
{
	Relation found = try_relation_open(table.relid, AccessShareLock);
	if (found == nullptr)
		raise_replaced(table.relation);
	const RowStorage storage = find_rows(found);
	refuse_distributed(found, storage);
	// What is no ordinary table can neither be locked as one nor be compared further.
	if (found->rd_rel->relkind != RELKIND_RELATION)
		refuse(table.name, list_make1(make_difference(storage.why, nullptr)));
	refuse_foreign_owner("table", table.name, found->rd_rel->relowner);
	relation_close(found, AccessShareLock);
}

void lock_to_adopt(std::span<const Found> tables)
{
	List *locked = NIL;
	for (const Found &table : tables) {
		refuse_foreign(table);
		locked = lappend_oid(locked, table.relid);
	}
	lock_out_writers(locked, kAfterDeadlock);
	for (const Found &table : tables) {
		require_name(table.relid, table.relation, table.name);
		refuse_foreign(table);
	}
}

List *compare_tokens(const Found &tokens)
{
	Relation table = table_open(tokens.relid, NoLock);
	List *differences = table_differences(table, tokens.name);
	refuse(tokens.name, differences);
	refuse_long_look(table, tokens.name, differences);
	table_close(table, NoLock);
	return differences;
}

// What the table of details must have, too.
struct Shared {
	Oid enum_type;
	bool forced; // row security
};

Shared shared_with_details(Oid table_id)
{
	Relation table = table_open(table_id, AccessShareLock);
	const AttrNumber attno = table_find_column(table, kActorType, nullptr);
	const Shared shared = {TupleDescAttr(RelationGetDescr(table), attno - 1)->atttypid,
						   table->rd_rel->relforcerowsecurity};
	table_close(table, NoLock);
	return shared;
}

List *compare_details(const Found &found, const Shared &shared)
{
	if (!OidIsValid(found.relid))
		return NIL;
	Relation details = table_open(found.relid, NoLock);
	List *differences = details_differences(details, found.name, shared.enum_type);
	refuse(found.name, differences);
	refuse_long_look(details, found.name, differences);
	differences = list_concat(differences, policy_differences(details, found.name, shared.forced));
	table_close(details, NoLock);
	return differences;
}

// To a table that is adopted they belong as the details do, and are no news. What differs.
List *make_triggers(Oid relid, const char *name, bool first_time)
{
	List *additions = first_time ? missing_triggers(relid, name) : NIL;
	ListCell *cell;
	foreach (cell, additions)
		execute_safely(static_cast<Difference *>(lfirst(cell))->beside_readers);
	if (additions != NIL)
		bind_triggers_to_extension(relid);
	List *differences = trigger_differences(relid, name);
	repair_beside_readers(kRepairTokens, differences);
	// A change that left no invalidation may have been made before: what a cache has
	// copied is void.
	if (additions != NIL || differences != NIL)
		end_registrations(cache_tables(), Wait::yes);
	return differences;
}

// The policies that could not be compared before row security was enabled.
void repair_policies(Oid details_id, const char *name, bool forced)
{
	Relation details = table_open(details_id, NoLock);
	List *differences = policy_differences(details, name, forced);
	table_close(details, NoLock);
	repair_rest(kRepairDetails, differences);
	bind_policies_to_extension(details_id);
}

// All whose readers have to wait for a statement, at once: none waits while we wait for another.
List *tables_to_change(const Found &tokens, List *of_tokens, const Found &details, List *of_details)
{
	List *tables = NIL;
	if (has_rest(of_tokens) || row_security_differs())
		tables = lappend_oid(tables, tokens.relid);
	if (has_rest(of_details))
		tables = lappend_oid(tables, details.relid);
	return tables;
}

// How the tables that are there differ, in what readers have to wait for.
struct Adoption {
	Found tokens;
	Found details; // may be none yet
	List *of_tokens;
	List *of_details;
	bool forced; // row security
};

Adoption begin_adoption(const Found &tokens, const Found &details)
{
	const bool first_time = !OidIsValid(details.relid);
	const Found both[] = {tokens, details};
	lock_to_adopt({both, first_time ? 1u : 2u});
	List *of_tokens = compare_tokens(tokens);
	const Shared shared = shared_with_details(tokens.relid);
	List *of_details = compare_details(details, shared);
	repair_beside_readers(kRepairTokens, of_tokens);
	repair_beside_readers(kRepairDetails, of_details);
	// Columns first: what others need may have to be added, too.
	of_tokens = list_concat(of_tokens, make_triggers(tokens.relid, tokens.name, first_time));
	return {tokens, details, of_tokens, of_details, shared.forced};
}

// The last that an upgrade does.
void end_adoption(const Adoption &adoption)
{
	const Found &tokens = adoption.tokens;
	const Found &details = adoption.details;
	if (List *tables = tables_to_change(tokens, adoption.of_tokens, details, adoption.of_details))
		lock_out_readers(tables, kAfterDeadlock);
	require_name(tokens.relid, tokens.relation, tokens.name);
	if (OidIsValid(details.relid))
		require_name(details.relid, details.relation, details.name);
	repair_rest(kRepairTokens, adoption.of_tokens);
	bind_triggers_to_extension(tokens.relid);
	repair_rest(kRepairDetails, adoption.of_details);
	if (OidIsValid(details.relid))
		repair_policies(details.relid, details.name, adoption.forced);
	repair_row_security("Running upgrade");
}

Oid make_tokens(Oid schema, const char *name)
{
	execute_safely(table_create_statement(name, find_or_create_enum(schema)));
	execute_safely(triggers_create_statement(name));
	const Oid made = get_relname_relid(kTableName, schema);
	bind_triggers_to_extension(made);
	return made;
}

void make_details(Oid table_id, const char *name)
{
	const Shared shared = shared_with_details(table_id);
	execute_safely(details_create_statement(name, format_type_be_qualified(shared.enum_type)));
	const Oid owner = owner_of_relation(table_id);
	if (owner != GetUserId())
		execute_safely(psprintf("ALTER TABLE %s OWNER TO %s", name,
								quote_identifier(GetUserNameFromId(owner, false))));
	execute_safely(policies_create_statement(name, shared.forced));
}

// By a scan of its own: a plan might run the owner's code as the caller.
std::uint64_t count_tokens(Relation table)
{
	std::uint64_t tokens = 0;
	PushActiveSnapshot(GetTransactionSnapshot());
	TableScanDesc scan = table_beginscan(table, GetActiveSnapshot(), 0, nullptr);
	TupleTableSlot *slot = table_slot_create(table, nullptr);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
		CHECK_FOR_INTERRUPTS();
		tokens++;
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	PopActiveSnapshot();
	return tokens;
}

// A table of ours, locked so that nothing but this transaction gets at it; null
// if there is none. Raises if it is none of the caller's.
Relation lock_to_drop(const char *relation, Oid schema)
{
	const Oid relid = get_relname_relid(relation, schema);
	if (!OidIsValid(relid))
		return nullptr;
	if (refuse_rows_elsewhere(relid, extension_object_name(relation)) == Rows::gone)
		return nullptr;
	const Oid owner = owner_of_relation(relid);
	if (!has_privs_of_role(GetUserId(), owner))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("must be owner of table %s", relation),
						errhint("Call this as role %s, or as a superuser.",
								quote_identifier(GetUserNameFromId(owner, false)))));
	Relation table = table_open(relid, AccessExclusiveLock);
	// Another may have come by its name while we waited.
	if (get_relname_relid(relation, schema) != relid)
		raise_replaced(relation);
	return table;
}

void drop_table(const char *relation, Relation table)
{
	table_close(table, NoLock);
	execute_safely(psprintf("DROP TABLE %s", extension_object_name(relation)));
}

// Locks before it counts, so that no token comes in between.
void drop_tokens(Oid schema, bool discard_tokens)
{
	Relation table = lock_to_drop(kTableName, schema);
	if (table == nullptr)
		return;
	require_every_row(RelationGetRelid(table));
	const char *name = extension_object_name(kTableName);
	const std::uint64_t tokens = count_tokens(table);
	if (tokens > 0 && !discard_tokens)
		ereport(ERROR, (errcode(ERRCODE_TOKENS_REMAIN),
						errmsg_plural("%s holds " UINT64_FORMAT " token",
									  "%s holds " UINT64_FORMAT " tokens", tokens, name, tokens),
						errdetail("Nothing was dropped."),
						errhint("To lose them for ever: SELECT oauth_tokens_downgrade("
								"discard_tokens => true).")));
	ereport(NOTICE, (errmsg("Running downgrade %s -> %s, add oauth_tokens table", kHead, kBefore)));
	drop_table(kTableName, table);
}

} // namespace

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_tokens_upgrade)
{
	PreventCommandIfReadOnly("oauth_tokens_upgrade()");
	const SafeSettings settings = begin_safe_settings();
	SPI_connect();
	lock_migration();
	const Oid schema = extension_schema();
	const char *name = extension_object_name(kTableName);
	const char *details_name = extension_object_name(kDetailsName);
	const Oid existing = get_relname_relid(kTableName, schema);
	const Oid details = get_relname_relid(kDetailsName, schema);
	if (!OidIsValid(existing) || !OidIsValid(details))
		ereport(NOTICE, (errmsg("%s, %s oauth_tokens table", kRunning,
								OidIsValid(existing) ? "adopt" : "add")));
	const Oid tokens = OidIsValid(existing) ? existing : make_tokens(schema, name);
	const Adoption adoption =
		begin_adoption({tokens, kTableName, name}, {details, kDetailsName, details_name});
	if (!OidIsValid(details))
		make_details(tokens, details_name);
	let_dump(owner_of_relation(tokens));
	record_cluster();
	record_used_keys();
	tell_missing_grants();
	end_adoption(adoption);
	tell_alembic(OidIsValid(existing) ? Migrated::adopted : Migrated::made, kBefore, kHead);
	SPI_finish();
	end_safe_settings(settings);
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%s (head)", kHead)));
}

OAUTH_FUNCTION(oauth_tokens_current)
{
	if (schema_trigger_differences() != NIL || schema_differences() != NIL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%s (head)", kHead)));
}

OAUTH_FUNCTION(oauth_tokens_downgrade)
{
	PreventCommandIfReadOnly("oauth_tokens_downgrade()");
	const bool discard_tokens = PG_GETARG_BOOL(0);
	const SafeSettings settings = begin_safe_settings();
	SPI_connect();
	lock_migration();
	const Oid schema = extension_schema();
	drop_tokens(schema, discard_tokens);
	if (Relation details = lock_to_drop(kDetailsName, schema))
		drop_table(kDetailsName, details);
	forget_all_refreshes();
	tell_alembic(Migrated::dropped, kBefore, kHead);
	SPI_finish();
	end_safe_settings(settings);
	PG_RETURN_TEXT_P(cstring_to_text(kBefore));
}
