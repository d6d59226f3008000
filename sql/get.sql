-- oauth_get and oauth_access_token: one row or none, wherever a query may stand.

SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
SELECT oauth_tokens_upgrade() AS revision \gset
RESET client_min_messages;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
\set w '11111111-1111-4111-8111-111111111111'
\set alice '''11111111-1111-4111-8111-111111111111'', ''google'', ''user'', ''alice'''
\set key 'cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4='
SELECT count(oauth_store(w::uuid, p, t, a, concat_ws(' ', 'access', p, t, a), 'refresh', expires_at => '2031-02-03 04:05:06', scopes => 'mail'))
FROM (VALUES (:'w', 'google', 'user', 'alice'), (:'w', 'google', 'api_key', 'alice'), (:'w', 'microsoft', 'user', 'alice'),
    (:'w', 'google', 'user', 'bob'), ('22222222-2222-4222-8222-222222222222', 'google', 'user', 'alice')) t (w, p, t, a);

-- One row or none.
SELECT access_token, refresh_token, scopes, expires_at, updated_at > now() - interval '1 min' AS updated FROM oauth_get(:alice);
SELECT access_token FROM oauth_get(:'w', 'google', 'api_key', 'alice');
SELECT oauth_access_token(:alice), oauth_access_token(:'w', 'microsoft', 'user', 'alice', min_ttl => '1 day');
SELECT count(*) FROM oauth_get(:'w', 'yahoo', 'user', 'alice');
SELECT count(*) FROM oauth_get(:'w', 'GOOGLE', 'user', 'alice');
SELECT count(*) FROM oauth_get(:'w', '', 'user', '');
SELECT count(*) FROM oauth_get(:'w', repeat('google', 100), 'user', repeat('alice', 100000));
SELECT count(*) FROM oauth_get('33333333-3333-4333-8333-333333333333', 'google', 'user', 'alice');
SELECT oauth_access_token(:'w', 'google', 'user', 'nobody') IS NULL AS none;
-- Nothing for a null argument, as in a join.
SELECT count(*) FROM oauth_get(NULL, 'google', 'user', 'alice');
SELECT count(*) FROM oauth_get(:'w', NULL, 'user', 'alice');
SELECT count(*) FROM oauth_get(:'w', 'google', NULL, 'alice');
SELECT count(*) FROM oauth_get(:'w', 'google', NULL::actor_type_enum, 'alice');
SELECT count(*) FROM oauth_get(:'w', 'google', 'user', NULL);
SELECT oauth_access_token(NULL, 'google', 'user', 'alice') IS NULL AS workspace, oauth_access_token(:'w', 'google', 'user', NULL) IS NULL AS actor,
    oauth_access_token(:alice, NULL) IS NULL AS min_ttl;
\set VERBOSITY sqlstate
SELECT * FROM oauth_get(:'w', 'google', 'robot', 'alice');
SELECT * FROM oauth_get(:'w', 'google', '', 'alice');
SELECT oauth_access_token(:'w', 'google', 'robot', 'alice');
SELECT * FROM oauth_get('no uuid', 'google', 'user', 'alice');
SELECT * FROM oauth_get(:'w'::text, 'google', 'user', 'alice');
SELECT * FROM oauth_get(:'w', 'google', 'user');
\set VERBOSITY default

-- In every kind of query.
CREATE TEMP TABLE users (workspace uuid, name text, type text);
INSERT INTO users VALUES (:'w', 'alice', 'user'), (:'w', 'bob', 'user'), (:'w', 'carol', 'user'), (:'w', 'alice', 'api_key'), (NULL, 'alice', 'user'), (:'w', NULL, 'user');
SELECT u.name, u.type, g.access_token FROM users u, LATERAL oauth_get(u.workspace, 'google', u.type, u.name) g ORDER BY 1, 2;
SELECT u.name, u.type, g.access_token FROM users u LEFT JOIN LATERAL oauth_get(u.workspace, 'google', u.type, u.name) g ON true
ORDER BY u.workspace, 1, 2;
SELECT name, oauth_access_token(workspace, 'google', type, name) FROM users WHERE type = 'user' ORDER BY workspace, name;
SELECT name FROM users u WHERE EXISTS (SELECT FROM oauth_get(u.workspace, 'google', u.type, u.name)) ORDER BY 1;
SELECT (oauth_get(:alice)).refresh_token, (oauth_get(:alice)).scopes;
SELECT name, (SELECT scopes FROM oauth_get(workspace, 'google', type, name)) FROM users ORDER BY workspace, name, type LIMIT 2;
SELECT access_token, ordinality, n FROM ROWS FROM (oauth_get(:alice), generate_series(1, 2)) WITH ORDINALITY g (access_token, refresh_token, scopes, expires_at, updated_at, n, ordinality);
SELECT access_token FROM oauth_get(:alice) UNION ALL SELECT access_token FROM oauth_get(:'w', 'google', 'user', 'bob');
BEGIN READ ONLY;
SELECT access_token FROM oauth_get(:alice);
SELECT oauth_access_token(:alice);
DECLARE there SCROLL CURSOR FOR SELECT n, access_token FROM generate_series(1, 2) n, oauth_get(:alice);
FETCH ALL FROM there;
FETCH BACKWARD ALL FROM there;
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE;
SELECT access_token FROM oauth_get(:alice);
COMMIT;
DO $$
DECLARE r record; t text;
BEGIN
    FOR r IN SELECT * FROM oauth_get('11111111-1111-4111-8111-111111111111', 'google', 'user', 'alice') LOOP
        t := oauth_access_token('11111111-1111-4111-8111-111111111111', 'google', 'user', 'bob', interval '1 h');
        RAISE NOTICE '%, %, %', r.access_token, r.expires_at, t;
    END LOOP;
END $$;
-- More than a megabyte of tokens in one result.
SELECT count(oauth_store(:'w', 'google', 'user', 'long ' || n, repeat(chr(64 + n), 65536), repeat(chr(96 + n), 65536))) FROM generate_series(1, 12) n;
SELECT count(*), bool_and(access_token = repeat(chr(64 + n), 65536) AND refresh_token = repeat(chr(96 + n), 65536)) AS whole
FROM generate_series(1, 12) n, oauth_get(:'w', 'google', 'user', 'long ' || n);

-- actor_type in every form; never another token, whatever the plan.
CREATE TYPE other_enum AS ENUM ('robot', 'api_key', 'user');
SELECT access_token FROM oauth_get(:'w', 'google', 'user'::text, 'alice');
SELECT access_token FROM oauth_get(:'w', 'google', 'api_key'::actor_type_enum, 'alice');
SELECT access_token FROM oauth_get(:'w', 'google', 'api_key'::other_enum, 'alice');
SELECT oauth_access_token(:'w', 'google', 'user'::other_enum, 'alice'), oauth_access_token(:'w', 'google', 'api_key'::varchar, 'alice');
SELECT g.access_token FROM oauth_tokens t, oauth_get(t.workspace_id, t.provider, t.actor_type, t.actor_id) g WHERE t.actor_id !~ 'long' ORDER BY t.workspace_id, 1;
PREPARE chosen AS SELECT access_token FROM oauth_get($1, $2, $3, $4);
PREPARE unknown (unknown, unknown, unknown, unknown) AS SELECT access_token FROM oauth_get($1, $2, $3, $4);
PREPARE enum (uuid, text, other_enum, text) AS SELECT access_token FROM oauth_get($1, $2, $3, $4);
PREPARE access AS SELECT oauth_access_token($1, $2, $3, $4, $5);
SELECT name, parameter_types FROM pg_prepared_statements ORDER BY name;
EXECUTE chosen (:alice);
SET plan_cache_mode = force_generic_plan;
EXECUTE chosen (:alice);
EXECUTE chosen (:'w', 'google', 'api_key', 'alice');
EXECUTE unknown (:alice);
EXECUTE enum (:alice);
EXECUTE access (:alice, '0');
EXECUTE access (:'w', 'google', 'user', 'bob', '1 h');
EXECUTE chosen (:'w', 'google', 'robot', 'alice');
\set VERBOSITY sqlstate
EXECUTE unknown (:'w', 'google', 'robot', 'alice');
EXECUTE enum (:'w', 'google', 'robot', 'alice');
EXECUTE access (:'w', 'google', 'robot', 'alice', '0');
\set VERBOSITY default
RESET plan_cache_mode;
DEALLOCATE ALL;
DROP TYPE other_enum;

-- How long a token must still live. An unknown expiry satisfies any; a token
-- that expires now is no good; another writer of the table may have written infinity.
SELECT count(oauth_store(:'w', 'ttl', 'user', name, 'token', expires_at => now() + span))
FROM (VALUES ('unknown', NULL::interval), ('in an hour', '1 h'), ('now', '0'), ('in 1985', '-40 years'), ('in a century', '100 years'),
    ('in infinity', NULL), ('in -infinity', NULL)) t (name, span);
UPDATE oauth_tokens SET access_token_expires_at = substr(actor_id, 4)::timestamp WHERE actor_id ~ 'infinity';
SELECT actor_id AS expires, oauth_access_token(:'w', 'ttl', 'user', actor_id) AS now, oauth_access_token(:'w', 'ttl', 'user', actor_id, '59 min') AS "59 min",
    oauth_access_token(:'w', 'ttl', 'user', actor_id, '1 h') AS "1 h", oauth_access_token(:'w', 'ttl', 'user', actor_id, '1 month -30 days 1 min') AS "1 min",
    oauth_access_token(:'w', 'ttl', 'user', actor_id, '1 year') AS "1 year", oauth_access_token(:'w', 'ttl', 'user', actor_id, '250000 years') AS "250000 years",
    (SELECT count(*) FROM oauth_get(:'w', 'ttl', 'user', actor_id)) AS got
FROM oauth_tokens WHERE provider = 'ttl' ORDER BY access_token_expires_at;
SELECT expires_at FROM oauth_get(:'w', 'ttl', 'user', 'in infinity') UNION ALL SELECT expires_at FROM oauth_get(:'w', 'ttl', 'user', 'in -infinity');
-- By the clock, not by the start of the transaction.
BEGIN;
SELECT oauth_store(:'w', 'ttl', 'user', 'soon', 'token', expires_at => clock_timestamp() + '10 ms') IS NOT NULL AS stored;
SELECT pg_sleep(0.02);
SELECT oauth_access_token(:'w', 'ttl', 'user', 'soon') IS NULL AS expired;
COMMIT;
SELECT oauth_access_token(:alice, '-1 s');
SELECT oauth_access_token(:alice, '178000000 years');
\set VERBOSITY sqlstate
SELECT oauth_access_token(:alice, '1 day -24:00:01');
SELECT oauth_access_token(:'w', 'google', 'user', 'nobody', '-1 s');
SELECT oauth_access_token(:alice, 'no interval');
\set VERBOSITY default

-- Damage: the error names the identity and the column, never a byte.
SELECT count(oauth_store(:'w', 'damaged', 'user', name, 'access', 'refresh')) FROM (VALUES ('access'), ('refresh'), ('both'), ('nul'), ('not UTF-8')) t (name);
UPDATE oauth_tokens SET encrypted_access_token = 'gAAAAsentinel' WHERE provider = 'damaged' AND actor_id IN ('access', 'both');
UPDATE oauth_tokens SET encrypted_refresh_token = fernet_encrypt('sentinel', fernet_generate_key()) WHERE provider = 'damaged' AND actor_id IN ('refresh', 'both');
UPDATE oauth_tokens SET encrypted_access_token = 'gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy2t4fhiU-vAJ-SSAq9YH6Zc4RG7yofubl-J4zF5o9YtIfWG0-iwpSgZYPBAByquOQ==' WHERE actor_id = 'nul';
UPDATE oauth_tokens SET encrypted_refresh_token = 'gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0OD8SPKj17qJRqqeTxS9jN762PCetkhOeUnGPI-luxsbbdCAF-Pzmh141wMyh5osRWtA==' WHERE actor_id = 'not UTF-8';
SELECT * FROM oauth_get(:'w', 'damaged', 'user', 'access');
SELECT oauth_access_token(:'w', 'damaged', 'user', 'access');
SELECT * FROM oauth_get(:'w', 'damaged', 'user', 'refresh');
SELECT * FROM oauth_get(:'w', 'damaged', 'user', 'nul');
SELECT * FROM oauth_get(:'w', 'damaged', 'user', 'not UTF-8');
\set VERBOSITY sqlstate
SELECT * FROM oauth_get(:'w', 'damaged', 'user', 'both');
SELECT oauth_access_token(:'w', 'damaged', 'user', 'nul');
SELECT * FROM oauth_tokens t, oauth_get(t.workspace_id, t.provider, t.actor_type, t.actor_id) WHERE t.provider = 'damaged';
\set VERBOSITY default
-- The refresh token is no business of these.
SELECT oauth_access_token(:'w', 'damaged', 'user', 'refresh'), oauth_access_token(:'w', 'damaged', 'user', 'not UTF-8');
-- A damaged token that has expired is not opened at all.
UPDATE oauth_tokens SET access_token_expires_at = '1985-10-26' WHERE provider = 'damaged' AND actor_id = 'access';
SELECT oauth_access_token(:'w', 'damaged', 'user', 'access') IS NULL AS expired;
-- Storing anew repairs.
SELECT oauth_store(:'w', 'damaged', 'user', 'both', 'anew', 'and this') IS NOT NULL AS stored;
SELECT access_token, refresh_token FROM oauth_get(:'w', 'damaged', 'user', 'both');
-- A bad value of another row harms nobody.
SELECT access_token FROM oauth_get(:alice);

-- The two functions of a value at its place tell of it in the same words.
SELECT oauth_decrypt(oauth_encrypt('placed', :alice, 'encrypted_access_token'), :alice, 'encrypted_access_token');
SELECT oauth_decrypt(oauth_encrypt('placed', :'w', 'google', 'user'::actor_type_enum, 'alice', 'encrypted_refresh_token'),
    :'w', 'google', 'user'::actor_type_enum, 'alice', 'encrypted_refresh_token');
SELECT oauth_encrypt('placed', :'w', 'google', 'user', NULL, 'encrypted_access_token') IS NULL AS nothing;
SELECT oauth_decrypt('sentinel', :alice, 'encrypted_refresh_token');
SELECT oauth_encrypt('sentinel', :alice, 'access_token');
\set VERBOSITY sqlstate
SELECT oauth_decrypt('sentinel', :alice, '');
SELECT oauth_encrypt('sentinel', :'w', 'google', 'robot', 'alice', 'encrypted_access_token');
SELECT oauth_encrypt('', :alice, 'encrypted_access_token');
SELECT oauth_encrypt(repeat('x', 65537), :alice, 'encrypted_access_token');
\set VERBOSITY default

-- A label that was found is looked up again if the enum has changed, and if that was rolled back.
ALTER TYPE actor_type_enum RENAME VALUE 'user' TO 'person';
\set VERBOSITY sqlstate
SELECT access_token FROM oauth_get(:alice);
\set VERBOSITY default
ALTER TYPE actor_type_enum RENAME VALUE 'api_key' TO 'user';
SELECT access_token FROM oauth_get(:alice);
BEGIN;
ALTER TYPE actor_type_enum RENAME VALUE 'user' TO 'api_key';
ALTER TYPE actor_type_enum RENAME VALUE 'person' TO 'user';
SELECT access_token FROM oauth_get(:alice);
ROLLBACK;
SELECT access_token FROM oauth_get(:alice);
ALTER TYPE actor_type_enum RENAME VALUE 'user' TO 'api_key';
ALTER TYPE actor_type_enum RENAME VALUE 'person' TO 'user';
SELECT access_token FROM oauth_get(:alice);

SET client_min_messages = warning;
SELECT oauth_tokens_downgrade(discard_tokens => true) AS revision \gset
DROP EXTENSION oauth_tokens;
DROP TYPE actor_type_enum;
