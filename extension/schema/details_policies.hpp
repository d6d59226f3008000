// The row security of oauth_token_details: a row of it is seen and changed by
// callers who may see and update its token's row, whatever policies the table of
// tokens has (docs/design/threats.md, E22). Its policies call functions of the extension, so that
// nothing in the catalog ties one table to the other, and the owner may alter or
// drop the table of tokens. If no policy of that table applies to the caller,
// neither do these.
//
// For each command there is one: a role that may only see a token must not change what
// is said of it. An owner for whom the policies of the table of tokens are forced
// must not see past these, either.
#pragma once

#include "postgres/compat.hpp"
#include "schema/table_definition.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "executor/spi.h"
}

namespace oauth_tokens
{

// How the policies differ, as details_differences(). `forced`: as they are on the
// table of tokens.
List *policy_differences(Relation details, const char *name, bool forced);

// Whether one of ours has this name.
bool is_details_policy(const char *name);

// The statements that make them on a new table.
char *policies_create_statement(const char *name, bool forced);

// DROP EXTENSION takes the policies, as ALTER … DEPENDS ON EXTENSION would have it,
// which PostgreSQL does not have for a policy. So each is bound when it is created,
// by a restore, too: CREATE EXTENSION in the same session has loaded this library.
void details_policies_init();

// The same for policies that were created while the library was not loaded.
void bind_policies_to_extension(Oid details);

// Executes a statement on details that follow a token: the same call has changed
// the row of the token, whose policies have decided. Details of these identities
// are open to it, even if the token is gone or has moved. Within an SPI
// connection; `to` may be the same.
void execute_following(SPIPlanPtr plan, Datum *values, const char *nulls, const Identity &from,
					   const Identity &to);

} // namespace oauth_tokens
