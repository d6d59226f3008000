-- oauth_delete and oauth_move.

SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
SELECT oauth_tokens_upgrade() AS revision \gset
RESET client_min_messages;
\set w '11111111-1111-4111-8111-111111111111'
\set v '22222222-2222-4222-8222-222222222222'
\set alice '''11111111-1111-4111-8111-111111111111'', ''google'', ''user'', ''alice'''
\set bob '''22222222-2222-4222-8222-222222222222'', ''microsoft'', ''api_key'', ''bob'''
CREATE FUNCTION pg_temp.state() RETURNS text LANGUAGE sql AS $$
    SELECT md5(string_agg(r, '|' ORDER BY r COLLATE "C"))
    FROM (SELECT t::text FROM oauth_tokens t UNION ALL SELECT d::text FROM oauth_token_details d) rows (r) $$;
CREATE FUNCTION pg_temp.list() RETURNS TABLE (workspace text, provider text, actor_type text, actor_id text, access text, account text) LANGUAGE sql AS $$
    SELECT left(t.workspace_id::text, 1), t.provider, t.actor_type, t.actor_id, t.access_token, c.details ->> 'account_id'
    FROM oauth_tokens_decrypted t JOIN oauth_connections c USING (workspace_id, provider, actor_type, actor_id) ORDER BY 1, 2, 3, 4 $$;

-- Delete: whether there was one; its details go with it, nobody else's do.
SELECT count(oauth_store(:alice, 'a', 'r', details => '{"account_id": "of alice"}')), count(oauth_store(:bob, 'b', details => '{"account_id": "of bob"}'));
SELECT oauth_delete(:'w', 'google', 'api_key', 'alice'), oauth_delete(:'v', 'google', 'user', 'alice'), oauth_delete(:'w', 'google', 'user', 'Alice');
SELECT * FROM pg_temp.list();
SELECT oauth_delete(:alice);
SELECT oauth_delete(:alice);
SELECT * FROM pg_temp.list();
SELECT count(*) FROM oauth_token_details;
SELECT count(*) FROM oauth_get(:alice);
SELECT oauth_store(:alice, 'a again') IS NOT NULL AS stored;
SELECT * FROM pg_temp.list();
SELECT oauth_delete(:'w', 'google', 'user'::actor_type_enum, 'alice', revoke => NULL);
CREATE TYPE other_enum AS ENUM ('robot', 'api_key', 'user');
SELECT oauth_delete(:'v', 'microsoft', 'api_key'::other_enum, 'bob', false);
SELECT count(*) FROM oauth_tokens;
SELECT oauth_delete(:'w', repeat('p', 300), 'user', repeat('a', 3000)) AS none_so_long;
SELECT count(oauth_store(:alice, 'a', 'r', details => '{"account_id": "of alice"}')), count(oauth_store(:bob, 'b', details => '{"account_id": "of bob"}'));
SELECT pg_temp.state() AS state \gset
SELECT oauth_delete(:'w', NULL, 'user', 'alice');
\set VERBOSITY sqlstate
SELECT oauth_delete(NULL, 'google', 'user', 'alice');
SELECT oauth_delete(:'w', 'google', NULL, 'alice');
SELECT oauth_delete(:'w', 'google', 'user', NULL);
SELECT oauth_delete(:'w', 'google', 'robot', 'alice');
SELECT oauth_delete(:'w', 'google', 'robot'::other_enum, 'alice');
BEGIN READ ONLY;
SELECT oauth_delete(:alice);
ROLLBACK;
\set VERBOSITY default
SELECT pg_temp.state() = :'state' AS nothing_changed;

-- Move: the row stays what it is, but for its identity and updated_at.
SELECT id, created_at, updated_at, encrypted_access_token FROM oauth_tokens WHERE actor_id = 'alice' \gset
SELECT oauth_move(:alice, :'w', 'google', 'user', 'alice2');
SELECT id = :'id' AS id, created_at = :'created_at' AS created_at, updated_at > :'updated_at' AS moves, encrypted_access_token = :'encrypted_access_token' AS ciphertext
FROM oauth_tokens WHERE actor_id = 'alice2';
SELECT access_token, refresh_token FROM oauth_get(:'w', 'google', 'user', 'alice2');
SELECT count(*) FROM oauth_get(:alice);
SELECT * FROM pg_temp.list();
SELECT oauth_move(:alice, :'w', 'google', 'user', 'alice2') AS no_such_token;
SELECT oauth_move(:'w', 'google', 'user'::actor_type_enum, 'alice2', :'v', 'x', 'api_key'::actor_type_enum, 'y');
SELECT oauth_move(:'v', 'x', 'api_key'::other_enum, 'y', :'w', 'z', 'user'::other_enum, 'z');
SELECT oauth_move(:'w', 'z', 'user'::other_enum, 'z', :alice) AS enum_and_literal;
SELECT oauth_move(:alice, :alice) AS onto_itself;
SELECT * FROM pg_temp.list();
PREPARE move AS SELECT oauth_move($1, $2, $3, $4, $5, $6, $7, $8);
SELECT parameter_types FROM pg_prepared_statements;
EXECUTE move (:alice, :'v', repeat('p', 255), 'api_key', repeat('a', 1024));
EXECUTE move (:'v', repeat('p', 255), 'api_key', repeat('a', 1024), :alice);
DEALLOCATE move;
SELECT pg_temp.state() AS state \gset
SELECT oauth_move(:alice, :'w', repeat('p', 256), 'user', 'alice');
SELECT oauth_move(:alice, :'w', 'google', 'user', '');
SELECT oauth_move(:alice, :'w', 'google', 'robot', 'alice');
SELECT oauth_move(:alice, :'w', 'google', 'user', NULL);
\set VERBOSITY sqlstate
SELECT oauth_move(:alice, :'w', 'google', 'user', repeat('a', 1025));
SELECT oauth_move(:alice, :'w', '', 'user', 'alice');
SELECT oauth_move(:alice, NULL, 'google', 'user', 'alice');
SELECT oauth_move(:alice, :'w', NULL, 'user', 'alice');
SELECT oauth_move(:alice, :'w', 'google', NULL, 'alice');
SELECT oauth_move(:'w', 'google', 'robot', 'alice', :alice);
SELECT oauth_move(:'w', 'google', 'user', NULL, :alice);
SELECT oauth_move(:'w', 'google', 'user'::other_enum, 'alice', :'w', 'google', 'robot'::other_enum, 'alice');
-- Onto another token: neither is touched.
SELECT oauth_move(:alice, :bob);
BEGIN READ ONLY;
SELECT oauth_move(:alice, :'w', 'google', 'user', 'alice2');
ROLLBACK;
\set VERBOSITY terse
SELECT oauth_move(:alice, :bob);
\set VERBOSITY default
SELECT pg_temp.state() = :'state' AS nothing_changed;
SELECT oauth_move(:'w', 'google', 'user', 'nobody', :bob) AS nothing_to_move;
SELECT pg_temp.state() = :'state' AS nothing_changed;

-- Details whose token was deleted by other means describe no other token: not
-- the next of that identity, nor one that moves there, nor one that has none.
DELETE FROM oauth_tokens WHERE actor_id = 'bob';
SELECT count(*) FROM oauth_token_details;
SELECT oauth_store(:bob, 'another b') IS NOT NULL AS stored;
SELECT * FROM pg_temp.list();
DELETE FROM oauth_tokens WHERE actor_id = 'bob';
SELECT oauth_move(:alice, :bob);
SELECT * FROM pg_temp.list();
SELECT oauth_move(:bob, :alice);
DELETE FROM oauth_tokens;
SELECT oauth_store(:bob, 'no details') IS NOT NULL AS stored;
SELECT oauth_move(:bob, :alice);
SELECT * FROM pg_temp.list();

-- Long tokens, which are beside the row: each way to read, keep, move and delete them.
DELETE FROM oauth_tokens;
SELECT oauth_store(:alice, repeat('a', 1500), repeat('r', 1500)) IS NOT NULL AS stored;
SELECT pg_relation_size(reltoastrelid) > 0 AS beside FROM pg_class WHERE oid = 'oauth_tokens'::regclass;
SELECT oauth_store(:alice, repeat('b', 60000)) IS NOT NULL AS refresh_token_is_kept;
SELECT oauth_move(:alice, :'w', 'google', 'user', 'long');
SELECT access_token = repeat('b', 60000) AND refresh_token = repeat('r', 1500) AS whole FROM oauth_get(:'w', 'google', 'user', 'long');
SELECT oauth_access_token(:'w', 'google', 'user', 'long') = repeat('b', 60000) AS whole;
SELECT access_token = repeat('b', 60000) AND refresh_token = repeat('r', 1500) AS whole FROM oauth_tokens_decrypted;
SELECT count(*) AS damaged FROM oauth_tokens_damaged();
SELECT oauth_delete(:'w', 'google', 'user', 'long', revoke => true) AS deleted;
SELECT length(encrypted_access_token) > 60000 AND length(encrypted_refresh_token) > 2000 AS whole FROM oauth_tokens_internal.oauth_revocations;

SET client_min_messages = warning;
SELECT oauth_tokens_downgrade(discard_tokens => true) AS revision \gset
DROP EXTENSION oauth_tokens;
DROP TYPE actor_type_enum, other_enum;
