-- oauth_rotate_keys where it may not run, and where nothing is to do. This
-- server has one key; with several, see the end-to-end tests.

SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
SELECT oauth_tokens_upgrade() AS revision \gset
RESET client_min_messages;
\set w '11111111-1111-4111-8111-111111111111'
\set key 'cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4='
SELECT count(oauth_store(:'w', 'google', 'user', 'user ' || n, 'access', 'refresh')) FROM generate_series(1, 10) n;
CREATE FUNCTION pg_temp.state() RETURNS text LANGUAGE sql AS $$
    SELECT md5(string_agg(ctid || t::text, '|' ORDER BY ctid)) FROM oauth_tokens t $$;
CREATE FUNCTION pg_temp.log() RETURNS TABLE (fingerprint boolean, rotated bigint, damaged bigint, finished boolean) LANGUAGE sql AS $$
    SELECT r.fingerprint = u.fingerprint, values_rotated, values_damaged, finished_at BETWEEN started_at AND clock_timestamp()
    FROM oauth_tokens_internal.key_rotations r, oauth_key_usage u WHERE u."position" = 1 ORDER BY r.id $$;
SELECT pg_temp.state() AS state \gset

-- Before any work: where it could not commit.
BEGIN;
CALL oauth_rotate_keys();
ROLLBACK;
CREATE FUNCTION rotate() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CALL oauth_rotate_keys(); END $$;
CREATE FUNCTION rotate_sql() RETURNS void LANGUAGE sql AS $$ CALL oauth_rotate_keys() $$;
CREATE PROCEDURE rotate_with_settings() LANGUAGE plpgsql SET work_mem = '1MB' AS $$ BEGIN CALL oauth_rotate_keys(); END $$;
\set VERBOSITY sqlstate
SELECT rotate();
SELECT rotate_sql();
CALL rotate_with_settings();
BEGIN;
DO $$ BEGIN CALL oauth_rotate_keys(); END $$;
ROLLBACK;
DO $$ BEGIN CALL oauth_rotate_keys(); EXCEPTION WHEN division_by_zero THEN NULL; END $$;
BEGIN;
SAVEPOINT s;
CALL oauth_rotate_keys(1);
ROLLBACK;
SELECT oauth_rotate_keys();
PREPARE rotate AS CALL oauth_rotate_keys();
\set VERBOSITY default
CALL oauth_rotate_keys(0);
\set VERBOSITY sqlstate
CALL oauth_rotate_keys(-1);
CALL oauth_rotate_keys(NULL);
CALL oauth_rotate_keys(99999999999999999999);
CALL oauth_rotate_keys('many');
SET default_transaction_read_only = on;
CALL oauth_rotate_keys();
RESET default_transaction_read_only;
\set VERBOSITY default
SELECT count(*) FROM pg_temp.log();
SELECT pg_temp.state() = :'state' AS nothing_changed;

-- Nothing to do: no row is touched, and a row tells of the call.
CALL oauth_rotate_keys();
CALL oauth_rotate_keys(batch_size => 1);
CALL oauth_rotate_keys(9223372036854775807);
DO $$ BEGIN CALL oauth_rotate_keys(3); END $$;
CREATE PROCEDURE rotate_twice() LANGUAGE plpgsql AS $$ BEGIN CALL oauth_rotate_keys(); CALL oauth_rotate_keys(); END $$;
CALL rotate_twice();
SELECT * FROM pg_temp.log();
SELECT pg_temp.state() = :'state' AS nothing_changed;
-- Values that no key opens are left as they are, and told of.
UPDATE oauth_tokens SET encrypted_refresh_token = fernet_encrypt('other', fernet_generate_key()) WHERE actor_id = 'user 3';
UPDATE oauth_tokens SET encrypted_access_token = 'garbage' WHERE actor_id IN ('user 3', 'user 4');
SELECT pg_temp.state() AS state \gset
CALL oauth_rotate_keys();
SELECT * FROM pg_temp.log() OFFSET 6;
SELECT pg_temp.state() = :'state' AS nothing_changed;
-- An empty table.
TRUNCATE oauth_tokens;
CALL oauth_rotate_keys();
SELECT count(*) FROM pg_temp.log();
-- Tokens in a child table would keep the old key.
CREATE TABLE child () INHERITS (oauth_tokens);
CALL oauth_rotate_keys();
DROP TABLE child;
-- A role that may not read and write every token may not begin.
CREATE ROLE regress_half;
GRANT EXECUTE ON PROCEDURE oauth_rotate_keys TO regress_half;
GRANT SELECT ON oauth_tokens TO regress_half;
SET ROLE regress_half;
CALL oauth_rotate_keys();
RESET ROLE;
SELECT count(*) FROM pg_temp.log();

DROP FUNCTION rotate, rotate_sql;
DROP PROCEDURE rotate_with_settings, rotate_twice;
SET client_min_messages = warning;
SELECT oauth_tokens_downgrade(discard_tokens => true) AS revision \gset
DROP EXTENSION oauth_tokens;
DROP TYPE actor_type_enum;
DROP ROLE regress_half;
