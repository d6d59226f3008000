-- Deleted grants on their way to being revoked at their provider (T8, T14, T15, E22, E23).

\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
CREATE ROLE regress_writer;
CREATE ROLE regress_sidecar;
CREATE ROLE regress_a;
CREATE ROLE regress_plain;
SELECT oauth_tokens_upgrade() AS revision \gset
SELECT oauth_tokens_grant(r, c) FROM (VALUES ('regress_writer'::regrole, 'writer'), ('regress_sidecar', 'sidecar'), ('regress_a', 'sidecar')) t (r, c) \g (format=unaligned tuples_only=on)
GRANT CREATE ON SCHEMA public TO regress_writer;
RESET client_min_messages;
\set w '11111111-1111-4111-8111-111111111111'
\set v '22222222-2222-4222-8222-222222222222'
\set alice '''11111111-1111-4111-8111-111111111111'', ''google'', ''user'', ''alice'''
CREATE VIEW queue AS
    SELECT left(workspace_id::text, 1) AS workspace, provider, actor_type, actor_id, client_id, issuer, account_id, unless_shared,
        encrypted_refresh_token IS NOT NULL AS refresh, encrypted_access_token IS NOT NULL AS access, attempts, reason
    FROM oauth_tokens_internal.oauth_revocations ORDER BY workspace_id, provider, actor_id, created_at;
CREATE FUNCTION claim(max_rows bigint = 100, providers text[] = NULL)
    RETURNS TABLE (provider text, client_id text, refresh_token text, access_token text, shared boolean, attempts integer) LANGUAGE sql AS $$
    SELECT c.provider, c.client_id, c.refresh_token, c.access_token, c.shared, c.attempts
    FROM oauth_tokens_internal.revocations_claim(max_rows, '1 min', providers) c $$;
CREATE PROCEDURE empty_queue() LANGUAGE sql AS 'DELETE FROM oauth_tokens_internal.oauth_revocations';
CREATE FUNCTION keep(workspace_id uuid, provider text, actor_id text, details jsonb = NULL, refresh_token text = 'refresh') RETURNS void LANGUAGE sql AS $$
    SELECT oauth_store(workspace_id, provider, 'user', actor_id, 'access of ' || actor_id, refresh_token, details => details) $$;

-- The row goes, and its ciphertexts come as they were; without revoke they are gone.
SELECT keep(:'w', 'google', 'alice', '{"account_id": "1", "client_id": "c", "issuer": "https://i"}'), keep(:'w', 'google', 'anna') \g /dev/null
SELECT encrypted_refresh_token AS refresh, encrypted_access_token AS access FROM oauth_tokens WHERE actor_id = 'alice' \gset
SELECT oauth_delete(:alice, revoke => true), oauth_delete(:'w', 'google', 'user', 'anna'), oauth_delete(:alice, revoke => true) AS again;
SELECT * FROM queue;
SELECT encrypted_refresh_token = :'refresh' AND encrypted_access_token = :'access' AS as_they_were FROM oauth_tokens_internal.oauth_revocations;
SELECT count(*) FROM oauth_tokens;
SELECT count(*) FROM oauth_token_details;
SELECT oauth_tokens_internal.revocations_waiting();
CALL empty_queue();
-- Rolled back with the delete; a value that was stored and deleted in one transaction; the enum's form.
SELECT keep(:'w', 'google', 'alice', '{"account_id": "1"}', NULL) \g /dev/null
BEGIN;
SELECT oauth_delete(:alice, revoke => true);
ROLLBACK;
SELECT count(*) FROM queue;
BEGIN;
SELECT oauth_delete(:alice, revoke => true);
SELECT oauth_store(:alice, 'second', 'second refresh') IS NOT NULL AS stored;
SELECT oauth_store(:alice, 'third', 'third refresh') IS NOT NULL AS stored;
SELECT oauth_delete(:'w', 'google', 'user'::actor_type_enum, 'alice', revoke => true);
COMMIT;
SELECT * FROM queue;
SELECT * FROM claim() ORDER BY refresh_token;
CALL empty_queue();
-- Long ones, stored out of line, and an account longer than a btree takes.
SELECT oauth_store(:alice, repeat('a', 60000), repeat('r', 60000), details => jsonb_build_object('account_id', repeat('x', 9000), 'client_id', repeat('y', 9000))) IS NOT NULL AS stored;
SELECT oauth_delete(:alice, revoke => true);
SELECT length(refresh_token), length(access_token), length(client_id) FROM claim();
CALL empty_queue();
-- It needs no key, and no right to read the ciphertexts.
SELECT keep(:'w', 'google', 'alice') \g /dev/null
SET ROLE regress_writer;
SELECT encrypted_refresh_token FROM oauth_tokens;
SELECT oauth_delete(:alice, revoke => true);
RESET ROLE;
SELECT * FROM queue;
CALL empty_queue();

-- For the API: auto leaves alone what another token of the account needs.
CREATE FUNCTION drop_token(workspace_id uuid, provider text, actor_id text, revoke text) RETURNS text LANGUAGE sql AS $$
    SELECT d.deleted || ' ' || d.revocation FROM oauth_tokens_internal.delete_token(workspace_id, provider, 'user', actor_id, revoke) d $$;
CREATE FUNCTION keep_some() RETURNS void LANGUAGE sql AS $$
    SELECT keep('11111111-1111-4111-8111-111111111111', p, a, d::jsonb) FROM (VALUES
        ('google', 'alice', '{"account_id": "1", "client_id": "c"}'),
        ('google.work', 'alice', '{"account_id": "1", "client_id": "c"}'),
        ('google', 'other client', '{"account_id": "1", "client_id": "d"}'),
        ('google', 'other account', '{"account_id": "2", "client_id": "c"}'),
        ('microsoft', 'other provider', '{"account_id": "1", "client_id": "c"}'),
        ('google', 'unknown', '{"account_id": "1"}'), ('google', 'unknown too', '{"account_id": "1"}')) t (p, a, d) $$;
SELECT keep_some() \g /dev/null
SELECT drop_token(:'w', 'google', 'alice', 'auto') AS sibling, drop_token(:'w', 'google.work', 'alice', 'auto') AS last,
    drop_token(:'w', 'google', 'other client', 'auto') AS other_client, drop_token(:'w', 'google', 'other account', 'auto') AS other_account,
    drop_token(:'w', 'microsoft', 'other provider', 'auto') AS other_provider, drop_token(:'w', 'google', 'unknown', 'auto') AS unknown;
SELECT drop_token(:'w', 'google', 'alice', 'auto') AS gone, drop_token(:'w', 'google', 'unknown too', 'never') AS never;
SELECT provider, actor_id, unless_shared FROM queue;
CALL empty_queue();
SELECT keep_some() \g /dev/null
SELECT drop_token(:'w', 'google', 'alice', 'always'), drop_token(:'w', 'google.work', 'alice', 'never');
SELECT provider, actor_id, unless_shared FROM queue;
CALL empty_queue();
SELECT drop_token(:'w', 'google', 'other client', 'perhaps');
\set VERBOSITY sqlstate
SELECT drop_token(:'w', 'google', 'other client', NULL);
SELECT drop_token(NULL, 'google', 'other client', 'auto');
BEGIN READ ONLY;
SELECT drop_token(:'w', 'google', 'other client', 'auto');
ROLLBACK;
\set VERBOSITY default
-- An account that is connected again before its turn comes is left alone, too; unless it had to be revoked.
SELECT drop_token(:'w', 'google', 'other account', 'auto'), drop_token(:'w', 'google', 'unknown', 'auto'), drop_token(:'w', 'google', 'unknown too', 'auto'),
    drop_token(:'w', 'microsoft', 'other provider', 'always');
SELECT keep(:'v', 'google.home', 'somebody', '{"account_id": "2", "client_id": "c"}'), keep(:'w', 'google', 'unknown', '{"account_id": "1"}'), keep(:'w', 'google', 'unknown too', '{"account_id": "3"}'),
    keep(:'w', 'microsoft', 'other provider', '{"account_id": "1", "client_id": "c"}') \g /dev/null
SELECT q.actor_id, c.shared FROM oauth_tokens_internal.revocations_claim(100, '1 min') c JOIN oauth_tokens_internal.oauth_revocations q USING (id) ORDER BY 1;
CALL empty_queue();
-- Also where the label of its actor type was renamed since.
SELECT drop_token(:'v', 'google.home', 'somebody', 'auto');
ALTER TYPE actor_type_enum RENAME VALUE 'user' TO 'person';
SELECT oauth_store(:'w', 'google', 'person', 'again', 'access', details => '{"account_id": "2", "client_id": "c"}') IS NOT NULL AS stored;
SELECT refresh_token, shared FROM claim();
ALTER TYPE actor_type_enum RENAME VALUE 'person' TO 'user';
CALL empty_queue();
TRUNCATE oauth_tokens, oauth_token_details;

-- A claim is a lease; a day of attempts, then it is given up.
SELECT keep(:'w', p, a) FROM (VALUES ('google', 'a'), ('google.work', 'b'), ('microsoft', 'c')) t (p, a) \g /dev/null
SELECT drop_token(:'w', p, a, 'auto') FROM (VALUES ('google', 'a'), ('google.work', 'b'), ('microsoft', 'c')) t (p, a);
SELECT * FROM claim(0);
SELECT provider FROM claim(providers => '{nothing}');
SELECT provider FROM claim(1, '{google,nothing}');
SELECT provider FROM claim(10, '{google}');
SELECT provider FROM claim(10, '{google}') AS leased;
UPDATE oauth_tokens_internal.oauth_revocations SET next_attempt_at = now() - interval '1 min' WHERE provider = 'google';
SELECT provider, attempts FROM claim(10, '{google}') AS again;
UPDATE oauth_tokens_internal.oauth_revocations SET created_at = now() - interval '25 h' WHERE provider = 'microsoft';
SELECT provider, attempts FROM claim(10, '{google}') AS nobody_takes_it;
SELECT id AS a FROM oauth_tokens_internal.oauth_revocations WHERE provider = 'google' \gset
SELECT id AS b FROM oauth_tokens_internal.oauth_revocations WHERE provider = 'google.work' \gset
SELECT oauth_tokens_internal.revocation_done(:'a', 'retry', 'transient: ' || repeat('ü', 500), '90 s');
SELECT octet_length(reason), next_attempt_at BETWEEN now() + interval '80 s' AND now() + interval '91 s' AS after_90_s FROM oauth_tokens_internal.oauth_revocations WHERE id = :'a';
SELECT oauth_tokens_internal.revocation_done(:'a', 'retry');
SELECT reason, next_attempt_at BETWEEN now() AND now() + interval '3 s' AS soon FROM oauth_tokens_internal.oauth_revocations WHERE id = :'a';
UPDATE oauth_tokens_internal.oauth_revocations SET attempts = 2000000000 WHERE id = :'a';
SELECT oauth_tokens_internal.revocation_done(:'a', 'retry');
SELECT next_attempt_at BETWEEN now() + interval '45 min' AND now() + interval '75 min' AS in_an_hour FROM oauth_tokens_internal.oauth_revocations WHERE id = :'a';
SELECT oauth_tokens_internal.revocation_done(:'a', 'retry', retry_after => '1000 years');
SELECT next_attempt_at = give_up_at AS at_the_end FROM oauth_tokens_internal.oauth_revocations WHERE id = :'a';
UPDATE oauth_tokens_internal.oauth_revocations SET give_up_at = now() WHERE id = :'a';
SELECT oauth_tokens_internal.revocation_done(:'a', 'retry'), oauth_tokens_internal.revocation_done(:'a', 'retry') IS NULL AS gone;
SELECT oauth_tokens_internal.revocation_done(:'b', 'done'), oauth_tokens_internal.revocation_done(:'b', 'done') IS NULL AS gone;
SELECT oauth_tokens_internal.revocations_waiting();
SELECT oauth_tokens_internal.revocation_done(:'b', 'perhaps');
\set VERBOSITY sqlstate
SELECT oauth_tokens_internal.revocation_done(NULL, 'done');
SELECT oauth_tokens_internal.revocation_done(:'b', NULL);
SELECT oauth_tokens_internal.revocation_done(:'b', 'retry', retry_after => '-1 s');
SELECT * FROM claim(NULL);
SELECT * FROM claim(-1);
SELECT * FROM oauth_tokens_internal.revocations_claim(1, NULL);
SELECT * FROM oauth_tokens_internal.revocations_claim(1, '-1 s');
SELECT * FROM oauth_tokens_internal.revocations_claim(1, '200000000 days');
BEGIN READ ONLY;
SELECT * FROM claim();
SELECT oauth_tokens_internal.revocation_done(:'b', 'done');
ROLLBACK;
\set VERBOSITY default
CALL empty_queue();
-- What no key opens does not stop the others.
SELECT keep(:'w', 'google', 'damaged'), keep(:'w', 'google', 'whole') \g /dev/null
UPDATE oauth_tokens SET encrypted_refresh_token = 'x', encrypted_access_token = 'y' WHERE actor_id = 'damaged';
SELECT oauth_delete(:'w', 'google', 'user', a, revoke => true) FROM (VALUES ('damaged'), ('whole')) t (a);
SELECT "values" FROM oauth_key_usage WHERE fingerprint IS NULL; -- E23
SELECT refresh_token, access_token FROM claim() ORDER BY 1;
CALL empty_queue();
SELECT "values" FROM oauth_key_usage WHERE fingerprint IS NULL;

-- A copy revokes nothing: the tokens are the original's (T14). It queues, and who adopts it has them revoked.
SELECT keep(:'w', 'google', 'alice') \g /dev/null
UPDATE oauth_tokens_internal.cluster SET id = '1/1';
SELECT * FROM claim();
SELECT oauth_delete(:alice, revoke => true);
SELECT * FROM claim();
SELECT attempts FROM queue;
SELECT oauth_tokens_adopt_cluster();
SELECT refresh_token FROM claim();
CALL empty_queue();

-- By an index that is empty where nothing waits.
SELECT keep(:'w', 'google', g::text) FROM generate_series(1, 2000) g \g /dev/null
SELECT count(*) FROM generate_series(1, 2000) g WHERE oauth_delete(:'w', 'google', 'user', g::text, revoke => true);
UPDATE oauth_tokens_internal.oauth_revocations SET next_attempt_at = now() + interval '1 h';
ANALYZE oauth_tokens_internal.oauth_revocations;
CREATE VIEW scans AS SELECT pg_stat_get_xact_numscans('oauth_tokens_internal.oauth_revocations'::regclass) AS of_table,
    pg_stat_get_xact_numscans('oauth_tokens_internal.oauth_revocations_next_attempt_at'::regclass) AS of_index;
BEGIN;
SELECT * FROM scans \gset
SELECT * FROM claim();
SELECT of_table - :of_table AS of_table, of_index - :of_index AS of_index FROM scans;
COMMIT;
CALL empty_queue();

-- Nobody reads the table; a caller under a policy queues what it may delete, and a sidecar
-- under one claims what it may store (E22).
CREATE FUNCTION refused(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'done';
EXCEPTION WHEN insufficient_privilege THEN RETURN 'refused';
END $$;
SELECT role, statement, (SELECT refused(statement) FROM set_config('role', role, false)) AS result, set_config('role', 'none', false) = 'none' AS back
FROM (VALUES ('regress_writer'), ('regress_sidecar'), ('regress_plain')) r (role), (VALUES
    ('SELECT count(*) FROM oauth_tokens_internal.oauth_revocations'),
    ('DELETE FROM oauth_tokens_internal.oauth_revocations'),
    ('UPDATE oauth_tokens_internal.oauth_revocations SET attempts = 0'),
    ('INSERT INTO oauth_tokens_internal.oauth_revocations (id) VALUES (gen_random_uuid())'),
    ('SELECT oauth_tokens_internal.revocations_claim(1, ''1 s'')'),
    ('SELECT oauth_tokens_internal.revocation_done(gen_random_uuid(), ''done'')'),
    ('SELECT oauth_tokens_internal.revocations_waiting()'),
    ('SELECT oauth_tokens_internal.delete_token(gen_random_uuid(), ''p'', ''user'', ''a'', ''auto'')')) s (statement);
SELECT keep(:'w', 'google', 'alice', '{"account_id": "1", "client_id": "c"}'), keep(:'v', 'google', 'bob', '{"account_id": "1", "client_id": "c"}') \g /dev/null
ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY;
CREATE POLICY reading ON oauth_tokens FOR SELECT USING (workspace_id = '11111111-1111-4111-8111-111111111111');
CREATE POLICY storing ON oauth_tokens FOR INSERT WITH CHECK (workspace_id = '11111111-1111-4111-8111-111111111111');
CREATE POLICY deleting ON oauth_tokens FOR DELETE USING (workspace_id = '11111111-1111-4111-8111-111111111111');
CREATE POLICY other ON oauth_tokens FOR UPDATE USING (false);
SET ROLE regress_writer;
SELECT oauth_delete(:'v', 'google', 'user', 'bob', revoke => true) AS of_others, oauth_delete(:alice, revoke => true) AS own;
RESET ROLE;
SELECT workspace, actor_id, account_id FROM queue;
SELECT oauth_delete(:'v', 'google', 'user', 'bob', revoke => true);
SET ROLE regress_a;
SELECT provider, refresh_token, attempts FROM oauth_tokens_internal.revocations_claim(1, '1 min');
SELECT provider FROM oauth_tokens_internal.revocations_claim(10, '1 min');
RESET ROLE;
SELECT workspace, actor_id, attempts FROM queue;
DROP POLICY reading ON oauth_tokens;
DROP POLICY storing ON oauth_tokens;
DROP POLICY deleting ON oauth_tokens;
DROP POLICY other ON oauth_tokens;
ALTER TABLE oauth_tokens DISABLE ROW LEVEL SECURITY;

-- The answer to a refresh of a token that is deleted meanwhile: whose grant it is, is known.
CALL empty_queue();
SELECT keep(:'w', 'google', 'alice', '{"account_id": "1", "issuer": "i", "client_id": "c"}'), keep(:'v', 'google', 'bob', '{"account_id": "2", "client_id": "c"}') \g /dev/null
SELECT fence FROM oauth_refresh_begin(:alice, force => true) \gset
SELECT oauth_delete(:alice);
SELECT oauth_refresh_commit(:alice, :fence, 'new', 'next');
SELECT client_id, issuer, refresh_token, shared FROM oauth_tokens_internal.revocations_claim(1, '0');
-- Not if the account is connected elsewhere by then.
SELECT keep(:'v', 'google', 'carol', '{"account_id": "1", "client_id": "c"}') \g /dev/null
SELECT client_id, refresh_token, shared FROM oauth_tokens_internal.revocations_claim(1, '0');
DELETE FROM oauth_tokens;

-- A provider that keeps the refresh token gives no new one: who deletes without revoking keeps the grant.
CALL empty_queue();
SELECT keep(:'w', 'google', 'alice') \g /dev/null
SELECT refresh_token AS spent FROM oauth_get(:alice) \gset
SELECT fence FROM oauth_refresh_begin(:alice, force => true) \gset
SELECT oauth_delete(:alice);
SELECT oauth_refresh_commit(:alice, :fence, 'new', :'spent');
SELECT oauth_tokens_internal.revocations_waiting();

-- Children: a plan finds the row, with the caller's rights.
CREATE TABLE child () INHERITS (oauth_tokens);
INSERT INTO child SELECT * FROM oauth_tokens LIMIT 0;
CALL empty_queue();
SELECT keep(:'w', 'google', 'alice') \g /dev/null
WITH gone AS (DELETE FROM ONLY oauth_tokens RETURNING *) INSERT INTO child SELECT * FROM gone;
SET ROLE regress_writer;
SELECT oauth_delete(:alice, revoke => true);
RESET ROLE;
SELECT oauth_delete(:alice, revoke => true);
SELECT refresh_token FROM claim();
CALL empty_queue();
DROP TABLE child;

-- What is queued stays where the tables are dropped, and is revoked all the same.
SELECT keep(:'w', 'google', 'alice') \g /dev/null
SELECT oauth_delete(:alice, revoke => true);
SELECT keep(:'w', 'google', 'alice') \g /dev/null
SET client_min_messages = warning;
SELECT oauth_tokens_downgrade(discard_tokens => true) IS NOT NULL AS dropped;
SELECT refresh_token, shared FROM claim();
SELECT oauth_tokens_internal.revocations_waiting();
DROP EXTENSION oauth_tokens CASCADE;
DROP OWNED BY regress_writer, regress_sidecar, regress_a, regress_plain;
DROP ROLE regress_writer, regress_sidecar, regress_a, regress_plain;
