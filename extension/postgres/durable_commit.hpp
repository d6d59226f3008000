// How long the transaction that runs waits at its commit, whatever the session has set.
#pragma once

#include "postgres/compat.hpp"

extern "C" {
#include "access/xact.h"
#include "utils/guc.h"
}

namespace oauth_tokens
{

inline void set_synchronous_commit(const char *value)
{
	set_config_option("synchronous_commit", value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL,
					  true, 0, false);
}

// For what must survive a crash: a lost begin of a refresh lets two refresh at once, and a lost
// commit loses a rotated token. It waits for its commit to be flushed, and so for all that it has
// read, even if it writes nothing: what a caller throws away because of an answer may
// not be needed again after a crash.
inline void commit_durably()
{
	(void)GetCurrentTransactionId();
	ForceSyncCommit();
	if (synchronous_commit < SYNCHRONOUS_COMMIT_ON)
		set_synchronous_commit("on");
}

// For what a crash may undo: a later transaction commits durably, and with it all before.
inline void commit_lazily()
{
	set_synchronous_commit("off");
}

} // namespace oauth_tokens
