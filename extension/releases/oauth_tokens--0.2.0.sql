\echo Use "CREATE EXTENSION oauth_tokens" to load this file. \quit

-- Functions that work on the identity of a token take it in this order:
-- workspace_id uuid, provider text, actor_type, actor_id text. Each has two
-- forms, for actor_type as text and as an enum. All run with the caller's
-- rights; PUBLIC may call none but the pure fernet_* and oauth_tokens_current().

-- What is not for callers lives here. The tables oauth_tokens and
-- oauth_token_details do not: oauth_tokens_upgrade() makes them, as ordinary
-- objects that dumps carry.

CREATE SCHEMA oauth_tokens_internal;
COMMENT ON SCHEMA oauth_tokens_internal IS 'helpers of the extension oauth_tokens; not for direct use';

CREATE TABLE oauth_tokens_internal.key_rotations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fingerprint text NOT NULL,
    values_rotated bigint NOT NULL DEFAULT 0,
    values_damaged bigint NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    finished_at timestamptz
);
COMMENT ON TABLE oauth_tokens_internal.key_rotations IS
    'one row for each call of oauth_rotate_keys(), updated with each batch; unfinished while finished_at is null';

-- A value does not say which key it needs. Dumped, because a restored database may miss one.
CREATE TABLE oauth_tokens_internal.used_keys (
    fingerprint text PRIMARY KEY,
    first_used timestamptz NOT NULL
);
COMMENT ON TABLE oauth_tokens_internal.used_keys IS
    'fingerprints of the keys that were in the ring at a migration or a rotation, for oauth_doctor()';
SELECT pg_catalog.pg_extension_config_dump('oauth_tokens_internal.used_keys', '');

-- A column of either type contains UTC.
CREATE FUNCTION oauth_tokens_internal.utc(moment timestamp) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT pg_catalog.timezone('UTC', moment) $$;
CREATE FUNCTION oauth_tokens_internal.utc(moment timestamptz) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT moment $$;
REVOKE ALL ON FUNCTION oauth_tokens_internal.utc(timestamp) FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_tokens_internal.utc(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.utc(timestamp) IS 'the point in time of a timestamp in UTC';
COMMENT ON FUNCTION oauth_tokens_internal.utc(timestamptz) IS 'the same point in time';

-- A type of its own: the executor would look up the columns of RETURNS TABLE
-- at each call, which costs as much as the lookup of the token.
CREATE TYPE oauth_tokens_internal.token AS (
    access_token text, refresh_token text, scopes text, expires_at timestamptz,
    updated_at timestamptz);
COMMENT ON TYPE oauth_tokens_internal.token IS 'what oauth_get() returns; times are points in time';

-- Fernet with an explicit key (https://github.com/fernet/spec). What takes a
-- secret is PARALLEL UNSAFE: a parallel worker publishes the statement's text.

CREATE FUNCTION fernet_generate_key() RETURNS text
    LANGUAGE c VOLATILE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION fernet_generate_key() IS
    'a new Fernet key from the private random generator: 44 characters of base64url';

CREATE FUNCTION fernet_encrypt(plaintext text, key text) RETURNS text
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION fernet_encrypt(text, text) IS
    'the Fernet token of plaintext (as UTF-8) under a key of 44 characters. Errors: OT002 the key is malformed';

CREATE FUNCTION fernet_decrypt(token text, key text, ttl interval DEFAULT NULL) RETURNS text
    LANGUAGE c STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION fernet_decrypt(text, text, interval) IS
    'the plaintext of a Fernet token. With ttl (a day is 24 hours, a month 30 days), a token that is older, or more than 60 seconds in the future, is refused. Errors: OT002 the key is malformed, OT003 the token is damaged, expired or of another key (one message for all), OT010 the plaintext is not text of this database';

CREATE FUNCTION fernet_timestamp(token text) RETURNS timestamptz
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION fernet_timestamp(text) IS
    'the time at which a Fernet token says that it was made, to the second. It is not verified, and needs no key. Errors: OT003 not a Fernet token, 22008 it is out of timestamptz''s range';

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

-- The server's key ring by itself, for administrators: under row security it
-- would be an oracle for other tenants' rows.

CREATE FUNCTION oauth_encrypt(plaintext text) RETURNS text
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_encrypt(text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_encrypt(text) IS
    'the Fernet token of plaintext under the first key of the key ring. Errors: OT001, OT002 key; OT006 empty; OT007 over 65,536 bytes; 22021 not UTF-8; 55000 oauth_tokens.key_binding is bound';

CREATE FUNCTION oauth_encrypt(
    plaintext text, workspace_id uuid, provider text, actor_type text, actor_id text,
    "column" text) RETURNS text
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_encrypt_at';
CREATE FUNCTION oauth_encrypt(
    plaintext text, workspace_id uuid, provider text, actor_type anyenum, actor_id text,
    "column" text) RETURNS text
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_encrypt_at';
REVOKE ALL ON FUNCTION oauth_encrypt(text, uuid, text, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_encrypt(text, uuid, text, anyenum, text, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_encrypt(text, uuid, text, text, text, text) IS
    'the same for the row and column in which the value will be stored, sealed as oauth_tokens.key_binding says; column is encrypted_access_token or encrypted_refresh_token. Errors also: OT004, OT005 table; 22023 unknown actor_type or column';
COMMENT ON FUNCTION oauth_encrypt(text, uuid, text, anyenum, text, text) IS
    'the same for actor_type as an enum';

CREATE FUNCTION oauth_decrypt(token text) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_decrypt(text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_decrypt(text) IS
    'the plaintext of a Fernet token under any key of the key ring. Errors: OT001, OT002 key; OT003 no key opens it; OT010 the plaintext is not text; 55000 oauth_tokens.key_binding is bound; 42501 within a security-restricted operation';

CREATE FUNCTION oauth_decrypt(
    token text, workspace_id uuid, provider text, actor_type text, actor_id text,
    "column" text) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'oauth_decrypt_at';
CREATE FUNCTION oauth_decrypt(
    token text, workspace_id uuid, provider text, actor_type anyenum, actor_id text,
    "column" text) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'oauth_decrypt_at';
REVOKE ALL ON FUNCTION oauth_decrypt(text, uuid, text, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_decrypt(text, uuid, text, anyenum, text, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_decrypt(text, uuid, text, text, text, text) IS
    'the same for a value of this row and column, which errors name; column is encrypted_access_token or encrypted_refresh_token. Errors also: OT004, OT005 table; 22023 unknown actor_type or column';
COMMENT ON FUNCTION oauth_decrypt(text, uuid, text, anyenum, text, text) IS
    'the same for actor_type as an enum';

-- The views stand on SQL functions whose bodies are bound when they run, so
-- that no view depends on the table and its owner may alter or drop it. The
-- planner inlines the functions: a scan of a view is a scan of the table.
--
-- What is called oauth_tokens may be anything of anybody, whose functions would
-- run as the caller, some of them in the planner already. guard() sees to that it
-- is not (docs/design/threats.md, E20). The planner asks its support function before it opens the
-- body of a function whose argument it is; and as guarded it stays in the plan, as
-- a one-time filter. No text comes of a cast, which the enum's owner may have made.

CREATE FUNCTION oauth_tokens_internal.guard_support(internal) RETURNS internal
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'oauth_guard_support';
REVOKE ALL ON FUNCTION oauth_tokens_internal.guard_support(internal) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.guard_support(internal) IS 'calls guard() in the planner';

CREATE FUNCTION oauth_tokens_internal.guard(schema_name text) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE SUPPORT oauth_tokens_internal.guard_support
    AS 'MODULE_PATHNAME', 'oauth_guard';
REVOKE ALL ON FUNCTION oauth_tokens_internal.guard(text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.guard(text) IS
    'true if a plan may read both tables by their names in this schema (as quote_ident() writes it); null for null. Errors: OT004, OT005 table; 42501 it would run code of an owner whom the caller must not trust; 55000 the extension''s schema was renamed';

CREATE FUNCTION oauth_tokens_internal.guard_every_row(schema_name text) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE SUPPORT oauth_tokens_internal.guard_support
    AS 'MODULE_PATHNAME', 'oauth_guard_every_row';
REVOKE ALL ON FUNCTION oauth_tokens_internal.guard_every_row(text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.guard_every_row(text) IS
    'as guard(). Errors: also 42501 row security is in force for the caller';

-- What the view and connection() have in common.
CREATE FUNCTION oauth_tokens_internal.connection_state(kind text, lease_until timestamptz,
    next_attempt_at timestamptz, expires_at timestamptz, ahead interval) RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'oauth_connection_state';
REVOKE ALL ON FUNCTION oauth_tokens_internal.connection_state(text, timestamptz, timestamptz, timestamptz, interval) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.connection_state(text, timestamptz, timestamptz, timestamptz, interval) IS
    'the state of a connection, from the state of its refreshes, the token''s expiry and the provider''s refresh_ahead';

CREATE FUNCTION oauth_tokens_internal.connection_details(token_id uuid, account_id text,
    account_label text, issuer text, client_id text, lifetime interval, connected_at timestamptz,
    extra jsonb) RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT CASE WHEN token_id IS NOT NULL THEN
        pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
            'account_id', account_id, 'account_label', account_label,
            'issuer', issuer, 'client_id', client_id,
            'lifetime', pg_catalog.date_part('epoch', lifetime),
            'connected_at', connected_at))
        OPERATOR(pg_catalog.||) CASE WHEN extra IS NULL THEN '{}'
            ELSE pg_catalog.jsonb_build_object('extra', extra) END END
    $$;
REVOKE ALL ON FUNCTION oauth_tokens_internal.connection_details(uuid, text, text, text, text, interval, timestamptz, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.connection_details(uuid, text, text, text, text, interval, timestamptz, jsonb) IS
    'the details of a connection; null if the token has none';

CREATE FUNCTION oauth_tokens_internal.connections(guarded boolean)
    RETURNS TABLE (workspace_id uuid, provider text, actor_type text, actor_id text, scopes text,
        has_refresh_token boolean, expires_at timestamptz, state text, details jsonb,
        created_at timestamptz, updated_at timestamptz, reason text, since timestamptz,
        next_attempt_at timestamptz, refresh_expires_at timestamptz)
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT t.workspace_id, t.provider,
        pg_catalog.enum_out(t.actor_type)::pg_catalog.text, t.actor_id, t.scopes,
        t.encrypted_refresh_token IS NOT NULL,
        oauth_tokens_internal.utc(t.access_token_expires_at),
        oauth_tokens_internal.connection_state(s.kind, s.lease_until, s.next_attempt_at,
            oauth_tokens_internal.utc(t.access_token_expires_at), r.ahead),
        oauth_tokens_internal.connection_details(d.token_id, d.account_id, d.account_label,
            d.issuer, d.client_id, d.lifetime, d.connected_at, d.extra),
        oauth_tokens_internal.utc(t.created_at), oauth_tokens_internal.utc(t.updated_at),
        s.reason, s.since, s.next_attempt_at, d.refresh_expires_at
    FROM @extschema@.oauth_tokens t
    LEFT JOIN @extschema@.oauth_token_details d
        ON d.workspace_id OPERATOR(pg_catalog.=) t.workspace_id
        AND d.provider OPERATOR(pg_catalog.=) t.provider
        AND d.actor_type OPERATOR(pg_catalog.=) t.actor_type
        AND d.actor_id OPERATOR(pg_catalog.=) t.actor_id
        AND d.token_id OPERATOR(pg_catalog.=) t.id
    -- A join would read the whole view, which is a barrier, for each single token.
    LEFT JOIN LATERAL (SELECT v.lease_until, v.kind, v.reason, v.since, v.next_attempt_at
            FROM oauth_tokens_internal.visible_refresh_states v
            WHERE v.token_id OPERATOR(pg_catalog.=) t.id
            AND v.token_updated_at OPERATOR(pg_catalog.=) oauth_tokens_internal.utc(t.updated_at)
            OFFSET 0) s ON true
    LEFT JOIN oauth_tokens_internal.refresh_rules r
        ON r.provider OPERATOR(pg_catalog.=) pg_catalog.split_part(t.provider, '.', 1)
    WHERE $1
    $$;
REVOKE ALL ON FUNCTION oauth_tokens_internal.connections(boolean) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.connections(boolean) IS 'the rows of oauth_connections';

CREATE VIEW oauth_connections WITH (security_invoker, security_barrier) AS
    SELECT * FROM oauth_tokens_internal.connections(oauth_tokens_internal.guard('@extschema@'));
COMMENT ON VIEW oauth_connections IS
    'what is connected, without secrets. state: active; expiring (the access token expires within two minutes, or within the provider''s refresh_ahead); expired (if has_refresh_token, it is refreshed when somebody asks for it); refreshing (the provider is being asked); backing_off (a refresh failed, and is tried again at next_attempt_at); needs_reauthorization (the user must connect the account again). reason and since describe the last failure; refresh_expires_at is when the grant itself ends, if the provider said so. Times are points in time';

CREATE TYPE oauth_tokens_internal.connection AS (
    state text, scopes text, has_refresh_token boolean, expires_at timestamptz, details jsonb,
    created_at timestamptz, updated_at timestamptz, reason text, since timestamptz,
    next_attempt_at timestamptz, refresh_expires_at timestamptz);
COMMENT ON TYPE oauth_tokens_internal.connection IS
    'the columns of oauth_connections for an identity; times are points in time';

CREATE FUNCTION oauth_tokens_internal.connection(
    workspace_id uuid, provider text, actor_type text, actor_id text)
    RETURNS SETOF oauth_tokens_internal.connection
    LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 1 COST 100
    AS 'MODULE_PATHNAME', 'oauth_connection';
REVOKE ALL ON FUNCTION oauth_tokens_internal.connection(uuid, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.connection(uuid, text, text, text) IS
    'the row of oauth_connections with this identity, found by the index: one, or none. Errors: OT004, OT005 table; 22023 unknown actor_type';

-- oauth_decrypt() under a name that nobody else can overload: in the extension's
-- schema, a function for the very enum would be preferred to the one for any.
CREATE FUNCTION oauth_tokens_internal.decrypt(
    token text, workspace_id uuid, provider text, actor_type anyenum, actor_id text,
    "column" text) RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'oauth_decrypt_at';
REVOKE ALL ON FUNCTION oauth_tokens_internal.decrypt(text, uuid, text, anyenum, text, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.decrypt(text, uuid, text, anyenum, text, text) IS
    'oauth_decrypt() for the views; also of a row with a null in its identity';

CREATE FUNCTION oauth_tokens_internal.decrypted(guarded boolean)
    RETURNS TABLE (id uuid, workspace_id uuid, provider text, actor_type text, actor_id text,
        scopes text, access_token text, refresh_token text, expires_at timestamptz,
        created_at timestamptz, updated_at timestamptz)
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT t.id, t.workspace_id, t.provider,
        pg_catalog.enum_out(t.actor_type)::pg_catalog.text, t.actor_id, t.scopes,
        oauth_tokens_internal.decrypt(t.encrypted_access_token, t.workspace_id, t.provider,
            t.actor_type, t.actor_id, 'encrypted_access_token'),
        oauth_tokens_internal.decrypt(t.encrypted_refresh_token, t.workspace_id, t.provider,
            t.actor_type, t.actor_id, 'encrypted_refresh_token'),
        oauth_tokens_internal.utc(t.access_token_expires_at),
        oauth_tokens_internal.utc(t.created_at), oauth_tokens_internal.utc(t.updated_at)
    FROM @extschema@.oauth_tokens t
    WHERE $1
    $$;
REVOKE ALL ON FUNCTION oauth_tokens_internal.decrypted(boolean) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.decrypted(boolean) IS 'the rows of oauth_tokens_decrypted';

CREATE VIEW oauth_tokens_decrypted WITH (security_invoker, security_barrier) AS
    SELECT * FROM oauth_tokens_internal.decrypted(oauth_tokens_internal.guard('@extschema@'));
COMMENT ON VIEW oauth_tokens_decrypted IS
    'every token, decrypted, for administrators. A damaged value ends a scan with OT003: see oauth_tokens_damaged()';

-- Keys: which are in use, what no key opens, rotation. What must see every row
-- runs with row_security off, so that a policy makes it fail.

CREATE FUNCTION oauth_tokens_internal.is_damaged(
    token text, workspace_id uuid, provider text, actor_type anyenum, actor_id text,
    "column" text) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'oauth_is_damaged';
REVOKE ALL ON FUNCTION oauth_tokens_internal.is_damaged(text, uuid, text, anyenum, text, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.is_damaged(text, uuid, text, anyenum, text, text) IS
    'whether oauth_decrypt() would raise OT003 or OT010; null for no value. A row with a null in its identity counts, too';

CREATE FUNCTION oauth_tokens_internal.key_position(
    token text, workspace_id uuid, provider text, actor_type anyenum, actor_id text,
    "column" text) RETURNS integer
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'oauth_key_position';
REVOKE ALL ON FUNCTION oauth_tokens_internal.key_position(text, uuid, text, anyenum, text, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.key_position(text, uuid, text, anyenum, text, text) IS
    'the position of the key in the ring that has sealed a value, from 1, whatever oauth_tokens.key_binding is; null if none has';

CREATE FUNCTION oauth_tokens_internal.is_shared(token text) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'oauth_is_shared';
REVOKE ALL ON FUNCTION oauth_tokens_internal.is_shared(text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.is_shared(text) IS
    'whether a key of the ring itself has sealed a value, so that it opens in every row unless oauth_tokens.key_binding is bound; null for null';

CREATE FUNCTION oauth_tokens_internal.key_fingerprints() RETURNS text[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'oauth_key_fingerprints';
REVOKE ALL ON FUNCTION oauth_tokens_internal.key_fingerprints() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.key_fingerprints() IS
    'for each key of the ring, in order, the first 16 hexadecimal digits of the SHA-256 of its 44 characters';

CREATE FUNCTION oauth_tokens_internal.damaged(guarded boolean)
    RETURNS TABLE (workspace_id uuid, provider text, actor_type text, actor_id text, "column" text)
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT t.workspace_id, t.provider,
        pg_catalog.enum_out(t.actor_type)::pg_catalog.text, t.actor_id, v.name
    FROM @extschema@.oauth_tokens t,
        LATERAL (VALUES ('encrypted_access_token'::pg_catalog.text, t.encrypted_access_token),
                        ('encrypted_refresh_token', t.encrypted_refresh_token)) v (name, value)
    WHERE $1 AND oauth_tokens_internal.is_damaged(
        v.value, t.workspace_id, t.provider, t.actor_type, t.actor_id, v.name)
    $$;
REVOKE ALL ON FUNCTION oauth_tokens_internal.damaged(boolean) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.damaged(boolean) IS 'the rows of oauth_tokens_damaged()';

CREATE FUNCTION oauth_tokens_damaged()
    RETURNS TABLE (workspace_id uuid, provider text, actor_type text, actor_id text, "column" text)
    LANGUAGE sql STABLE PARALLEL SAFE
    SET row_security = off
    AS $$ SELECT * FROM oauth_tokens_internal.damaged(oauth_tokens_internal.guard_every_row('@extschema@')) $$;
REVOKE ALL ON FUNCTION oauth_tokens_damaged() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_damaged() IS
    'every value that no key of the ring opens, that oauth_tokens.key_binding refuses, or that is not text; column is encrypted_access_token or encrypted_refresh_token. Errors: OT001, OT002 key; 42501 a row security policy hides rows';

CREATE FUNCTION oauth_tokens_internal.sealed_usage()
    RETURNS TABLE ("position" integer, "values" bigint, oldest timestamptz, shared bigint)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'oauth_sealed_usage';
REVOKE ALL ON FUNCTION oauth_tokens_internal.sealed_usage() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.sealed_usage() IS
    'how many values outside oauth_tokens each key of the ring opens: those of flows and refreshes under way, and deleted tokens that wait to be revoked. With a null position, how many no key opens, without flows. shared: how many of them are tokens that any row can contain';

CREATE FUNCTION oauth_tokens_internal.key_usage(guarded boolean)
    RETURNS TABLE (fingerprint text, "position" integer, "values" bigint, oldest timestamptz,
        shared bigint)
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    SET row_security = off
    AS $$
    WITH used AS (
        SELECT oauth_tokens_internal.key_position(
                v.value, t.workspace_id, t.provider, t.actor_type, t.actor_id, v.name) AS at,
            v.value
        FROM @extschema@.oauth_tokens t,
            LATERAL (VALUES ('encrypted_access_token'::pg_catalog.text, t.encrypted_access_token),
                            ('encrypted_refresh_token', t.encrypted_refresh_token)) v (name, value)
        WHERE $1 AND v.value IS NOT NULL),
    counted AS (
        SELECT u.at, pg_catalog.count(*) AS count,
            pg_catalog.min(CASE WHEN u.at IS NOT NULL
                THEN @extschema@.fernet_timestamp(u.value) END) AS oldest,
            pg_catalog.count(*) FILTER (WHERE oauth_tokens_internal.is_shared(u.value)) AS shared
        FROM used u GROUP BY u.at),
    sealed AS MATERIALIZED (SELECT * FROM oauth_tokens_internal.sealed_usage()),
    unknown AS (
        SELECT COALESCE((SELECT c.count FROM counted c WHERE c.at IS NULL), 0)
            OPERATOR(pg_catalog.+)
            COALESCE((SELECT s."values" FROM sealed s WHERE s."position" IS NULL), 0) AS count)
    SELECT k.fingerprint, k.at::pg_catalog.int4,
        COALESCE(c.count, 0) OPERATOR(pg_catalog.+) COALESCE(s."values", 0),
        LEAST(c.oldest, s.oldest),
        COALESCE(c.shared, 0) OPERATOR(pg_catalog.+) COALESCE(s.shared, 0)
    FROM pg_catalog.unnest(oauth_tokens_internal.key_fingerprints())
        WITH ORDINALITY k (fingerprint, at)
    LEFT JOIN counted c ON c.at OPERATOR(pg_catalog.=) k.at
    LEFT JOIN sealed s ON s."position" OPERATOR(pg_catalog.=) k.at
    UNION ALL
    SELECT NULL, NULL, u.count, NULL, 0 FROM unknown u WHERE u.count OPERATOR(pg_catalog.>) 0
    $$;
REVOKE ALL ON FUNCTION oauth_tokens_internal.key_usage(boolean) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.key_usage(boolean) IS 'the rows of oauth_key_usage';

CREATE VIEW oauth_key_usage WITH (security_invoker) AS
    SELECT * FROM oauth_tokens_internal.key_usage(oauth_tokens_internal.guard_every_row('@extschema@'));
COMMENT ON VIEW oauth_key_usage IS
    'how many values each key of the ring opens, in oauth_tokens, in flows and refreshes under way, and in deleted tokens that wait to be revoked: fingerprint, position from 1, number of values, time of the oldest; shared: how many of them oauth_tokens.key_binding = bound refuses. A row without fingerprint counts values that no key opens. A key that has no values in any database of the server can be removed';

CREATE PROCEDURE oauth_rotate_keys(batch_size bigint DEFAULT 1000)
    LANGUAGE c
    AS 'MODULE_PATHNAME';
REVOKE ALL ON PROCEDURE oauth_rotate_keys(bigint) FROM PUBLIC;
COMMENT ON PROCEDURE oauth_rotate_keys(bigint) IS
    're-encrypts under the first key of the ring all values that other keys open, or that are not sealed as oauth_tokens.key_binding says, in oauth_tokens, in flows under way, and in deleted tokens that wait to be revoked: batch_size rows in a transaction, while others read and write. It keeps updated_at and the Fernet timestamp, and fires no trigger. It can be stopped and started again. Errors: 25001 inside a transaction block; OT001, OT002 key; 42501 rights, or a row security policy hides rows';

-- Connecting an account: links, the browsers' attempts at them, and grants that
-- wait for the application's word. Tickets, states, browser secrets and codes
-- stand here as SHA-256 of their 43 characters; what must be read again is sealed
-- under keys of its own. All of it lives for minutes. The constraints hold what the
-- functions write, against whatever else writes here.

CREATE TABLE oauth_tokens_internal.sidecar_settings (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    public_url text NOT NULL CHECK (pg_catalog.octet_length(public_url) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(public_url) OPERATOR(pg_catalog.<=) 2048),
    flow_seconds integer NOT NULL CHECK (flow_seconds OPERATOR(pg_catalog.>=) 1 AND flow_seconds OPERATOR(pg_catalog.<=) 86400),
    return_to_origins text[] NOT NULL CHECK (pg_catalog.cardinality(return_to_origins) OPERATOR(pg_catalog.<=) 1000),
    providers text[] NOT NULL CHECK (pg_catalog.cardinality(providers) OPERATOR(pg_catalog.<=) 1000),
    published_at timestamptz NOT NULL
);
COMMENT ON TABLE oauth_tokens_internal.sidecar_settings IS
    'the settings that the sidecar has published; one row, no secret';

-- vanishes_at is later than expires_at if an attempt was opened late: a link that
-- accepts no more attempts still exists until its last one has ended.
CREATE TABLE oauth_tokens_internal.flow_links (
    ticket_hash bytea PRIMARY KEY CHECK (pg_catalog.octet_length(ticket_hash) OPERATOR(pg_catalog.=) 32),
    workspace_id uuid NOT NULL,
    provider text NOT NULL CHECK (pg_catalog.octet_length(provider) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(provider) OPERATOR(pg_catalog.<=) 255),
    actor_type text NOT NULL CHECK (pg_catalog.octet_length(actor_type) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(actor_type) OPERATOR(pg_catalog.<=) 63),
    actor_id text NOT NULL CHECK (pg_catalog.octet_length(actor_id) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(actor_id) OPERATOR(pg_catalog.<=) 1024),
    scopes text CHECK (pg_catalog.octet_length(scopes) OPERATOR(pg_catalog.>=) 0 AND pg_catalog.octet_length(scopes) OPERATOR(pg_catalog.<=) 4096),
    return_to text CHECK (pg_catalog.octet_length(return_to) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(return_to) OPERATOR(pg_catalog.<=) 2048),
    confirm boolean NOT NULL,
    attempt_seconds integer NOT NULL CHECK (attempt_seconds OPERATOR(pg_catalog.>=) 1 AND attempt_seconds OPERATOR(pg_catalog.<=) 600),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    vanishes_at timestamptz NOT NULL,
    -- a day at most, and then the last attempt at it and its exchange
    CHECK (expires_at OPERATOR(pg_catalog.<=) (created_at OPERATOR(pg_catalog.+) interval '86400 s')
        AND vanishes_at OPERATOR(pg_catalog.<=) (expires_at OPERATOR(pg_catalog.+) interval '720 s'))
);
CREATE INDEX flow_links_identity ON oauth_tokens_internal.flow_links
    (workspace_id, provider, actor_type, actor_id, created_at);
CREATE INDEX flow_links_vanishes_at ON oauth_tokens_internal.flow_links (vanishes_at);
COMMENT ON TABLE oauth_tokens_internal.flow_links IS
    'links of oauth_authorize_url(); a link is deleted in the transaction that stores the tokens';

CREATE TABLE oauth_tokens_internal.flow_attempts (
    state_hash bytea PRIMARY KEY CHECK (pg_catalog.octet_length(state_hash) OPERATOR(pg_catalog.=) 32),
    browser_hash bytea NOT NULL CHECK (pg_catalog.octet_length(browser_hash) OPERATOR(pg_catalog.=) 32),
    ticket_hash bytea NOT NULL CHECK (pg_catalog.octet_length(ticket_hash) OPERATOR(pg_catalog.=) 32) REFERENCES oauth_tokens_internal.flow_links ON DELETE CASCADE,
    issuer text CHECK (pg_catalog.octet_length(issuer) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(issuer) OPERATOR(pg_catalog.<=) 8192),
    token_endpoint text NOT NULL CHECK (pg_catalog.octet_length(token_endpoint) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(token_endpoint) OPERATOR(pg_catalog.<=) 8192),
    client_id text NOT NULL CHECK (pg_catalog.octet_length(client_id) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(client_id) OPERATOR(pg_catalog.<=) 8192),
    sealed text NOT NULL CHECK (pg_catalog.octet_length(sealed) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(sealed) OPERATOR(pg_catalog.<=) 1024),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CHECK (expires_at OPERATOR(pg_catalog.<=) (created_at OPERATOR(pg_catalog.+) interval '600 s'))
);
CREATE INDEX flow_attempts_ticket_hash ON oauth_tokens_internal.flow_attempts (ticket_hash);
CREATE INDEX flow_attempts_expires_at ON oauth_tokens_internal.flow_attempts (expires_at);
COMMENT ON TABLE oauth_tokens_internal.flow_attempts IS
    'attempts: browsers on their way through a provider; code verifier and nonce are sealed';

CREATE TABLE oauth_tokens_internal.flow_confirmations (
    flow_hash bytea PRIMARY KEY CHECK (pg_catalog.octet_length(flow_hash) OPERATOR(pg_catalog.=) 32),
    workspace_id uuid NOT NULL,
    provider text NOT NULL CHECK (pg_catalog.octet_length(provider) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(provider) OPERATOR(pg_catalog.<=) 255),
    actor_type text NOT NULL CHECK (pg_catalog.octet_length(actor_type) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(actor_type) OPERATOR(pg_catalog.<=) 63),
    actor_id text NOT NULL CHECK (pg_catalog.octet_length(actor_id) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(actor_id) OPERATOR(pg_catalog.<=) 1024),
    sealed text NOT NULL CHECK (pg_catalog.octet_length(sealed) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(sealed) OPERATOR(pg_catalog.<=) 1500000),
    expires_at timestamptz NOT NULL
);
CREATE INDEX flow_confirmations_expires_at ON oauth_tokens_internal.flow_confirmations (expires_at);
COMMENT ON TABLE oauth_tokens_internal.flow_confirmations IS
    'sealed grants that wait for oauth_flow_confirm()';

CREATE FUNCTION oauth_authorize_url(
    workspace_id uuid, provider text, actor_type text, actor_id text,
    scopes text DEFAULT NULL, return_to text DEFAULT NULL, confirm boolean DEFAULT NULL)
    RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
CREATE FUNCTION oauth_authorize_url(
    workspace_id uuid, provider text, actor_type anyenum, actor_id text,
    scopes text DEFAULT NULL, return_to text DEFAULT NULL, confirm boolean DEFAULT NULL)
    RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_authorize_url(uuid, text, text, text, text, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_authorize_url(uuid, text, anyenum, text, text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION oauth_authorize_url(uuid, text, text, text, text, text, boolean) IS
    'a link for a user''s browser, which connects an account of provider to this identity. It is valid for the sidecar''s OAUTH_STATE_TTL_SECONDS (600). At most 20 links of an identity are valid; older ones are deleted. NULL scopes ask for the configured ones. return_to is a path, or a URL on an allowed origin. With confirm (NULL: oauth_tokens.confirm_flows), the grant waits for oauth_flow_confirm(). Errors: OT001, OT002 key; OT004, OT005 table; OT008 provider over 255 or actor_id over 1,024 bytes; OT013 no public URL, or published settings that were changed; OT014 unknown provider; OT015 return_to, or confirm without one; 22004 null; 22023 unknown actor_type, bad provider name or scopes; 25006 read-only; 42501 a row security policy forbids to store this identity';
COMMENT ON FUNCTION oauth_authorize_url(uuid, text, anyenum, text, text, text, boolean) IS
    'the same for actor_type as an enum';

CREATE FUNCTION oauth_flow_confirm(
    workspace_id uuid, provider text, actor_type text, actor_id text, flow text) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
CREATE FUNCTION oauth_flow_confirm(
    workspace_id uuid, provider text, actor_type anyenum, actor_id text, flow text) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_flow_confirm(uuid, text, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_flow_confirm(uuid, text, anyenum, text, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_flow_confirm(uuid, text, text, text, text) IS
    'stores the grant that waits for confirmation under flow, the one-time code that came to return_to as oauth_flow. Its link must have been made for this identity: pass the identity of your own session''s user. Returns the row''s id. Errors: OT001, OT002 key; OT004, OT005 table; OT012 unknown, used or expired code, or another identity (the flow then still waits); 22004 null; 22023 unknown actor_type; 25006 read-only';
COMMENT ON FUNCTION oauth_flow_confirm(uuid, text, anyenum, text, text) IS
    'the same for actor_type as an enum';

-- For the sidecar.

CREATE FUNCTION oauth_tokens_internal.publish_settings(
    public_url text, flow_ttl interval, return_to_origins text[], providers text[]) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_publish_settings';
REVOKE ALL ON FUNCTION oauth_tokens_internal.publish_settings(text, interval, text[], text[]) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.publish_settings(text, interval, text[], text[]) IS
    'publishes the sidecar''s settings for oauth_authorize_url(); providers are without labels. Writes only if something has changed. Errors: 22004 null; 22023 not a public URL, origin, provider name, or life of 1 s to 1 day';

CREATE FUNCTION oauth_tokens_internal.flow_begin(
    ticket_hash bytea, provider_in_path text, issuer text, token_endpoint text, client_id text)
    RETURNS TABLE (workspace_id uuid, provider text, actor_type text, actor_id text, scopes text,
        return_to text, confirm boolean, state text, browser_secret text, code_verifier text,
        nonce text, expires_in integer)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
    AS 'MODULE_PATHNAME', 'oauth_flow_begin';
REVOKE ALL ON FUNCTION oauth_tokens_internal.flow_begin(bytea, text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.flow_begin(bytea, text, text, text, text) IS
    'opens an attempt at the link whose ticket has this SHA-256, for this provider, with or without its label. No row if the link is used, expired, of another provider, or no longer among the newest 20 of its identity. A link has at most 5 attempts; the oldest is deleted. It lives for expires_in seconds. Errors: OT001, OT002 key; 22004 null (issuer may be)';

CREATE FUNCTION oauth_tokens_internal.flow_claim(
    state_hash bytea, browser_hash bytea, provider_in_path text)
    RETURNS TABLE (ticket_hash bytea, workspace_id uuid, provider text, actor_type text,
        actor_id text, scopes text, return_to text, confirm boolean, code_verifier text,
        nonce text, issuer text, token_endpoint text, client_id text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
    AS 'MODULE_PATHNAME', 'oauth_flow_claim';
REVOKE ALL ON FUNCTION oauth_tokens_internal.flow_claim(bytea, bytea, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.flow_claim(bytea, bytea, text) IS
    'claims, and so deletes, the attempt with this state, browser secret (both as SHA-256) and provider (with or without its label). If one of them differs, or the attempt has expired, it returns no row and deletes nothing. Errors: OT001, OT002 key; 22004 null';

CREATE FUNCTION oauth_tokens_internal.flow_store(
    ticket_hash bytea, access_token text, refresh_token text, expires_in bigint, scopes text,
    details jsonb, OUT outcome text, OUT flow text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_flow_store';
REVOKE ALL ON FUNCTION oauth_tokens_internal.flow_store(bytea, text, text, bigint, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.flow_store(bytea, text, text, bigint, text, jsonb) IS
    'deletes the link, and replaces the whole grant of its identity (connected), or keeps the grant for oauth_flow_confirm() under a one-time code (confirm). Does nothing if the link has ended (expired). Errors: as oauth_store(), and OT007 a grant over 1 MiB';

CREATE FUNCTION oauth_tokens_internal.flow_purge() RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_flow_purge';
REVOKE ALL ON FUNCTION oauth_tokens_internal.flow_purge() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.flow_purge() IS
    'deletes links, attempts and confirmations of any identity that have expired and that nobody has locked, at most 5,000 of each in a call. Returns how many: call it again until it is fewer than 5,000';

-- Caches of tokens outside the database: who is registered, and an invalidation for each
-- change until the cache has dropped its copy. Both tables are unlogged: a crash
-- empties them, and so ends the registration. Nobody has rights on them; the
-- functions below read and write them below SQL, which knows their layout.

CREATE UNLOGGED TABLE oauth_tokens_internal.cache_registrations (
    registration_id uuid NOT NULL,
    server_started timestamptz NOT NULL,
    registered_at timestamptz NOT NULL,
    acknowledged_at timestamptz NOT NULL,
    database oid NOT NULL,
    token_table oid NOT NULL,
    table_version bigint NOT NULL,
    cache_id text NOT NULL
) WITH (vacuum_truncate = false);
COMMENT ON TABLE oauth_tokens_internal.cache_registrations IS
    'the registered cache. It is void if the server was restarted, the table of tokens is another one, or its triggers or columns were changed';

-- An invalidation without identity means all tokens. No index: invalidations come and go.
CREATE UNLOGGED TABLE oauth_tokens_internal.cache_invalidations (
    id bigint NOT NULL,
    workspace_id uuid,
    provider text,
    actor_type text,
    actor_id text
) WITH (vacuum_truncate = false);
COMMENT ON TABLE oauth_tokens_internal.cache_invalidations IS
    'invalidations: changes of tokens that the registered cache has not yet acknowledged';

CREATE FUNCTION oauth_tokens_internal.record_change() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_record_change';
REVOKE ALL ON FUNCTION oauth_tokens_internal.record_change() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.record_change() IS
    'trigger on oauth_tokens: records an invalidation for each changed identity while a cache is registered. Errors: 39P01 called by anything else';

CREATE FUNCTION oauth_cache_register(cache_id text) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_cache_register(text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_cache_register(text) IS
    'registers the one cache of this database; changes are recorded from then on. Returns the registration id. Under it, the cache can keep what it reads after this has committed. If this cache is already registered, the id stays. Otherwise writers are locked out until the transaction ends: call it in a transaction of its own. Errors: OT004, OT005 table; OT016 another cache is registered and was seen within 30 s; 22004 null; 22023 cache_id of no or over 1,024 bytes; 25006 read-only; 55P03 a writer was under way for 100 ms, or another session is registering: try again';

CREATE FUNCTION oauth_cache_unregister(cache_id text) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_cache_unregister(text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_cache_unregister(text) IS
    'ends the registration of this cache, and deletes its invalidations. Returns whether it was registered. Errors: 22004 null; 22023 cache_id of no or over 1,024 bytes; 25006 read-only';

CREATE FUNCTION oauth_changes_pending(
    max_rows bigint DEFAULT 1000,
    OUT id bigint, OUT workspace_id uuid, OUT provider text, OUT actor_type text, OUT actor_id text)
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 10
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_changes_pending(bigint) FROM PUBLIC;
COMMENT ON FUNCTION oauth_changes_pending(bigint) IS
    'up to max_rows changes that are not yet acknowledged, of all identities, regardless of policies. One without identity means all tokens. No rows on a standby. Errors: 22004 null; 22023 max_rows is negative';

CREATE FUNCTION oauth_changes_ack(registration_id uuid, ids bigint[]) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_changes_ack(uuid, bigint[]) FROM PUBLIC;
COMMENT ON FUNCTION oauth_changes_ack(uuid, bigint[]) IS
    'acknowledges changes whose copies the cache has evicted, and records the cache''s heartbeat (also without ids). Returns how many were still there and not in another session''s hands. If this is not the registered id, it does nothing and returns NULL: the copies are void. Errors: 22004 null; 25006 read-only';

CREATE FUNCTION oauth_changes_wait(timeout interval DEFAULT '1 s') RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_changes_wait(interval) FROM PUBLIC;
COMMENT ON FUNCTION oauth_changes_wait(interval) IS
    'sleeps until there may be changes since this session''s last call returned, for at most timeout and 1 s. Returns whether there may be. Read them in a statement of its own. It wakes at once if the library is in shared_preload_libraries; otherwise, and while a transaction of this database with changes is prepared, it checks every 5 ms. Errors: 22004 null; 22008, 22023 timeout is out of range or negative';

CREATE FUNCTION oauth_tokens_internal.cache_registration(
    OUT cache_id text, OUT registration_id uuid, OUT system_identifier text, OUT timeline integer,
    OUT database oid, OUT started_at timestamptz, OUT acknowledged_at timestamptz)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'oauth_cache_registration';
REVOKE ALL ON FUNCTION oauth_tokens_internal.cache_registration() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.cache_registration() IS
    'the registered cache, and when it last acknowledged, to a second; these three are null if none is registered. And what distinguishes this server''s run and this database from others';

CREATE FUNCTION oauth_tokens_internal.cache_registration_id() RETURNS uuid
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'oauth_cache_registration_id';
REVOKE ALL ON FUNCTION oauth_tokens_internal.cache_registration_id() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.cache_registration_id() IS
    'the registration id under which a cache can keep what this statement reads; null if none is registered, and on a standby';

-- Refreshing a token (docs/design/refresh.md): who refreshes is decided here, and no transaction
-- stays open while the provider is asked. Nobody has rights on these tables but to
-- dump them: the functions below work on them as the extension's owner, after the
-- caller's own rights and policies have let it lock the token's row.

-- Which database this is: a copy of it must not spend the refresh tokens of the
-- original. Dumped, so that the copy knows whose it was.
CREATE TABLE oauth_tokens_internal.cluster (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    id text NOT NULL,
    adopted_at timestamptz NOT NULL
);
COMMENT ON TABLE oauth_tokens_internal.cluster IS
    'the system identifier and database oid under which tokens are refreshed; one row';

-- What is said of a token beside its row; none for a healthy one. It tells of the refresh
-- token with this digest (refresh_token_digest.hpp). For oauth_connections, which opens
-- nothing, a row that was changed since tells of another.
CREATE TABLE oauth_tokens_internal.refresh_states (
    token_id uuid PRIMARY KEY,
    refresh_token_digest bytea NOT NULL,
    token_updated_at timestamptz NOT NULL,
    lease_until timestamptz,
    failures integer NOT NULL DEFAULT 0,
    kind text CHECK (kind OPERATOR(pg_catalog.=) ANY ('{transient,no_answer,dead_grant,needs_interaction,client_config,not_sent}')),
    reason text CHECK (pg_catalog.octet_length(reason) OPERATOR(pg_catalog.<=) 600),
    since timestamptz,
    next_attempt_at timestamptz
);
COMMENT ON TABLE oauth_tokens_internal.refresh_states IS
    'tokens that are being refreshed, or whose refresh failed: kind and reason of the last failure, since when, and when the next attempt may be made';

CREATE FUNCTION oauth_tokens_internal.sees_token_id(token_id uuid) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 1000
    AS 'MODULE_PATHNAME', 'oauth_sees_token_id';
REVOKE ALL ON FUNCTION oauth_tokens_internal.sees_token_id(uuid) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.sees_token_id(uuid) IS
    'whether the row security policies of oauth_tokens show the caller the row with this id; true if none apply';

CREATE VIEW oauth_tokens_internal.visible_refresh_states WITH (security_barrier) AS
    SELECT token_id, token_updated_at, lease_until, kind, reason, since, next_attempt_at
    FROM oauth_tokens_internal.refresh_states
    WHERE oauth_tokens_internal.sees_token_id(token_id);
COMMENT ON VIEW oauth_tokens_internal.visible_refresh_states IS
    'refresh_states of the tokens that the caller may see, for oauth_connections';

-- One row an attempt that is under way, or whose outcome nobody knows. It ends with
-- the commit of any attempt at the same token. The identity is that of its begin.
CREATE SEQUENCE oauth_tokens_internal.refresh_fences;
COMMENT ON SEQUENCE oauth_tokens_internal.refresh_fences IS 'numbers attempts; a later one has a greater fence';
CREATE TABLE oauth_tokens_internal.refresh_attempts (
    fence bigint PRIMARY KEY,
    token_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    provider text NOT NULL,
    actor_type text NOT NULL,
    actor_id text NOT NULL,
    access_token_digest bytea NOT NULL,
    refresh_token_digest bytea NOT NULL,
    sealed text NOT NULL CHECK (pg_catalog.octet_length(sealed) OPERATOR(pg_catalog.<=) 1024),
    stored_over boolean NOT NULL DEFAULT false,
    began_at timestamptz NOT NULL,
    lease_until timestamptz NOT NULL,
    account_id text,
    issuer text,
    client_id text
);
CREATE INDEX refresh_attempts_token_id ON oauth_tokens_internal.refresh_attempts (token_id);
COMMENT ON TABLE oauth_tokens_internal.refresh_attempts IS
    'attempts to refresh a token; the key of their spool file is sealed. stored_over: oauth_store() was called since. account_id, issuer, client_id: whose grant it is, in case the token is deleted meanwhile';

-- Of each client at a provider: whether its refreshes succeed (a circuit breaker), and
-- whether its refresh tokens rotate.
CREATE TABLE oauth_tokens_internal.refresh_clients (
    provider text,
    client_id text,
    failures integer NOT NULL DEFAULT 0,
    dead_grants integer NOT NULL DEFAULT 0,
    pauses integer NOT NULL DEFAULT 0,
    paused_until timestamptz,
    reason text,
    rotates boolean,
    credit double precision,
    credit_at timestamptz,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (provider, client_id)
);
COMMENT ON TABLE oauth_tokens_internal.refresh_clients IS
    'for each client, how many refreshes failed since the last success, until when it is paused, and how many refreshes ahead of time could begin at once (credit, at credit_at). provider is without label; client_id is empty if the details name none';

CREATE TABLE oauth_tokens_internal.refresh_rules (
    provider text PRIMARY KEY,
    rotation text NOT NULL,
    kills_access boolean NOT NULL,
    ahead interval NOT NULL,
    keep_alive interval NOT NULL,
    per_second double precision NOT NULL
);
COMMENT ON TABLE oauth_tokens_internal.refresh_rules IS
    'what the sidecar has published about each provider: how its refresh tokens rotate, when to refresh ahead of time (0: never), and how many refreshes a second for each client';

-- A look at what is due reads a few rows, and the next look goes on behind them: among
-- those that wait, and among those that come to be due.
CREATE TABLE oauth_tokens_internal.refresh_scans (
    provider text,
    kind text,
    waiting_time timestamptz,
    waiting_id uuid,
    recent_time timestamptz,
    recent_id uuid,
    PRIMARY KEY (provider, kind)
);
COMMENT ON TABLE oauth_tokens_internal.refresh_scans IS
    'where refresh_due() continues; kind: access (by the expiry of access tokens) or grant';

-- Of a client with tokens that are due and could not be handed out yet: behind which place
-- they begin, and where they go on if few are found there. So they wait for their own client
-- alone, and keep their order.
CREATE TABLE oauth_tokens_internal.refresh_places (
    provider text,
    client_id text,
    kind text,
    time timestamptz NOT NULL,
    id uuid NOT NULL,
    resume_time timestamptz,
    resume_id uuid,
    served_at timestamptz NOT NULL,
    PRIMARY KEY (provider, client_id, kind)
);
COMMENT ON TABLE oauth_tokens_internal.refresh_places IS
    'where the backlog of a client begins; kind as in refresh_scans';

SELECT pg_catalog.pg_extension_config_dump('oauth_tokens_internal.cluster', '');
SELECT pg_catalog.pg_extension_config_dump('oauth_tokens_internal.refresh_states', '');
SELECT pg_catalog.pg_extension_config_dump('oauth_tokens_internal.refresh_fences', '');
SELECT pg_catalog.pg_extension_config_dump('oauth_tokens_internal.refresh_attempts', '');
SELECT pg_catalog.pg_extension_config_dump('oauth_tokens_internal.refresh_clients', '');
SELECT pg_catalog.pg_extension_config_dump('oauth_tokens_internal.refresh_rules', '');

CREATE FUNCTION oauth_refresh_begin(
    workspace_id uuid, provider text, actor_type text, actor_id text,
    min_ttl interval DEFAULT '120 s', lease interval DEFAULT '60 s',
    force boolean DEFAULT false, if_token_sha256 bytea DEFAULT NULL,
    OUT outcome text, OUT fence bigint, OUT refresh_token text, OUT scopes text,
    OUT details jsonb, OUT spool_key text, OUT in_doubt boolean, OUT retry_at timestamptz,
    OUT reason text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
CREATE FUNCTION oauth_refresh_begin(
    workspace_id uuid, provider text, actor_type anyenum, actor_id text,
    min_ttl interval DEFAULT '120 s', lease interval DEFAULT '60 s',
    force boolean DEFAULT false, if_token_sha256 bytea DEFAULT NULL,
    OUT outcome text, OUT fence bigint, OUT refresh_token text, OUT scopes text,
    OUT details jsonb, OUT spool_key text, OUT in_doubt boolean, OUT retry_at timestamptz,
    OUT reason text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_refresh_begin(uuid, text, text, text, interval, interval, boolean, bytea) FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_refresh_begin(uuid, text, anyenum, text, interval, interval, boolean, bytea) FROM PUBLIC;
COMMENT ON FUNCTION oauth_refresh_begin(uuid, text, text, text, interval, interval, boolean, bytea) IS
    'asks whether the caller should refresh this token now. outcome: granted (ask the provider, then call oauth_refresh_commit() or oauth_refresh_fail() with this fence; the lease ends at retry_at, so do not ask if the answer could come later; pass a lease of the longest time that the provider may take, and more than half a minute), fresh (it is valid for min_ttl, or valid and in the first half of its life), busy (another caller refreshes it, or an attempt is in_doubt; try again at retry_at), backoff (until retry_at, for reason), no_refresh_token, needs_reauthorization (for reason; the next attempt is at retry_at), not_connected. spool_key is a Fernet key of this attempt: keep the provider''s answer under it, for oauth_refresh_replay(). With force, a valid token is also refreshed; with if_token_sha256, only if that is the SHA-256 of the stored access token. Call it in a transaction of its own. Errors: OT001, OT002 key; OT003 a value that no key opens; OT004, OT005 table; OT017 another cluster''s copy; 22004 null; 22023 unknown actor_type, negative min_ttl, lease of 0 or over an hour; 25006 read-only';
COMMENT ON FUNCTION oauth_refresh_begin(uuid, text, anyenum, text, interval, interval, boolean, bytea) IS
    'the same for actor_type as an enum';

CREATE FUNCTION oauth_refresh_commit(
    workspace_id uuid, provider text, actor_type text, actor_id text, fence bigint,
    access_token text, refresh_token text DEFAULT NULL, expires_in bigint DEFAULT NULL,
    scopes text DEFAULT NULL, details jsonb DEFAULT NULL) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
CREATE FUNCTION oauth_refresh_commit(
    workspace_id uuid, provider text, actor_type anyenum, actor_id text, fence bigint,
    access_token text, refresh_token text DEFAULT NULL, expires_in bigint DEFAULT NULL,
    scopes text DEFAULT NULL, details jsonb DEFAULT NULL) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_refresh_commit(uuid, text, text, text, bigint, text, text, bigint, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_refresh_commit(uuid, text, anyenum, text, bigint, text, text, bigint, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION oauth_refresh_commit(uuid, text, text, text, bigint, text, text, bigint, text, jsonb) IS
    'stores the provider''s answer: committed (also for a repeat), superseded (nothing is stored, because the row has other tokens by now, or a later attempt has begun), deleted (the row is gone). NULL refresh_token, scopes and details keep the stored ones. Members of details replace those of the same name. expires_in is in seconds from now; NULL is unknown. Errors: as oauth_store(), and 22004 null identity, fence or access_token; 40001 the attempt is newer than the transaction''s snapshot: try again in a new one';
COMMENT ON FUNCTION oauth_refresh_commit(uuid, text, anyenum, text, bigint, text, text, bigint, text, jsonb) IS
    'the same for actor_type as an enum';

CREATE FUNCTION oauth_refresh_fail(
    workspace_id uuid, provider text, actor_type text, actor_id text, fence bigint,
    kind text, detail text DEFAULT NULL, retry_after interval DEFAULT NULL) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
CREATE FUNCTION oauth_refresh_fail(
    workspace_id uuid, provider text, actor_type anyenum, actor_id text, fence bigint,
    kind text, detail text DEFAULT NULL, retry_after interval DEFAULT NULL) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_refresh_fail(uuid, text, text, text, bigint, text, text, interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_refresh_fail(uuid, text, anyenum, text, bigint, text, text, interval) FROM PUBLIC;
COMMENT ON FUNCTION oauth_refresh_fail(uuid, text, text, text, bigint, text, text, interval) IS
    'reports that an attempt failed. Returns the state that follows, backing_off or needs_reauthorization, or superseded. kind: transient (network, 5xx, 408, 425, 429: try again later), no_answer (the request was sent, and no answer came: the provider may have refreshed), dead_grant (invalid_grant), needs_interaction (the user must do something), client_config (invalid_client, unauthorized_client: pauses this client, touches no token), not_sent (nothing was sent, for a reason of the caller''s own: the token waits for some seconds). Under row security, a caller''s report about a client counts only if it has the capability sidecar; otherwise client_config concerns only this token. detail is what the provider said, without secrets; it is cut to 500 bytes. Errors: OT001 to OT005; 22004 null; 22023 unknown actor_type or kind, negative retry_after; 25006 read-only; 40001 as oauth_refresh_commit()';
COMMENT ON FUNCTION oauth_refresh_fail(uuid, text, anyenum, text, bigint, text, text, interval) IS
    'the same for actor_type as an enum';

CREATE FUNCTION oauth_refresh_replay(
    workspace_id uuid, provider text, actor_type text, actor_id text, fence bigint, sealed text)
    RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
CREATE FUNCTION oauth_refresh_replay(
    workspace_id uuid, provider text, actor_type anyenum, actor_id text, fence bigint, sealed text)
    RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_refresh_replay(uuid, text, text, text, bigint, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_refresh_replay(uuid, text, anyenum, text, bigint, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_refresh_replay(uuid, text, text, text, bigint, text) IS
    'stores an answer that was kept under the attempt''s spool_key, if the row still has the refresh token that was spent: committed, superseded (it has not, or the attempt has ended: the file is no longer needed), deleted (the row is gone), busy (a later attempt is under way: try again). sealed is a Fernet token of the JSON object {"access_token", "refresh_token", "expires_at" (seconds since 1970 UTC), "scopes", "details"}; only the first is required. Errors: as oauth_refresh_commit(), and OT018 it does not open with this attempt''s key, or is another object';
COMMENT ON FUNCTION oauth_refresh_replay(uuid, text, anyenum, text, bigint, text) IS
    'the same for actor_type as an enum';

CREATE FUNCTION oauth_tokens_adopt_cluster() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_tokens_adopt_cluster() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_adopt_cluster() IS
    'declares that this database refreshes and revokes its tokens, and no copy of it does. Needed after a restore and after pg_upgrade. Errors: 25006 read-only';

CREATE FUNCTION oauth_tokens_internal.cluster(OUT id text, OUT adopted boolean)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'oauth_cluster';
REVOKE ALL ON FUNCTION oauth_tokens_internal.cluster() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.cluster() IS
    'the system identifier and oid of this database, and whether tokens are refreshed in it';

CREATE FUNCTION oauth_tokens_internal.publish_refresh_rules(rules jsonb) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_publish_refresh_rules';
REVOKE ALL ON FUNCTION oauth_tokens_internal.publish_refresh_rules(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.publish_refresh_rules(jsonb) IS
    'publishes, for oauth_refresh_begin(), the rules of each provider, by name without label, {"rotation": none, strict, until_used, grace:<seconds> or auto, "refresh_kills_access": boolean, "refresh_ahead", "keep_alive": seconds, "refreshes_per_second": number}; each may be missing. Replaces all earlier rules. Errors: 22004 null; 22023 not such an object';

CREATE FUNCTION oauth_tokens_internal.refresh_purge() RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_refresh_purge';
REVOKE ALL ON FUNCTION oauth_tokens_internal.refresh_purge() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.refresh_purge() IS
    'deletes states and attempts of tokens that are gone, and clients without recent reports, at most 5,000 rows of each table in a call. Returns how many. Does nothing if row security applies to the caller';

-- Refreshes that nobody asks for. The indexes cost with each store, so they are there
-- only if somebody wants them.

CREATE FUNCTION oauth_tokens_enable_background_refresh() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
CREATE FUNCTION oauth_tokens_disable_background_refresh() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_tokens_enable_background_refresh() FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_tokens_disable_background_refresh() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_enable_background_refresh() IS
    'makes the partial indexes idx_oauth_tokens_refresh and idx_oauth_token_details_refresh, by which sidecars find the tokens to refresh ahead of time, for providers with refresh_ahead or keep_alive. Stores wait meanwhile. Errors: OT004, OT005 table; 25006 read-only; 42501 not the owner of the tables';
COMMENT ON FUNCTION oauth_tokens_disable_background_refresh() IS
    'drops these indexes: tokens are then refreshed only when somebody asks for them. Errors: as oauth_tokens_enable_background_refresh()';

CREATE FUNCTION oauth_tokens_internal.refresh_due(
    max_rows bigint, providers text[] DEFAULT NULL)
    RETURNS TABLE (workspace_id uuid, provider text, actor_type text, actor_id text,
        min_ttl interval, force boolean)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_refresh_due';
REVOKE ALL ON FUNCTION oauth_tokens_internal.refresh_due(bigint, text[]) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.refresh_due(bigint, text[]) IS
    'returns tokens to refresh ahead of time now, of these providers (without label; NULL: of all), soonest expiry first, and no more than the rate of their clients allows. Call oauth_refresh_begin() for each of them at once, with this min_ttl and force. None if the indexes are missing, if row security applies to the caller, or while another session searches. Errors: OT004, OT005 table; OT017 another cluster''s copy; 22004 null max_rows; 22023 negative; 25006 read-only';

CREATE FUNCTION oauth_tokens_internal.refresh_backlog()
    RETURNS TABLE (provider text, due bigint, oldest timestamptz, paused_until timestamptz,
        in_doubt bigint)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_refresh_backlog';
REVOKE ALL ON FUNCTION oauth_tokens_internal.refresh_backlog() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.refresh_backlog() IS
    'for each provider that has a rule: how many tokens are due (it counts up to 100,000), the expiry of the oldest of them, the end of the longest pause of its clients, and for how many tokens the last attempt is in doubt. For metrics: it reads all of them';

-- A token that lives long enough, by a call that waits for a sidecar's refresh.
-- docs/refresh-requests.md says how caller, sidecar and commit meet.

CREATE FUNCTION oauth_fresh_access_token(
    workspace_id uuid, provider text, actor_type text, actor_id text,
    min_ttl interval DEFAULT '60 s', timeout interval DEFAULT '15 s') RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE COST 100
    AS 'MODULE_PATHNAME';
CREATE FUNCTION oauth_fresh_access_token(
    workspace_id uuid, provider text, actor_type anyenum, actor_id text,
    min_ttl interval DEFAULT '60 s', timeout interval DEFAULT '15 s') RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE COST 100
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_fresh_access_token(uuid, text, text, text, interval, interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_fresh_access_token(uuid, text, anyenum, text, interval, interval) FROM PUBLIC;
COMMENT ON FUNCTION oauth_fresh_access_token(uuid, text, text, text, interval, interval) IS
    'the access token: the stored one if it is valid for min_ttl from now (by the clock; an unknown expiry satisfies every min_ttl), otherwise the one that a sidecar''s refresh stores within timeout, even if its life is shorter. NULL if there is none that the caller may see. Holds no lock while it waits. Errors: those of oauth_get; OT019 needs reauthorization; OT020 no refresh token; OT021 no sidecar is listening; OT022 not refreshed in time (oauth_access_token returns the stored one); 22004 null; 22023 min_ttl or timeout is negative; and, if a refresh is needed: 25001 above READ COMMITTED, or the transaction has itself changed or locked the row; 25006 on a standby; 55000 without shared_preload_libraries';
COMMENT ON FUNCTION oauth_fresh_access_token(uuid, text, anyenum, text, interval, interval) IS
    'the same for actor_type as an enum';

CREATE FUNCTION oauth_tokens_internal.refresh_requests_wait(
    timeout interval DEFAULT '1 s',
    OUT workspace_id uuid, OUT provider text, OUT actor_type text, OUT actor_id text,
    OUT min_ttl interval)
    RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10
    AS 'MODULE_PATHNAME', 'oauth_refresh_requests_wait';
REVOKE ALL ON FUNCTION oauth_tokens_internal.refresh_requests_wait(interval) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.refresh_requests_wait(interval) IS
    'takes the requests of callers of oauth_fresh_access_token() in this database, of all identities, regardless of policies. Sleeps until there is one, for at most timeout and 1 s. Call it again at once: a session counts as listening for 3 s after a call, and requests of a silent one are offered again. Errors: 22004 null; 22008, 22023 timeout is out of range or negative; 25006 on a standby; 53400 more than 64 sessions of the database listen; 55000 without shared_preload_libraries';

CREATE FUNCTION oauth_tokens_internal.refresh_request_done(
    workspace_id uuid, provider text, actor_type text, actor_id text,
    outcome text, reason text DEFAULT NULL) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_refresh_request_done';
REVOKE ALL ON FUNCTION oauth_tokens_internal.refresh_request_done(uuid, text, text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.refresh_request_done(uuid, text, text, text, text, text) IS
    'tells the callers that wait for this token that no commit follows. Returns whether any caller waits. outcome, as of oauth_refresh_begin(): fresh (they get the stored token), needs_reauthorization (OT019), no_refresh_token (OT020), backoff or not_connected (OT022). reason is cut at 500 bytes. Errors: OT004, OT005 table; 22004 null; 22023 unknown outcome or actor_type; 25006 on a standby; 55000 without shared_preload_libraries';

-- Revoking a grant at its provider (RFC 7009): what was deleted waits here for the
-- sidecar, which calls the provider in the background. Nobody has rights on the table but
-- to dump it: the functions below work on it as the extension's owner. The ciphertexts
-- are those of the token's row, as they were there: they open for its identity.

CREATE TABLE oauth_tokens_internal.oauth_revocations (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    provider text NOT NULL,
    actor_type text NOT NULL,
    actor_id text NOT NULL,
    client_id text,
    issuer text,
    account_id text,
    unless_shared boolean NOT NULL,
    encrypted_refresh_token text,
    encrypted_access_token text,
    created_at timestamptz NOT NULL,
    next_attempt_at timestamptz NOT NULL,
    give_up_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    reason text CHECK (pg_catalog.octet_length(reason) OPERATOR(pg_catalog.<=) 500),
    CHECK (encrypted_refresh_token IS NOT NULL OR encrypted_access_token IS NOT NULL)
);
ALTER TABLE oauth_tokens_internal.oauth_revocations
    ALTER COLUMN encrypted_refresh_token SET STORAGE EXTERNAL,
    ALTER COLUMN encrypted_access_token SET STORAGE EXTERNAL;
CREATE INDEX oauth_revocations_next_attempt_at ON oauth_tokens_internal.oauth_revocations (next_attempt_at);
COMMENT ON TABLE oauth_tokens_internal.oauth_revocations IS
    'deleted grants that wait to be revoked at their provider. While one is being revoked, next_attempt_at is the end of the lease. give_up_at is a day after the first attempt; reason is that of the last failure. unless_shared: not while another token is of the same provider, client and account';
SELECT pg_catalog.pg_extension_config_dump('oauth_tokens_internal.oauth_revocations', '');

CREATE FUNCTION oauth_tokens_internal.delete_token(
    workspace_id uuid, provider text, actor_type text, actor_id text, revoke text,
    OUT deleted boolean, OUT revocation text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_delete_token';
REVOKE ALL ON FUNCTION oauth_tokens_internal.delete_token(uuid, text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.delete_token(uuid, text, text, text, text) IS
    'oauth_delete() for the API. revoke is always, never, or auto, which does not revoke while the caller sees another token of the same provider, client and account. revocation: queued or skipped. Errors: as oauth_delete(), and 22023 another revoke';

CREATE FUNCTION oauth_tokens_internal.revocations_claim(
    max_rows bigint, lease interval, providers text[] DEFAULT NULL,
    OUT id uuid, OUT provider text, OUT client_id text, OUT issuer text, OUT refresh_token text,
    OUT access_token text, OUT shared boolean, OUT attempts integer)
    RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10
    AS 'MODULE_PATHNAME', 'oauth_revocations_claim';
REVOKE ALL ON FUNCTION oauth_tokens_internal.revocations_claim(bigint, interval, text[]) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.revocations_claim(bigint, interval, text[]) IS
    'claims up to max_rows grants to revoke now; no other caller gets them until lease has ended. Those of providers (without label; null: of all), and those of others that nobody has claimed for a day, of identities that row security lets the caller store. shared: it must not be revoked, because another token is of the same account by now. Both tokens null: no key of the ring opens them. Errors: OT001, OT002 key; OT005 table; OT017 another cluster''s copy; 22004 null; 22023 negative max_rows or lease; 25006 read-only';

CREATE FUNCTION oauth_tokens_internal.revocation_done(
    id uuid, outcome text, reason text DEFAULT NULL, retry_after interval DEFAULT NULL) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_revocation_done';
REVOKE ALL ON FUNCTION oauth_tokens_internal.revocation_done(uuid, text, text, interval) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.revocation_done(uuid, text, text, interval) IS
    'ends an attempt. outcome done: the row is deleted. retry: another attempt follows after 1 s, then twice as long each time, up to 1 h, or after retry_after if that is longer; after a day the row is deleted. reason is stored (500 bytes, no secret). Returns done, retry or given_up; null if the row is gone. Errors: 22004 null id or outcome; 22023 another outcome, or negative retry_after; 25006 read-only';

CREATE FUNCTION oauth_tokens_internal.revocations_waiting() RETURNS bigint
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'oauth_revocations_waiting';
REVOKE ALL ON FUNCTION oauth_tokens_internal.revocations_waiting() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.revocations_waiting() IS
    'how many deleted grants wait to be revoked, of all identities';

-- The table, which is no member of the extension.

CREATE FUNCTION oauth_tokens_upgrade() RETURNS text
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_tokens_upgrade() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_upgrade() IS
    'makes the tables oauth_tokens and oauth_token_details in the extension''s schema, or adopts and repairs existing ones. Returns the revision. Errors: OT005 a table differs in a way that cannot be repaired safely; 42501 a table or enum belongs to a role that the caller is not a member of';

CREATE FUNCTION oauth_tokens_current() RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION oauth_tokens_current() IS
    'the revision of the tables, bb51836389e7 (head); null if they are missing or incomplete';

CREATE FUNCTION oauth_tokens_downgrade(discard_tokens boolean DEFAULT false) RETURNS text
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_tokens_downgrade(boolean) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_downgrade(boolean) IS
    'drops the tables, never the enum. Returns the revision before. Errors: OT011 tokens remain and discard_tokens is false; 42501 not the owner, or a row security policy hides rows';

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

-- What is wrong with this database.

CREATE FUNCTION oauth_doctor()
    RETURNS TABLE (item text, status text, detail text, hint text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_doctor() FROM PUBLIC;
COMMENT ON FUNCTION oauth_doctor() IS
    'what is wrong with keys, log, tables, rights and daemons, errors first: status is error, warning or ok; detail says what was found; hint says what to do about it, and is null if there is nothing to do. It changes nothing, shows no secret, and works on a standby and before the migration. It reads the whole table if the caller has the capability admin. A check that fails is a finding. Errors: none of its own';

-- What default privileges of this database would give away.

CREATE FUNCTION oauth_tokens_internal.revoke_default_privileges() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_revoke_default_privileges';
REVOKE ALL ON FUNCTION oauth_tokens_internal.revoke_default_privileges() FROM PUBLIC;
SELECT oauth_tokens_internal.revoke_default_privileges();
DROP FUNCTION oauth_tokens_internal.revoke_default_privileges();
