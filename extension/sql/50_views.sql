
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
