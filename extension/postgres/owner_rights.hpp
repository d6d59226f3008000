// Work on rows that runs code of the table's owner (index expressions, generated
// columns) has the owner's rights and not the caller's, as in REINDEX and VACUUM
// FULL (docs/design/threats.md, E20): the owner would otherwise get the caller's rights. Names in
// that code resolve to the catalog alone, so that a caller gains nothing from
// the owner's rights either. An error undoes both with the transaction.
#pragma once

#include "postgres/compat.hpp"

extern "C" {
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/rel.h"
}

namespace oauth_tokens
{

struct CallersRights {
	Oid user;
	int security_context;
	int nest_level;
};

inline CallersRights begin_owner_rights(Relation relation)
{
	CallersRights caller;
	GetUserIdAndSecContext(&caller.user, &caller.security_context);
	SetUserIdAndSecContext(relation->rd_rel->relowner,
						   caller.security_context | SECURITY_RESTRICTED_OPERATION);
	caller.nest_level = NewGUCNestLevel();
	set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
					  GUC_ACTION_SAVE, true, 0, false);
	return caller;
}

// Settings that the owner's code has changed are as before, too.
inline void end_owner_rights(const CallersRights &caller)
{
	AtEOXact_GUC(false, caller.nest_level);
	SetUserIdAndSecContext(caller.user, caller.security_context);
}

} // namespace oauth_tokens
