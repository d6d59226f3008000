-- Invalidations of changes for caches: who is registered, what leaves an invalidation, what is
-- pending and what is acknowledged (docs/design/cache.md). What takes several sessions or a
-- restart is in tests/e2e/test_cache_invalidations.py.

SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
RESET client_min_messages;
SET TimeZone = 'UTC';
\set w '11111111-1111-4111-8111-111111111111'
\set v '22222222-2222-4222-8222-222222222222'
\set alice '''11111111-1111-4111-8111-111111111111'', ''google'', ''user'', ''alice'''

-- Before the migration.
SELECT cache_id IS NULL AND registration_id IS NULL AND acknowledged_at IS NULL AS nobody, system_identifier = (SELECT c.system_identifier::text FROM pg_control_system() c) AS system,
    timeline = (SELECT timeline_id FROM pg_control_checkpoint()) AS timeline, database = (SELECT oid FROM pg_database WHERE datname = current_database()) AS database,
    started_at = pg_postmaster_start_time() AS started
FROM oauth_tokens_internal.cache_registration();
SELECT oauth_tokens_internal.cache_registration_id() IS NULL AS nobody, count(*) AS pending FROM oauth_changes_pending();
SELECT oauth_changes_ack(gen_random_uuid(), '{}') IS NULL AS nobody, oauth_cache_unregister('redis one') AS ended;
\set VERBOSITY sqlstate
SELECT oauth_cache_register('redis one');
SELECT * FROM oauth_tokens_internal.connection(:alice);
\set VERBOSITY default
SELECT oauth_tokens_upgrade() AS revision \gset

-- What a change leaves, in order, and taken away by the next call.
CREATE VIEW invalidations AS SELECT replace(replace(p.workspace_id::text, '11111111-1111-4111-8111-111111111111', 'w'), '22222222-2222-4222-8222-222222222222', 'v') AS w, p.provider, p.actor_type, p.actor_id FROM oauth_changes_pending() p ORDER BY p.id;
CREATE FUNCTION taken(OUT invalidations text, OUT acknowledged boolean) LANGUAGE plpgsql AS $$
BEGIN
    SELECT string_agg(coalesce(m.w || ' ' || m.provider || ' ' || m.actor_type || ' ' || m.actor_id, 'everything'), ', ') INTO invalidations FROM invalidations m;
    SELECT oauth_changes_ack(r.registration_id, array(SELECT id FROM oauth_changes_pending())) = (SELECT count(*) FROM invalidations) INTO acknowledged FROM oauth_tokens_internal.cache_registration() r;
END $$;

-- With nobody registered: nothing.
SELECT oauth_store(:alice, 'a') IS NOT NULL AS stored;
SELECT count(*) FROM invalidations;

-- Registering. After the grant, which writes the columns' rows anew.
CREATE ROLE regress_writer;
SET client_min_messages = warning;
SELECT oauth_tokens_grant('regress_writer', 'writer');
RESET client_min_messages;
SELECT oauth_cache_register(NULL);
SELECT oauth_cache_register('');
SELECT length(oauth_cache_register(repeat('x', 1025))::text);
SELECT oauth_cache_register('redis one') AS registration_id \gset
SELECT oauth_cache_register('redis one') = :'registration_id' AS the_same, oauth_tokens_internal.cache_registration_id() = :'registration_id' AS known;
SELECT cache_id, registration_id = :'registration_id' AS known, now() - acknowledged_at < interval '1 min' AS heard_of FROM oauth_tokens_internal.cache_registration();
SELECT oauth_cache_register('redis two');
\set VERBOSITY sqlstate
SELECT oauth_cache_register('redis tw');
SELECT oauth_cache_register('REDIS ONE');
BEGIN READ ONLY;
SELECT oauth_cache_register('redis one');
ROLLBACK;
BEGIN READ ONLY;
SELECT oauth_changes_ack(:'registration_id', '{}');
ROLLBACK;
BEGIN READ ONLY;
SELECT oauth_cache_unregister('redis one');
ROLLBACK;
\set VERBOSITY default
SELECT oauth_cache_unregister('redis two') AS ended;
BEGIN;
SELECT oauth_cache_unregister('redis one') AS ended;
SELECT oauth_tokens_internal.cache_registration_id() IS NULL AS nobody;
SELECT oauth_cache_register('redis two') <> :'registration_id' AS another;
SELECT oauth_cache_register('redis two') = oauth_tokens_internal.cache_registration_id() AS the_same;
ROLLBACK;
SELECT oauth_tokens_internal.cache_registration_id() = :'registration_id' AS back_again;
SELECT count(DISTINCT i) FROM generate_series(1, 3), oauth_cache_register('redis one') i;

-- Every way to change a token.
SELECT oauth_store(:alice, 'b') IS NOT NULL AS stored; SELECT * FROM taken();
SELECT oauth_move(:alice, :'v', 'mail', 'api_key', 'bob'); SELECT * FROM taken();
SELECT oauth_delete(:'v', 'mail', 'api_key', 'bob'); SELECT * FROM taken();
SELECT oauth_delete(:'v', 'mail', 'api_key', 'bob'); SELECT * FROM taken();
INSERT INTO oauth_tokens (workspace_id, provider, actor_type, actor_id, encrypted_access_token) VALUES (:alice, 'x'), (:'w', 'mail', 'user', 'a:b%', 'x'); SELECT * FROM taken();
INSERT INTO oauth_tokens AS t (workspace_id, provider, actor_type, actor_id, encrypted_access_token) VALUES (:alice, 'x') ON CONFLICT (workspace_id, provider, actor_type, actor_id) DO UPDATE SET encrypted_access_token = 'y'; SELECT * FROM taken();
INSERT INTO oauth_tokens AS t (workspace_id, provider, actor_type, actor_id, encrypted_access_token) VALUES (:alice, 'x') ON CONFLICT DO NOTHING; SELECT * FROM taken();
UPDATE oauth_tokens SET scopes = 'x'; SELECT * FROM taken();
UPDATE oauth_tokens SET workspace_id = :'v' WHERE actor_id = 'alice'; SELECT * FROM taken();
UPDATE oauth_tokens SET provider = 'other' WHERE actor_id = 'alice'; SELECT * FROM taken();
UPDATE oauth_tokens SET actor_type = 'api_key' WHERE actor_id = 'alice'; SELECT * FROM taken();
UPDATE oauth_tokens SET actor_id = 'Alice' WHERE actor_id = 'alice'; SELECT * FROM taken();
MERGE INTO oauth_tokens t USING (VALUES ('Alice'), ('new')) v (actor_id) ON t.actor_id = v.actor_id
    WHEN MATCHED THEN UPDATE SET scopes = 'y'
    WHEN NOT MATCHED THEN INSERT (workspace_id, provider, actor_type, actor_id, encrypted_access_token) VALUES (:'w', 'merge', 'user', 'new', 'x'); SELECT * FROM taken();
COPY oauth_tokens (workspace_id, provider, actor_type, actor_id, encrypted_access_token) FROM STDIN;
11111111-1111-4111-8111-111111111111	google	user	alice	x
11111111-1111-4111-8111-111111111111	google	api_key	bob	x
\.
SELECT * FROM taken();
SET session_replication_role = replica;
UPDATE oauth_tokens SET actor_id = 'carol' WHERE actor_id = 'bob'; SELECT * FROM taken();
TRUNCATE oauth_tokens; SELECT * FROM taken();
RESET session_replication_role;
TRUNCATE oauth_tokens, oauth_token_details; SELECT * FROM taken();
BEGIN; TRUNCATE oauth_tokens; TRUNCATE oauth_tokens; COMMIT; SELECT * FROM taken();

-- What is taken back leaves nothing, and what comes after it does.
BEGIN;
SELECT oauth_store(:alice, 'a') IS NOT NULL AS stored;
ROLLBACK;
SELECT * FROM taken();
BEGIN;
SAVEPOINT s;
TRUNCATE oauth_tokens;
ROLLBACK TO s;
SELECT oauth_store(:alice, 'a') IS NOT NULL AS stored;
SAVEPOINT s;
TRUNCATE oauth_tokens;
RELEASE s;
SAVEPOINT s;
SELECT oauth_store(:'w', 'google', 'user', 'bob', 'a') IS NOT NULL AS stored;
ROLLBACK TO s;
COMMIT;
SELECT * FROM taken();

-- In every isolation level.
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT oauth_store(:alice, 'a') IS NOT NULL AS stored; SELECT * FROM taken();
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT oauth_store(:alice, 'a') IS NOT NULL AS stored; SELECT * FROM taken();
COMMIT;

-- A key rotation changes no token.
CALL oauth_rotate_keys();
SELECT count(*) FROM invalidations;

-- Whatever a policy hides.
ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON oauth_tokens TO regress_writer USING (actor_id = 'alice');
SET ROLE regress_writer;
SELECT oauth_store(:alice, 'a') IS NOT NULL AS stored;
DELETE FROM oauth_tokens;
RESET ROLE;
SELECT * FROM taken();
ALTER TABLE oauth_tokens DISABLE ROW LEVEL SECURITY;
DROP POLICY own ON oauth_tokens;

-- max_rows, and acknowledging a part, twice, strangers, and for another registration_id.
SELECT count(oauth_store(:'w', 'google', 'user', 'user ' || i, 'a')) FROM generate_series(1, 5) i;
SELECT count(*) FROM oauth_changes_pending(3);
SELECT count(*) FROM oauth_changes_pending(9223372036854775807);
SELECT count(*) FROM oauth_changes_pending(0);
SELECT count(*) FROM oauth_changes_pending(-1);
SELECT count(*) FROM oauth_changes_pending(NULL);
SELECT array_agg(id ORDER BY id DESC) AS two FROM oauth_changes_pending(2) \gset
SELECT oauth_changes_ack(gen_random_uuid(), :'two') IS NULL AS refused;
SELECT oauth_changes_ack(:'registration_id', :'two');
SELECT oauth_changes_ack(:'registration_id', :'two');
SELECT oauth_changes_ack(:'registration_id', '{1,2,3}'), oauth_changes_ack(:'registration_id', '{}');
SELECT oauth_changes_ack(:'registration_id', '{1,NULL}');
SELECT oauth_changes_ack(NULL, '{1}');
SELECT oauth_changes_ack(:'registration_id', NULL);
BEGIN;
SELECT oauth_changes_ack(:'registration_id', array(SELECT id FROM oauth_changes_pending()));
ROLLBACK;
SELECT * FROM taken();

-- A transaction of many invalidations: past 100,000 one for everything.
SELECT count(*) AS before FROM invalidations;
INSERT INTO oauth_tokens (workspace_id, provider, actor_type, actor_id, encrypted_access_token) SELECT :'w', 'many', 'user', i::text, 'x' FROM generate_series(1, 100010) i;
SELECT count(*), count(workspace_id) AS with_identity, count(DISTINCT id) AS ids FROM oauth_changes_pending(200000);
SELECT oauth_changes_ack(:'registration_id', array(SELECT id FROM oauth_changes_pending(200000)));
BEGIN;
DELETE FROM oauth_tokens WHERE provider = 'many' AND actor_id < '9';
SAVEPOINT s;
DELETE FROM oauth_tokens;
ROLLBACK TO s;
DELETE FROM oauth_tokens;
COMMIT;
SELECT count(*) > 0 AS for_everything FROM oauth_changes_pending(200000) WHERE workspace_id IS NULL;
SELECT oauth_changes_ack(:'registration_id', array(SELECT id FROM oauth_changes_pending(200000))) > 0 AS acknowledged;

-- The room of invalidations is used again.
CREATE PROCEDURE come_and_go(rounds integer) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. rounds LOOP
        PERFORM oauth_store('11111111-1111-4111-8111-111111111111', 'google', 'user', 'user ' || j, 'a') FROM generate_series(1, 100) j;
        PERFORM oauth_changes_ack(oauth_tokens_internal.cache_registration_id(), array(SELECT id FROM oauth_changes_pending()));
        COMMIT;
    END LOOP;
END $$;
CALL come_and_go(2);
SELECT pg_relation_size('oauth_tokens_internal.cache_invalidations') AS size \gset
CALL come_and_go(100);
SELECT pg_relation_size('oauth_tokens_internal.cache_invalidations') = :size AS has_not_grown, count(*) FROM invalidations;
-- But where an index would point to it, it is left to VACUUM.
CREATE INDEX one_too_many ON oauth_tokens_internal.cache_invalidations (id);
CALL come_and_go(100);
SELECT pg_relation_size('oauth_tokens_internal.cache_invalidations') > 10 * :size AS has_grown;
DROP INDEX oauth_tokens_internal.one_too_many;
-- What many took is given back, though not in a transaction that goes on.
INSERT INTO oauth_tokens_internal.cache_invalidations SELECT i, :'w', 'g', 'user', repeat('x', 900) FROM generate_series(1, 20000) i;
BEGIN;
SELECT oauth_changes_ack(:'registration_id', array(SELECT id FROM oauth_changes_pending(100000)));
SELECT count(*) FROM pg_locks WHERE relation = 'oauth_tokens_internal.cache_invalidations'::regclass AND mode = 'AccessExclusiveLock';
COMMIT;
SELECT pg_relation_size('oauth_tokens_internal.cache_invalidations') > 8388608 AS still_there;
SELECT oauth_store(:alice, 'a') IS NOT NULL AS stored;
SELECT oauth_changes_ack(:'registration_id', '{}');
SELECT pg_relation_size('oauth_tokens_internal.cache_invalidations') > 8388608 AS still_there, count(*) FROM invalidations;
SELECT oauth_changes_ack(:'registration_id', array(SELECT id FROM oauth_changes_pending()));
SELECT pg_relation_size('oauth_tokens_internal.cache_invalidations') AS size, count(*) FROM invalidations;
-- An identity that only raw SQL can write is recorded as one for everything: with
-- its own, the room of what is stored out of line would never be given back.
INSERT INTO oauth_tokens (workspace_id, provider, actor_type, actor_id, encrypted_access_token) SELECT :'w', 'long', 'user', string_agg(md5(i::text), '') || j, 'x' FROM generate_series(1, 60) i, generate_series(1, 2) j GROUP BY j; SELECT * FROM taken();
SELECT oauth_store(:'w', repeat('p', 255), 'api_key', repeat('a', 1024), 'a') IS NOT NULL AS stored;
SELECT length(actor_id) FROM invalidations; SELECT acknowledged FROM taken();
TRUNCATE oauth_tokens;
SELECT * FROM taken();

-- A column that is not as it must be: everything.
SELECT oauth_store(:alice, 'a') IS NOT NULL AS stored; SELECT * FROM taken();
BEGIN;
UPDATE oauth_tokens SET scopes = 'x';
ALTER TABLE oauth_tokens RENAME actor_id TO actor;
UPDATE oauth_tokens SET scopes = 'x'; SELECT * FROM invalidations;
ROLLBACK;

-- Only where its triggers are: with one of them not firing, no registration
-- counts, and repairing it begins a new one.
ALTER TABLE oauth_tokens DISABLE TRIGGER oauth_cache_invalidate_row;
SELECT oauth_tokens_internal.cache_registration_id() IS NULL AS void, oauth_changes_ack(:'registration_id', '{}') IS NULL AS refused, oauth_tokens_current() IS NULL AS not_whole;
SELECT oauth_cache_register('redis one');
SELECT oauth_tokens_upgrade();
SELECT oauth_tokens_internal.cache_registration_id() IS NULL AS void, oauth_changes_ack(:'registration_id', '{}') IS NULL AS refused;
SELECT oauth_cache_register('redis two') AS registration_id \gset
UPDATE oauth_tokens SET scopes = 'x'; SELECT * FROM taken();
-- Also what is as it was by the time that somebody looks: changes between left no invalidation.
CREATE FUNCTION begun_anew(OUT void boolean, OUT refused boolean, OUT whole boolean) LANGUAGE plpgsql AS $$
BEGIN
    void := oauth_tokens_internal.cache_registration_id() IS NULL;
    refused := oauth_changes_ack(current_setting('regress.registration_id')::uuid, '{}') IS NULL;
    whole := oauth_tokens_current() IS NOT NULL;
    PERFORM set_config('regress.registration_id', oauth_cache_register('redis two')::text, false);
END $$;
SELECT set_config('regress.registration_id', :'registration_id', false) IS NOT NULL AS kept;
BEGIN;
ALTER TABLE oauth_tokens DISABLE TRIGGER oauth_cache_invalidate_row;
UPDATE oauth_tokens SET encrypted_access_token = 'y';
ALTER TABLE oauth_tokens ENABLE ALWAYS TRIGGER oauth_cache_invalidate_row;
COMMIT;
SELECT * FROM begun_anew();
BEGIN;
DROP TRIGGER oauth_cache_invalidate_truncate ON oauth_tokens;
TRUNCATE oauth_tokens;
CREATE TRIGGER oauth_cache_invalidate_truncate AFTER TRUNCATE ON oauth_tokens FOR EACH STATEMENT EXECUTE FUNCTION oauth_tokens_internal.record_change();
ALTER TABLE oauth_tokens ENABLE ALWAYS TRIGGER oauth_cache_invalidate_truncate;
ALTER TRIGGER oauth_cache_invalidate_truncate ON oauth_tokens DEPENDS ON EXTENSION oauth_tokens;
COMMIT;
SELECT * FROM begun_anew();
-- A rewrite fires no trigger.
SELECT oauth_store(:alice, 'a') IS NOT NULL AS stored; SELECT acknowledged FROM taken();
ALTER TABLE oauth_tokens ALTER COLUMN encrypted_access_token TYPE text USING 'y';
SELECT * FROM begun_anew();
BEGIN;
ALTER TABLE oauth_tokens DROP COLUMN scopes CASCADE;
ALTER TABLE oauth_tokens ADD COLUMN scopes text DEFAULT 'everything';
ALTER TABLE oauth_tokens ALTER COLUMN scopes DROP DEFAULT;
SELECT oauth_tokens_internal.cache_registration_id() IS NULL AS void;
ROLLBACK;
SELECT oauth_tokens_internal.cache_registration_id() = current_setting('regress.registration_id')::uuid AS as_before;
-- What changes no token ends nothing.
BEGIN;
ALTER TABLE oauth_tokens DISABLE TRIGGER oauth_cache_invalidate_row;
ROLLBACK;
CREATE INDEX one_more ON oauth_tokens (provider);
ALTER TABLE oauth_tokens SET (fillfactor = 90);
VACUUM FULL oauth_tokens;
VACUUM (FREEZE, ANALYZE) oauth_tokens;
VACUUM (FREEZE) pg_trigger;
VACUUM (FREEZE) pg_attribute;
VACUUM FULL pg_trigger;
VACUUM FULL pg_attribute;
DROP INDEX one_more;
SELECT oauth_tokens_upgrade();
SELECT oauth_tokens_internal.cache_registration_id() = current_setting('regress.registration_id')::uuid AS as_before;
\c -
SELECT oauth_tokens_internal.cache_registration_id() IS NOT NULL AS as_before;
SELECT oauth_tokens_internal.cache_registration_id() AS registration_id \gset
-- Labels that change places give each entry another one's meaning (E24). Also
-- when they are back: what changed meanwhile left no invalidation.
SELECT oauth_tokens_internal.cache_registration_id() AS before \gset
BEGIN;
ALTER TYPE actor_type_enum RENAME VALUE 'user' TO 'x';
ALTER TYPE actor_type_enum RENAME VALUE 'api_key' TO 'user';
ALTER TYPE actor_type_enum RENAME VALUE 'x' TO 'api_key';
COMMIT;
SELECT oauth_tokens_internal.cache_registration_id() IS NULL AS void, oauth_changes_ack(:'before', '{}') IS NULL AS refused;
BEGIN;
ALTER TYPE actor_type_enum RENAME VALUE 'user' TO 'x';
ALTER TYPE actor_type_enum RENAME VALUE 'api_key' TO 'user';
ALTER TYPE actor_type_enum RENAME VALUE 'x' TO 'api_key';
COMMIT;
SELECT oauth_tokens_internal.cache_registration_id() IS NULL AS void;
-- So do columns.
SELECT oauth_cache_register('redis two') AS before \gset
BEGIN;
ALTER TABLE oauth_tokens RENAME provider TO x;
ALTER TABLE oauth_tokens RENAME actor_id TO provider;
ALTER TABLE oauth_tokens RENAME x TO actor_id;
COMMIT;
SELECT oauth_tokens_internal.cache_registration_id() IS NULL AS void;
BEGIN;
ALTER TABLE oauth_tokens RENAME provider TO x;
ALTER TABLE oauth_tokens RENAME actor_id TO provider;
ALTER TABLE oauth_tokens RENAME x TO actor_id;
COMMIT;
SELECT oauth_tokens_internal.cache_registration_id() IS NULL AS void;
SELECT oauth_cache_register('redis two') <> :'before' AS anew;
VACUUM FULL pg_enum;
SELECT oauth_tokens_internal.cache_registration_id() AS registration_id \gset
-- Child tables have no such triggers: nothing may be kept while there are any. What
-- changes in the table itself leaves its invalidations, for the time when they are gone.
CREATE TABLE child () INHERITS (oauth_tokens);
SELECT oauth_tokens_internal.cache_registration_id() IS NULL AS void, cache_id IS NULL AS nobody FROM oauth_tokens_internal.cache_registration();
SELECT oauth_cache_register('redis two');
SELECT oauth_cache_register('redis three');
INSERT INTO child SELECT * FROM oauth_tokens;
UPDATE oauth_tokens SET scopes = 'z'; SELECT * FROM invalidations;
DROP TABLE child;
SELECT oauth_tokens_internal.cache_registration_id() = :'registration_id' AS as_before, count(*) FROM invalidations;
SELECT acknowledged FROM taken();
-- But who was told so is not told otherwise later.
CREATE TABLE child () INHERITS (oauth_tokens);
SELECT oauth_changes_ack(:'registration_id', '{}') IS NULL AS refused;
DROP TABLE child;
SELECT oauth_tokens_internal.cache_registration_id() IS NULL AS void;
SELECT oauth_cache_register('redis two') AS registration_id \gset
CREATE TABLE child () INHERITS (oauth_tokens);
SELECT oauth_cache_unregister('redis two');
DROP TABLE child;
SELECT oauth_cache_register('redis two') AS registration_id \gset
-- Ending a registration waits for nobody and lets nobody wait.
BEGIN;
SELECT oauth_cache_unregister('redis two') AS ended;
SELECT count(*) FROM pg_locks WHERE relation = 'oauth_tokens_internal.cache_invalidations'::regclass AND mode = 'AccessExclusiveLock';
ROLLBACK;
SELECT oauth_tokens_internal.record_change();
CREATE TABLE other (LIKE oauth_tokens);
CREATE TRIGGER t AFTER INSERT ON other FOR EACH ROW EXECUTE FUNCTION oauth_tokens_internal.record_change();
INSERT INTO other SELECT * FROM oauth_tokens;
DROP TABLE other;
CREATE TRIGGER t BEFORE UPDATE ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION oauth_tokens_internal.record_change();
UPDATE oauth_tokens SET scopes = 'y';
DROP TRIGGER t ON oauth_tokens;
CREATE TRIGGER t AFTER UPDATE ON oauth_tokens FOR EACH STATEMENT EXECUTE FUNCTION oauth_tokens_internal.record_change();
UPDATE oauth_tokens SET scopes = 'y';
DROP TRIGGER t ON oauth_tokens;

-- Another table of tokens is another cache's business.
SELECT oauth_tokens_internal.cache_registration_id() = :'registration_id' AS valid;
SELECT oauth_tokens_downgrade(true) AS revision \gset
SELECT oauth_tokens_internal.cache_registration_id() IS NULL AS void;
SELECT oauth_tokens_upgrade() AS revision \gset
SELECT oauth_tokens_internal.cache_registration_id() IS NULL AS void;
SELECT oauth_store(:alice, 'a') IS NOT NULL AS stored;
SELECT count(*) FROM invalidations;
SELECT oauth_cache_register('redis three') AS registration_id \gset

-- Undrained for ten minutes, and what comes then.
UPDATE oauth_tokens_internal.cache_registrations SET acknowledged_at = now() - interval '9 min';
SELECT oauth_store(:alice, 'a') IS NOT NULL AS stored;
SELECT oauth_tokens_internal.cache_registration_id() = :'registration_id' AS valid;
SELECT oauth_changes_ack(:'registration_id', '{}');
SELECT now() - acknowledged_at < interval '1 min' AS renewed FROM oauth_tokens_internal.cache_registrations;
UPDATE oauth_tokens_internal.cache_registrations SET acknowledged_at = now() - interval '2 s' RETURNING acknowledged_at \gset
SELECT oauth_changes_ack(:'registration_id', '{}');
SELECT acknowledged_at > :'acknowledged_at' AS renewed FROM oauth_tokens_internal.cache_registration();
UPDATE oauth_tokens_internal.cache_registrations SET acknowledged_at = now() - interval '11 min';
SELECT oauth_store(:alice, 'a') IS NOT NULL AS stored;
SELECT oauth_tokens_internal.cache_registration_id() IS NULL AS ended, oauth_changes_ack(:'registration_id', '{}') IS NULL AS refused, count(*) FROM invalidations;
SELECT oauth_store(:alice, 'a') IS NOT NULL AS stored;
SELECT count(*) FROM invalidations;
-- A minute, with a million of them or as much room, however lately it was seen; a
-- new registration gives the room back.
SELECT oauth_cache_register('redis three') AS registration_id \gset
INSERT INTO oauth_tokens_internal.cache_invalidations SELECT i, :'w', 'g', 'user', repeat('x', 1900) FROM generate_series(1, 70000) i;
UPDATE oauth_tokens_internal.cache_registrations SET registered_at = now() - interval '50 s';
SELECT oauth_store(:alice, 'a') IS NOT NULL AS stored;
SELECT oauth_tokens_internal.cache_registration_id() = :'registration_id' AS valid;
UPDATE oauth_tokens_internal.cache_registrations SET registered_at = now() - interval '61 s';
SELECT oauth_store(:alice, 'a') IS NOT NULL AS stored;
SELECT oauth_tokens_internal.cache_registration_id() IS NULL AS ended;
SELECT oauth_cache_register('redis three') IS NOT NULL AS registered;
SELECT pg_relation_size('oauth_tokens_internal.cache_invalidations') AS room, count(*) FROM invalidations;
UPDATE oauth_tokens_internal.cache_registrations SET registered_at = now() - interval '61 s', acknowledged_at = now() - interval '61 s';
SELECT oauth_store(:alice, 'a') IS NOT NULL AS stored;
SELECT oauth_tokens_internal.cache_registration_id() IS NOT NULL AS valid;
SELECT oauth_cache_unregister('redis three');
-- A cache that was not seen for 30 s gives way.
SELECT oauth_cache_register('redis three') <> :'registration_id' AS another;
UPDATE oauth_tokens_internal.cache_registrations SET acknowledged_at = now() - interval '29 s';
\set VERBOSITY sqlstate
SELECT oauth_cache_register('redis four');
\set VERBOSITY default
UPDATE oauth_tokens_internal.cache_registrations SET acknowledged_at = now() - interval '31 s';
SELECT oauth_cache_register('redis four') IS NOT NULL AS registered;

-- Waiting.
SELECT oauth_changes_wait(NULL);
SELECT oauth_changes_wait('-1 ms');
SELECT oauth_changes_wait('0') IS NOT NULL AS the_first_time;
SELECT oauth_changes_wait('10 ms');
SELECT oauth_store(:alice, 'a') IS NOT NULL AS stored;
SELECT oauth_changes_wait();
SELECT oauth_changes_wait('10 ms');
DO $$ DECLARE began timestamptz := clock_timestamp(); BEGIN PERFORM oauth_changes_wait('1 day'); RAISE NOTICE '%', clock_timestamp() - began < interval '1 min'; END $$;

-- One row of oauth_connections, like the view's.
SELECT oauth_store(:'w', 'google', CASE i % 2 WHEN 0 THEN 'user' ELSE 'api_key' END, 'user ' || i, 'a', CASE i % 3 WHEN 0 THEN 'r' END, now() + interval '1 h' * (i % 2 * 2 - 1), CASE i % 5 WHEN 0 THEN 'x y' END,
    details => CASE i % 4 WHEN 0 THEN jsonb_build_object('account_id', i::text, 'extra', jsonb_build_object('k', i)) END) IS NOT NULL AS stored FROM generate_series(0, 20) i GROUP BY 1;
SELECT count(*), count(c.details) AS with_details, count(DISTINCT c.state) AS states, bool_and((v.state, v.scopes, v.has_refresh_token, v.expires_at, v.details, v.created_at, v.updated_at) IS NOT DISTINCT FROM (c.state, c.scopes, c.has_refresh_token, c.expires_at, c.details, c.created_at, c.updated_at)) AS the_same
FROM oauth_connections v LEFT JOIN LATERAL oauth_tokens_internal.connection(v.workspace_id, v.provider, v.actor_type, v.actor_id) c ON true;
SELECT count(*) FROM oauth_tokens_internal.connection(:'w', 'google', 'user', 'nobody');
SELECT count(*) FROM oauth_tokens_internal.connection(:'w', 'google', NULL, 'user 1');
SELECT * FROM oauth_tokens_internal.connection(:'w', 'google', 'team', 'user 1');
SET client_min_messages = warning;
SELECT oauth_tokens_grant('regress_writer', 'reader');
RESET client_min_messages;
ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON oauth_tokens TO regress_writer USING (actor_id = 'user 2');
SET ROLE regress_writer;
SELECT u.actor_id, c.has_refresh_token FROM (VALUES ('user 2'), ('user 4')) u (actor_id), oauth_tokens_internal.connection(:'w', 'google', 'user', u.actor_id) c;
RESET ROLE;

SET client_min_messages = warning;
DROP OWNED BY regress_writer;
DROP ROLE regress_writer;
SELECT oauth_tokens_downgrade(true) AS revision \gset
DROP VIEW invalidations CASCADE;
DROP FUNCTION taken, begun_anew;
DROP PROCEDURE come_and_go;
DROP EXTENSION oauth_tokens;
DROP TYPE actor_type_enum;
