// The table oauth_tokens of this database, found in the extension's schema and
// never by search_path, with all that is needed to read and write it quickly.
#pragma once

#include <cstdint>

#include "postgres/compat.hpp"
#include "schema/table_definition.hpp"
#include "tokens/identity.hpp"

extern "C" {
#include "access/skey.h"
#include "executor/spi.h"
}

namespace oauth_tokens
{

struct TokenTable {
	Oid relid;
	Oid details_relid;
	// What keeps the identity unique; InvalidOid if nothing does. Whether it may be
	// scanned just now is another question: may_scan_index().
	Oid identity_index;
	bool details_are_unique;    // else none can be stored
	bool identity_is_reindexed; // concurrently: a store may meet an index that is not ready
	Oid enum_type;
	AttrNumber attno[kTableColumns];
	Oid type[kTableColumns];
	bool rows_are_here; // else only a plan finds all of them
	// Triggers of a user: whether one may change what is written, or keep what is deleted.
	bool triggers_write;
	bool triggers_delete;
	bool has_workspace_policy; // of oauth_tokens_enable_row_security(), by its name
	const char *name;          // qualified and quoted
	const char *details_name;
	std::uint64_t version; // changes if a kept plan must
	ScanKeyData identity_keys[kIdentityColumns];
};

void token_table_init();

// The schema that the extension was created in. Raises 42704 if it is gone.
Oid extension_schema();

// "schema.name", quoted: of a relation or a function.
char *extension_object_name(const char *name);

// A function in oauth_tokens_internal, or in the extension's schema, with no argument or
// with one of this type, whatever rights the caller has.
Oid internal_function(const char *name, Oid argument = InvalidOid);
Oid extension_function(const char *name);

[[noreturn]] void raise_table_differs(const char *name, const char *how);

// Changes when anything does that token_table() depends on, a role's rights, or what is
// on the tables.
std::uint64_t catalog_state();

// What token_table() found last, as it was then: for callers that may read no catalog.
const TokenTable &token_table_as_known();

// What the functions work on. Raises OT004 if the tables are not there and
// OT005 if a column is not what it must be.
const TokenTable &token_table();

// The same with a lock, after which the table stays as it is until the
// transaction ends. Writers take it before they read the key ring: before a
// key may be removed, rotation waits for all transactions that may still write under that key,
// and finds them by this lock.
const TokenTable &lock_token_table(LOCKMODE mode);

// Opens it, too; the caller closes it with NoLock.
Relation open_token_table(LOCKMODE mode);

// A statement that is prepared once a backend and again when the table changed.
struct PlanCache {
	SPIPlanPtr plan = nullptr;
	std::uint64_t version = 0;
};

void prepare_cached_plan(PlanCache &kept, const TokenTable &table, const char *sql, int arguments,
						 Oid *types);

// The plan of the statement that `build_sql` writes, within an SPI connection.
template <typename BuildSql>
SPIPlanPtr cached_plan(PlanCache &kept, const TokenTable &table, BuildSql build_sql, int arguments,
					   Oid *types)
{
	if (kept.plan == nullptr || kept.version != table.version)
		prepare_cached_plan(kept, table, build_sql(), arguments, types);
	return kept.plan;
}

} // namespace oauth_tokens
