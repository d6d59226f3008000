-- oauth_fresh_access_token: what one session can see of it. Callers and sidecars that wait for each
-- other are in tests/e2e/test_fresh_access_token.py.

SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
\set alice '''11111111-1111-4111-8111-111111111111'', ''google'', ''user'', ''alice'''
\set bob '''11111111-1111-4111-8111-111111111111'', ''google'', ''user'', ''bob'''
SELECT oauth_fresh_access_token(:alice);
SELECT oauth_tokens_upgrade() AS revision \gset
RESET client_min_messages;
\set w '11111111-1111-4111-8111-111111111111'

-- A token that lives long enough, or whose expiry nobody knows.
SELECT count(oauth_store(:'w', 'google', 'user', a, 'token of ' || a, r, expires_in => s)) FROM (VALUES ('alice', 'refresh', 3600), ('bob', NULL, NULL), ('carol', 'refresh', 30), ('dave', NULL, 30)) t (a, r, s);
SELECT oauth_fresh_access_token(:alice), oauth_fresh_access_token(:bob), oauth_fresh_access_token(:bob, '1000 years', '0');
SELECT oauth_fresh_access_token(:'w', 'google', 'user'::actor_type_enum, 'alice', min_ttl => '59 min', timeout => '1 s');
SELECT oauth_fresh_access_token(:'w', 'google', 'user', 'carol', '20 s');
SELECT a, oauth_fresh_access_token(:'w', 'google', 'user', a, '10 s') FROM (VALUES ('alice'), ('nobody'), ('carol')) t (a);
-- Not connected.
SELECT oauth_fresh_access_token(:'w', 'google', 'user', 'nobody') IS NULL AS nobody, oauth_fresh_access_token(:'w', repeat('x', 300), 'user', repeat('y', 2000)) IS NULL AS too_long;
BEGIN READ ONLY;
SELECT oauth_fresh_access_token(:alice);
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE;
SELECT oauth_fresh_access_token(:alice);
COMMIT;

-- No refresh token; nobody listens.
SELECT oauth_fresh_access_token(:'w', 'google', 'user', 'dave');
SELECT oauth_fresh_access_token(:'w', 'google', 'user', 'carol');
-- This session listens, and so counts as a sidecar for 3 s. Not in time.
SELECT oauth_fresh_access_token(:'w', 'google', 'user', 'carol', timeout => '0') FROM (SELECT count(*) FROM oauth_tokens_internal.refresh_requests_wait('0')) listening;
\set VERBOSITY sqlstate
BEGIN READ ONLY;
SELECT oauth_fresh_access_token(:'w', 'google', 'user', 'carol', timeout => '20 ms') FROM (SELECT count(*) FROM oauth_tokens_internal.refresh_requests_wait('1 ms')) listening;
ROLLBACK;
-- A request that nobody waits for any more is gone.
SELECT count(*) FROM oauth_tokens_internal.refresh_requests_wait('0');
SELECT oauth_tokens_internal.refresh_request_done(:'w', 'google', 'user', 'carol', 'fresh');
SELECT oauth_tokens_internal.refresh_request_done(:'w', 'google', 'user', 'carol', 'backoff', repeat('ü', 1000));

-- Bad arguments. A row that is too long for a request was written by somebody else.
SELECT oauth_fresh_access_token(NULL, 'google', 'user', 'alice');
SELECT oauth_fresh_access_token(:'w', NULL, 'user', 'alice');
SELECT oauth_fresh_access_token(:'w', 'google', NULL, 'alice');
SELECT oauth_fresh_access_token(:'w', 'google', 'user', NULL);
SELECT oauth_fresh_access_token(:alice, NULL);
SELECT oauth_fresh_access_token(:alice, '0', NULL);
SELECT oauth_fresh_access_token(:alice, '-1 s');
SELECT oauth_fresh_access_token(:alice, '0', '-1 s');
SELECT oauth_fresh_access_token(:alice, '178000000 years');
SELECT oauth_fresh_access_token(:'w', 'google', 'robot', 'alice');
SELECT * FROM oauth_tokens_internal.refresh_requests_wait(NULL);
SELECT * FROM oauth_tokens_internal.refresh_requests_wait('-1 s');
SELECT oauth_tokens_internal.refresh_request_done(NULL, 'google', 'user', 'carol', 'fresh');
SELECT oauth_tokens_internal.refresh_request_done(:alice, NULL);
SELECT oauth_tokens_internal.refresh_request_done(:alice, 'granted');
SELECT oauth_tokens_internal.refresh_request_done(:'w', 'google', 'robot', 'carol', 'fresh');
SELECT oauth_tokens_internal.refresh_request_done(:'w', 'google', 'user', repeat('y', 1025), 'fresh');
INSERT INTO oauth_tokens (id, workspace_id, actor_type, actor_id, provider, scopes, encrypted_access_token, encrypted_refresh_token, access_token_expires_at) SELECT gen_random_uuid(), workspace_id, actor_type, repeat('y', 1025), provider, scopes, encrypted_access_token, encrypted_refresh_token, access_token_expires_at FROM oauth_tokens WHERE actor_id = 'carol';
SELECT oauth_fresh_access_token(:'w', 'google', 'user', repeat('y', 1025), '60 s') FROM (SELECT count(*) FROM oauth_tokens_internal.refresh_requests_wait('0')) listening;
\set VERBOSITY default

-- In a transaction that a refresh would wait for, or that would not see the new row.
BEGIN;
SELECT oauth_store(:'w', 'google', 'user', 'carol', 'new', expires_in => 3600) IS NOT NULL AS stored;
SELECT oauth_fresh_access_token(:'w', 'google', 'user', 'carol');
SELECT oauth_fresh_access_token(:'w', 'google', 'user', 'carol', '2 h');
ROLLBACK;
BEGIN;
LOCK oauth_tokens IN EXCLUSIVE MODE;
SELECT oauth_fresh_access_token(:'w', 'google', 'user', 'carol');
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT oauth_fresh_access_token(:'w', 'google', 'user', 'carol');
ROLLBACK;
BEGIN;
DELETE FROM oauth_tokens WHERE actor_id = 'carol';
SELECT oauth_fresh_access_token(:'w', 'google', 'user', 'carol') IS NULL AS deleted;
ROLLBACK;
-- Where plaintext would land on disk.
\set VERBOSITY sqlstate
CREATE MATERIALIZED VIEW planted AS SELECT oauth_fresh_access_token(:alice) AS token;
\set VERBOSITY default

-- Rights: those of oauth_access_token. A sidecar has the other two.
CREATE ROLE regress_caller;
CREATE ROLE regress_sidecar;
SET ROLE regress_caller;
SELECT oauth_fresh_access_token(:alice);
RESET ROLE;
SELECT oauth_tokens_grant('regress_caller', 'access'), oauth_tokens_grant('regress_sidecar', 'sidecar');
SET ROLE regress_caller;
SELECT oauth_fresh_access_token(:alice);
SELECT oauth_fresh_access_token(:'w', 'google', 'user', 'dave');
SELECT * FROM oauth_tokens_internal.refresh_requests_wait('0');
SELECT oauth_tokens_internal.refresh_request_done(:alice, 'fresh');
SET ROLE regress_sidecar;
SELECT oauth_fresh_access_token(:alice);
SELECT * FROM oauth_tokens_internal.refresh_requests_wait('0');
SELECT oauth_tokens_internal.refresh_request_done(:alice, 'fresh');
RESET ROLE;
SELECT oauth_tokens_revoke('regress_caller', 'all'), oauth_tokens_revoke('regress_sidecar', 'all');
DROP ROLE regress_caller, regress_sidecar;

SET client_min_messages = warning;
SELECT oauth_tokens_downgrade(discard_tokens => true) AS revision \gset
DROP EXTENSION oauth_tokens;
DROP TYPE actor_type_enum;
