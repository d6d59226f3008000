-- oauth_tokens.key_binding: a value that is bound opens in its row and column only. This server
-- has one key; with several, see the end-to-end tests.

SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
SELECT oauth_tokens_upgrade() AS revision \gset
RESET client_min_messages;
\set w '11111111-1111-4111-8111-111111111111'
\set v '22222222-2222-4222-8222-222222222222'
\set key 'cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4='
\set alice '''11111111-1111-4111-8111-111111111111'', ''google'', ''user'', ''alice'''
\set bob '''22222222-2222-4222-8222-222222222222'', ''microsoft'', ''api_key'', ''bob'''
-- What a statement says: its result, or its SQLSTATE.
CREATE FUNCTION pg_temp.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
    EXECUTE statement INTO result;
    RETURN coalesce(result, 'nothing');
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE;
END $$;
CREATE FUNCTION pg_temp.sealed() RETURNS TABLE (actor_id text, access text, refresh text) LANGUAGE sql AS $$
    SELECT actor_id, CASE WHEN oauth_tokens_internal.is_shared(encrypted_access_token) THEN 'shared' ELSE 'bound' END,
        CASE WHEN oauth_tokens_internal.is_shared(encrypted_refresh_token) THEN 'shared' WHEN encrypted_refresh_token IS NOT NULL THEN 'bound' END
    FROM oauth_tokens ORDER BY 1 $$;
CREATE FUNCTION pg_temp.times() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(actor_id || updated_at || fernet_timestamp(encrypted_access_token) || coalesce(fernet_timestamp(encrypted_refresh_token)::text, ''), '|' ORDER BY actor_id)
    FROM oauth_tokens $$;

-- The documented derivation: a value that another program has sealed (docs/keys.md has the vector).
\set jose '''11111111-1111-4111-8111-111111111111'', ''google'', ''user'', ''José'''
\set jose_key 'nfk1A16gClDJUOFfr13rMZt_bgf8oWrxj51OSCchNXQ='
SET oauth_tokens.key_binding = bound;
SELECT oauth_decrypt(fernet_encrypt('token of José', :'jose_key'), :jose, 'encrypted_access_token');
SELECT fernet_decrypt(oauth_encrypt('of José', :jose, 'encrypted_access_token'), :'jose_key');
SELECT oauth_decrypt(fernet_encrypt('token of José', :'jose_key'), :jose, 'encrypted_refresh_token');

-- By each mode, which form is written and which one opens.
CREATE TEMP TABLE written (mode text, token text);
\set statement 'INSERT INTO written SELECT current_setting(''oauth_tokens.key_binding''), oauth_encrypt(''t'', :alice, ''encrypted_access_token'')'
:statement;
SET oauth_tokens.key_binding = migrating;
:statement;
SET oauth_tokens.key_binding = shared;
:statement;
SELECT mode, oauth_tokens_internal.is_shared(token) AS shared FROM written ORDER BY 1;
CREATE FUNCTION pg_temp.opens() RETURNS TABLE (written text, opened text, "one argument" text) LANGUAGE sql AS $$
    SELECT mode, pg_temp.try(format('SELECT oauth_decrypt(%L, ''11111111-1111-4111-8111-111111111111'', ''google'', ''user'', ''alice'', ''encrypted_access_token'')', token)),
        pg_temp.try(format('SELECT oauth_decrypt(%L)', token))
    FROM written ORDER BY 1 $$;
SELECT * FROM pg_temp.opens();
SET oauth_tokens.key_binding = migrating;
SELECT * FROM pg_temp.opens();
SET oauth_tokens.key_binding = bound;
SELECT * FROM pg_temp.opens();
SELECT oauth_encrypt('t');
SELECT oauth_decrypt('t');
SELECT oauth_encrypt('t', :alice, 'encrypted_access_token') LIKE 'gAAAA%' AS fernet;
RESET oauth_tokens.key_binding;
SELECT oauth_decrypt(oauth_encrypt('t'));
-- Only a superuser may go back to shared.
CREATE ROLE regress_bound;
SET ROLE regress_bound;
SET oauth_tokens.key_binding = shared;
RESET ROLE;
DROP ROLE regress_bound;
SET oauth_tokens.key_binding = none;

-- E15: pasted into another row, tenant, actor, provider or column, under each mode. `shared`
-- shows that the attack works, and so that this test can fail.
CREATE FUNCTION pg_temp.paste(mode text) RETURNS TABLE (place text, access text, refresh text, damaged bigint) LANGUAGE plpgsql AS $$
DECLARE
    theirs record;
    target record;
    mine text;
BEGIN
    PERFORM set_config('oauth_tokens.key_binding', mode, false);
    DELETE FROM oauth_tokens;
    PERFORM oauth_store('11111111-1111-4111-8111-111111111111', 'google', 'user', 'victim', 'their access', 'their refresh');
    SELECT * INTO theirs FROM oauth_tokens;
    FOR target IN VALUES ('row', '11111111-1111-4111-8111-111111111111'::uuid, 'google', 'user', 'mallory'), ('tenant', '22222222-2222-4222-8222-222222222222', 'google', 'user', 'victim'),
        ('provider', '11111111-1111-4111-8111-111111111111', 'googl', 'user', 'victim'), ('actor type', '11111111-1111-4111-8111-111111111111', 'google', 'api_key', 'victim'),
        ('moved border', '11111111-1111-4111-8111-111111111111', 'googleuser', 'user', 'victim'), ('column', '11111111-1111-4111-8111-111111111111', 'google', 'user', 'column')
    LOOP
        PERFORM oauth_store(target.column2, target.column3, target.column4, target.column5, 'mine', 'mine');
        IF target.column1 = 'column' THEN
            UPDATE oauth_tokens SET encrypted_access_token = encrypted_refresh_token, encrypted_refresh_token = encrypted_access_token WHERE actor_id = 'column';
        ELSE
            UPDATE oauth_tokens SET encrypted_access_token = theirs.encrypted_access_token, encrypted_refresh_token = theirs.encrypted_refresh_token
            WHERE (workspace_id, provider, actor_type::text, actor_id) = (target.column2, target.column3, target.column4, target.column5);
        END IF;
        mine := format('%L, %L, %L, %L', target.column2, target.column3, target.column4, target.column5);
        RETURN QUERY SELECT target.column1, pg_temp.try(format('SELECT access_token FROM oauth_get(%s)', mine)),
            pg_temp.try(format('SELECT refresh_token FROM oauth_tokens_decrypted WHERE (workspace_id, provider, actor_type, actor_id) = (%s)', mine)),
            (SELECT count(*) FROM oauth_tokens_damaged() d WHERE (d.workspace_id, d.provider, d.actor_type, d.actor_id) = (target.column2, target.column3, target.column4, target.column5));
    END LOOP;
    RETURN QUERY SELECT 'the victim''s own', a.access_token, a.refresh_token, 0::bigint
    FROM oauth_get('11111111-1111-4111-8111-111111111111', 'google', 'user', 'victim') a;
END $$;
SELECT * FROM pg_temp.paste('shared');
SELECT * FROM pg_temp.paste('migrating');
SELECT * FROM pg_temp.paste('bound');
DELETE FROM oauth_tokens;

-- What shared has written is refused by bound, by every function, with a hint; and stays as it is
-- in a rotation, or a ciphertext that was pasted would be at home after the next one.
SET oauth_tokens.key_binding = shared;
SELECT count(oauth_store(:alice, 'a', 'r', details => '{"account_id": "1", "issuer": "i", "client_id": "c"}')), count(oauth_store(:bob, 'b'));
SELECT encrypted_access_token AS before FROM oauth_tokens WHERE actor_id = 'alice' \gset
SET oauth_tokens.key_binding = bound;
SELECT * FROM oauth_get(:alice);
\set VERBOSITY sqlstate
SELECT oauth_access_token(:alice);
SELECT * FROM oauth_tokens_decrypted;
SELECT oauth_decrypt(encrypted_refresh_token, :alice, 'encrypted_refresh_token') FROM oauth_tokens WHERE actor_id = 'alice';
SELECT * FROM oauth_refresh_begin(:alice);
\set VERBOSITY default
SELECT actor_id, "column" FROM oauth_tokens_damaged() ORDER BY 1, 2;
SELECT "position", "values", shared FROM oauth_key_usage;
SELECT actor_id, has_refresh_token FROM oauth_connections ORDER BY 1;
\set SHOW_CONTEXT never
CALL oauth_rotate_keys();
SELECT encrypted_access_token = :'before' AS left_as_it_is FROM oauth_tokens WHERE actor_id = 'alice';
-- A store beside a refresh token that stays does not make that one good.
SELECT oauth_store(:alice, 'a2') IS NOT NULL AS stored;
SELECT * FROM pg_temp.sealed();
SELECT oauth_access_token(:alice);
SELECT pg_temp.try($$SELECT refresh_token FROM oauth_get('11111111-1111-4111-8111-111111111111', 'google', 'user', 'alice')$$);

-- From shared to bound, and what it keeps; nothing is done twice; and back.
SELECT pg_temp.times() AS times \gset
SET oauth_tokens.key_binding = migrating;
SELECT access_token, refresh_token FROM oauth_get(:alice);
SELECT "position", "values", shared FROM oauth_key_usage;
CALL oauth_rotate_keys(1);
CALL oauth_rotate_keys();
SELECT pg_temp.times() = :'times' AS times_stay;
SELECT "position", "values", shared FROM oauth_key_usage;
SELECT * FROM pg_temp.sealed();
SET oauth_tokens.key_binding = bound;
CALL oauth_rotate_keys();
SELECT actor_id, access_token, refresh_token FROM oauth_tokens_decrypted ORDER BY 1;
SELECT count(*) FROM oauth_tokens_damaged();
SET oauth_tokens.key_binding = shared;
SELECT actor_id, access_token, refresh_token FROM oauth_tokens_decrypted ORDER BY 1;
CALL oauth_rotate_keys();
SELECT pg_temp.times() = :'times' AS times_stay;
SELECT actor_id, fernet_decrypt(encrypted_access_token, :'key') FROM oauth_tokens ORDER BY 1;
SET oauth_tokens.key_binding = migrating;
CALL oauth_rotate_keys();
SET oauth_tokens.key_binding = bound;

-- A move seals anew, with the Fernet time, in one UPDATE; it takes no right to read them.
CREATE TABLE updates (n int);
CREATE FUNCTION record() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO updates VALUES (1); RETURN NULL; END $$;
CREATE TRIGGER record AFTER UPDATE ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION record();
SELECT encrypted_access_token AS before, encrypted_refresh_token AS refresh FROM oauth_tokens WHERE actor_id = 'alice' \gset
CREATE ROLE regress_writer;
GRANT ALL ON updates TO regress_writer;
SELECT oauth_tokens_grant('regress_writer', 'writer');
SET ROLE regress_writer;
SELECT oauth_move(:alice, :'v', 'google', 'api_key', 'al');
RESET ROLE;
SELECT count(*) AS updates FROM updates;
SELECT access_token, refresh_token FROM oauth_get(:'v', 'google', 'api_key', 'al');
SELECT fernet_timestamp(encrypted_access_token) = fernet_timestamp(:'before') AS time_stays, encrypted_access_token <> :'before' AS is_another FROM oauth_tokens WHERE actor_id = 'al';
SELECT details ->> 'account_id' AS account FROM oauth_connections WHERE actor_id = 'al';
-- By a plan, if the rows are not all in the table.
CREATE TABLE child () INHERITS (oauth_tokens);
SELECT oauth_move(:'v', 'google', 'api_key', 'al', :alice);
SELECT access_token, refresh_token FROM oauth_get(:alice);
DROP TABLE child;
-- Raw SQL does not, and the row does not open until it is back.
UPDATE oauth_tokens SET actor_id = 'alicia' WHERE actor_id = 'alice';
SELECT access_token FROM oauth_get(:'w', 'google', 'user', 'alicia');
SELECT oauth_move(:'w', 'google', 'user', 'alicia', :alice);
-- One that no key opens can move only if it need not be sealed.
UPDATE oauth_tokens SET actor_id = 'alice' WHERE actor_id = 'alicia';
UPDATE oauth_tokens SET encrypted_access_token = 'garbage' WHERE actor_id = 'bob';
SELECT pg_temp.try($$SELECT oauth_move('22222222-2222-4222-8222-222222222222', 'microsoft', 'api_key', 'bob', '22222222-2222-4222-8222-222222222222', 'microsoft', 'api_key', 'bobby')$$);
SET oauth_tokens.key_binding = shared;
SELECT oauth_move(:bob, :'v', 'microsoft', 'api_key', 'bobby');
SELECT oauth_move(:alice, :'w', 'google', 'user', 'al');
SELECT * FROM pg_temp.sealed();
SELECT access_token, refresh_token FROM oauth_get(:'w', 'google', 'user', 'al');
SELECT oauth_move(:'w', 'google', 'user', 'al', :alice);
DELETE FROM oauth_tokens WHERE actor_id = 'bobby';
DROP TRIGGER record ON oauth_tokens;

-- Refreshes, revocations, flows and details, all bound.
SET oauth_tokens.key_binding = bound;
SELECT oauth_store(:alice, 'a1', 'r1', expires_in => 0, details => '{"account_id": "1", "issuer": "i", "client_id": "c"}') IS NOT NULL AS stored;
SELECT outcome, refresh_token, fence FROM oauth_refresh_begin(:alice) \gset
SELECT :'outcome' AS outcome, :'refresh_token' AS refresh_token;
SELECT oauth_refresh_commit(:alice, :fence, 'a2', 'r2', 3600);
SELECT * FROM pg_temp.sealed();
SELECT access_token, refresh_token FROM oauth_get(:alice);
SELECT oauth_refresh_commit(:alice, :fence, 'a2', 'r2', 3600) AS said_again;
-- The digest knows the kept refresh token.
SELECT oauth_store(:alice, 'a3', details => '{"account_id": "1", "issuer": "i", "client_id": "c"}') IS NOT NULL AS stored;
SELECT refresh_token_digest IS NOT NULL AS known FROM oauth_token_details;
SELECT oauth_delete(:alice, revoke => true);
SELECT "position", "values", shared FROM oauth_key_usage;
-- Its identity is what the queue says, whatever becomes of the enum.
ALTER TYPE actor_type_enum RENAME VALUE 'user' TO 'person';
SELECT provider, refresh_token, access_token FROM oauth_tokens_internal.revocations_claim(10, '0 s');
SET oauth_tokens.key_binding = shared;
CALL oauth_rotate_keys();
SELECT "position", "values", shared FROM oauth_key_usage;
SELECT provider, refresh_token, access_token FROM oauth_tokens_internal.revocations_claim(10, '0 s');
SET oauth_tokens.key_binding = bound;
SELECT provider, refresh_token, access_token FROM oauth_tokens_internal.revocations_claim(10, '0 s');
SELECT "position", "values", shared FROM oauth_key_usage;
SET oauth_tokens.key_binding = migrating;
CALL oauth_rotate_keys();
SET oauth_tokens.key_binding = bound;
SELECT provider, refresh_token, access_token FROM oauth_tokens_internal.revocations_claim(10, '0 s');
SELECT count(oauth_tokens_internal.revocation_done(id, 'done', NULL, NULL)) FROM oauth_tokens_internal.oauth_revocations;
ALTER TYPE actor_type_enum RENAME VALUE 'person' TO 'user';

-- A renamed label is another identity: back to shared, rename, and bind again.
SELECT oauth_store(:alice, 'a', 'r') IS NOT NULL AS stored;
ALTER TYPE actor_type_enum RENAME VALUE 'user' TO 'person';
SELECT pg_temp.try($$SELECT access_token FROM oauth_get('11111111-1111-4111-8111-111111111111', 'google', 'person', 'alice')$$);
ALTER TYPE actor_type_enum RENAME VALUE 'person' TO 'user';
SELECT access_token FROM oauth_get(:alice);

-- Under row security (a plan), and in parallel workers.
ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE oauth_tokens FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON oauth_tokens USING (true);
SELECT oauth_tokens_grant('regress_writer', 'admin');
SET ROLE regress_writer;
SELECT access_token, refresh_token FROM oauth_get(:alice);
SELECT oauth_move(:alice, :bob);
SELECT oauth_move(:bob, :alice);
SELECT access_token, refresh_token FROM oauth_get(:alice);
RESET ROLE;
ALTER TABLE oauth_tokens DISABLE ROW LEVEL SECURITY;
INSERT INTO oauth_tokens (workspace_id, provider, actor_type, actor_id, encrypted_access_token)
SELECT :'w', 'p', 'user', n, oauth_encrypt('token ' || n, :'w', 'p', 'user', n::text, 'encrypted_access_token') FROM generate_series(1, 200) n;
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
CREATE FUNCTION pg_temp.workers(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, FORMAT json) ' || statement INTO plan;
    RETURN substring(plan::text FROM 'Workers Launched": *[1-9]') IS NOT NULL;
END $$;
SELECT pg_temp.workers('SELECT access_token FROM oauth_tokens_decrypted') AS launched;
SELECT count(*), min(access_token) FROM oauth_tokens_decrypted WHERE provider = 'p';
SELECT "position", "values", shared FROM oauth_key_usage;

-- A row of nobody has no key of its own: it counts, and is in nobody's way.
ALTER TABLE oauth_tokens ALTER actor_id DROP NOT NULL;
DELETE FROM oauth_tokens;
INSERT INTO oauth_tokens (workspace_id, provider, actor_type, encrypted_access_token) VALUES (:'w', 'google', 'user', fernet_encrypt('of nobody', :'key'));
SELECT "column" FROM oauth_tokens_damaged();
SELECT "position", "values", shared FROM oauth_key_usage;
CALL oauth_rotate_keys();
SET oauth_tokens.key_binding = migrating;
CALL oauth_rotate_keys();
SELECT access_token FROM oauth_tokens_decrypted;

DROP TABLE updates;
DROP FUNCTION record;
SET client_min_messages = warning;
SELECT oauth_tokens_downgrade(discard_tokens => true) AS revision \gset
DROP OWNED BY regress_writer;
DROP ROLE regress_writer;
DROP EXTENSION oauth_tokens;
DROP TYPE actor_type_enum;
