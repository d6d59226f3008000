#include "schema/table_owner.hpp"

#include "errors.hpp"
#include "schema/owner_boundary.hpp"

extern "C" {
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

namespace oauth_tokens
{

namespace
{

void require_owner(Oid table)
{
	Relation relation = table_open(table, NoLock);
	const Oid owner = relation->rd_rel->relowner;
	table_close(relation, NoLock);
	if (!has_privs_of_role(GetUserId(), owner))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("must be owner of table %s", get_rel_name(table)),
						errhint("Call this as role %s, or as a superuser.",
								quote_identifier(GetUserNameFromId(owner, false)))));
}

} // namespace

void lock_migration()
{
	LockDatabaseObject(ExtensionRelationId, get_extension_oid("oauth_tokens", false), 0,
					   ShareUpdateExclusiveLock);
}

const TokenTable &lock_for_change()
{
	lock_migration();
	const TokenTable &table = use_tables(Use::read);
	require_owner(table.relid);
	require_owner(table.details_relid);
	return table;
}

} // namespace oauth_tokens
