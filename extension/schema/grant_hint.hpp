// Says in an error which capability the caller lacks, or which setting.
#pragma once

#include "postgres/compat.hpp"

namespace oauth_tokens
{

// Within PG_CATCH: raises the error again. If it tells of a missing privilege on
// something of ours, its hint names the capability that `function`, a C function of
// ours, needs. If the policy of oauth_tokens_enable_row_security() refused a token, it
// names the setting of the workspace. An error that has a hint keeps it.
[[noreturn]] void rethrow_with_grant_hint(const char *function, Oid caller);

} // namespace oauth_tokens
