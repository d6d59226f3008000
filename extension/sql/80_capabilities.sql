
-- Who may do what.

CREATE FUNCTION oauth_tokens_grant(role regrole, capability text) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_tokens_grant(regrole, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_grant(regrole, text) IS
    'grants exactly the privileges that a capability needs: access (only the access token), reader, refresher (reader, and refreshes), writer, sidecar (reader, writer without oauth_flow_confirm(), and what connects accounts), admin. Needs the right to grant them. Errors: 22023 unknown capability; 25006 read-only; 42501';

CREATE FUNCTION oauth_tokens_revoke(role regrole, capability text) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_tokens_revoke(regrole, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_revoke(regrole, text) IS
    'takes a capability, and those that it contains, from a role; its others stay. all: every privilege on objects of the extension and its migration, also those granted by hand, and USAGE on the extension''s schema if the role has nothing else there. Errors: 22023 unknown capability; 25006 read-only; 42501';
