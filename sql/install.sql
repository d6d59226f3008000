-- What CREATE EXTENSION brings, what it leaves to the migration, and who may
-- call what before anything was granted.

\set SHOW_CONTEXT never
\set w '11111111-1111-4111-8111-111111111111'
\set place '''11111111-1111-4111-8111-111111111111'', ''google'', ''user'', ''alice'''

CREATE EXTENSION oauth_tokens;
SELECT extversion = default_version AS current, extrelocatable, (SELECT array_agg(t::regclass::text ORDER BY 1) FROM unnest(extconfig) t) AS dumped
FROM pg_extension JOIN pg_available_extensions ON name = extname WHERE extname = 'oauth_tokens';
SELECT DISTINCT superuser, trusted, relocatable FROM pg_available_extension_versions WHERE name = 'oauth_tokens';
ALTER EXTENSION oauth_tokens SET SCHEMA pg_catalog;

-- Installed but not migrated: every function that needs the table says so.
SELECT oauth_tokens_current() IS NULL AS not_migrated;
SELECT oauth_store(:place, 'sentinel');
\set VERBOSITY sqlstate
SELECT oauth_store(:place, 'sentinel', details => '{}');
SELECT * FROM oauth_get(:place);
SELECT * FROM (VALUES (1)) v, LATERAL oauth_get(:place);
SELECT oauth_access_token(:place);
SELECT oauth_delete(:place);
SELECT oauth_move(:place, :place);
SELECT oauth_encrypt('sentinel', :place, 'encrypted_access_token');
SELECT oauth_decrypt('sentinel', :place, 'encrypted_access_token');
CALL oauth_rotate_keys();
SELECT oauth_authorize_url(:place);
SELECT oauth_flow_confirm(:place, 'sentinel');
SELECT * FROM oauth_tokens_internal.flow_store('', 'sentinel', NULL, NULL, NULL, NULL);
-- What is SQL only reports PostgreSQL's own code.
SELECT * FROM oauth_connections;
SELECT * FROM oauth_tokens_decrypted;
SELECT * FROM oauth_tokens_damaged();
SELECT * FROM oauth_key_usage;
-- No table is needed for these.
SELECT oauth_decrypt(oauth_encrypt('without a table')), oauth_tokens_downgrade();
SELECT count(*), oauth_tokens_internal.flow_purge() FROM oauth_tokens_internal.flow_begin('', 'google', NULL, 'https://issuer.example', 'client');
\set VERBOSITY default

-- The migration speaks in Alembic's words, once.
SELECT oauth_tokens_upgrade();
SELECT oauth_tokens_current();
SELECT oauth_tokens_upgrade();
SELECT oauth_tokens_current();
\d oauth_tokens
\d oauth_token_details
\dT+ actor_type_enum
SELECT attname, attstorage FROM pg_attribute
WHERE attrelid = 'oauth_tokens'::regclass AND attname ~ '^encrypted' ORDER BY attname;
-- Ordinary objects, and nothing in the catalog stands on them but defaults and the details' own policies.
SELECT count(*) AS members FROM pg_depend
WHERE deptype = 'e' AND objid IN ('oauth_tokens'::regclass, 'oauth_token_details'::regclass, 'actor_type_enum'::regtype);
SELECT pg_describe_object(classid, objid, objsubid) AS dependent FROM pg_depend
WHERE refobjid IN ('oauth_tokens'::regclass, 'oauth_token_details'::regclass)
    AND deptype = 'n' AND classid NOT IN ('pg_attrdef'::regclass, 'pg_policy'::regclass);

-- What the extension consists of.
CREATE TEMP VIEW members AS
SELECT classid, objid, pg_describe_object(classid, objid, 0) AS object
FROM pg_depend WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
    AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'oauth_tokens');
SELECT object FROM members
WHERE classid <> 'pg_proc'::regclass AND object !~ 'oauth_tokens_internal.key_rotations' AND object !~ '^type '
ORDER BY object COLLATE "C";
SELECT object AS without_comment FROM members
WHERE classid IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_namespace'::regclass)
    AND object !~ '^(sequence|index) '
    AND COALESCE(obj_description(objid, classid::regclass::name), '') = '';

-- Every function: how it runs, how it may be planned, and whether PUBLIC may call
-- it. None is leakproof; what writes, or takes a secret, runs in no parallel
-- worker, which would publish the statement's text.
SELECT objid::regprocedure AS function, l.lanname AS language, p.provolatile AS volatile,
    p.proparallel AS parallel, p.proisstrict AS strict, p.proleakproof AS leakproof,
    p.prosecdef AS definer, has_function_privilege('public', p.oid, 'EXECUTE') AS public
FROM members JOIN pg_proc p ON p.oid = objid JOIN pg_language l ON l.oid = p.prolang
WHERE classid = 'pg_proc'::regclass ORDER BY objid::regprocedure::text COLLATE "C";
SELECT objid::regprocedure AS public_may_call FROM members
WHERE classid = 'pg_proc'::regclass AND has_function_privilege('public', objid, 'EXECUTE')
ORDER BY objid::regprocedure::text COLLATE "C";
SELECT object AS public_may_reach FROM members JOIN pg_class c ON c.oid = objid
WHERE classid = 'pg_class'::regclass AND c.relkind IN ('r', 'v')
    AND (has_table_privilege('public', objid, 'SELECT') OR has_table_privilege('public', objid, 'INSERT')
         OR has_any_column_privilege('public', objid, 'SELECT'));
SELECT has_schema_privilege('public', 'oauth_tokens_internal', 'USAGE') AS public_uses_internal,
    has_table_privilege('public', 'oauth_tokens', 'SELECT') AS public_reads_tokens,
    has_table_privilege('public', 'oauth_token_details', 'SELECT') AS public_reads_details;

-- The views run with the caller's rights, and what a caller writes in WHERE comes
-- after what they hide.
SELECT relname, reloptions FROM pg_class WHERE relname IN ('oauth_connections', 'oauth_tokens_decrypted', 'oauth_key_usage')
ORDER BY relname;

-- DROP EXTENSION leaves the token, and a new one finds it.
SELECT oauth_store(:place, 'kept', scopes => 'mail') IS NOT NULL AS stored;
DROP EXTENSION oauth_tokens;
SELECT count(*) FROM oauth_tokens;
SELECT to_regnamespace('oauth_tokens_internal') IS NULL AS helpers_gone;
CREATE EXTENSION oauth_tokens;
SELECT oauth_tokens_current() IS NULL AS triggers_gone;
SELECT oauth_tokens_upgrade();
SELECT access_token, scopes FROM oauth_get(:place);

-- In a schema of its own, whose name needs quotes.
DROP EXTENSION oauth_tokens;
DROP TABLE oauth_tokens, oauth_token_details;
DROP TYPE actor_type_enum;
CREATE SCHEMA "regress Own";
CREATE EXTENSION oauth_tokens SCHEMA "regress Own";
SELECT "regress Own".oauth_tokens_upgrade();
SELECT to_regclass('oauth_tokens') IS NULL AS not_in_public,
    to_regclass('"regress Own".oauth_tokens') IS NOT NULL AS in_its_schema;
SET search_path = "regress Own";
SELECT oauth_store(:place, 'here', 'refresh', details => '{"account_id": "1"}') IS NOT NULL AS stored;
SET search_path = public;
SELECT access_token FROM "regress Own".oauth_get(:place);
SELECT details ->> 'account_id' AS account_id FROM "regress Own".oauth_connections;
SELECT access_token FROM "regress Own".oauth_tokens_decrypted;
SELECT "values" FROM "regress Own".oauth_key_usage;
SELECT "regress Own".oauth_move(:place, :'w', 'google', 'api_key', 'alice');
CALL "regress Own".oauth_rotate_keys();
SELECT oauth_tokens_internal.publish_settings('https://oauth.example.com', '600 s', '{}', '{google}');
SELECT outcome FROM substring("regress Own".oauth_authorize_url(:place) FROM 'ticket=(.*)') ticket, oauth_tokens_internal.flow_store(sha256(ticket::bytea), 'connected', NULL, NULL, NULL, NULL);
SELECT access_token, "regress Own".oauth_delete(:place) FROM "regress Own".oauth_get(:place);
-- Its schema may be renamed: open sessions follow.
ALTER SCHEMA "regress Own" RENAME TO regress_renamed;
SELECT access_token FROM regress_renamed.oauth_get(:'w', 'google', 'api_key', 'alice');
SELECT regress_renamed.oauth_store(:'w', 'google', 'api_key', 'alice', 'renamed') IS NOT NULL AS stored;
SELECT access_token FROM regress_renamed.oauth_get(:'w', 'google', 'api_key', 'alice');
-- The views do not: what has the old name by now may be anybody's (E20).
CREATE ROLE regress_next;
CREATE SCHEMA "regress Own" AUTHORIZATION regress_next;
SET ROLE regress_next;
CREATE FUNCTION "regress Own".caught() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'caught'; RETURN true; END $$;
RESET ROLE;
CREATE TABLE "regress Own".hidden (LIKE regress_renamed.oauth_tokens);
INSERT INTO "regress Own".hidden (workspace_id, provider, actor_type, actor_id, encrypted_access_token, id, created_at, updated_at) VALUES (:'w', 'google', 'user', 'x', 'x', :'w', now(), now());
CREATE TABLE "regress Own".oauth_token_details (LIKE regress_renamed.oauth_token_details);
CREATE VIEW "regress Own".oauth_tokens AS SELECT * FROM "regress Own".hidden WHERE "regress Own".caught();
SELECT count(*) FROM regress_renamed.oauth_connections;
SELECT count(*) FROM regress_renamed.oauth_tokens_decrypted;
SELECT count(*) FROM regress_renamed.oauth_key_usage;
SELECT count(*) FROM regress_renamed.oauth_tokens_damaged();
SET client_min_messages = warning;
DROP SCHEMA "regress Own" CASCADE;
DROP ROLE regress_next;
RESET client_min_messages;
ALTER SCHEMA regress_renamed RENAME TO "regress Own";
SELECT count(*) FROM "regress Own".oauth_connections;
ALTER SCHEMA "regress Own" RENAME TO regress_renamed;
SELECT regress_renamed.oauth_delete(:'w', 'google', 'api_key', 'alice');
SELECT regress_renamed.oauth_tokens_downgrade();
SELECT regress_renamed.oauth_tokens_current() IS NULL AS gone;
RESET search_path;
DROP EXTENSION oauth_tokens;
DROP TYPE regress_renamed.actor_type_enum;
DROP SCHEMA regress_renamed;
-- Nothing of it is left.
SELECT count(*) FROM pg_class WHERE relname ~ 'oauth';
SELECT count(*) FROM pg_proc WHERE proname ~ '^(oauth|fernet)_';

-- E1: whatever is there under the extension's names makes it fail, and never
-- becomes part of it.
CREATE SCHEMA oauth_tokens_internal;
CREATE EXTENSION oauth_tokens;
DROP SCHEMA oauth_tokens_internal;
CREATE FUNCTION oauth_get(uuid, text, text, text) RETURNS text LANGUAGE sql AS $$ SELECT 'planted' $$;
CREATE EXTENSION oauth_tokens;
DROP FUNCTION oauth_get;
CREATE VIEW oauth_connections AS SELECT 'planted';
CREATE EXTENSION oauth_tokens;
DROP VIEW oauth_connections;
SELECT count(*) FROM pg_extension WHERE extname = 'oauth_tokens';

-- E2: what default privileges would give away, of a role and of a schema, is taken back.
CREATE ROLE regress_default;
CREATE ROLE "regress Default";
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC, regress_default, "regress Default";
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO regress_default, "regress Default";
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC, regress_default;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO PUBLIC, regress_default;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO regress_default WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO regress_default WITH GRANT OPTION;
CREATE EXTENSION oauth_tokens;
SELECT count(*), min(pg_describe_object(d.classid, d.objid, 0)) FROM pg_depend d
JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'oauth_tokens' AND d.deptype = 'e',
    aclexplode(COALESCE((SELECT proacl FROM pg_proc WHERE d.classid = 'pg_proc'::regclass AND oid = d.objid),
        (SELECT relacl FROM pg_class WHERE d.classid = 'pg_class'::regclass AND oid = d.objid),
        (SELECT nspacl FROM pg_namespace WHERE d.classid = 'pg_namespace'::regclass AND oid = d.objid))) a
WHERE a.grantee <> 10 AND (a.grantee <> 0 OR d.classid <> 'pg_proc'::regclass);
SELECT has_function_privilege('regress_default', 'oauth_tokens_current()', 'EXECUTE') AS of_public, to_regproc('oauth_tokens_internal.revoke_default_privileges') IS NULL AS helper_is_gone;
-- E27: an update takes it back from what it has made, and leaves what was granted on the rest.
GRANT EXECUTE ON FUNCTION oauth_encrypt(text) TO regress_default;
BEGIN;
CREATE FUNCTION oauth_tokens_internal.new() RETURNS void LANGUAGE sql AS 'SELECT';
REVOKE ALL ON FUNCTION oauth_tokens_internal.new() FROM PUBLIC;
ALTER EXTENSION oauth_tokens ADD FUNCTION oauth_tokens_internal.new();
CREATE FUNCTION oauth_tokens_internal.revoke_default_privileges() RETURNS void LANGUAGE c AS '$libdir/oauth_tokens', 'oauth_revoke_default_privileges';
SELECT has_function_privilege('regress_default', 'oauth_tokens_internal.new()', 'EXECUTE') AS by_default;
SELECT oauth_tokens_internal.revoke_default_privileges();
SELECT has_function_privilege('regress_default', 'oauth_encrypt(text)', 'EXECUTE') AS granted, has_function_privilege('regress_default', 'oauth_tokens_internal.new()', 'EXECUTE') AS by_default;
ROLLBACK;
-- It refuses to begin under a library that is older than it.
CREATE FUNCTION pg_temp.require_library(version text) RETURNS void LANGUAGE c STRICT AS '$libdir/oauth_tokens', 'oauth_require_library';
SELECT pg_temp.require_library(default_version), pg_temp.require_library('0.1.10') FROM pg_available_extensions WHERE name = 'oauth_tokens';
\set VERBOSITY sqlstate
SELECT pg_temp.require_library('0.10.0');
SELECT pg_temp.require_library('99.0.0');
\set VERBOSITY default
DROP FUNCTION pg_temp.require_library(text);
DROP EXTENSION oauth_tokens;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SEQUENCES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SCHEMAS FROM PUBLIC;
DROP OWNED BY regress_default, "regress Default";
DROP ROLE regress_default, "regress Default";
