
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
    'the cache that is registered; void where the server was started anew, or the table of tokens is another one, or its triggers or columns were changed';

-- An invalidation without identity stands for all tokens. No index: invalidations come and go.
CREATE UNLOGGED TABLE oauth_tokens_internal.cache_invalidations (
    id bigint NOT NULL,
    workspace_id uuid,
    provider text,
    actor_type text,
    actor_id text
) WITH (vacuum_truncate = false);
COMMENT ON TABLE oauth_tokens_internal.cache_invalidations IS
    'changes of tokens that the registered cache has not acknowledged yet';

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
    'registers the one cache of this database, whose changes are recorded from now on; returns the registration id, under which it may keep what it reads after this has committed. The same as before where this cache is registered already. Where it is not, locks writers out until the transaction ends: call it by itself. Errors: OT004, OT005 table; OT016 another cache is registered and was seen within 30 s; 22004 null; 22023 cache_id of no or over 1,024 bytes; 25006 read-only; 55P03 a writer was under way for 100 ms, or another session is registering: try again';

CREATE FUNCTION oauth_cache_unregister(cache_id text) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_cache_unregister(text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_cache_unregister(text) IS
    'ends the registration of this cache, and deletes its invalidations; whether it was registered. Errors: 22004 null; 22023 cache_id of no or over 1,024 bytes; 25006 read-only';

CREATE FUNCTION oauth_changes_pending(
    max_rows bigint DEFAULT 1000,
    OUT id bigint, OUT workspace_id uuid, OUT provider text, OUT actor_type text, OUT actor_id text)
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 10
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_changes_pending(bigint) FROM PUBLIC;
COMMENT ON FUNCTION oauth_changes_pending(bigint) IS
    'up to max_rows changes that are not acknowledged yet, of all identities whatever policies say; one without identity stands for all tokens. No rows on a standby. Errors: 22004 null; 22023 max_rows is negative';

CREATE FUNCTION oauth_changes_ack(registration_id uuid, ids bigint[]) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_changes_ack(uuid, bigint[]) FROM PUBLIC;
COMMENT ON FUNCTION oauth_changes_ack(uuid, bigint[]) IS
    'says that the cache has dropped its copies for these changes, and that it lives (call it with no ids, too); how many of them were still there and in nobody else''s hands. NULL, and nothing done, where this registration id is not the registered one: its copies are void. Errors: 22004 null; 25006 read-only';

CREATE FUNCTION oauth_changes_wait(timeout interval DEFAULT '1 s') RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_changes_wait(interval) FROM PUBLIC;
COMMENT ON FUNCTION oauth_changes_wait(interval) IS
    'sleeps until there may be changes that were not there when this session''s last call returned, at most for timeout and 1 s; whether there may be. Read them in a statement of its own. At once where the library is in shared_preload_libraries, else it looks every 5 ms, as it does while a transaction of this database with changes is prepared. Errors: 22004 null; 22008, 22023 timeout is out of range or negative';

CREATE FUNCTION oauth_tokens_internal.cache_registration(
    OUT cache_id text, OUT registration_id uuid, OUT system_identifier text, OUT timeline integer,
    OUT database oid, OUT started_at timestamptz, OUT acknowledged_at timestamptz)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'oauth_cache_registration';
REVOKE ALL ON FUNCTION oauth_tokens_internal.cache_registration() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.cache_registration() IS
    'the cache that is registered, and when it was last heard of, to a second; these three null where none is. And what tells this server''s run and this database from others';

CREATE FUNCTION oauth_tokens_internal.cache_registration_id() RETURNS uuid
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'oauth_cache_registration_id';
REVOKE ALL ON FUNCTION oauth_tokens_internal.cache_registration_id() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.cache_registration_id() IS
    'under which registration id a cache may keep what this statement reads; null where none is registered, and on a standby';
