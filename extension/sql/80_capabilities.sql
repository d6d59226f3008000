
-- Who may do what.

CREATE FUNCTION oauth_tokens_grant(role regrole, capability text) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_tokens_grant(regrole, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_grant(regrole, text) IS
    'grants every privilege that a capability needs, and no other: access (the access token only), reader, refresher (reader, and refreshes), writer, sidecar (reader, writer but for oauth_flow_confirm(), and what connects accounts), admin. Needs the right to grant them. Errors: 22023 unknown capability; 42501';

CREATE FUNCTION oauth_tokens_revoke(role regrole, capability text) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_tokens_revoke(regrole, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_revoke(regrole, text) IS
    'takes a capability and those that it contains from a role, and leaves its others; all: every privilege on what the extension and its migration made, also one granted by hand, and USAGE on the extension''s schema if the role has nothing else there. Errors: 22023 unknown capability; 42501';
