#include "schema/owner_boundary.hpp"

#include "errors.hpp"
#include "postgres/function.hpp"
#include "schema/owner_code.hpp"
#include "schema/row_permission.hpp"

extern "C" {
#include "access/table.h"
#include "catalog/pg_type.h"
#include "nodes/primnodes.h"
#include "nodes/supportnodes.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"
}

namespace oauth_tokens
{

namespace
{

// Both owners were found to be trusted: good for this user while the catalog has not
// changed.
struct Verdict {
	std::uint64_t catalog_state;
	Oid user;
};

Verdict all_trusted;

bool is_trusted(Oid owner)
{
	if (owner == GetUserId() || superuser_arg(owner))
		return true;
	return !superuser() && compat::may_execute(extension_function("oauth_tokens_upgrade"), owner);
}

[[noreturn]] void raise_not_trusted(const char *name, Oid owner_id, const char *code)
{
	const char *owner = quote_identifier(GetUserNameFromId(owner_id, false));
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("table %s could run code of its owner %s with your rights", name, owner),
					errdetail("It has %s.", code),
					superuser() ? errhint("SET ROLE %s, and try again.", owner)
								: errhint("If its owner is to be trusted, as a superuser: SELECT "
										  "oauth_tokens_grant(%s, 'admin').",
										  quote_literal_cstr(owner))));
	pg_unreachable();
}

// CREATE INDEX, TRIGGER, POLICY and the like wait for this lock to be released.
void hold_off_owners(const TokenTable &table)
{
	LockRelationOid(table.relid, RowExclusiveLock);
	LockRelationOid(table.details_relid, RowExclusiveLock);
}

void refuse_code(Oid relid, const char *name, Use use, bool (*is_own)(const char *column))
{
	Relation relation = table_open(relid, NoLock);
	const Oid owner = relation->rd_rel->relowner;
	if (!is_trusted(owner))
		if (const char *code = find_owner_code(relation, use, is_own))
			raise_not_trusted(name, owner, code);
	table_close(relation, NoLock);
}

Oid owner_of(Oid relid)
{
	Relation relation = table_open(relid, NoLock);
	const Oid owner = relation->rd_rel->relowner;
	table_close(relation, NoLock);
	return owner;
}

// A column of another type may bring casts and operators of its own.
void check_details_columns(const TokenTable &table)
{
	Relation details = table_open(table.details_relid, NoLock);
	if (const char *difference = details_columns_difference(details, table.enum_type))
		raise_table_differs(table.details_name, difference);
	table_close(details, NoLock);
}

const TokenTable &lock_both(LOCKMODE mode)
{
	for (;;) {
		const Oid relid = token_table().relid;
		const Oid details_relid = token_table().details_relid;
		LockRelationOid(relid, mode);
		LockRelationOid(details_relid, mode); // hears of all changes before
		const TokenTable &table = token_table();
		if (table.relid == relid && table.details_relid == details_relid)
			return table;
		UnlockRelationOid(details_relid, mode);
		UnlockRelationOid(relid, mode);
	}
}

// The views' statements name the schema as it was called when the extension was made. In one
// that has this name since, anybody's objects may be.
void refuse_renamed_schema(const text *schema_name)
{
	const char *bound = text_to_cstring(schema_name);
	const char *now = get_namespace_name(extension_schema());
	// Whether a name is quoted depends on a setting (quote_all_identifiers), too.
	List *names = NIL;
	if (SplitIdentifierString(pstrdup(bound), '.', &names) && list_length(names) == 1 &&
		strcmp(static_cast<const char *>(linitial(names)), now) == 0)
		return;
	now = quote_identifier(now);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the schema of extension oauth_tokens was renamed from %s to %s", bound, now),
			 errdetail("The views read the tables by the name that it had."),
			 errhint("ALTER SCHEMA %s RENAME TO %s.", now, bound)));
}

bool is_known(const Verdict &verdict)
{
	return verdict.catalog_state == catalog_state() && verdict.user == GetUserId();
}

// CREATE INDEX CONCURRENTLY and CREATE STATISTICS do not wait for our lock. So nobody is
// told that there was no code, and nothing may have changed while we looked. The look
// keeps locks on the indexes, or the owner could hold up the statement there, after it.
void refuse_code_of_both(Use use)
{
	std::uint64_t state;
	do {
		CHECK_FOR_INTERRUPTS();
		AcceptInvalidationMessages();
		const TokenTable &table = token_table();
		state = catalog_state();
		refuse_code(table.relid, table.name, use, is_table_column);
		refuse_code(table.details_relid, table.details_name, use, is_details_column);
		AcceptInvalidationMessages();
	} while (state != catalog_state());
}

} // namespace

const TokenTable &use_tables(Use use)
{
	const TokenTable &table = lock_both(use == Use::write ? RowExclusiveLock : AccessShareLock);
	if (is_known(all_trusted))
		return table;
	const std::uint64_t state = catalog_state();
	check_details_columns(table);
	if (is_trusted(owner_of(table.relid)) && is_trusted(owner_of(table.details_relid))) {
		all_trusted = {state, GetUserId()};
	} else {
		hold_off_owners(table);
		refuse_code_of_both(use);
	}
	return token_table();
}

} // namespace oauth_tokens

using namespace oauth_tokens;

// For the views, whose statements bind the tables by name. True, or an error.
OAUTH_INNER_FUNCTION(oauth_guard)
{
	use_tables(Use::read);
	refuse_renamed_schema(PG_GETARG_TEXT_PP(0));
	PG_RETURN_BOOL(true);
}

// The same for what must see every row, before the plan meets the policies.
OAUTH_INNER_FUNCTION(oauth_guard_every_row)
{
	require_every_row(use_tables(Use::read).relid);
	refuse_renamed_schema(PG_GETARG_TEXT_PP(0));
	PG_RETURN_BOOL(true);
}

// The planner asks this before it looks at the function whose argument guard()
// is, and so before it looks at the tables. Nothing is simplified: a plan that is
// kept asks again.
OAUTH_INNER_FUNCTION(oauth_guard_support)
{
	Node *request = reinterpret_cast<Node *>(PG_GETARG_POINTER(0));
	if (IsA(request, SupportRequestSimplify)) {
		const FuncExpr *call = reinterpret_cast<SupportRequestSimplify *>(request)->fcall;
		const Oid table = use_tables(Use::read).relid;
		if (call->funcid == internal_function("guard_every_row", TEXTOID))
			require_every_row(table);
		Node *schema = static_cast<Node *>(linitial(call->args));
		if (IsA(schema, Const) && !reinterpret_cast<Const *>(schema)->constisnull)
			refuse_renamed_schema(DatumGetTextPP(reinterpret_cast<Const *>(schema)->constvalue));
	}
	PG_RETURN_POINTER(nullptr);
}
