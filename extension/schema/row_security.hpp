// oauth_tokens_enable_row_security and its inverse: policies on oauth_tokens by which a role sees
// and writes the tokens of one workspace alone, that in the setting oauth_tokens.workspace_id.
//
// They are ordinary policies that call nothing of ours: they outlive DROP EXTENSION, and a dump
// brings them back without the library. If the setting is empty, or ended with its transaction,
// no row is shown. Roles with the capability sidecar, and their members, see every row.
#pragma once

#include "postgres/compat.hpp"

extern "C" {
#include "nodes/pg_list.h"
}

namespace oauth_tokens
{

inline constexpr const char *kWorkspacePolicyName = "oauth_tokens_workspace";

// For a role that gets or loses the capability sidecar, within an SPI connection and safe settings,
// after lock_migration(). The first changes nothing while row security is not enabled by us.
void show_all_workspaces(Oid role);
void show_own_workspace(Oid role);

// Has the policy that shows every workspace name the roles with the capability, while row security
// is enabled by us. `doing` begins its NOTICE. The first says whether there is something to repair.
bool row_security_differs();
void repair_row_security(const char *doing);

// How the tables differ from what oauth_tokens_enable_row_security() makes, as a list of
// Difference *; none while row security is not enabled by us. Within an SPI connection.
List *row_security_differences();

} // namespace oauth_tokens
