// What the table oauth_tokens must look like (docs/architecture.md, "Tables"), and how a table
// that is there differs from it.
#pragma once

#include "postgres/compat.hpp"

namespace oauth_tokens
{

inline constexpr const char *kTableName = "oauth_tokens";
inline constexpr const char *kDetailsName = "oauth_token_details";
inline constexpr const char *kEnumName = "actor_type_enum";

enum TableColumn {
	kId,
	kWorkspaceId,
	kProvider,
	kActorType,
	kActorId,
	kScopes,
	kEncryptedAccessToken,
	kEncryptedRefreshToken,
	kAccessTokenExpiresAt,
	kCreatedAt,
	kUpdatedAt,
	kTableColumns
};

const char *table_column_name(TableColumn column);

// The attribute number, or 0 if the column is missing or of another type;
// `fault`, if not null, is then what is wrong, for a person.
AttrNumber table_find_column(Relation table, TableColumn column, char **fault);

// The index that enforces the identity: unique, immediate, not partial, on
// exactly its four columns in order. InvalidOid if there is none.
Oid table_find_identity_index(Relation table);

// Whether another index like that, which is not valid, is there: REINDEX or CREATE
// INDEX CONCURRENTLY is at work, or was broken off.
bool table_is_identity_reindexed(Relation table);

// The index that finds a token under row security, if it is missing or something else.
inline constexpr const char *kRowSecurityIndexName = "idx_oauth_tokens_workspace_provider_actor";
List *row_security_index_differences(Relation table, const char *name);

// The index by which details are found by the id of their token; InvalidOid: none serves.
Oid details_find_token_index(Relation details);

// Whether an index keeps the identity unique in the table of details, as ON CONFLICT asks.
bool details_are_unique(Relation details);

// One way in which a table differs. If it has no statement, a person must decide.
struct Difference {
	char *what;           // for a person: "column scopes is missing"
	char *beside_readers; // the statement that comes first, and that no reader waits for
	char *fix;            // the statement for which the table is locked, so a short one
	const char *not_null; // the column in which `fix` has to look at each row
};

Difference *make_difference(char *what, char *fix);
Difference *make_difference_beside_readers(char *what, char *statement);

bool needs_person(const Difference *difference);

// What a person must decide, of a list of differences, as one text; null: nothing.
char *without_fix(const List *differences);

// Every difference, as a list of Difference *. `name` is the table's qualified
// and quoted name, for the fixes. Takes a relation of any kind. Raises OT005 if Citus
// distributes it.
List *table_differences(Relation table, const char *name);

// Whether it is one of the columns that we make.
bool is_table_column(const char *name);
bool is_details_column(const char *name);

// How the first column of the table of details differs; null if none does.
const char *details_columns_difference(Relation details, Oid enum_type);

// The same for the table of details, whose actor_type is `enum_type`.
List *details_differences(Relation details, const char *name, Oid enum_type);

// Whether an enum has the values that actor_type needs.
bool is_actor_type_enum(Oid type);

// The statements that make the two tables from nothing.
char *table_create_statement(const char *name, const char *enum_type);
char *details_create_statement(const char *name, const char *enum_type);

} // namespace oauth_tokens
