-- All that an ordinary role is refused, in one file: one that may log in and has
-- a schema of its own, and no grant of ours.

SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
SELECT oauth_tokens_upgrade() AS revision \gset
RESET client_min_messages;
\set w '11111111-1111-4111-8111-111111111111'
\set alice '''11111111-1111-4111-8111-111111111111'', ''google'', ''user'', ''alice'''
SELECT oauth_store(:alice, 'sentinel', 'sentinel', details => '{"account_id": "sentinel"}') IS NOT NULL AS stored;
CREATE ROLE regress_ordinary;
CREATE SCHEMA regress_ordinary AUTHORIZATION regress_ordinary;
CREATE TABLE state AS SELECT md5(string_agg(t::text, '')) AS tokens, (SELECT md5(string_agg(d::text, '')) FROM oauth_token_details d) AS details FROM oauth_tokens t;
REVOKE ALL ON state FROM PUBLIC;
SET ROLE regress_ordinary;
SET search_path = regress_ordinary, public;

-- What anybody may: ask for the revision, and use Fernet with a key of their own.
SELECT oauth_tokens_current();
SELECT fernet_decrypt(fernet_encrypt('mine', k), k) FROM fernet_generate_key() k;

-- Every function of ours, in both forms.
SELECT oauth_get(:alice);
SELECT oauth_tokens_upgrade();
\set VERBOSITY sqlstate
SELECT * FROM oauth_get(:'w', 'google', 'user'::actor_type_enum, 'alice');
SELECT oauth_access_token(:alice);
SELECT oauth_access_token(:'w', 'google', 'user'::actor_type_enum, 'alice');
SELECT oauth_store(:alice, 'x');
SELECT oauth_store(:'w', 'google', 'user'::actor_type_enum, 'alice', 'x');
SELECT oauth_store(NULL, NULL, NULL, NULL, NULL);
SELECT oauth_delete(:alice);
SELECT oauth_delete(:'w', 'google', 'user'::actor_type_enum, 'alice');
SELECT oauth_move(:alice, :'w', 'google', 'user', 'x');
SELECT oauth_move(:'w', 'google', 'user'::actor_type_enum, 'alice', :'w', 'google', 'user'::actor_type_enum, 'x');
SELECT oauth_authorize_url(:alice);
SELECT oauth_authorize_url(:'w', 'google', 'user'::actor_type_enum, 'alice', 'mail', '/', true);
SELECT oauth_flow_confirm(:alice, 'x');
SELECT oauth_flow_confirm(:'w', 'google', 'user'::actor_type_enum, 'alice', 'x');
SELECT oauth_encrypt('x');
SELECT oauth_encrypt('x', :alice, 'encrypted_access_token');
SELECT oauth_encrypt('x', :'w', 'google', 'user'::actor_type_enum, 'alice', 'encrypted_access_token');
SELECT oauth_decrypt('x');
SELECT oauth_decrypt('x', :alice, 'encrypted_access_token');
SELECT oauth_decrypt('x', :'w', 'google', 'user'::actor_type_enum, 'alice', 'encrypted_access_token');
SELECT * FROM oauth_tokens_damaged();
CALL oauth_rotate_keys();
SELECT oauth_tokens_downgrade();
SELECT oauth_tokens_downgrade(true);
SELECT oauth_tokens_grant('regress_ordinary', 'access');
SELECT oauth_tokens_revoke('regress_ordinary', 'access');
-- Not by way of what calls a function for its maker: an operator, a default, a
-- domain's check, a function or a view of one's own.
CREATE OPERATOR ## (FUNCTION = oauth_decrypt, RIGHTARG = text);
CREATE TABLE stolen (token text DEFAULT oauth_decrypt('x'));
INSERT INTO stolen DEFAULT VALUES;
CREATE DOMAIN stealing AS text CHECK (oauth_decrypt(value) IS NULL);
SELECT 'x'::stealing;
CREATE FUNCTION steal() RETURNS text LANGUAGE sql AS $$ SELECT oauth_decrypt('x') $$;
SELECT steal();
CREATE VIEW steal AS SELECT * FROM public.oauth_tokens_decrypted;
SELECT * FROM steal;
CREATE VIEW steal_by_get AS SELECT g.* FROM oauth_get('11111111-1111-4111-8111-111111111111', 'google', 'user', 'alice') g;
SELECT * FROM steal_by_get;

-- The tables and the views.
SELECT * FROM oauth_tokens;
SELECT actor_id FROM oauth_tokens;
SELECT count(*) FROM oauth_tokens;
SELECT 1 FROM oauth_tokens;
SELECT * FROM oauth_token_details;
SELECT * FROM oauth_connections;
SELECT * FROM oauth_tokens_decrypted;
SELECT * FROM oauth_key_usage;
INSERT INTO oauth_tokens (workspace_id, provider, actor_type, actor_id, encrypted_access_token) VALUES (:alice, 'x');
INSERT INTO oauth_token_details (workspace_id, provider, actor_type, actor_id, token_id) VALUES (:alice, :'w');
UPDATE oauth_tokens SET scopes = 'x';
DELETE FROM oauth_tokens;
DELETE FROM oauth_token_details;
TRUNCATE oauth_tokens;
COPY oauth_tokens TO STDOUT;
CREATE TRIGGER steal BEFORE INSERT ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE RULE steal AS ON INSERT TO oauth_tokens DO ALSO NOTIFY x;
CREATE POLICY steal ON oauth_tokens USING (true);
CREATE INDEX steal ON oauth_tokens (scopes);
CREATE STATISTICS steal ON provider, actor_id FROM oauth_tokens;
CREATE TABLE child () INHERITS (oauth_tokens);
CREATE TABLE reference (id uuid REFERENCES oauth_tokens);
ANALYZE oauth_tokens;
ALTER TABLE oauth_tokens ADD COLUMN x int;
ALTER TYPE actor_type_enum ADD VALUE 'x';
DROP TYPE actor_type_enum CASCADE;
DROP TABLE oauth_tokens;
DROP VIEW oauth_connections;

-- The extension and its helpers.
SELECT * FROM oauth_tokens_internal.key_rotations;
SELECT * FROM oauth_tokens_internal.key_rotations_id_seq;
SELECT oauth_tokens_internal.key_fingerprints();
SELECT oauth_tokens_internal.key_usage(true);
SELECT oauth_tokens_internal.connections(true);
SELECT oauth_tokens_internal.decrypted(true);
SELECT oauth_tokens_internal.damaged(true);
SELECT oauth_tokens_internal.guard('public');
SELECT oauth_tokens_internal.utc(now());
SELECT oauth_tokens_internal.key_position('x', :'w', 'google', 'user'::actor_type_enum, 'alice', 'encrypted_access_token');
SELECT oauth_tokens_internal.is_damaged('x', :'w', 'google', 'user'::actor_type_enum, 'alice', 'encrypted_access_token');
SELECT oauth_tokens_internal.publish_settings('https://oauth.example.com', '600 s', '{}', '{google}');
SELECT * FROM oauth_tokens_internal.flow_begin('', 'google', NULL, 'https://issuer.example', 'client');
SELECT * FROM oauth_tokens_internal.flow_claim('', '', 'google');
SELECT * FROM oauth_tokens_internal.flow_store('', 'x', NULL, NULL, NULL, NULL);
SELECT oauth_tokens_internal.flow_purge();
SELECT oauth_cache_register('x');
SELECT oauth_cache_unregister('x');
SELECT * FROM oauth_changes_pending();
SELECT oauth_changes_ack(gen_random_uuid(), '{}');
SELECT oauth_changes_wait();
SELECT oauth_tokens_internal.cache_registration();
SELECT oauth_tokens_internal.cache_registration_id();
SELECT * FROM oauth_tokens_internal.connection(:alice);
SELECT * FROM oauth_tokens_internal.cache_invalidations;
SELECT * FROM oauth_tokens_internal.cache_registrations;
CREATE TABLE invalidated ();
CREATE TRIGGER steal AFTER INSERT ON invalidated FOR EACH ROW EXECUTE FUNCTION oauth_tokens_internal.record_change();
DROP TABLE invalidated;
ALTER TABLE oauth_tokens DISABLE TRIGGER oauth_cache_invalidate_row;
DROP TRIGGER oauth_cache_invalidate_row ON oauth_tokens;
SELECT * FROM oauth_tokens_internal.sidecar_settings;
SELECT * FROM oauth_tokens_internal.flow_links;
SELECT * FROM oauth_tokens_internal.flow_attempts;
SELECT * FROM oauth_tokens_internal.flow_confirmations;
DELETE FROM oauth_tokens_internal.flow_links;
CREATE TABLE oauth_tokens_internal.x ();
DROP EXTENSION oauth_tokens;
ALTER EXTENSION oauth_tokens UPDATE;
ALTER EXTENSION oauth_tokens ADD FUNCTION steal();
COMMENT ON FUNCTION fernet_generate_key() IS 'x';
CREATE OR REPLACE FUNCTION public.fernet_generate_key() RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$;
CREATE FUNCTION steal_c(text) RETURNS text LANGUAGE c AS '$libdir/oauth_tokens', 'oauth_decrypt';
CREATE EXTENSION oauth_tokens SCHEMA regress_ordinary;

-- The settings, and where a key may lie.
SHOW oauth_tokens.key_file;
SHOW oauth_tokens.key_command;
SELECT current_setting('oauth_tokens.key_file');
SET oauth_tokens.key_file = '/dev/null';
SET oauth_tokens.key_command = 'true';
SET oauth_tokens.public_url = 'https://evil.example';
SET oauth_tokens.confirm_flows = off;
ALTER ROLE regress_ordinary SET oauth_tokens.public_url = 'https://evil.example';
SET oauth_tokens.unknown = 'x';
ALTER ROLE regress_ordinary SET oauth_tokens.key_file = '/dev/null';
ALTER SYSTEM SET oauth_tokens.key_file = '/dev/null';
SELECT set_config('oauth_tokens.key_file', '/dev/null', false);
SELECT pg_read_file('/proc/self/environ');
COPY stolen FROM PROGRAM 'env';
LOAD 'oauth_tokens';
\set VERBOSITY default
SELECT name FROM pg_settings WHERE name ~ '^oauth_tokens\.' ORDER BY name;
SELECT count(*) FROM pg_stats WHERE tablename ~ 'oauth';

RESET search_path;
RESET ROLE;
-- Nothing changed, and a superuser sees no key either.
SELECT md5(string_agg(t::text, '')) = state.tokens AND (SELECT md5(string_agg(d::text, '')) FROM oauth_token_details d) = state.details AS nothing_changed
FROM oauth_tokens t, state GROUP BY state.tokens, state.details;
SELECT count(*) FROM pg_proc WHERE prosrc ~ 'oauth' AND proowner = 'regress_ordinary'::regrole AND prolang <> (SELECT oid FROM pg_language WHERE lanname = 'sql');
SELECT name, setting, context FROM pg_settings WHERE name ~ '^oauth_tokens\.' ORDER BY name;
SELECT count(*) FROM pg_settings s WHERE s::text ~ 'cw_0x689RpI';
SET client_min_messages = warning;
DROP OWNED BY regress_ordinary CASCADE;
DROP ROLE regress_ordinary;
DROP TABLE state;
SELECT oauth_tokens_downgrade(discard_tokens => true) AS revision \gset
DROP EXTENSION oauth_tokens;
DROP TYPE actor_type_enum;
