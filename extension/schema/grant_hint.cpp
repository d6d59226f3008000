#include "schema/grant_hint.hpp"

#include "schema/capabilities.hpp"
#include "schema/table_definition.hpp"
#include "settings.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
}

namespace oauth_tokens
{

namespace
{

// The least capability that has this function; null if none has it. In the schema
// oauth_tokens_internal functions have no prefix in SQL.
const char *capability_for(const char *function)
{
	unsigned capabilities = capabilities_of_function(function);
	constexpr const char *kPrefix = "oauth_";
	if (capabilities == 0 && strncmp(function, kPrefix, strlen(kPrefix)) == 0)
		capabilities = capabilities_of_function(function + strlen(kPrefix));
	for (const CapabilityName &known : capability_names())
		if ((capabilities & known.capability) != 0)
			return known.name;
	return nullptr;
}

// "permission denied for table oauth_tokens", in any language that names the object
// last. A trigger's or a policy's error about a table of the user's is not ours.
bool is_about_ours(const char *message)
{
	const char *last = strrchr(message, ' ');
	if (last == nullptr)
		return false;
	last++;
	if (strcmp(last, "oauth_tokens_internal") == 0 || capabilities_of_function(last) != 0)
		return true;
	for (const RelationGrant &grant : relation_grants())
		if (strcmp(last, grant.relation) == 0)
			return true;
	return false;
}

// The message is in the server's language; its id, and the function that raises it, are not. If a
// restrictive policy refuses a row, which ours is not, the message names it.
bool is_by_workspace_policy(const ErrorData *error)
{
	return token_table_as_known().has_workspace_policy && error->funcname != nullptr &&
		   strcmp(error->funcname, "ExecWithCheckOptions") == 0 && error->message_id != nullptr &&
		   strstr(error->message_id, "policy \"%s\"") == nullptr &&
		   strstr(error->message, kTableName) != nullptr;
}

// Without a look at the catalog, within PG_CATCH.
char *workspace_hint()
{
	const char *set = GetConfigOption(kWorkspaceIdSetting, true, false);
	const bool is_set = set != nullptr && set[0] != '\0';
	return psprintf(
		"After oauth_tokens_enable_row_security(), a role writes tokens of one workspace "
		"alone. %s%s: SET LOCAL %s = '…' in the transaction of this call.",
		kWorkspaceIdSetting, is_set ? psprintf(" is %s", set) : " is not set", kWorkspaceIdSetting);
}

} // namespace

void rethrow_with_grant_hint(const char *function, Oid caller)
{
	if (geterrcode() != ERRCODE_INSUFFICIENT_PRIVILEGE || TopTransactionContext == nullptr)
		PG_RE_THROW();
	MemoryContextSwitchTo(TopTransactionContext);
	ErrorData *error = CopyErrorData();
	if (error->hint == nullptr && is_by_workspace_policy(error)) {
		error->hint = workspace_hint();
		FlushErrorState();
		ReThrowError(error);
	}
	const char *capability = capability_for(function);
	if (error->hint != nullptr || capability == nullptr || !is_about_ours(error->message))
		PG_RE_THROW();
	const char *role = GetUserNameFromId(caller, true);
	if (role == nullptr)
		PG_RE_THROW();
	error->hint = psprintf("As a superuser: SELECT oauth_tokens_grant(%s, '%s').",
						   quote_literal_cstr(quote_identifier(role)), capability);
	FlushErrorState();
	ReThrowError(error);
}

} // namespace oauth_tokens
