-- E1: an ordinary role plants objects where names are looked up first. Every
-- call of ours, also with them in the search_path, does as before.

SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
SELECT oauth_tokens_upgrade() AS revision \gset
RESET client_min_messages;
\set w '11111111-1111-4111-8111-111111111111'
\set alice '''11111111-1111-4111-8111-111111111111'', ''google'', ''user'', ''alice'''
SELECT oauth_store(:alice, 'mine', 'refresh', scopes => 'mail', details => '{"account_id": "1"}') IS NOT NULL AS stored;
CREATE ROLE regress_planter;
CREATE SCHEMA regress_planted AUTHORIZATION regress_planter;
GRANT USAGE ON SCHEMA regress_planted TO PUBLIC;

SET ROLE regress_planter;
SET search_path = regress_planted, public;
CREATE FUNCTION caught(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'caught by %', $1; RETURN $1; END $$;
-- Tables and types of our names.
CREATE TYPE actor_type_enum AS ENUM ('user', 'api_key');
CREATE TABLE oauth_tokens (id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(), workspace_id uuid NOT NULL, provider text NOT NULL,
    actor_type public.actor_type_enum NOT NULL, actor_id text NOT NULL, scopes text, encrypted_access_token text NOT NULL, encrypted_refresh_token text,
    access_token_expires_at timestamp, created_at timestamp NOT NULL DEFAULT pg_catalog.now(), updated_at timestamp NOT NULL DEFAULT pg_catalog.now(),
    UNIQUE (workspace_id, provider, actor_type, actor_id));
CREATE TABLE oauth_token_details (workspace_id uuid, provider text, actor_type public.actor_type_enum, actor_id text, token_id uuid, account_id text,
    account_label text, issuer text, client_id text, extra jsonb, lifetime interval, connected_at timestamptz, refresh_token_digest bytea, PRIMARY KEY (workspace_id, provider, actor_type, actor_id));
CREATE TABLE key_rotations (id int);
CREATE TABLE sidecar_settings (one boolean, public_url text, flow_seconds integer, return_to_origins text[], providers text[]);
CREATE TABLE pg_proc (oid oid, proname name, pronamespace oid, proacl aclitem[]);
CREATE TABLE pg_type (oid oid, typname name, typowner oid, typnamespace oid, typtype "char");
CREATE TABLE pg_depend (objid oid, classid oid, refobjid oid, deptype "char");
CREATE TABLE pg_extension (oid oid, extname name);
GRANT ALL ON oauth_tokens, oauth_token_details TO PUBLIC;
-- Functions that fit better than those of pg_catalog.
CREATE FUNCTION now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('now'); RETURN 'epoch'; END $$;
CREATE FUNCTION statement_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('statement_timestamp'); RETURN 'epoch'; END $$;
CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('clock_timestamp'); RETURN 'epoch'; END $$;
CREATE FUNCTION gen_random_uuid() RETURNS uuid LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('gen_random_uuid'); RETURN NULL; END $$;
CREATE FUNCTION timezone(text, timestamp) RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('timezone'); RETURN 'epoch'; END $$;
CREATE FUNCTION timezone(unknown, timestamp) RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('timezone'); RETURN 'epoch'; END $$;
CREATE FUNCTION min(timestamptz) RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('min'); RETURN $1; END $$;
CREATE FUNCTION date_part(text, interval) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('date_part'); RETURN 0; END $$;
CREATE FUNCTION jsonb_strip_nulls(jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('jsonb_strip_nulls'); RETURN '{}'; END $$;
CREATE FUNCTION jsonb_build_object(VARIADIC text[]) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('jsonb_build_object'); RETURN '{}'; END $$;
CREATE FUNCTION fernet_timestamp(text) RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('fernet_timestamp'); RETURN 'epoch'; END $$;
CREATE FUNCTION oauth_decrypt(text, uuid, text, public.actor_type_enum, text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN regress_planted.caught('oauth_decrypt'); END $$;
CREATE FUNCTION unnest(text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('unnest'); END $$;
-- Operators, exact fits for every comparison of ours.
CREATE FUNCTION equal(uuid, uuid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('uuid ='); RETURN true; END $$;
CREATE FUNCTION equal(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('text ='); RETURN true; END $$;
CREATE FUNCTION equal(public.actor_type_enum, public.actor_type_enum) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('enum ='); RETURN true; END $$;
CREATE FUNCTION equal(integer, bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('integer ='); RETURN true; END $$;
CREATE FUNCTION equal(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('bigint ='); RETURN true; END $$;
CREATE FUNCTION equal(name, name) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('name ='); RETURN true; END $$;
CREATE FUNCTION equal(oid, oid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('oid ='); RETURN true; END $$;
CREATE FUNCTION equal(timestamptz, timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('<='); RETURN true; END $$;
CREATE FUNCTION equal(bytea, bytea) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('bytea ='); RETURN true; END $$;
CREATE FUNCTION equal(text[], text[]) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('text[] ='); RETURN true; END $$;
CREATE FUNCTION equal(boolean, boolean) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('boolean ='); RETURN true; END $$;
CREATE FUNCTION later(timestamptz, interval) RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('+'); RETURN $1; END $$;
CREATE FUNCTION make_interval(secs integer) RETURNS interval LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('make_interval'); RETURN '0'; END $$;
CREATE FUNCTION split_part(text, text, integer) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('split_part'); RETURN $1; END $$;
CREATE FUNCTION joined(jsonb, jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN PERFORM regress_planted.caught('||'); RETURN $1; END $$;
CREATE OPERATOR = (FUNCTION = equal, LEFTARG = uuid, RIGHTARG = uuid);
CREATE OPERATOR <> (FUNCTION = equal, LEFTARG = uuid, RIGHTARG = uuid);
CREATE OPERATOR = (FUNCTION = equal, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR = (FUNCTION = equal, LEFTARG = public.actor_type_enum, RIGHTARG = public.actor_type_enum);
CREATE OPERATOR = (FUNCTION = equal, LEFTARG = integer, RIGHTARG = bigint);
CREATE OPERATOR = (FUNCTION = equal, LEFTARG = bigint, RIGHTARG = bigint);
CREATE OPERATOR = (FUNCTION = equal, LEFTARG = name, RIGHTARG = name);
CREATE OPERATOR = (FUNCTION = equal, LEFTARG = oid, RIGHTARG = oid);
CREATE OPERATOR <= (FUNCTION = equal, LEFTARG = timestamptz, RIGHTARG = timestamptz);
CREATE OPERATOR > (FUNCTION = equal, LEFTARG = timestamptz, RIGHTARG = timestamptz);
CREATE OPERATOR < (FUNCTION = equal, LEFTARG = timestamptz, RIGHTARG = timestamptz);
CREATE OPERATOR < (FUNCTION = equal, LEFTARG = bigint, RIGHTARG = bigint);
CREATE OPERATOR = (FUNCTION = equal, LEFTARG = bytea, RIGHTARG = bytea);
CREATE OPERATOR = (FUNCTION = equal, LEFTARG = text[], RIGHTARG = text[]);
CREATE OPERATOR = (FUNCTION = equal, LEFTARG = boolean, RIGHTARG = boolean);
CREATE OPERATOR + (FUNCTION = later, LEFTARG = timestamptz, RIGHTARG = interval);
CREATE OPERATOR || (FUNCTION = joined, LEFTARG = jsonb, RIGHTARG = jsonb);
RESET ROLE;

-- The planted names come first, even before pg_catalog, and in pg_temp, too.
CREATE TEMP TABLE oauth_tokens (LIKE regress_planted.oauth_tokens);
CREATE TEMP TABLE oauth_token_details (LIKE regress_planted.oauth_token_details);
CREATE TYPE pg_temp.actor_type_enum AS ENUM ('user', 'api_key');
SET search_path = pg_temp, regress_planted, pg_catalog, public;
SELECT now() AS the_trap_works, 1::bigint = 2::bigint AS nothing_is_as_it_seems;

SELECT oauth_tokens_current();
SELECT oauth_tokens_upgrade();
SELECT access_token, refresh_token, scopes FROM oauth_get(:alice);
SELECT access_token FROM oauth_get(:'w', 'google', 'user'::pg_temp.actor_type_enum, 'alice');
SELECT count(*) FROM oauth_get(:'w', 'google', 'user', 'bob');
SELECT oauth_access_token(:alice);
SELECT oauth_store(:alice, 'mine again', details => '{"account_id": "2", "extra": {}, "lifetime": 7}') IS NOT NULL AS stored;
SELECT oauth_store(:'w', 'google', 'user', 'bob', 'bob') IS NOT NULL AS stored;
SELECT oauth_move(:alice, :'w', 'google', 'api_key', 'alice'), oauth_delete(:alice);
SELECT actor_type, actor_id, scopes, state, details - 'connected_at'::text AS details, updated_at OPERATOR(pg_catalog.>) '2000-01-01 00:00+00' AS times FROM oauth_connections ORDER BY actor_id;
SELECT actor_id, access_token, created_at OPERATOR(pg_catalog.>) '2000-01-01 00:00+00' AS times FROM oauth_tokens_decrypted ORDER BY actor_id;
SELECT count(*) FROM oauth_tokens_damaged();
SELECT "position", "values", oldest OPERATOR(pg_catalog.>) '2000-01-01 00:00+00' AS times FROM oauth_key_usage;
CALL oauth_rotate_keys();
-- A flow, from the link to the confirmed grant.
SELECT oauth_tokens_internal.publish_settings('https://oauth.example.com', '600 s', '{}', '{google}');
SELECT oauth_tokens_internal.publish_settings('https://oauth.example.com/path', '600 s', '{}', '{google}');
SELECT left(url, -43) AS url, right(url, 43) AS ticket FROM oauth_authorize_url(:'w', 'google', 'user', 'flo', 'mail', '/', true) url \gset
SELECT :'url' AS url;
SELECT state, browser_secret FROM oauth_tokens_internal.flow_begin(sha256(:'ticket'), 'google', NULL, 'https://issuer.example', 'client') \gset
SELECT count(*) FROM oauth_tokens_internal.flow_claim(sha256('other'), sha256(:'browser_secret'), 'google');
SELECT actor_id, client_id FROM oauth_tokens_internal.flow_claim(sha256(:'state'), sha256(:'browser_secret'), 'google');
SELECT outcome, flow FROM oauth_tokens_internal.flow_store(sha256(:'ticket'), 'of a flow', NULL, 60, NULL, '{"account_id": "1", "issuer": "x", "client_id": "x"}') \gset
SELECT oauth_flow_confirm(:'w', 'google', 'user', 'flo', :'flow') IS NOT NULL AS confirmed;
SELECT access_token, oauth_delete(:'w', 'google', 'user', 'flo') FROM oauth_get(:'w', 'google', 'user', 'flo');
SELECT oauth_tokens_internal.flow_purge();
SELECT public.oauth_decrypt(oauth_encrypt('placed', :alice, 'encrypted_access_token'), :alice, 'encrypted_access_token');
SELECT oauth_tokens_grant('regress_planter', 'admin');
SELECT oauth_tokens_revoke('regress_planter', 'admin');
SELECT oauth_delete(:'w', 'google', 'user', 'bob');
-- What was planted is as empty as before.
SELECT (SELECT count(*) FROM pg_temp.oauth_tokens) + (SELECT count(*) FROM regress_planted.oauth_tokens) +
    (SELECT count(*) FROM pg_temp.oauth_token_details) + (SELECT count(*) FROM regress_planted.oauth_token_details) AS caught_rows,
    (SELECT count(*) FROM public.oauth_tokens) AS ours;
\set VERBOSITY sqlstate
SELECT oauth_tokens_downgrade();
\set VERBOSITY default
SELECT oauth_tokens_downgrade(true);
SELECT to_regclass('public.oauth_tokens') IS NULL AS ours_dropped, to_regclass('regress_planted.oauth_tokens') IS NOT NULL AND to_regclass('pg_temp.oauth_tokens') IS NOT NULL AS theirs_not;
-- Without a table of ours, theirs is none.
SELECT oauth_tokens_current() IS NULL AS none;
\set VERBOSITY sqlstate
SELECT * FROM oauth_get(:alice);
SELECT oauth_store(:alice, 'sentinel');
SELECT count(*) FROM oauth_connections;
\set VERBOSITY default
-- The extension may be made and migrated in such a session as well. The enum of
-- another role is not taken, nor one in pg_temp.
DROP EXTENSION oauth_tokens;
SET client_min_messages = error;
DROP TYPE public.actor_type_enum CASCADE;
RESET client_min_messages;
CREATE EXTENSION oauth_tokens SCHEMA public;
SELECT oauth_tokens_upgrade();
SELECT count(oauth_store(:alice, 'mine'));
SELECT access_token FROM oauth_get(:alice);
RESET search_path;
SELECT atttypid = 'public.actor_type_enum'::regtype AS enum_of_our_own FROM pg_attribute WHERE attrelid = 'public.oauth_tokens'::regclass AND attname = 'actor_type';

-- In the extension's own schema, in which a role with CREATE can be first.
SET client_min_messages = warning;
SELECT oauth_tokens_downgrade(true) AS revision \gset
RESET client_min_messages;
DROP TABLE pg_temp.oauth_tokens, pg_temp.oauth_token_details;
DROP TYPE public.actor_type_enum, pg_temp.actor_type_enum CASCADE;
GRANT CREATE ON SCHEMA public TO regress_planter;
SET ROLE regress_planter;
CREATE TYPE public.actor_type_enum AS ENUM ('user', 'api_key');
RESET ROLE;
SELECT oauth_tokens_upgrade();
SET ROLE regress_planter;
CREATE TABLE public.oauth_tokens (LIKE regress_planted.oauth_tokens INCLUDING ALL, actor_type public.actor_type_enum NOT NULL);
RESET ROLE;
SELECT oauth_tokens_upgrade();
SELECT oauth_tokens_current() IS NULL AS none;
-- Nor where the planter made the superuser a member of its own.
SELECT current_user AS superuser \gset
GRANT regress_planter TO :superuser;
SELECT oauth_tokens_upgrade();
REVOKE regress_planter FROM :superuser;
SET ROLE regress_planter;
DROP TABLE public.oauth_tokens;
DROP TYPE public.actor_type_enum;
CREATE TABLE public.oauth_token_details (LIKE regress_planted.oauth_token_details INCLUDING ALL);
RESET ROLE;
SELECT oauth_tokens_upgrade();
SELECT to_regclass('public.oauth_tokens') IS NULL AS nothing_made;
SET client_min_messages = warning;
DROP OWNED BY regress_planter CASCADE;
DROP ROLE regress_planter;
DROP EXTENSION oauth_tokens;
DROP TYPE IF EXISTS public.actor_type_enum CASCADE;
