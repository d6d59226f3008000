// The boundary between a table's owner and its callers (docs/design/threats.md, E20). The
// owner of a table can have code of its own run by each statement on it: triggers,
// index expressions, CHECK constraints, policies. So before a statement of ours
// is planned, the tables are locked, and looked at: they have no such code, or it
// is that of an owner whom the caller may trust.
//
// Trusted are the caller itself and superusers. Other callers
// also trust an owner to whom a superuser gave the capability admin: it tells the role
// that adopted the table from one that made a table of its name. Membership in
// the owner's role is no proof: up to PostgreSQL 15 a role may grant itself.
//
// What works below SQL needs none of it: a scan of the unique index or of the heap
// runs no such code, and rotation runs it as the owner (owner_rights.hpp).
#pragma once

#include "tokens/token_table.hpp"

namespace oauth_tokens
{

enum class Use { read, write };

// Both tables, locked against what would change their names and their code until
// the transaction ends: AccessShareLock to read, RowExclusiveLock to write. To be called
// before each statement: one that waits for a row gives the owner time. Raises
// what token_table() does, OT005 if the details are not as they must be, and
// 42501 if code of an owner who is not trusted would run.
const TokenTable &use_tables(Use use);

} // namespace oauth_tokens
