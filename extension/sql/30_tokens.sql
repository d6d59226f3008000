
-- Tokens by their identity.

CREATE FUNCTION oauth_store(
    workspace_id uuid, provider text, actor_type text, actor_id text,
    access_token text, refresh_token text DEFAULT NULL,
    expires_at timestamptz DEFAULT NULL, scopes text DEFAULT NULL,
    expires_in bigint DEFAULT NULL, keep_refresh_token boolean DEFAULT true,
    details jsonb DEFAULT NULL) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
CREATE FUNCTION oauth_store(
    workspace_id uuid, provider text, actor_type anyenum, actor_id text,
    access_token text, refresh_token text DEFAULT NULL,
    expires_at timestamptz DEFAULT NULL, scopes text DEFAULT NULL,
    expires_in bigint DEFAULT NULL, keep_refresh_token boolean DEFAULT true,
    details jsonb DEFAULT NULL) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_store(uuid, text, text, text, text, text, timestamptz, text, bigint, boolean, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_store(uuid, text, anyenum, text, text, text, timestamptz, text, bigint, boolean, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION oauth_store(uuid, text, text, text, text, text, timestamptz, text, bigint, boolean, jsonb) IS
    'encrypts a grant and stores it, or replaces the one of the same identity. Returns the row''s id. NULL refresh_token keeps the stored one unless keep_refresh_token is false; NULL scopes keep the stored ones; expires_in is in seconds from now. Without an expiry, it is unknown. Errors: OT001, OT002 key; OT004, OT005 table; OT006 empty token; OT007 token over 65,536 bytes; OT008 provider over 255 or actor_id over 1,024 bytes; OT009 expiry; 22004 null; 22021 not UTF-8; 22023 unknown actor_type or bad details';
COMMENT ON FUNCTION oauth_store(uuid, text, anyenum, text, text, text, timestamptz, text, bigint, boolean, jsonb) IS
    'the same for actor_type as an enum';

CREATE FUNCTION oauth_get(workspace_id uuid, provider text, actor_type text, actor_id text)
    RETURNS SETOF oauth_tokens_internal.token
    LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 1 COST 100
    AS 'MODULE_PATHNAME';
CREATE FUNCTION oauth_get(workspace_id uuid, provider text, actor_type anyenum, actor_id text)
    RETURNS SETOF oauth_tokens_internal.token
    LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 1 COST 100
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_get(uuid, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_get(uuid, text, anyenum, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_get(uuid, text, text, text) IS
    'the stored token, decrypted, even if it has expired: one row, or none. Works on a standby and under row security. Errors: OT001, OT002 key; OT003 a value that no key opens; OT004, OT005 table; OT010 a value that is not text; 22023 unknown actor_type; 42501 within a security-restricted operation';
COMMENT ON FUNCTION oauth_get(uuid, text, anyenum, text) IS
    'the same for actor_type as an enum';

CREATE FUNCTION oauth_access_token(
    workspace_id uuid, provider text, actor_type text, actor_id text,
    min_ttl interval DEFAULT '0') RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME';
CREATE FUNCTION oauth_access_token(
    workspace_id uuid, provider text, actor_type anyenum, actor_id text,
    min_ttl interval DEFAULT '0') RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_access_token(uuid, text, text, text, interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_access_token(uuid, text, anyenum, text, interval) FROM PUBLIC;
COMMENT ON FUNCTION oauth_access_token(uuid, text, text, text, interval) IS
    'the access token, or NULL if there is none that is valid for min_ttl from now (by the clock, not the transaction''s time). An unknown expiry satisfies every min_ttl. Errors as oauth_get, and 22023 min_ttl is negative';
COMMENT ON FUNCTION oauth_access_token(uuid, text, anyenum, text, interval) IS
    'the same for actor_type as an enum';

CREATE FUNCTION oauth_delete(
    workspace_id uuid, provider text, actor_type text, actor_id text,
    revoke boolean DEFAULT false) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
CREATE FUNCTION oauth_delete(
    workspace_id uuid, provider text, actor_type anyenum, actor_id text,
    revoke boolean DEFAULT false) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_delete(uuid, text, text, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_delete(uuid, text, anyenum, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION oauth_delete(uuid, text, text, text, boolean) IS
    'deletes a token. Returns whether there was one. With revoke, the sidecar revokes it at the provider, soon after the transaction has committed; NULL is false. It needs no key. Errors: OT004, OT005 table; 22004 null; 22023 unknown actor_type';
COMMENT ON FUNCTION oauth_delete(uuid, text, anyenum, text, boolean) IS
    'the same for actor_type as an enum';

CREATE FUNCTION oauth_move(
    workspace_id uuid, provider text, actor_type text, actor_id text,
    new_workspace_id uuid, new_provider text, new_actor_type text, new_actor_id text)
    RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
CREATE FUNCTION oauth_move(
    workspace_id uuid, provider text, actor_type anyenum, actor_id text,
    new_workspace_id uuid, new_provider text, new_actor_type anyenum, new_actor_id text)
    RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_move(uuid, text, text, text, uuid, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_move(uuid, text, anyenum, text, uuid, text, anyenum, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_move(uuid, text, text, text, uuid, text, text, text) IS
    'gives a token and its details another identity. Returns whether there was one. Errors: 23505 the new identity has a token; OT001, OT002 key; OT003 a value that key_binding has bound does not open; OT004, OT005 table; OT008 provider over 255 or actor_id over 1,024 bytes; 22004 null; 22023 unknown actor_type';
COMMENT ON FUNCTION oauth_move(uuid, text, anyenum, text, uuid, text, anyenum, text) IS
    'the same for actor_type as an enum';

-- What the policies of oauth_token_details ask.

CREATE FUNCTION oauth_tokens_internal.sees_token(
    workspace_id uuid, provider text, actor_type anyenum, actor_id text, token_id uuid)
    RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 1000
    AS 'MODULE_PATHNAME', 'oauth_sees_token';
REVOKE ALL ON FUNCTION oauth_tokens_internal.sees_token(uuid, text, anyenum, text, uuid) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.sees_token(uuid, text, anyenum, text, uuid) IS
    'whether the row security policies of oauth_tokens show the caller the row with this identity and id; true if none apply';

CREATE FUNCTION oauth_tokens_internal.may_update_token(
    workspace_id uuid, provider text, actor_type anyenum, actor_id text, token_id uuid)
    RETURNS boolean
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE COST 1000
    AS 'MODULE_PATHNAME', 'oauth_may_update_token';
REVOKE ALL ON FUNCTION oauth_tokens_internal.may_update_token(uuid, text, anyenum, text, uuid) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.may_update_token(uuid, text, anyenum, text, uuid) IS
    'the same for a row that they let the caller update';
