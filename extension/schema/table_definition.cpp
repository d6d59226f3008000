#include "schema/table_definition.hpp"

#include <algorithm>
#include <initializer_list>

#include "tokens/row_storage.hpp"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "catalog/pg_am.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace oauth_tokens
{

namespace
{

struct ColumnDefinition {
	const char *name;
	const char *type; // as written in CREATE TABLE; null for the enum
	Oid type_id;
	Oid other_type_id; // equally good in an adopted table
	bool nullable;
	const char *default_expression;
};

constexpr ColumnDefinition kColumns[kTableColumns] = {
	{"id", "uuid", UUIDOID, UUIDOID, false, "pg_catalog.gen_random_uuid()"},
	{"workspace_id", "uuid", UUIDOID, UUIDOID, false, nullptr},
	{"provider", "text", TEXTOID, TEXTOID, false, nullptr},
	{"actor_type", nullptr, InvalidOid, InvalidOid, false, nullptr},
	{"actor_id", "text", TEXTOID, TEXTOID, false, nullptr},
	{"scopes", "text", TEXTOID, TEXTOID, true, nullptr},
	{"encrypted_access_token", "text", TEXTOID, TEXTOID, false, nullptr},
	{"encrypted_refresh_token", "text", TEXTOID, TEXTOID, true, nullptr},
	{"access_token_expires_at", "timestamp", TIMESTAMPOID, TIMESTAMPTZOID, true, nullptr},
	{"created_at", "timestamp", TIMESTAMPOID, TIMESTAMPTZOID, false, "pg_catalog.now()"},
	{"updated_at", "timestamp", TIMESTAMPOID, TIMESTAMPTZOID, false, "pg_catalog.now()"},
};

struct IndexDefinition {
	const char *name;
	bool primary;
	bool unique;
	int columns;
	TableColumn keys[4];
	const char *constraint; // its kind; null: an index is enough
	const char *on;         // as written after CREATE INDEX … ON t
};

constexpr IndexDefinition kIndexes[] = {
	{"oauth_tokens_pkey", true, true, 1, {kId}, "PRIMARY KEY", "(id)"},
	{"uq_oauth_tokens_identity",
	 false,
	 true,
	 4,
	 {kWorkspaceId, kProvider, kActorType, kActorId},
	 "UNIQUE",
	 "(workspace_id, provider, actor_type, actor_id)"},
	{"idx_oauth_tokens_workspace_id", false, false, 1, {kWorkspaceId}, nullptr, "(workspace_id)"},
	{"idx_oauth_tokens_workspace_provider",
	 false,
	 false,
	 2,
	 {kWorkspaceId, kProvider},
	 nullptr,
	 "(workspace_id, provider)"},
};
constexpr const IndexDefinition &kIdentityIndex = kIndexes[1];
// The actor's type cannot lead the planner to a row, for the reason below.
constexpr IndexDefinition kRowSecurityIndex = {kRowSecurityIndexName,
											   false,
											   false,
											   3,
											   {kWorkspaceId, kProvider, kActorId},
											   nullptr,
											   "(workspace_id, provider, actor_id)"};

struct DetailsColumn {
	const char *name;
	const char *type; // null for the enum
	Oid type_id;
	const char *constraint; // null: it needs no value, and may be added to rows that are there
};

constexpr DetailsColumn kDetailsColumns[] = {
	{"workspace_id", "uuid", UUIDOID, "NOT NULL"},
	{"provider", "text", TEXTOID, "NOT NULL"},
	{"actor_type", nullptr, InvalidOid, "NOT NULL"},
	{"actor_id", "text", TEXTOID, "NOT NULL"},
	{"token_id", "uuid", UUIDOID, "NOT NULL"},
	{"account_id", "text", TEXTOID, nullptr},
	{"account_label", "text", TEXTOID, nullptr},
	{"issuer", "text", TEXTOID, nullptr},
	{"client_id", "text", TEXTOID, nullptr},
	{"extra", "jsonb", JSONBOID, nullptr},
	{"lifetime", "interval", INTERVALOID, nullptr},
	{"connected_at", "timestamptz", TIMESTAMPTZOID, "NOT NULL DEFAULT pg_catalog.now()"},
	{"refresh_token_digest", "bytea", BYTEAOID, nullptr},
	{"refresh_expires_at", "timestamptz", TIMESTAMPTZOID, nullptr},
};
// Under row security the planner takes no index for a comparison that might leak,
// and that of enums might: details are joined to their token by its id. By the account
// those are found that one revocation would end, too; it may be longer than a btree takes.
struct DetailsIndex {
	const char *name;
	const char *column;
	Oid method;
	const char *statement;
};
constexpr DetailsIndex kDetailsIndexes[] = {
	{"idx_oauth_token_details_token_id", "token_id", BTREE_AM_OID, "(token_id)"},
	{"idx_oauth_token_details_account_id", "account_id", HASH_AM_OID, "USING hash (account_id)"},
};

} // namespace

bool is_actor_type_enum(Oid type)
{
	for (const char *label : {"user", "api_key"})
		if (!SearchSysCacheExists2(ENUMTYPOIDNAME, ObjectIdGetDatum(type), CStringGetDatum(label)))
			return false;
	return true;
}

namespace
{

bool has_type(Form_pg_attribute attribute, TableColumn column)
{
	if (column == kActorType)
		return type_is_enum(attribute->atttypid) && is_actor_type_enum(attribute->atttypid);
	return attribute->atttypid == kColumns[column].type_id ||
		   attribute->atttypid == kColumns[column].other_type_id;
}

// Under a nondeterministic one different ids are one identity, which keys of the cache, bound
// keys and policies that compare otherwise tell apart.
bool compares_bytes(Form_pg_attribute attribute)
{
	return !OidIsValid(attribute->attcollation) ||
		   get_collation_isdeterministic(attribute->attcollation);
}

// By the catalog alone: the relation cache's list of conditions is simplified, and
// so runs functions of the role that made the index.
bool is_partial(Relation index)
{
	return !heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, nullptr);
}

// Whether an index does what `wanted` asks, under any name.
bool serves(Relation table, Oid index_id, const IndexDefinition &wanted)
{
	Relation index = index_open(index_id, AccessShareLock);
	const Form_pg_index form = index->rd_index;
	bool fits = index->rd_rel->relam == BTREE_AM_OID && form->indisvalid && form->indisready &&
				form->indislive && form->indnkeyatts == wanted.columns && !is_partial(index);
	if (wanted.unique)
		fits = fits && form->indisunique && form->indimmediate &&
			   (!wanted.primary || form->indisprimary);
	for (int i = 0; fits && i < wanted.columns; i++) {
		const AttrNumber attno = table_find_column(table, wanted.keys[i], nullptr);
		fits = attno != 0 && form->indkey.values[i] == attno &&
			   index->rd_indcollation[i] ==
				   TupleDescAttr(RelationGetDescr(table), attno - 1)->attcollation;
	}
	index_close(index, AccessShareLock);
	return fits;
}

Oid find_index(Relation table, const IndexDefinition &wanted)
{
	Oid found = InvalidOid;
	List *indexes = RelationGetIndexList(table);
	ListCell *cell;
	foreach (cell, indexes) {
		if (serves(table, lfirst_oid(cell), wanted)) {
			found = lfirst_oid(cell);
			break;
		}
	}
	list_free(indexes);
	return found;
}

// A column that may be added to rows that are there: it needs no value of theirs.
char *addition(const char *name, const ColumnDefinition &column)
{
	if (column.nullable)
		return psprintf("ALTER TABLE %s ADD COLUMN %s %s", name, column.name, column.type);
	if (column.default_expression != nullptr && column.type_id == TIMESTAMPOID)
		return psprintf("ALTER TABLE %s ADD COLUMN %s %s NOT NULL DEFAULT %s", name, column.name,
						column.type, column.default_expression);
	return nullptr;
}

Difference *make_null_difference(const char *name, const char *column)
{
	Difference *made =
		make_difference(psprintf("column %s allows null, and must not", column),
						psprintf("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL", name, column));
	made->not_null = column;
	return made;
}

List *compare_column(List *found, Relation table, const char *name, TableColumn number)
{
	const ColumnDefinition &column = kColumns[number];
	char *fault = nullptr;
	const AttrNumber attno = table_find_column(table, number, &fault);
	if (attno == 0) {
		const bool missing = get_attnum(RelationGetRelid(table), column.name) == 0;
		return lappend(found, make_difference(fault, missing ? addition(name, column) : nullptr));
	}
	const Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(table), attno - 1);
	if (attribute->attgenerated != '\0')
		found = lappend(found,
						make_difference(psprintf("column %s is generated", column.name), nullptr));
	if (column.nullable && attribute->attnotnull)
		found = lappend(
			found,
			make_difference(psprintf("column %s is NOT NULL, and must allow null", column.name),
							nullptr));
	if (!column.nullable && !attribute->attnotnull)
		found = lappend(found, make_null_difference(name, column.name));
	if (column.default_expression != nullptr && !attribute->atthasdef && !attribute->attidentity)
		found =
			lappend(found, make_difference(psprintf("column %s has no default", column.name),
										   psprintf("ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s",
													name, column.name, column.default_expression)));
	return found;
}

// A domain refuses null as a column does, and has a default as a column has.
bool refuses_null(Oid type)
{
	HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", type);
	const FormData_pg_type form = *(Form_pg_type)GETSTRUCT(tuple);
	ReleaseSysCache(tuple);
	return form.typtype == TYPTYPE_DOMAIN && (form.typnotnull || refuses_null(form.typbasetype));
}

bool needs_value(Form_pg_attribute attribute)
{
	return (attribute->attnotnull || refuses_null(attribute->atttypid)) && !attribute->atthasdef &&
		   !attribute->attidentity && get_typdefault(attribute->atttypid) == nullptr;
}

List *compare_extra_columns(List *found, Relation table, bool (*is_own)(const char *column))
{
	const TupleDesc descriptor = RelationGetDescr(table);
	for (int i = 0; i < descriptor->natts; i++) {
		const Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
		const bool ours = attribute->attisdropped || is_own(NameStr(attribute->attname));
		if (!ours && needs_value(attribute))
			found = lappend(
				found, make_difference(psprintf("extra column %s is NOT NULL and has no default",
												quote_identifier(NameStr(attribute->attname))),
									   nullptr));
	}
	return found;
}

List *compare_index(List *found, Relation table, const char *name, const IndexDefinition &wanted)
{
	if (OidIsValid(find_index(table, wanted)))
		return found;
	for (int i = 0; i < wanted.columns; i++)
		if (table_find_column(table, wanted.keys[i], nullptr) == 0)
			return found; // said of the column already
	const Oid schema = RelationGetNamespace(table);
	if (OidIsValid(get_relname_relid(wanted.name, schema)) ||
		OidIsValid(get_relation_constraint_oid(RelationGetRelid(table), wanted.name, true)))
		return lappend(
			found,
			make_difference(psprintf("%s is there, but is not a valid %s %s", wanted.name,
									 wanted.unique ? wanted.constraint : "index on", wanted.on),
							nullptr));
	if (!wanted.unique)
		return lappend(found,
					   make_difference_beside_readers(
						   psprintf("index %s is missing", wanted.name),
						   psprintf("CREATE INDEX %s ON %s %s", wanted.name, name, wanted.on)));
	// A primary key on other columns is somebody's decision.
	list_free(RelationGetIndexList(table)); // fills rd_pkindex
	const bool taken = wanted.primary && OidIsValid(table->rd_pkindex);
	if (taken)
		return lappend(found, make_difference(pstrdup("the primary key is not (id)"), nullptr));
	Difference *missing =
		make_difference(psprintf("constraint %s is missing", wanted.name),
						psprintf("ALTER TABLE %s ADD CONSTRAINT %s %s USING INDEX"
								 " %s",
								 name, wanted.name, wanted.constraint, wanted.name));
	missing->beside_readers =
		psprintf("CREATE UNIQUE INDEX %s ON %s %s", wanted.name, name, wanted.on);
	return lappend(found, missing);
}

// The key columns of an index; empty if it is on an expression.
Bitmapset *columns_of(Oid index_id)
{
	Relation index = index_open(index_id, AccessShareLock);
	Bitmapset *columns = nullptr;
	for (int i = 0; i < index->rd_index->indnkeyatts; i++) {
		const AttrNumber attno = index->rd_index->indkey.values[i];
		if (attno <= 0) {
			columns = nullptr;
			break;
		}
		columns = bms_add_member(columns, attno);
	}
	index_close(index, AccessShareLock);
	return columns;
}

bool is_deferrable(Oid index_id)
{
	HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index_id));
	if (!HeapTupleIsValid(tuple))
		return false;
	const bool immediate = ((Form_pg_index)GETSTRUCT(tuple))->indimmediate;
	ReleaseSysCache(tuple);
	return !immediate;
}

bool is_valid(Oid index_id)
{
	HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index_id));
	if (!HeapTupleIsValid(tuple))
		return true;
	const bool valid = ((Form_pg_index)GETSTRUCT(tuple))->indisvalid;
	ReleaseSysCache(tuple);
	return valid;
}

Bitmapset *identity_columns(Relation table)
{
	Bitmapset *columns = nullptr;
	for (TableColumn column : kIdentityIndex.keys)
		columns =
			bms_add_member(columns, get_attnum(RelationGetRelid(table), kColumns[column].name));
	return columns;
}

List *compare_storage(Relation table)
{
	const RowStorage storage = find_rows(table);
	refuse_distributed(table, storage);
	return storage.rows == Rows::here ? NIL : list_make1(make_difference(storage.why, nullptr));
}

List *compare_persistence(List *found, Relation table, const char *name)
{
	if (table->rd_rel->relpersistence == RELPERSISTENCE_PERMANENT)
		return found;
	return lappend(found, make_difference(psprintf("it is unlogged: a crash would empty it"),
										  psprintf("ALTER TABLE %s SET LOGGED", name)));
}

// ON CONFLICT refuses to work beside a deferrable constraint on the identity.
List *compare_deferrable(List *found, Relation table)
{
	List *indexes = RelationGetIndexList(table);
	ListCell *cell;
	foreach (cell, indexes) {
		const Oid index = lfirst_oid(cell);
		if (!is_deferrable(index) || !bms_equal(columns_of(index), identity_columns(table)))
			continue;
		found = lappend(found, make_difference(psprintf("constraint %s is DEFERRABLE",
														quote_identifier(get_rel_name(index))),
											   nullptr));
	}
	list_free(indexes);
	return found;
}

List *compare_details_column(List *found, Relation details, const char *name, Oid enum_type,
							 const DetailsColumn &column)
{
	const AttrNumber attno = get_attnum(RelationGetRelid(details), column.name);
	const Oid wanted = column.type == nullptr ? enum_type : column.type_id;
	if (attno == 0)
		return lappend(found, make_difference(psprintf("column %s is missing", column.name),
											  column.constraint != nullptr
												  ? nullptr
												  : psprintf("ALTER TABLE %s ADD COLUMN %s %s",
															 name, column.name, column.type)));
	if (attno < 0 || TupleDescAttr(RelationGetDescr(details), attno - 1)->atttypid != wanted)
		return lappend(
			found, make_difference(psprintf("column %s is of another type", column.name), nullptr));
	if (!compares_bytes(TupleDescAttr(RelationGetDescr(details), attno - 1)))
		return lappend(found, make_difference(psprintf("column %s has a nondeterministic collation",
													   column.name),
											  nullptr));
	return found;
}

// What makes statements that write details fail, and hinders no reader.
List *compare_details_value(List *found, Relation details, const char *name,
							const DetailsColumn &column)
{
	const AttrNumber attno = get_attnum(RelationGetRelid(details), column.name);
	if (attno <= 0)
		return found; // said already
	const Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(details), attno - 1);
	const bool nullable = column.constraint == nullptr;
	if (attribute->attgenerated != '\0')
		found = lappend(found,
						make_difference(psprintf("column %s is generated", column.name), nullptr));
	if (nullable && attribute->attnotnull)
		found = lappend(
			found,
			make_difference(psprintf("column %s is NOT NULL, and must allow null", column.name),
							nullptr));
	if (!nullable && !attribute->attnotnull)
		found = lappend(found, make_null_difference(name, column.name));
	return found;
}

char *details_index_statement(const char *name, const DetailsIndex &index)
{
	return psprintf("CREATE INDEX %s ON %s %s", index.name, name, index.statement);
}

Oid find_index_on(Relation table, AttrNumber attno, Oid method)
{
	Oid found = InvalidOid;
	List *indexes = RelationGetIndexList(table);
	ListCell *cell;
	foreach (cell, indexes) {
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);
		if (index->rd_rel->relam == method && index->rd_index->indisvalid &&
			index->rd_index->indkey.values[0] == attno && !is_partial(index))
			found = lfirst_oid(cell);
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
	return found;
}

List *compare_details_index(List *found, Relation details, const char *name,
							const DetailsIndex &index)
{
	const AttrNumber attno = get_attnum(RelationGetRelid(details), index.column);
	if (attno <= 0 || OidIsValid(find_index_on(details, attno, index.method)))
		return found; // a missing column is said of already
	const bool taken = OidIsValid(get_relname_relid(index.name, RelationGetNamespace(details)));
	return lappend(
		found, taken ? make_difference(psprintf("%s is there, but is not a valid index on (%s)",
												index.name, index.column),
									   nullptr)
					 : make_difference_beside_readers(psprintf("index %s is missing", index.name),
													  details_index_statement(name, index)));
}

} // namespace

const char *table_column_name(TableColumn column)
{
	return kColumns[column].name;
}

bool is_table_column(const char *name)
{
	return std::ranges::any_of(kColumns, [name](const ColumnDefinition &column) {
		return strcmp(column.name, name) == 0;
	});
}

bool is_details_column(const char *name)
{
	return std::ranges::any_of(kDetailsColumns, [name](const DetailsColumn &column) {
		return strcmp(column.name, name) == 0;
	});
}

AttrNumber table_find_column(Relation table, TableColumn column, char **fault)
{
	const TupleDesc descriptor = RelationGetDescr(table);
	const ColumnDefinition &wanted = kColumns[column];
	for (int i = 0; i < descriptor->natts; i++) {
		const Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
		if (attribute->attisdropped || strcmp(NameStr(attribute->attname), wanted.name) != 0)
			continue;
		if (has_type(attribute, column) && compares_bytes(attribute))
			return attribute->attnum;
		if (fault != nullptr && has_type(attribute, column))
			*fault = psprintf("column %s has a nondeterministic collation", wanted.name);
		else if (fault != nullptr)
			*fault = psprintf("column %s is of type %s, and must be %s", wanted.name,
							  format_type_with_typemod(attribute->atttypid, attribute->atttypmod),
							  wanted.type != nullptr ? wanted.type
													 : "an enum with the values user and api_key");
		return 0;
	}
	if (fault != nullptr)
		*fault = psprintf("column %s is missing", wanted.name);
	return 0;
}

Difference *make_difference(char *what, char *fix)
{
	auto *made = static_cast<Difference *>(palloc0(sizeof(Difference)));
	made->what = what;
	made->fix = fix;
	return made;
}

Difference *make_difference_beside_readers(char *what, char *statement)
{
	Difference *made = make_difference(what, nullptr);
	made->beside_readers = statement;
	return made;
}

bool needs_person(const Difference *difference)
{
	return difference->beside_readers == nullptr && difference->fix == nullptr;
}

char *without_fix(const List *differences)
{
	StringInfoData text;
	initStringInfo(&text);
	ListCell *cell;
	foreach (cell, differences) {
		const auto *found = static_cast<const Difference *>(lfirst(cell));
		if (needs_person(found))
			appendStringInfo(&text, "%s%s", text.len > 0 ? "; " : "", found->what);
	}
	return text.len > 0 ? text.data : nullptr;
}

Oid table_find_identity_index(Relation table)
{
	return find_index(table, kIdentityIndex);
}

List *row_security_index_differences(Relation table, const char *name)
{
	return compare_index(NIL, table, name, kRowSecurityIndex);
}

Oid details_find_token_index(Relation details)
{
	const DetailsIndex &index = kDetailsIndexes[0];
	const AttrNumber attno = get_attnum(RelationGetRelid(details), index.column);
	if (attno <= 0 || TupleDescAttr(RelationGetDescr(details), attno - 1)->atttypid != UUIDOID)
		return InvalidOid; // a column that its owner has altered
	return find_index_on(details, attno, index.method);
}

bool details_are_unique(Relation details)
{
	bool found = false;
	List *indexes = RelationGetIndexList(details);
	ListCell *cell;
	foreach (cell, indexes) {
		if (!bms_equal(columns_of(lfirst_oid(cell)), identity_columns(details)))
			continue;
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);
		const Form_pg_index form = index->rd_index;
		found = found ||
				(form->indisunique && form->indimmediate && form->indisvalid && !is_partial(index));
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
	return found;
}

bool table_is_identity_reindexed(Relation table)
{
	bool found = false;
	List *indexes = RelationGetIndexList(table);
	ListCell *cell;
	foreach (cell, indexes)
		found = found || (!is_valid(lfirst_oid(cell)) &&
						  bms_equal(columns_of(lfirst_oid(cell)), identity_columns(table)));
	list_free(indexes);
	return found;
}

List *table_differences(Relation table, const char *name)
{
	List *found = compare_storage(table);
	if (table->rd_rel->relkind != RELKIND_RELATION)
		return found;
	found = compare_persistence(found, table, name);
	for (int column = 0; column < kTableColumns; column++)
		found = compare_column(found, table, name, static_cast<TableColumn>(column));
	found = compare_extra_columns(found, table, is_table_column);
	for (const IndexDefinition &index : kIndexes)
		found = compare_index(found, table, name, index);
	return compare_deferrable(found, table);
}

char *table_create_statement(const char *name, const char *enum_type)
{
	StringInfoData sql;
	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE TABLE %s (", name);
	for (const ColumnDefinition &column : kColumns) {
		appendStringInfo(&sql, "%s %s", column.name, column.type ? column.type : enum_type);
		if (!column.nullable)
			appendStringInfoString(&sql, " NOT NULL");
		if (column.default_expression != nullptr)
			appendStringInfo(&sql, " DEFAULT %s", column.default_expression);
		appendStringInfoString(&sql, ", ");
	}
	// A refreshed row finds room in its page, and so needs no new entry in each index; for the same
	// reason long tokens, as Microsoft's, are beside the row (the default of toast_tuple_target;
	// bench/storage). Fernet text does not compress, so pglz would only cost time.
	appendStringInfo(&sql, "CONSTRAINT %s %s %s, CONSTRAINT %s %s %s) WITH (fillfactor = 90)",
					 kIndexes[0].name, kIndexes[0].constraint, kIndexes[0].on, kIndexes[1].name,
					 kIndexes[1].constraint, kIndexes[1].on);
	for (TableColumn column : {kEncryptedAccessToken, kEncryptedRefreshToken})
		appendStringInfo(&sql, "; ALTER TABLE %s ALTER COLUMN %s SET STORAGE EXTERNAL", name,
						 table_column_name(column));
	for (const IndexDefinition &index : kIndexes)
		if (!index.unique)
			appendStringInfo(&sql, "; CREATE INDEX %s ON %s %s", index.name, name, index.on);
	return sql.data;
}

char *details_create_statement(const char *name, const char *enum_type)
{
	StringInfoData sql;
	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE TABLE %s (", name);
	for (const DetailsColumn &column : kDetailsColumns)
		appendStringInfo(&sql, "%s %s %s, ", column.name, column.type ? column.type : enum_type,
						 column.constraint ? column.constraint : "");
	appendStringInfoString(&sql, "CONSTRAINT oauth_token_details_pkey "
								 "PRIMARY KEY (workspace_id, provider, actor_type, actor_id))");
	for (const DetailsIndex &index : kDetailsIndexes)
		appendStringInfo(&sql, "; %s", details_index_statement(name, index));
	return sql.data;
}

const char *details_columns_difference(Relation details, Oid enum_type)
{
	for (const DetailsColumn &column : kDetailsColumns)
		if (List *found = compare_details_column(NIL, details, kDetailsName, enum_type, column))
			return static_cast<Difference *>(linitial(found))->what;
	return nullptr;
}

List *details_differences(Relation details, const char *name, Oid enum_type)
{
	List *found = compare_storage(details);
	if (details->rd_rel->relkind != RELKIND_RELATION)
		return found;
	found = compare_persistence(found, details, name);
	for (const DetailsColumn &column : kDetailsColumns) {
		found = compare_details_column(found, details, name, enum_type, column);
		found = compare_details_value(found, details, name, column);
	}
	found = compare_extra_columns(found, details, is_details_column);
	list_free(RelationGetIndexList(details)); // fills rd_pkindex
	if (!OidIsValid(details->rd_pkindex) ||
		!bms_equal(columns_of(details->rd_pkindex), identity_columns(details)))
		found = lappend(found,
						make_difference(psprintf("the primary key is not the identity"), nullptr));
	for (const DetailsIndex &index : kDetailsIndexes)
		found = compare_details_index(found, details, name, index);
	return found;
}

} // namespace oauth_tokens
