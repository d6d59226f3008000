-- oauth_connections, oauth_tokens_decrypted, oauth_tokens_damaged() and
-- oauth_key_usage.

SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
SELECT oauth_tokens_upgrade() AS revision \gset
RESET client_min_messages;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
\set w '11111111-1111-4111-8111-111111111111'
\set v '22222222-2222-4222-8222-222222222222'
\set alice '''11111111-1111-4111-8111-111111111111'', ''google'', ''user'', ''alice'''
\set key 'cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4='
\d oauth_connections
\d oauth_tokens_decrypted
\d oauth_key_usage

-- Empty: no rows, but the key is there.
SELECT count(*) FROM oauth_connections;
SELECT count(*) FROM oauth_tokens_decrypted;
SELECT count(*) FROM oauth_tokens_damaged();
SELECT fingerprint = left(encode(sha256(:'key'), 'hex'), 16) AS fingerprint_of_key, "position", "values", oldest FROM oauth_key_usage;

-- oauth_connections: state, details, no secret.
SELECT count(oauth_store(:'w', 'google', type, name, 'sentinel', refresh, expires_at, 'mail', details => details::jsonb))
FROM (VALUES ('user', 'refreshable', 'sentinel', '1985-10-26'::timestamptz, '{"account_id": "1", "lifetime": 3600}'), ('user', 'expired', NULL, '1985-10-26', NULL),
    ('user', 'alive', NULL, '2131-01-01', '{}'), ('api_key', 'unknown', NULL, NULL, '{"extra": {"null": null}}')) t (type, name, refresh, expires_at, details);
SELECT workspace_id = :'w' AS workspace, provider, actor_type, actor_id, scopes, has_refresh_token, expires_at, state, details - 'connected_at' AS details,
    created_at = updated_at AND updated_at > now() - interval '1 min' AS times FROM oauth_connections ORDER BY actor_id;
SELECT count(*) FROM oauth_connections c WHERE c::text ~ 'sentinel|gAAAA';
SET quote_all_identifiers = on; -- the schema has its name all the same
SELECT count(*) > 0 AS read FROM oauth_connections;
RESET quote_all_identifiers;
SELECT id IS NOT NULL AS id, actor_type, actor_id, scopes, access_token, refresh_token, expires_at, created_at = updated_at AS times
FROM oauth_tokens_decrypted ORDER BY actor_id;

-- Damaged values: each is found, whatever is wrong with it; a scan of the view
-- ends at one, and reaches none that its condition leaves out.
SELECT count(oauth_store(:'v', 'google', 'user', name, 'access', 'refresh'))
FROM (VALUES ('garbage'), ('empty'), ('other key'), ('both'), ('nul'), ('bytes'), ('padding'), ('good')) t (name);
UPDATE oauth_tokens SET encrypted_access_token = 'sentinel' WHERE actor_id IN ('garbage', 'both');
UPDATE oauth_tokens SET encrypted_refresh_token = '' WHERE actor_id IN ('empty', 'both');
UPDATE oauth_tokens SET encrypted_access_token = fernet_encrypt('sentinel', fernet_generate_key()) WHERE actor_id = 'other key';
UPDATE oauth_tokens SET encrypted_refresh_token = 'gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy2t4fhiU-vAJ-SSAq9YH6Zc4RG7yofubl-J4zF5o9YtIfWG0-iwpSgZYPBAByquOQ==' WHERE actor_id = 'nul';
UPDATE oauth_tokens SET encrypted_access_token = 'gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0OD8SPKj17qJRqqeTxS9jN762PCetkhOeUnGPI-luxsbbdCAF-Pzmh141wMyh5osRWtA==' WHERE actor_id = 'bytes';
UPDATE oauth_tokens SET encrypted_access_token = 'gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0ODz4LEpdELGQAad7aNEHbf-JkLPIpuiYRLQ3RtXatOYREu2FWke6CnJNYIbkuKNqOhw==' WHERE actor_id = 'padding';
SELECT workspace_id = :'v' AS workspace, provider, actor_type, actor_id, "column" FROM oauth_tokens_damaged() ORDER BY 4, 5;
SELECT d."column", t.id IS NOT NULL AS row FROM oauth_tokens_damaged() d JOIN oauth_tokens t ON t.actor_type::text = d.actor_type AND t.actor_id = d.actor_id
WHERE d.actor_id = 'both' ORDER BY 1;
\set VERBOSITY sqlstate
SELECT count(access_token), count(refresh_token) FROM oauth_tokens_decrypted;
SELECT count(refresh_token) FROM oauth_tokens_decrypted WHERE actor_id = 'nul';
\set VERBOSITY default
SELECT access_token, refresh_token FROM oauth_tokens_decrypted WHERE actor_id = 'garbage';
SELECT count(access_token) FROM oauth_tokens_decrypted WHERE workspace_id = :'w';
SELECT access_token FROM oauth_tokens_decrypted WHERE actor_id = 'nul';
SELECT count(*) FROM oauth_tokens_decrypted;
SELECT count(*), count(*) FILTER (WHERE has_refresh_token) AS with_refresh_token FROM oauth_connections WHERE workspace_id = :'v';

-- Key usage: what no key opens is counted apart. By the MAC alone, so that what
-- opens, but not to a text, is counted with its key.
UPDATE oauth_tokens SET encrypted_access_token = 'gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==' WHERE actor_id = 'alive';
SELECT fingerprint IS NOT NULL AS known, "position", "values", oldest FROM oauth_key_usage ORDER BY "position";
SELECT (SELECT sum("values") FROM oauth_key_usage) = count(encrypted_access_token) + count(encrypted_refresh_token) AS all_values FROM oauth_tokens;

-- E3: a function in WHERE that costs nothing sees no row that a policy hides,
-- and no token of a row that the query leaves out.
CREATE ROLE regress_reader;
CREATE ROLE regress_admin;
SELECT oauth_tokens_grant('regress_reader', 'reader'), oauth_tokens_grant('regress_admin', 'admin');
ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON oauth_tokens USING (workspace_id = '11111111-1111-4111-8111-111111111111');
CREATE FUNCTION leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'seen: %', $1; RETURN true; END $$;
-- What this sees is sorted: joins have an order of their own.
CREATE FUNCTION note(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN
    PERFORM set_config('leak.seen', concat_ws(' ', nullif(current_setting('leak.seen', true), ''), $1), false); RETURN true; END $$;
CREATE FUNCTION noted() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(n, ' ' ORDER BY n COLLATE "C") FROM string_to_table(current_setting('leak.seen'), ' ') n $$;
SET ROLE regress_reader;
SELECT count(*) FROM oauth_connections WHERE note(actor_id);
SELECT noted();
SET leak.seen = '';
SET ROLE regress_admin;
SELECT count(*) FROM oauth_connections WHERE note(actor_id) AND actor_id = 'alive';
SELECT noted();
SELECT count(*) FROM oauth_tokens_decrypted WHERE leak(access_token) AND workspace_id = '33333333-3333-4333-8333-333333333333';
SELECT count(access_token) FROM oauth_tokens_decrypted WHERE leak(actor_id);
RESET ROLE;
-- The condition on workspace_id, which is leakproof, goes below the barrier.
SELECT count(*) FROM oauth_tokens_decrypted WHERE leak(access_token) AND workspace_id = :'w';
DROP POLICY mine ON oauth_tokens;
ALTER TABLE oauth_tokens DISABLE ROW LEVEL SECURITY;
DROP FUNCTION leak, note, noted;
SELECT oauth_tokens_revoke('regress_reader', 'reader'), oauth_tokens_revoke('regress_admin', 'admin');
REVOKE ALL ON SCHEMA public FROM regress_reader, regress_admin;
DROP ROLE regress_reader, regress_admin;

-- A scan in parallel, with the same result.
CREATE FUNCTION pg_temp.plan_has(node text, query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line ~ node THEN RETURN true; END IF;
    END LOOP;
    RETURN false;
END $$;
DELETE FROM oauth_tokens;
SELECT count(oauth_store(:'w', 'google', 'user', 'user ' || n, 'access ' || n, 'refresh ' || n)) FROM generate_series(1, 2000) n;
ANALYZE oauth_tokens;
SELECT count(*), md5(string_agg(access_token || refresh_token, ',' ORDER BY actor_id)) AS digest FROM oauth_tokens_decrypted \gset serial_
SELECT pg_temp.plan_has('Index Scan|Bitmap', $$SELECT * FROM oauth_tokens_decrypted WHERE workspace_id = '33333333-3333-4333-8333-333333333333'$$) AS by_index,
    pg_temp.plan_has('Function Scan', 'SELECT * FROM oauth_connections') AS call;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SELECT pg_temp.plan_has('Gather', 'SELECT count(access_token) FROM oauth_tokens_decrypted') AND
    pg_temp.plan_has('Parallel Seq Scan', 'SELECT count(access_token) FROM oauth_tokens_decrypted') AS decrypted_in_parallel,
    pg_temp.plan_has('Gather', 'SELECT count(*) FROM oauth_connections WHERE scopes IS NULL') AS connections_in_parallel,
    pg_temp.plan_has('Gather', 'SELECT count(g.access_token) FROM oauth_tokens t, oauth_get(t.workspace_id, t.provider, t.actor_type, t.actor_id) g') AS get_in_parallel,
    pg_temp.plan_has('Gather', 'SELECT count(oauth_store(workspace_id, provider, actor_type, actor_id, ''x'')) FROM oauth_tokens') AS store_in_parallel;
SELECT count(*) = :serial_count AND md5(string_agg(access_token || refresh_token, ',' ORDER BY actor_id)) = :'serial_digest' AS the_same FROM oauth_tokens_decrypted;
SELECT count(*) = :serial_count AND md5(string_agg(g.access_token || g.refresh_token, ',' ORDER BY t.actor_id)) = :'serial_digest' AS the_same
FROM oauth_tokens t, oauth_get(t.workspace_id, t.provider, t.actor_type, t.actor_id) g;
SELECT "values" FROM oauth_key_usage;
-- An error in a worker is an error of the query.
UPDATE oauth_tokens SET encrypted_refresh_token = 'sentinel' WHERE actor_id = 'user 1234';
SET parallel_leader_participation = off;
\set VERBOSITY sqlstate
SELECT count(refresh_token) FROM oauth_tokens_decrypted;
\set VERBOSITY default
SELECT actor_id, "column" FROM oauth_tokens_damaged();
RESET ALL;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';

-- The owner may alter and drop the table beneath the views, which follow.
DELETE FROM oauth_tokens;
SELECT oauth_store(:alice, 'access', expires_at => '2031-02-03 04:05:06') IS NOT NULL AS stored;
ALTER TABLE oauth_tokens ADD COLUMN note text DEFAULT 'x';
ALTER TABLE oauth_tokens ALTER COLUMN access_token_expires_at TYPE timestamptz USING access_token_expires_at AT TIME ZONE 'UTC';
SELECT access_token, expires_at FROM oauth_tokens_decrypted;
SELECT actor_id, expires_at FROM oauth_connections;
ALTER TABLE oauth_tokens RENAME COLUMN scopes TO scope;
\set VERBOSITY sqlstate
SELECT count(*) FROM oauth_connections;
\set VERBOSITY default
ALTER TABLE oauth_tokens RENAME COLUMN scope TO scopes;
DROP TABLE oauth_tokens;
\set VERBOSITY sqlstate
SELECT count(*) FROM oauth_connections;
\set VERBOSITY default
SELECT oauth_tokens_upgrade();
SELECT count(*) FROM oauth_connections;
SELECT count(*) FROM oauth_tokens_decrypted;
-- The views are views: nobody writes through them.
\set VERBOSITY sqlstate
INSERT INTO oauth_tokens_decrypted (actor_id) VALUES ('sentinel');
UPDATE oauth_connections SET scopes = 'sentinel';
DELETE FROM oauth_tokens_decrypted;
\set VERBOSITY default

SET client_min_messages = warning;
SELECT oauth_tokens_downgrade(discard_tokens => true) AS revision \gset
DROP EXTENSION oauth_tokens;
DROP TYPE actor_type_enum;
