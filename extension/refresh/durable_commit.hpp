// What a refresh depends on must survive a crash, whatever the session has set: a lost
// begin lets two refresh at once, and a lost commit loses a rotated token.
#pragma once

#include "postgres/compat.hpp"

extern "C" {
#include "access/xact.h"
#include "utils/guc.h"
}

namespace oauth_tokens
{

// The transaction that runs waits for its commit to be flushed, and so for all that it has
// read, even if it writes nothing: what a caller throws away because of an answer may
// not be needed again after a crash.
inline void commit_durably()
{
	(void)GetCurrentTransactionId();
	ForceSyncCommit();
	if (synchronous_commit < SYNCHRONOUS_COMMIT_ON)
		set_config_option("synchronous_commit", "on", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL,
						  true, 0, false);
}

} // namespace oauth_tokens
