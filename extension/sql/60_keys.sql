
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
