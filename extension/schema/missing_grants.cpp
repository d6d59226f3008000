#include "schema/missing_grants.hpp"

#include "schema/capabilities.hpp"
#include "tokens/token_table.hpp"

extern "C" {
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

// Whether the role has a privilege on each of "a, b)", the columns of a grant.
bool has_on_columns(Oid role, Oid relid, AclMode mode, const char *columns)
{
	while (*columns != ')') {
		const std::size_t size = strcspn(columns, ",)");
		const AttrNumber attno = get_attnum(relid, pnstrdup(columns, size));
		if (attno != InvalidAttrNumber &&
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

List *add_missing_of(List *found, Oid role, const CapabilityName &capability)
{
	StringInfoData missing;
	initStringInfo(&missing);
	for (const RelationGrant &grant : relation_grants()) {
		const Oid relid = get_relname_relid(grant.relation, schema_of(grant));
		if ((grant.capabilities & capability.capability) != 0 && OidIsValid(relid))
			append_missing(&missing, role, relid, grant);
	}
	if (missing.len == 0)
		return found;
	const char *name = quote_identifier(GetUserNameFromId(role, false));
	auto *grants = static_cast<MissingGrants *>(palloc(sizeof(MissingGrants)));
	*grants = {psprintf("role %s has capability %s but %s", name, capability.name, missing.data),
			   psprintf("SELECT %s(%s, '%s')", extension_object_name("oauth_tokens_grant"),
						quote_literal_cstr(name), capability.name)};
	return lappend(found, grants);
}

// Only the largest of a role's capabilities, which contain the others.
List *add_missing_of(List *found, Oid role, unsigned held)
{
	for (const CapabilityName &capability : capability_names())
		if ((held & capability.capability) != 0 &&
			(capabilities_of_function(capability.marker) & held & ~capability.capability) == 0)
			found = add_missing_of(found, role, capability);
	return found;
}

} // namespace

List *missing_grants()
{
	List *missing = NIL;
	ListCell *cell;
	foreach (cell, roles_with_rights())
		missing = add_missing_of(missing, lfirst_oid(cell), capabilities_held(lfirst_oid(cell)));
	return missing;
}

} // namespace oauth_tokens
