#include "schema/missing_grants.hpp"

#include <cstdint>

#include "postgres/safe_settings.hpp"
#include "schema/capabilities.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
}

namespace oauth_tokens
{

namespace
{

AclMode mode_named(const char *privilege, std::size_t size)
{
	struct Named {
		const char *name;
		AclMode mode;
	};
	for (const auto &[name, mode] :
		 {Named{"SELECT", ACL_SELECT}, {"INSERT", ACL_INSERT}, {"UPDATE", ACL_UPDATE}})
		if (strlen(name) == size && strncmp(privilege, name, size) == 0)
			return mode;
	return ACL_DELETE;
}

// Whether the role has a privilege on each of "a, b)", the columns of a grant. It has none on one
// that is not there yet.
bool has_on_columns(Oid role, Oid relid, AclMode mode, const char *columns)
{
	while (*columns != ')') {
		const std::size_t size = strcspn(columns, ",)");
		const AttrNumber attno = get_attnum(relid, pnstrdup(columns, size));
		if (attno == InvalidAttrNumber ||
			pg_attribute_aclcheck(relid, attno, role, mode) != ACLCHECK_OK)
			return false;
		columns += size;
		columns += strspn(columns, ", ");
	}
	return true;
}

// Appends what of "SELECT (a, b), INSERT" the role lacks, as "no SELECT on t".
void append_missing(StringInfo missing, Oid role, Oid relid, const RelationGrant &grant)
{
	const char *separator = missing->len > 0 ? " and no " : "no ";
	const int before = missing->len;
	const char *privilege = grant.privileges;
	while (*privilege != '\0') {
		const std::size_t size = strcspn(privilege, " ,");
		const AclMode mode = mode_named(privilege, size);
		const char *columns = privilege + size;
		const bool has_columns = strncmp(columns, " (", 2) == 0;
		const bool has = pg_class_aclcheck(relid, role, mode) == ACLCHECK_OK ||
						 (has_columns && has_on_columns(role, relid, mode, columns + 2));
		if (!has) {
			appendStringInfo(missing, "%s%.*s", separator, static_cast<int>(size), privilege);
			separator = ", ";
		}
		if (has_columns)
			columns += strcspn(columns, ")") + 1;
		privilege = columns + strspn(columns, ", ");
	}
	if (missing->len > before)
		appendStringInfo(missing, " on %s", grant.relation);
}

struct Function {
	Oid oid;
	const char *signature;
	unsigned capabilities;
};

// Those of the extension, as a list of Function *
List *functions()
{
	execute_safely("SELECT p.oid, p.oid::pg_catalog.regprocedure::text, p.proname"
				   " FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_depend d ON d.objid = p.oid"
				   " AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype = 'e'"
				   " JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid"
				   " WHERE e.extname = 'oauth_tokens' ORDER BY 2");
	List *found = NIL;
	for (std::uint64_t i = 0; i < SPI_processed; i++) {
		const HeapTuple row = SPI_tuptable->vals[i];
		bool is_null;
		auto *function = static_cast<Function *>(palloc(sizeof(Function)));
		*function = {
			DatumGetObjectId(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &is_null)),
			SPI_getvalue(row, SPI_tuptable->tupdesc, 2),
			capabilities_of_function(SPI_getvalue(row, SPI_tuptable->tupdesc, 3)),
		};
		found = lappend(found, function);
	}
	return found;
}

struct FunctionCount {
	int needed;
	int missing;
};

FunctionCount append_missing_functions(StringInfo missing, Oid role, unsigned capability,
									   const List *functions)
{
	FunctionCount count = {0, 0};
	const char *first = nullptr;
	ListCell *cell;
	foreach (cell, functions) {
		const auto *function = static_cast<const Function *>(lfirst(cell));
		if ((function->capabilities & capability) == 0)
			continue;
		count.needed++;
		if (compat::may_execute(function->oid, role))
			continue;
		if (count.missing++ == 0)
			first = function->signature;
	}
	if (count.missing == 1)
		appendStringInfo(missing, "no EXECUTE on %s", first);
	else if (count.missing > 1)
		appendStringInfo(missing, "no EXECUTE on %d functions, as %s", count.missing, first);
	return count;
}

void append_missing_schema(StringInfo missing, Oid role, Oid schema)
{
	if (!compat::may_use_schema(schema, role))
		appendStringInfo(missing, "%sno USAGE on schema %s", missing->len > 0 ? " and " : "",
						 quote_identifier(get_namespace_name(schema)));
}

void truncate_to(StringInfo text, int length)
{
	text->len = length;
	text->data[length] = '\0';
}

// The first two, and the number of the others. Returns how many of the capability's grants on
// relations the role has.
int append_missing_relations(StringInfo missing, Oid role, unsigned capability)
{
	int complete = 0;
	int incomplete = 0;
	for (const RelationGrant &grant : relation_grants()) {
		const Oid relid = get_relname_relid(grant.relation, schema_of(grant));
		if ((grant.capabilities & capability) == 0 || !OidIsValid(relid))
			continue;
		const int before = missing->len;
		append_missing(missing, role, relid, grant);
		if (missing->len == before)
			complete++;
		else if (++incomplete > 2)
			truncate_to(missing, before);
	}
	if (incomplete > 2)
		appendStringInfo(missing, " and %d more", incomplete - 2);
	return complete;
}

// The marker alone is a single GRANT, and the functions of one schema may be: such a role was not
// given the capability by oauth_tokens_grant(), and a hint must not widen its rights.
const char *fix_of(const char *role, const CapabilityName &capability, bool was_granted)
{
	const char *grant =
		psprintf("SELECT %s(%s, '%s');", extension_object_name("oauth_tokens_grant"),
				 quote_literal_cstr(role), capability.name);
	if (was_granted && capability.capability != kAdmin)
		return grant;
	return psprintf("SELECT %s(%s, 'all'); -- or, if it is to have %s: %s",
					extension_object_name("oauth_tokens_revoke"), quote_literal_cstr(role),
					capability.name, grant);
}

List *add_missing_of(List *found, Oid role, const CapabilityName &capability, const List *functions)
{
	StringInfoData missing;
	initStringInfo(&missing);
	const Oid internal = get_namespace_oid("oauth_tokens_internal", false);
	const FunctionCount count =
		append_missing_functions(&missing, role, capability.capability, functions);
	append_missing_schema(&missing, role, internal);
	append_missing_schema(&missing, role, extension_schema());
	const int complete = append_missing_relations(&missing, role, capability.capability);
	if (missing.len == 0)
		return found;
	const bool was_granted = 2 * count.missing < count.needed &&
							 (complete > 0 || compat::may_use_schema(internal, role));
	const char *name = quote_identifier(GetUserNameFromId(role, false));
	auto *grants = static_cast<MissingGrants *>(palloc(sizeof(MissingGrants)));
	*grants = {psprintf("role %s has capability %s but %s", name, capability.name, missing.data),
			   fix_of(name, capability, was_granted)};
	return lappend(found, grants);
}

// Only the largest of a role's capabilities, which contain the others.
List *add_missing_of(List *found, Oid role, unsigned held, const List *functions)
{
	for (const CapabilityName &capability : capability_names())
		if ((held & capability.capability) != 0 &&
			(capabilities_of_function(capability.marker) & held & ~capability.capability) == 0)
			found = add_missing_of(found, role, capability, functions);
	return found;
}

} // namespace

List *missing_grants()
{
	List *missing = NIL;
	const List *all = functions();
	ListCell *cell;
	foreach (cell, capability_holders()) {
		const auto *holder = static_cast<const CapabilityHolder *>(lfirst(cell));
		missing = add_missing_of(missing, holder->role, holder->capabilities, all);
	}
	return missing;
}

} // namespace oauth_tokens
