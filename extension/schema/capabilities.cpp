// oauth_tokens_grant and oauth_tokens_revoke: the privileges that a role needs
// for a purpose, and no other.

#include "schema/capabilities.hpp"

#include "errors.hpp"
#include "postgres/function.hpp"
#include "postgres/safe_settings.hpp"
#include "schema/row_security.hpp"
#include "schema/table_owner.hpp"
#include "tokens/token_table.hpp"

extern "C" {
#include "catalog/namespace.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
}

namespace oauth_tokens
{

namespace
{

constexpr CapabilityName kNames[] = {
	{"access", kAccess, "oauth_access_token"},        {"reader", kReader, "oauth_get"},
	{"refresher", kRefresher, "oauth_refresh_begin"}, {"writer", kWriter, "oauth_flow_confirm"},
	{"sidecar", kSidecar, "publish_settings"},        {"admin", kAdmin, "oauth_decrypt"}};

struct FunctionGrant {
	const char *name; // every form of it
	unsigned capabilities;
};

// In the extension's schema or in oauth_tokens_internal.
constexpr FunctionGrant kFunctions[] = {
	{"oauth_access_token", kAccess | kReaders},
	{"oauth_fresh_access_token", kAccess | kReaders},
	{"oauth_get", kReaders},
	{"connections", kReaders},
	{"connection", kReaders},
	{"connection_state", kReaders},
	{"connection_details", kReaders},
	{"guard", kReaders},
	{"guard_every_row", kAdmin},
	{"utc", kReaders},
	{"oauth_store", kWriters},
	{"oauth_delete", kWriters},
	{"oauth_move", kWriters},
	{"oauth_authorize_url", kWriters},
	{"sees_token", kReaders | kWriters},
	{"may_update_token", kWriters | kRefresher},
	{"oauth_flow_confirm", kConfirmers},
	{"sees_token_id", kReaders},
	{"oauth_refresh_begin", kRefreshers},
	{"oauth_refresh_commit", kRefreshers},
	{"oauth_refresh_fail", kRefreshers},
	{"oauth_refresh_replay", kRefreshers},
	{"cluster", kRefreshers},
	{"publish_refresh_rules", kSidecars},
	{"refresh_purge", kSidecars},
	{"refresh_due", kSidecars},
	{"refresh_backlog", kSidecars},
	{"row_security_applies", kSidecars},
	{"oauth_tokens_enable_background_refresh", kAdmin},
	{"oauth_tokens_disable_background_refresh", kAdmin},
	{"oauth_tokens_adopt_cluster", kAdmin},
	{"publish_settings", kSidecars},
	{"flow_begin", kSidecars},
	{"flow_claim", kSidecars},
	{"flow_store", kSidecars},
	{"flow_purge", kSidecars},
	{"oauth_cache_register", kSidecars},
	{"oauth_cache_unregister", kSidecars},
	{"oauth_changes_pending", kSidecars},
	{"oauth_changes_ack", kSidecars},
	{"oauth_changes_wait", kSidecars},
	{"cache_registration", kSidecars},
	{"cache_registration_id", kSidecars},
	{"delete_token", kSidecars},
	{"revocations_claim", kSidecars},
	{"revocation_done", kSidecars},
	{"revocations_waiting", kSidecars},
	{"refresh_requests_wait", kSidecars},
	{"refresh_request_done", kSidecars},
	{"oauth_encrypt", kAdmin},
	{"oauth_decrypt", kAdmin},
	{"decrypt", kAdmin},
	{"decrypted", kAdmin},
	{"damaged", kAdmin},
	{"is_damaged", kAdmin},
	{"key_position", kAdmin},
	{"is_shared", kAdmin},
	{"key_fingerprints", kAdmin},
	{"key_usage", kAdmin},
	{"sealed_usage", kAdmin},
	{"oauth_tokens_damaged", kAdmin},
	{"oauth_rotate_keys", kAdmin},
	{"oauth_doctor", kSidecars},
	{"record_change", kAdmin}, // the table's owner makes its triggers
	{"oauth_tokens_upgrade", kAdmin},
	{"oauth_tokens_downgrade", kAdmin},
	{"oauth_tokens_enable_row_security", kAdmin},
	{"oauth_tokens_disable_row_security", kAdmin},
};

constexpr RelationGrant kRelations[] = {
	{In::extension_schema, kTableName,
	 "SELECT (workspace_id, provider, actor_type, actor_id, encrypted_access_token,"
	 " access_token_expires_at)",
	 kAccess},
	{In::extension_schema, kTableName, "SELECT", kReaders},
	{In::extension_schema, kTableName,
	 "SELECT (id, workspace_id, provider, actor_type, actor_id), INSERT,"
	 " UPDATE (workspace_id, provider, actor_type, actor_id, scopes, encrypted_access_token,"
	 " encrypted_refresh_token, access_token_expires_at, updated_at), DELETE",
	 kWriter | kSidecar},
	{In::extension_schema, kTableName,
	 "UPDATE (encrypted_access_token, encrypted_refresh_token, scopes, access_token_expires_at,"
	 " updated_at)",
	 kRefresher},
	{In::extension_schema, kTableName, "INSERT, UPDATE, DELETE", kAdmin},
	{In::extension_schema, kDetailsName, "SELECT", kReaders},
	{In::extension_schema, kDetailsName,
	 "SELECT (workspace_id, provider, actor_type, actor_id, token_id, account_id, issuer,"
	 " client_id, refresh_token_digest), INSERT, UPDATE, DELETE",
	 kWriters},
	{In::extension_schema, kDetailsName, "INSERT, UPDATE", kRefresher},
	{In::extension_schema, "oauth_connections", "SELECT", kReaders},
	{In::extension_schema, "oauth_tokens_decrypted", "SELECT", kAdmin},
	{In::extension_schema, "oauth_key_usage", "SELECT", kAdmin},
	{In::internal, "sidecar_settings", "SELECT", kWriters},
	{In::internal, "sidecar_settings", "INSERT, UPDATE", kSidecars},
	{In::internal, "oauth_revocations", "SELECT", kAdmin}, // to dump it
	{In::internal, "visible_refresh_states", "SELECT", kReaders},
	{In::internal, "refresh_rules", "SELECT", kReaders},
	// To dump them.
	{In::internal, "cluster", "SELECT", kAdmin},
	{In::internal, "refresh_states", "SELECT", kAdmin},
	{In::internal, "refresh_fences", "SELECT", kAdmin},
	{In::internal, "refresh_attempts", "SELECT", kAdmin},
	{In::internal, "refresh_clients", "SELECT", kAdmin},
	{In::internal, "used_keys", "SELECT", kAdmin},
	{In::internal, "key_rotations", "SELECT, INSERT, UPDATE, DELETE", kAdmin},
};

} // namespace

std::span<const CapabilityName> capability_names()
{
	return kNames;
}

std::span<const RelationGrant> relation_grants()
{
	return kRelations;
}

Oid schema_of(const RelationGrant &grant)
{
	return grant.schema == In::internal ? get_namespace_oid("oauth_tokens_internal", false)
										: extension_schema();
}

unsigned capabilities_of_function(const char *name)
{
	for (const FunctionGrant &function : kFunctions)
		if (strcmp(function.name, name) == 0)
			return function.capabilities;
	return 0;
}

namespace
{

const CapabilityName &capability_argument(const text *argument, const char *more)
{
	char *name = text_to_cstring(argument);
	for (const CapabilityName &known : kNames)
		if (strcmp(known.name, name) == 0)
			return known;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unknown capability"),
					errhint("Use access, reader, refresher, writer, sidecar or admin.%s", more)));
	pg_unreachable();
}

// "oauth_get(uuid,text,text,text), …": the extension's functions, in any schema, for which a
// condition on the row `p` of pg_proc is true. Null if there is none.
char *routines_where(const char *condition)
{
	execute_safely(
		psprintf("SELECT pg_catalog.string_agg(p.oid::pg_catalog.regprocedure::text, ', ')"
				 " FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_depend d ON d.objid = p.oid"
				 " AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype = 'e'"
				 " JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid"
				 " WHERE e.extname = 'oauth_tokens' AND %s",
				 condition));
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

// GRANT by a role without the right to it only warns, and would leave half.
void require_owner(const char *kind, const char *name, Oid owner)
{
	if (!has_privs_of_role(GetUserId(), owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only the owner of %s %s can grant and revoke its privileges", kind, name),
				 errhint("Call this as a superuser.")));
}

void check_right_to_grant()
{
	execute_safely("SELECT extowner FROM pg_catalog.pg_extension WHERE extname = 'oauth_tokens'");
	bool is_null;
	require_owner(
		"extension", "oauth_tokens",
		DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null)));
	execute_safely(psprintf("SELECT relname, relowner FROM pg_catalog.pg_class"
							" WHERE relnamespace = %u AND relname IN ('%s', '%s')",
							extension_schema(), kTableName, kDetailsName));
	for (std::uint64_t i = 0; i < SPI_processed; i++)
		require_owner("table", SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1),
					  DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
													 2, &is_null)));
}

enum class Verb { grant, revoke };

void apply(Verb verb, const char *privileges, const char *object, const char *role)
{
	execute_safely(verb == Verb::grant
					   ? psprintf("GRANT %s ON %s TO %s", privileges, object, role)
					   : psprintf("REVOKE %s ON %s FROM %s", privileges, object, role));
}

void apply_to_functions(Verb verb, Capability capability, const char *role)
{
	for (const FunctionGrant &function : kFunctions) {
		if ((function.capabilities & capability) == 0)
			continue;
		const char *routines =
			routines_where(psprintf("p.proname = %s", quote_literal_cstr(function.name)));
		if (routines != nullptr)
			apply(verb, "EXECUTE", psprintf("ROUTINE %s", routines), role);
	}
}

// False if the relation is not there.
bool apply_to_relation(Verb verb, const char *privileges, const RelationGrant &grant,
					   const char *role)
{
	const Oid schema = schema_of(grant);
	if (!OidIsValid(get_relname_relid(grant.relation, schema)))
		return false;
	const char *name = quote_qualified_identifier(get_namespace_name(schema), grant.relation);
	apply(verb, privileges, psprintf("TABLE %s", name), role);
	return true;
}

void apply_to_relations(Verb verb, Capability capability, const char *role)
{
	for (const RelationGrant &grant : kRelations)
		if ((grant.capabilities & capability) != 0 &&
			!apply_to_relation(verb, grant.privileges, grant, role) && verb == Verb::grant)
			ereport(NOTICE, (errmsg("there is no table %s yet", grant.relation),
							 errhint("Call oauth_tokens_grant() again after "
									 "oauth_tokens_upgrade().")));
}

// Through PUBLIC, say: then a grant would only stand in the way of DROP ROLE.
bool can_use_schema(Oid role, Oid schema)
{
	execute_safely(
		psprintf("SELECT 1 WHERE pg_catalog.has_schema_privilege(%u::pg_catalog.oid, %u, 'USAGE')",
				 role, schema));
	return SPI_processed > 0;
}

void apply_capability(Verb verb, Capability capability, Oid role_id)
{
	const char *role = quote_identifier(GetUserNameFromId(role_id, false));
	apply_to_functions(verb, capability, role);
	apply_to_relations(verb, capability, role);
	apply(verb, "USAGE", "SCHEMA oauth_tokens_internal", role);
	// What else the role may reach in the extension's schema is not ours to take.
	const Oid schema = extension_schema();
	if (verb == Verb::grant && !can_use_schema(role_id, schema))
		apply(verb, "USAGE", psprintf("SCHEMA %s", quote_identifier(get_namespace_name(schema))),
			  role);
}

// Whether the role has, or owns, anything else in the extension's schema.
bool uses_schema(Oid role, Oid schema)
{
	execute_safely(psprintf(
		"SELECT 1 FROM pg_catalog.pg_shdepend d"
		" LEFT JOIN pg_catalog.pg_class c ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass"
		" AND c.oid = d.objid"
		" LEFT JOIN pg_catalog.pg_proc p ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass"
		" AND p.oid = d.objid"
		" LEFT JOIN pg_catalog.pg_type t ON d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass"
		" AND t.oid = d.objid"
		" WHERE d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND d.refobjid = %u"
		" AND d.dbid = (SELECT b.oid FROM pg_catalog.pg_database b"
		" WHERE b.datname = pg_catalog.current_database())"
		" AND (%u IN (c.relnamespace, p.pronamespace, t.typnamespace)"
		" OR (d.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.objid = %u"
		" AND d.deptype = 'o')) LIMIT 1",
		role, schema, schema));
	return SPI_processed > 0;
}

// So that nothing of ours stands in the way of DROP ROLE: also what was granted by
// hand, and USAGE on the extension's schema if the role has nothing else there.
void revoke_all(Oid role_id)
{
	const char *role = quote_identifier(GetUserNameFromId(role_id, false));
	apply(Verb::revoke, "ALL", psprintf("ROUTINE %s", routines_where("true")), role);
	for (const RelationGrant &grant : kRelations)
		apply_to_relation(Verb::revoke, "ALL", grant, role);
	apply(Verb::revoke, "ALL", "SCHEMA oauth_tokens_internal", role);
	const Oid schema = extension_schema();
	if (!uses_schema(role_id, schema))
		apply(Verb::revoke, "USAGE",
			  psprintf("SCHEMA %s", quote_identifier(get_namespace_name(schema))), role);
}

} // namespace

// One look at the markers for all roles: there may be one for each tenant.
List *capability_holders()
{
	StringInfoData markers;
	initStringInfo(&markers);
	for (const CapabilityName &capability : kNames)
		appendStringInfo(&markers, "%s'%s'", markers.len > 0 ? ", " : "", capability.marker);
	execute_safely(psprintf("SELECT a.grantee, p.proname FROM pg_catalog.pg_proc p"
							" JOIN pg_catalog.pg_depend d ON d.objid = p.oid"
							" AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass"
							" AND d.deptype = 'e'"
							" JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid,"
							" pg_catalog.aclexplode(p.proacl) a"
							" WHERE e.extname = 'oauth_tokens' AND p.proname IN (%s)"
							" AND a.grantee <> 0 AND a.grantee <> p.proowner ORDER BY 1",
							markers.data));
	List *holders = NIL;
	CapabilityHolder *holder = nullptr;
	for (std::uint64_t i = 0; i < SPI_processed; i++) {
		bool is_null;
		const Oid role = DatumGetObjectId(
			SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &is_null));
		const char *function = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2);
		if (holder == nullptr || holder->role != role) {
			holder = static_cast<CapabilityHolder *>(palloc(sizeof(CapabilityHolder)));
			*holder = {role, 0};
			holders = lappend(holders, holder);
		}
		for (const CapabilityName &capability : kNames)
			if (strcmp(capability.marker, function) == 0)
				holder->capabilities |= capability.capability;
	}
	return holders;
}

unsigned capabilities_held(Oid role, const List *holders)
{
	const ListCell *cell;
	foreach (cell, holders) {
		const auto *holder = static_cast<const CapabilityHolder *>(lfirst(cell));
		if (holder->role == role)
			return holder->capabilities;
	}
	return 0;
}

} // namespace oauth_tokens

using namespace oauth_tokens;

OAUTH_FUNCTION(oauth_tokens_grant)
{
	PreventCommandIfReadOnly("oauth_tokens_grant()");
	const CapabilityName &wanted = capability_argument(PG_GETARG_TEXT_PP(1), "");
	const Oid role = PG_GETARG_OID(0);
	const SafeSettings settings = begin_safe_settings();
	SPI_connect();
	lock_migration();
	check_right_to_grant();
	apply_capability(Verb::grant, wanted.capability, role);
	if (wanted.capability == kSidecar)
		show_all_workspaces(role);
	else if ((capabilities_held(role, capability_holders()) & kSidecars) == 0)
		show_own_workspace(role); // a policy may be older than the role's rights
	SPI_finish();
	end_safe_settings(settings);
	PG_RETURN_VOID();
}

// Takes away all that the capability holds, and with it every smaller one that
// it contains; then gives back what other capabilities of the role share with it.
OAUTH_FUNCTION(oauth_tokens_revoke)
{
	PreventCommandIfReadOnly("oauth_tokens_revoke()");
	const bool all = strcmp(text_to_cstring(PG_GETARG_TEXT_PP(1)), "all") == 0;
	const CapabilityName &unwanted =
		all ? kNames[0] : capability_argument(PG_GETARG_TEXT_PP(1), " To take all of them: all.");
	const Oid role = PG_GETARG_OID(0);
	const SafeSettings settings = begin_safe_settings();
	SPI_connect();
	lock_migration();
	check_right_to_grant();
	if (all || (unwanted.capability & kSidecars) != 0)
		show_own_workspace(role);
	if (all) {
		revoke_all(role);
		SPI_finish();
		end_safe_settings(settings);
		PG_RETURN_VOID();
	}
	unsigned kept = capabilities_held(role, capability_holders());
	for (const CapabilityName &other : kNames)
		if ((capabilities_of_function(other.marker) & unwanted.capability) != 0)
			kept &= ~other.capability;
	apply_capability(Verb::revoke, unwanted.capability, role);
	for (const CapabilityName &other : kNames)
		if ((kept & other.capability) != 0 &&
			(capabilities_of_function(other.marker) & kept & ~other.capability) == 0)
			apply_capability(Verb::grant, other.capability, role);
	SPI_finish();
	end_safe_settings(settings);
	PG_RETURN_VOID();
}
