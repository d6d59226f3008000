
-- A role sees the tokens of one workspace.

CREATE FUNCTION oauth_tokens_enable_row_security() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
CREATE FUNCTION oauth_tokens_disable_row_security() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_tokens_enable_row_security() FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_tokens_disable_row_security() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_enable_row_security() IS
    'from now on a role, the owner too, sees and writes only tokens of the workspace in the setting oauth_tokens.workspace_id; superusers, roles with BYPASSRLS and those with the capability sidecar see all. Makes policies and the index idx_oauth_tokens_workspace_provider_actor, and repairs them; readers and stores wait meanwhile. Errors: OT004, OT005 table, or a policy is in the way; 25006 read-only; 42501 not the owner of the tables';
COMMENT ON FUNCTION oauth_tokens_disable_row_security() IS
    'drops what oauth_tokens_enable_row_security() made. If other policies are left, row security stays enabled and forced. Errors: OT004, OT005 table; 25006 read-only; 42501 not the owner of the tables';

CREATE FUNCTION oauth_tokens_internal.row_security_applies() RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'oauth_row_security_applies';
REVOKE ALL ON FUNCTION oauth_tokens_internal.row_security_applies() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.row_security_applies() IS
    'whether row security may hide tokens from the caller. Errors: OT004, OT005 table';
