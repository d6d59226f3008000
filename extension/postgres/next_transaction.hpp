// The next transaction of a procedure that commits.
#pragma once

#include "postgres/compat.hpp"

extern "C" {
#include "executor/spi.h"
#include "utils/guc.h"
}

namespace oauth_tokens
{

// Commits, and goes on at READ COMMITTED, whatever the session's default is: what is done to a row
// depends on no other one, so a serializable transaction would fail, and have others fail, for
// nothing.
inline void next_transaction()
{
	SPI_commit();
	set_config_option("transaction_isolation", "read committed", PGC_USERSET, PGC_S_SESSION,
					  GUC_ACTION_LOCAL, true, 0, false);
}

} // namespace oauth_tokens
