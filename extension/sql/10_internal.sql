
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
