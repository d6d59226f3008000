-- E2: what each capability may do, by real calls, and the privileges that it
-- consists of; grants and revokes in every order.

SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
RESET client_min_messages;
SET TimeZone = 'UTC';
CREATE ROLE regress_nobody;
CREATE ROLE regress_access;
CREATE ROLE regress_reader;
CREATE ROLE regress_writer;
CREATE ROLE regress_sidecar;
CREATE ROLE regress_admin;
CREATE ROLE "regress Odd ""role";

-- Before the migration: the functions, and a notice of what is missing.
SELECT oauth_tokens_grant('regress_access', 'access');
SELECT oauth_tokens_upgrade() AS revision \gset
SELECT oauth_tokens_grant(('regress_' || c)::regrole, c) FROM unnest('{access,reader,writer,sidecar,admin}'::text[]) c;
-- Again changes nothing, and says nothing.
CREATE FUNCTION privileges(of_role regrole) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT 'table ' || c.oid::regclass || ': ' || string_agg(a.privilege_type || CASE WHEN a.is_grantable THEN ' with grant option' ELSE '' END, ', ' ORDER BY a.privilege_type)
    FROM pg_class c, aclexplode(c.relacl) a WHERE a.grantee = of_role GROUP BY c.oid
    UNION ALL
    SELECT 'columns of ' || attrelid::regclass || ', ' || a.privilege_type || ': ' || string_agg(attname::text, ', ' ORDER BY attnum)
    FROM pg_attribute, aclexplode(attacl) a WHERE a.grantee = of_role GROUP BY attrelid, a.privilege_type
    UNION ALL
    SELECT 'function ' || p.pronamespace::regnamespace || '.' || p.proname || ' in ' || count(*) || ' forms'
    FROM pg_proc p, aclexplode(p.proacl) a WHERE a.grantee = of_role GROUP BY p.pronamespace, p.proname
    UNION ALL
    SELECT 'schema ' || nspname || ': ' || a.privilege_type FROM pg_namespace, aclexplode(nspacl) a WHERE a.grantee = of_role
    ORDER BY 1 $$;
CREATE TEMP TABLE before AS SELECT r, p FROM unnest('{regress_access,regress_reader,regress_writer,regress_sidecar,regress_admin}'::regrole[]) r, privileges(r) p;
SELECT count(oauth_tokens_grant(('regress_' || c)::regrole, c)) FROM unnest('{access,reader,writer,sidecar,admin}'::text[]) c;
SELECT count(*) FROM (SELECT r, p FROM unnest('{regress_access,regress_reader,regress_writer,regress_sidecar,regress_admin}'::regrole[]) r, privileges(r) p
    EXCEPT TABLE before) differences;

-- Exactly these.
SELECT privileges('regress_nobody');
SELECT privileges('regress_access');
SELECT privileges('regress_reader');
SELECT privileges('regress_writer');
SELECT privileges('regress_sidecar');
SELECT privileges('regress_admin');

-- Real calls. yes: it worked; -: 42501; else another error. Every call is undone.
CREATE FUNCTION attempt(as_role text, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', as_role);
    EXECUTE statement;
    RAISE SQLSTATE 'RG000';
EXCEPTION
    WHEN SQLSTATE 'RG000' THEN RETURN 'yes';
    WHEN insufficient_privilege THEN RETURN '-';
    WHEN OTHERS THEN RETURN SQLSTATE;
END $$;
SELECT count(oauth_store('11111111-1111-4111-8111-111111111111', 'google', 'user', name, 'access', 'refresh', details => '{"account_id": "1"}'))
FROM (VALUES ('alice'), ('bob')) t (name);
SELECT oauth_tokens_internal.publish_settings('https://oauth.example.com', '600 s', '{}', '{google}');
CREATE TEMP TABLE calls (number serial, call text, statement text);
INSERT INTO calls (call, statement)
SELECT c, CASE WHEN c ~ '^(CALL|SELECT|INSERT|UPDATE|DELETE|TRUNCATE|DROP|CREATE|ALTER|LOCK)' THEN '' ELSE 'SELECT ' END
    || replace(c, 'alice', $$'11111111-1111-4111-8111-111111111111', 'google', 'user', 'alice'$$)
FROM unnest(ARRAY[
    'oauth_tokens_current()', 'fernet_generate_key()', $$fernet_encrypt('x', fernet_generate_key())$$,
    $$fernet_timestamp('gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==')$$,
    'oauth_access_token(alice)', $$oauth_access_token('11111111-1111-4111-8111-111111111111', 'google', 'user'::actor_type_enum, 'bob', '1 h')$$,
    'oauth_get(alice)', $$oauth_get('11111111-1111-4111-8111-111111111111', 'google', 'user'::actor_type_enum, 'bob')$$,
    'SELECT * FROM oauth_connections',
    $$oauth_store(alice, 'new')$$, $$oauth_store(alice, 'new', 'new', now(), 'new', details => '{}')$$, $$oauth_store(alice, 'new', keep_refresh_token => false)$$,
    $$oauth_store(gen_random_uuid(), 'google', 'user', 'carol', 'new')$$,
    $$oauth_store(gen_random_uuid(), 'google', 'user'::actor_type_enum, 'carol', 'new', details => '{}')$$,
    'oauth_delete(alice)', $$oauth_move(alice, gen_random_uuid(), 'google', 'user', 'x')$$,
    $$oauth_encrypt('x')$$, $$oauth_encrypt('x', alice, 'encrypted_access_token')$$,
    $$oauth_decrypt('gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==')$$,
    $$oauth_decrypt('gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==', alice, 'encrypted_access_token')$$,
    'SELECT * FROM oauth_tokens_decrypted', 'SELECT * FROM oauth_tokens_damaged()', 'SELECT * FROM oauth_key_usage',
    'CALL oauth_rotate_keys()', 'oauth_tokens_upgrade()', 'oauth_tokens_downgrade(true)',
    $$oauth_tokens_grant('regress_nobody', 'access')$$, $$oauth_tokens_revoke('regress_access', 'access')$$,
    'SELECT encrypted_access_token FROM oauth_tokens', 'SELECT encrypted_refresh_token FROM oauth_tokens', 'SELECT workspace_id, provider, actor_id FROM oauth_tokens',
    'SELECT * FROM oauth_tokens', 'SELECT * FROM oauth_token_details', 'SELECT token_id FROM oauth_token_details',
    $$INSERT INTO oauth_tokens (workspace_id, provider, actor_type, actor_id, encrypted_access_token) VALUES (gen_random_uuid(), 'x', 'user', 'x', 'x')$$, 'UPDATE oauth_tokens SET scopes = NULL', 'UPDATE oauth_tokens SET created_at = now()',
    'UPDATE oauth_tokens SET id = id', 'DELETE FROM oauth_tokens', 'DELETE FROM oauth_token_details', 'TRUNCATE oauth_tokens', 'TRUNCATE oauth_token_details',
    'LOCK TABLE oauth_tokens',
    'CREATE TRIGGER t BEFORE INSERT ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()', 'CREATE INDEX ON oauth_tokens (scopes)',
    'ALTER TABLE oauth_tokens DISABLE ROW LEVEL SECURITY', 'DROP TABLE oauth_tokens', 'CREATE TABLE public.mine ()',
    'SELECT * FROM oauth_tokens_internal.key_rotations', 'INSERT INTO oauth_tokens_internal.key_rotations (fingerprint) VALUES (1)',
    'oauth_tokens_internal.key_fingerprints()', $$oauth_tokens_internal.key_position('x', '11111111-1111-4111-8111-111111111111', 'google', 'user'::actor_type_enum, 'bob', 'encrypted_access_token')$$,
    $$oauth_tokens_internal.is_damaged('x', '11111111-1111-4111-8111-111111111111', 'google', 'user'::actor_type_enum, 'bob', 'encrypted_access_token')$$,
    'oauth_tokens_internal.connections(true)', 'oauth_tokens_internal.decrypted(true)', 'oauth_tokens_internal.key_usage(true)', 'oauth_tokens_internal.guard(''public'')', 'oauth_tokens_internal.damaged(true)', 'oauth_tokens_internal.utc(now())',
    'CREATE TABLE oauth_tokens_internal.mine ()',
    'oauth_authorize_url(alice)', $$oauth_authorize_url('11111111-1111-4111-8111-111111111111', 'google', 'user'::actor_type_enum, 'bob', 'mail', '/', true)$$,
    $$oauth_flow_confirm(alice, 'unknown')$$, $$oauth_flow_confirm('11111111-1111-4111-8111-111111111111', 'google', 'user'::actor_type_enum, 'bob', 'unknown')$$,
    $$oauth_tokens_internal.publish_settings('https://oauth.example.com/new', '1 s', '{}', '{google}')$$,
    $$oauth_tokens_internal.flow_begin(sha256('unknown'), 'google', NULL, 'https://issuer.example/token', 'client')$$,
    $$oauth_tokens_internal.flow_claim(sha256('unknown'), sha256('unknown'), 'google')$$,
    $$oauth_tokens_internal.flow_store(sha256('unknown'), 'access', NULL, NULL, NULL, NULL)$$,
    'oauth_tokens_internal.flow_purge()',
    $$oauth_cache_register('x')$$, $$oauth_cache_unregister('x')$$, 'SELECT * FROM oauth_changes_pending()', $$oauth_changes_ack(gen_random_uuid(), '{}')$$,
    $$oauth_changes_wait('0')$$, 'oauth_tokens_internal.cache_registration()', 'oauth_tokens_internal.cache_registration_id()', 'SELECT * FROM oauth_tokens_internal.connection(alice)',
    'SELECT * FROM oauth_tokens_internal.cache_invalidations', 'SELECT * FROM oauth_tokens_internal.cache_registrations', 'oauth_tokens_internal.record_change()',
    'SELECT * FROM oauth_tokens_internal.sidecar_settings', 'UPDATE oauth_tokens_internal.sidecar_settings SET public_url = NULL', 'DELETE FROM oauth_tokens_internal.sidecar_settings',
    'SELECT * FROM oauth_tokens_internal.flow_links', 'SELECT return_to FROM oauth_tokens_internal.flow_links', 'UPDATE oauth_tokens_internal.flow_links SET confirm = false', 'TRUNCATE oauth_tokens_internal.flow_links CASCADE',
    'SELECT * FROM oauth_tokens_internal.flow_attempts', 'UPDATE oauth_tokens_internal.flow_attempts SET browser_hash = NULL', 'DELETE FROM oauth_tokens_internal.flow_attempts',
    'SELECT sealed FROM oauth_tokens_internal.flow_confirmations', 'UPDATE oauth_tokens_internal.flow_confirmations SET actor_id = NULL', 'INSERT INTO oauth_tokens_internal.flow_confirmations DEFAULT VALUES',
    'DELETE FROM oauth_tokens_internal.flow_confirmations',
    'SELECT * FROM oauth_doctor()', 'SELECT * FROM oauth_tokens_internal.used_keys', 'DELETE FROM oauth_tokens_internal.used_keys']) c;
SELECT to_char(number, 'FM00 ') || left(regexp_replace(call, '11111111-1111-4111-8111-111111111111', '...'), 75) AS call, substr(role, 9) AS role, attempt(role, statement)
FROM calls, unnest('{regress_nobody,regress_access,regress_reader,regress_writer,regress_sidecar,regress_admin}'::text[]) WITH ORDINALITY r (role, at)
ORDER BY number, at \crosstabview
SELECT count(*) FROM oauth_tokens;

-- A whole flow, each step by who may take it: as another account, so that the
-- stored refresh token is looked at and goes.
SET ROLE regress_writer;
SELECT substring(oauth_authorize_url('11111111-1111-4111-8111-111111111111', 'google', 'user', 'alice', return_to => '/', confirm => true) FROM 'ticket=(.*)') AS ticket \gset
SELECT count(oauth_authorize_url('11111111-1111-4111-8111-111111111111', 'google', 'user', 'bob')) FROM generate_series(1, 21);
SELECT substring(oauth_authorize_url('11111111-1111-4111-8111-111111111111', 'google', 'user', 'bob') FROM 'ticket=(.*)') AS other \gset
SET ROLE regress_sidecar;
SELECT state, browser_secret FROM oauth_tokens_internal.flow_begin(sha256(:'ticket'), 'google', 'https://issuer.example', 'https://issuer.example/token', 'client') \gset
SELECT actor_id, confirm FROM oauth_tokens_internal.flow_claim(sha256(:'state'), sha256(:'browser_secret'), 'google');
\set details '{"account_id": "2", "issuer": "https://issuer.example", "client_id": "client"}'
SELECT outcome, flow FROM oauth_tokens_internal.flow_store(sha256(:'ticket'), 'access', NULL, 60, NULL, :'details') \gset
SELECT * FROM oauth_tokens_internal.flow_store(sha256(:'other'), 'access', NULL, 60, NULL, :'details');
SELECT oauth_tokens_internal.flow_purge(), oauth_tokens_internal.publish_settings('https://oauth.example.com', '60 s', '{}', '{google}');
SELECT oauth_flow_confirm('11111111-1111-4111-8111-111111111111', 'google', 'user', 'alice', :'flow');
SET ROLE regress_writer;
SELECT oauth_flow_confirm('11111111-1111-4111-8111-111111111111', 'google', 'user', 'alice', :'flow') IS NOT NULL AS confirmed;
RESET ROLE;
SELECT actor_id, has_refresh_token, details ->> 'account_id' AS account FROM oauth_connections ORDER BY actor_id;
SELECT count(*) FROM oauth_tokens_internal.flow_links;

-- Through another role, or PUBLIC.
GRANT regress_reader TO regress_nobody;
SELECT attempt('regress_nobody', $$SELECT oauth_get('11111111-1111-4111-8111-111111111111', 'google', 'user', 'alice')$$) AS as_member;
REVOKE regress_reader FROM regress_nobody;

-- EXECUTE alone is of no use: the table's rights count, column by column.
GRANT EXECUTE ON FUNCTION oauth_get(uuid, text, text, text), oauth_access_token(uuid, text, text, text, interval), oauth_store(uuid, text, text, text, text, text, timestamptz, text, bigint, boolean, jsonb), oauth_delete(uuid, text, text, text, boolean)
    TO regress_nobody;
SELECT count(oauth_tokens_revoke('regress_access', 'access'));
GRANT regress_access TO regress_nobody;
CREATE FUNCTION attempts() RETURNS TABLE (access text, get text, store text, delete text) LANGUAGE sql AS $$
    SELECT attempt('regress_nobody', format('SELECT oauth_access_token(%s)', i)), attempt('regress_nobody', format('SELECT oauth_get(%s)', i)),
        attempt('regress_nobody', format('SELECT oauth_store(%s, ''x'')', i)), attempt('regress_nobody', format('SELECT oauth_delete(%s)', i))
    FROM (VALUES ($i$'11111111-1111-4111-8111-111111111111', 'google', 'user', 'alice'$i$)) t (i) $$;
SELECT * FROM attempts();
GRANT SELECT (workspace_id, provider, actor_type, actor_id, encrypted_access_token) ON oauth_tokens TO regress_access;
SELECT * FROM attempts();
GRANT SELECT (access_token_expires_at) ON oauth_tokens TO regress_access;
SELECT * FROM attempts();
GRANT SELECT (encrypted_refresh_token, scopes, updated_at) ON oauth_tokens TO regress_access;
SELECT * FROM attempts();
REVOKE SELECT (actor_id) ON oauth_tokens FROM regress_access;
SELECT * FROM attempts();
REVOKE ALL ON oauth_tokens FROM regress_access;
REVOKE regress_access FROM regress_nobody;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM regress_nobody;
SELECT count(oauth_tokens_grant('regress_access', 'access'));
DROP FUNCTION attempts;

-- Revoke takes a capability, and what it contains, and leaves the others.
CREATE FUNCTION after(VARIADIC steps text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE step text; found text;
BEGIN
    FOREACH step IN ARRAY steps LOOP
        IF step ~ '^-' THEN PERFORM oauth_tokens_revoke('regress_nobody', substr(step, 2));
        ELSE PERFORM oauth_tokens_grant('regress_nobody', step);
        END IF;
    END LOOP;
    SELECT COALESCE(string_agg(DISTINCT substr(r::text, 9), ' '), 'something else') INTO found
    FROM unnest('{regress_access,regress_reader,regress_writer,regress_sidecar,regress_admin}'::regrole[]) r
    WHERE ARRAY(SELECT privileges('regress_nobody') ORDER BY 1) = ARRAY(SELECT privileges(r) ORDER BY 1);
    IF ARRAY(SELECT privileges('regress_nobody')) <@ '{schema public: USAGE}' THEN found := 'nothing'; END IF;
    RAISE SQLSTATE 'RG000' USING MESSAGE = found;
EXCEPTION WHEN SQLSTATE 'RG000' THEN RETURN SQLERRM;
END $$;
SELECT after('access', '-access') AS access, after('reader', '-reader') AS reader, after('writer', '-writer') AS writer,
    after('sidecar', '-sidecar') AS sidecar, after('admin', '-admin') AS admin, after('-admin') AS none;
SELECT after('access', 'reader', '-access') AS "-access", after('access', 'reader', '-reader') AS "-reader",
    after('access', 'writer', '-access') AS "access writer -access", after('access', 'writer', '-writer') AS "access writer -writer",
    after('reader', '-access') AS "reader -access", after('reader', '-writer') AS "reader -writer", after('writer', '-reader') AS "writer -reader";
SELECT after('reader', 'writer') AS "reader writer", after('reader', 'writer', '-writer') AS "-writer", after('reader', 'writer', '-reader') AS "-reader",
    after('sidecar', '-writer') AS "sidecar -writer", after('sidecar', '-reader') AS "sidecar -reader", after('reader', 'writer', '-sidecar') AS "reader writer -sidecar";
SELECT after('admin', '-access') AS "admin -access", after('admin', '-reader') AS "admin -reader", after('admin', '-writer') AS "admin -writer",
    after('admin', '-sidecar') AS "admin -sidecar", after('reader', 'admin', '-admin') AS "reader admin -admin", after('admin', 'sidecar', '-admin', '-sidecar') AS all;

-- Who may not be granted, and what.
SELECT oauth_tokens_grant('regress_nobody', 'everything');
SELECT oauth_tokens_revoke('regress_nobody', 'everything');
-- All of it, so that the role can be dropped; what it has beside stays.
CREATE ROLE regress_leaving;
SELECT count(oauth_tokens_grant('regress_leaving', c)) FROM unnest('{access,reader,writer,sidecar,admin}'::text[]) c;
GRANT EXECUTE ON FUNCTION oauth_tokens_revoke TO regress_leaving;
GRANT SELECT ON oauth_tokens TO regress_leaving WITH GRANT OPTION;
CREATE TABLE of_the_user ();
GRANT SELECT ON of_the_user TO regress_leaving;
SELECT oauth_tokens_revoke('regress_leaving', 'all');
SELECT privileges('regress_leaving');
DROP ROLE regress_leaving;
REVOKE ALL ON of_the_user FROM regress_leaving;
SELECT oauth_tokens_revoke('regress_leaving', 'all');
DROP ROLE regress_leaving;
DROP TABLE of_the_user;
\set VERBOSITY sqlstate
SELECT oauth_tokens_grant('regress_nobody', 'Reader');
SELECT oauth_tokens_grant('regress_nobody', '');
SELECT oauth_tokens_grant('regress_missing', 'reader');
SELECT oauth_tokens_grant('public', 'reader');
SELECT oauth_tokens_grant(0::oid::regrole, 'reader');
SELECT oauth_tokens_grant(4294967295::oid::regrole, 'reader');
SELECT oauth_tokens_revoke('regress_missing', 'reader');
\set VERBOSITY default
SELECT oauth_tokens_grant(NULL, 'reader') IS NULL AS role, oauth_tokens_grant('regress_nobody', NULL) IS NULL AS capability;
SELECT count(*) FROM privileges('regress_nobody');
SELECT oauth_tokens_grant('"regress Odd ""role"', 'reader');
SELECT attempt('regress Odd "role', $$SELECT oauth_get('11111111-1111-4111-8111-111111111111', 'google', 'user', 'alice')$$);
SELECT oauth_tokens_revoke('"regress Odd ""role"', 'reader');
-- Who may call oauth_tokens_grant still cannot give away what is not theirs: an
-- error, and nothing was granted.
GRANT EXECUTE ON FUNCTION oauth_tokens_grant TO regress_nobody, regress_admin;
SET ROLE regress_nobody;
SELECT oauth_tokens_grant('regress_nobody', 'admin');
SET ROLE regress_admin;
SET client_min_messages = error;
\set VERBOSITY sqlstate
SELECT oauth_tokens_grant('regress_nobody', 'reader');
\set VERBOSITY default
RESET client_min_messages;
RESET ROLE;
SELECT privileges('regress_nobody');

SET client_min_messages = warning;
SELECT oauth_tokens_downgrade(discard_tokens => true) AS revision \gset
DROP EXTENSION oauth_tokens;
DROP TYPE actor_type_enum;
DROP FUNCTION privileges, attempt, after;
REVOKE ALL ON SCHEMA public FROM regress_access, regress_reader, regress_writer, regress_sidecar, regress_admin, "regress Odd ""role";
DROP ROLE regress_nobody, regress_access, regress_reader, regress_writer, regress_sidecar, regress_admin, "regress Odd ""role";
