
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
