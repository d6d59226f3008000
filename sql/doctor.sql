-- oauth_doctor(): each of its items by something that is wrong, as far as SQL can make it so.
-- Keys, preload, daemons and a standby are in the end-to-end tests.

SET client_min_messages = warning;
SET TimeZone = 'UTC';
CREATE ROLE regress_doctor_owner;
CREATE ROLE regress_doctor_role;
CREATE ROLE regress_doctor_sidecar;
CREATE EXTENSION oauth_tokens;
CREATE FUNCTION pg_temp.wrong(OUT item text, OUT status text, OUT detail text, OUT hint text) RETURNS SETOF record LANGUAGE sql AS $$
    SELECT item, status, regexp_replace(detail, '\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00', '<time>'), replace(hint, current_database(), '<database>')
    FROM oauth_doctor() WHERE status <> 'ok' $$;
-- runs the hints of items as they are printed
CREATE FUNCTION pg_temp.obey(what text) RETURNS SETOF text LANGUAGE plpgsql AS $$ DECLARE r record; BEGIN
    FOR r IN SELECT w.detail, w.hint FROM pg_temp.wrong() w WHERE w.item ~ what LOOP
        EXECUTE r.hint;
        RETURN NEXT r.detail || ' -> ' || r.hint;
    END LOOP; END $$;

-- before the migration
SELECT item, status, detail, hint FROM oauth_doctor() WHERE status <> 'ok' OR detail ~ '^not checked';
SELECT oauth_tokens_upgrade();

-- a database in which nothing is wrong, also for those who may only read
SELECT item, status, regexp_replace(detail, '[0-9a-f]{16}|\d+[.]\d+[.]\d+', '<…>') AS detail, hint FROM oauth_doctor();
\set w '11111111-1111-4111-8111-111111111111'
SELECT count(oauth_store(:'w', 'google', 'user', 'user ' || n, 'access', 'refresh')) FROM generate_series(1, 10) n;
BEGIN READ ONLY;
SELECT count(*) AS wrong FROM pg_temp.wrong();
SELECT count(*) AS again FROM pg_temp.wrong();
COMMIT;
SELECT regexp_replace(detail, '[0-9a-f]{16}', '<…>') FROM oauth_doctor() WHERE item = 'values and keys';

-- a table as it is adopted, and as 0.1.0 made it
BEGIN;
ALTER TABLE oauth_tokens RESET (fillfactor), SET (toast_tuple_target = 8160);
SELECT pg_temp.obey('storage');
SELECT * FROM pg_temp.wrong();
ALTER TABLE oauth_tokens SET (fillfactor = 100);
SELECT count(*) AS decided FROM pg_temp.wrong();
ROLLBACK;

-- values that no key opens
BEGIN;
UPDATE oauth_tokens SET encrypted_access_token = fernet_encrypt('x', fernet_generate_key()) WHERE actor_id < 'user 3';
SELECT * FROM pg_temp.wrong();
INSERT INTO oauth_tokens_internal.used_keys VALUES ('0123456789abcdef', now() - interval '1 year'), ('fedcba9876543210', now());
SELECT * FROM pg_temp.wrong();
ROLLBACK;
SELECT count(*) AS recorded, count(*) FILTER (WHERE u."position" = 1) AS first FROM oauth_tokens_internal.used_keys LEFT JOIN oauth_key_usage u USING (fingerprint);

-- values that are bound to no row, and some that were bound to another
BEGIN;
SET LOCAL oauth_tokens.key_binding = migrating;
SELECT * FROM pg_temp.wrong();
SELECT oauth_store(:'w', 'google', 'user', 'user 1', 'access', 'refresh') IS NOT NULL AS stored;
UPDATE oauth_tokens SET actor_id = 'of another name' WHERE actor_id = 'user 1';
SET LOCAL oauth_tokens.key_binding = bound;
SELECT status, regexp_replace(detail, '[0-9a-f]{16}', '<…>', 'g') AS detail, hint FROM oauth_doctor() WHERE item = 'values and keys';
ROLLBACK;

-- a rotation that was broken off, and one that works
BEGIN;
INSERT INTO oauth_tokens_internal.key_rotations (fingerprint, values_rotated, updated_at) VALUES ('0123456789abcdef', 7, now() - interval '9 min');
SELECT * FROM pg_temp.wrong();
UPDATE oauth_tokens_internal.key_rotations SET updated_at = now() - interval '11 min';
SELECT * FROM pg_temp.wrong();
INSERT INTO oauth_tokens_internal.key_rotations (fingerprint, finished_at) VALUES ('0123456789abcdef', now());
SELECT * FROM pg_temp.wrong();
ROLLBACK;

-- the log
BEGIN;
SET LOCAL log_min_messages = fatal;
SET LOCAL oauth_tokens.allow_without_preload = on;
SELECT * FROM pg_temp.wrong();
ROLLBACK;
BEGIN;
CREATE FUNCTION pg_temp.save(token text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM public."oauth_store" (NULL, 'p', 'user', 'a', token); END $$;
CREATE FUNCTION pg_temp.sealed(token text) RETURNS text RETURN public.oauth_encrypt(token);
CREATE FUNCTION pg_temp.constant() RETURNS text LANGUAGE sql AS $$ SELECT public.oauth_encrypt('x') $$;
CREATE FUNCTION pg_temp.comment(token text) RETURNS text LANGUAGE sql AS $$ SELECT '' /* as oauth_store does */ $$;
CREATE FUNCTION pg_temp.logged() RETURNS TABLE (status text, detail text, hint text) LANGUAGE sql AS $$
    SELECT status, regexp_replace(detail, 'pg_temp_[0-9]+', 'pg_temp'), hint FROM pg_temp.wrong() WHERE item = 'functions of yours' $$;
SELECT * FROM pg_temp.logged();
SET LOCAL oauth_tokens.redact_also = 'app.SAVE';
SELECT * FROM pg_temp.logged();
CREATE FUNCTION pg_temp.outer_one(token text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM Sealed(token); END $$;
CREATE FUNCTION pg_temp.outer_two(token text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SELECT PG_TEMP.OUTER_ONE($1)' USING token; END $$;
SET LOCAL oauth_tokens.redact_also = 'app.save, "sealed", "it''s;".of';
SET LOCAL standard_conforming_strings = off;
SET LOCAL escape_string_warning = off;
SELECT * FROM pg_temp.logged();
SET LOCAL oauth_tokens.redact_also = 'app.save, "sealed", "it''s;".of, outer_one, outer_two';
SELECT * FROM pg_temp.wrong();
-- A comment calls nothing; what stands behind a string that looks like one does.
SET LOCAL standard_conforming_strings = on;
CREATE FUNCTION pg_temp.comments(token text) RETURNS text LANGUAGE plpgsql AS $$ -- don't: oauth_store(token)
    BEGIN RETURN /* "oauth_store(" ** it's oauth_encrypt(token) **/ /**/ '-- '' /*' || "token"; -- oauth_encrypt(token)
    END $$;
SELECT * FROM pg_temp.logged();
CREATE FUNCTION pg_temp.quoted(token text) RETURNS text LANGUAGE sql AS $$ SELECT /* */ '--' || '/*' || q."--" || public.oauth_encrypt(token) FROM (SELECT '') q ("--") $$;
CREATE FUNCTION pg_temp.unclear(token text) RETURNS text LANGUAGE sql AS $$ SELECT E'\'--' || public.oauth_encrypt(token) $$;
CREATE FUNCTION pg_temp.dollars(token text) RETURNS text LANGUAGE sql AS $_$ SELECT $$'$$ || '--' || public.oauth_encrypt(token) $_$;
CREATE FUNCTION pg_temp.nested(token text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN /* a ** /* b */ -- */ RETURN public.oauth_encrypt(token);
    END $$;
SELECT * FROM pg_temp.logged();
ROLLBACK;

-- a name is anybody's choice, and hints are pasted
BEGIN;
CREATE ROLE "regress'; \! :x --";
CREATE FUNCTION pg_temp."x; ALTER ROLE lowly SUPERUSER; --"(token text) RETURNS text LANGUAGE sql AS $$ SELECT public.oauth_encrypt(token) $$;
CREATE FUNCTION oauth_tokens_internal."f'; \! :x --"() RETURNS text LANGUAGE sql AS $$ SELECT '' $$;
CREATE FUNCTION oauth_tokens_internal."f
DROP"() RETURNS text LANGUAGE sql AS $$ SELECT '' $$;
CREATE TABLE oauth_tokens_internal."t'; \! :x --" ();
CREATE FUNCTION oauth_get(oauth_tokens_internal."t'; \! :x --") RETURNS text LANGUAGE sql AS $$ SELECT '' $$;
CREATE INDEX "i'; \! :x --" ON oauth_tokens (scopes);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = '"i''; \! :x --"'::regclass;
ALTER TABLE oauth_tokens OWNER TO "regress'; \! :x --";
GRANT EXECUTE ON FUNCTION oauth_encrypt(text) TO "regress'; \! :x --";
SELECT oauth_tokens_grant('"regress''; \! :x --"', 'reader');
REVOKE SELECT ON oauth_token_details FROM "regress'; \! :x --";
INSERT INTO oauth_tokens_internal.refresh_rules VALUES (E'p''; \\! :x\n--', 'none', false, '5 min', '0', 1);
SELECT oauth_cache_register('c''; \! :x --') IS NOT NULL AS registered;
UPDATE oauth_tokens_internal.cache_registrations SET acknowledged_at = now() - interval '2 min';
SELECT item, regexp_replace(detail, 'pg_temp_\d+', 'pg_temp') AS detail, hint FROM pg_temp.wrong();
ROLLBACK;

-- tables
BEGIN;
UPDATE oauth_tokens SET scopes = '';
ALTER TABLE oauth_tokens ADD extra text NOT NULL DEFAULT '', ALTER scopes SET NOT NULL;
ALTER TABLE oauth_tokens ALTER extra DROP DEFAULT;
DROP INDEX idx_oauth_tokens_workspace_id;
SELECT * FROM pg_temp.wrong();
ROLLBACK;
BEGIN;
DROP POLICY oauth_token_select ON oauth_token_details;
SELECT * FROM pg_temp.wrong();
ALTER TABLE oauth_token_details DROP account_label;
SELECT * FROM pg_temp.wrong();
ROLLBACK;
BEGIN;
DROP TABLE oauth_token_details;
SELECT * FROM pg_temp.wrong();
ROLLBACK;

-- triggers
BEGIN;
ALTER TABLE oauth_tokens DISABLE TRIGGER oauth_cache_invalidate_row;
DROP TRIGGER oauth_cache_invalidate_truncate ON oauth_tokens;
SELECT * FROM pg_temp.wrong();
ALTER TABLE oauth_tokens ENABLE TRIGGER oauth_cache_invalidate_row;
SELECT * FROM pg_temp.wrong();
ROLLBACK;

-- indexes: one that was left by a REINDEX CONCURRENTLY, and one that is too new for some (E21)
BEGIN;
CREATE INDEX left_over ON oauth_tokens (scopes);
UPDATE pg_index SET indisvalid = false, indisready = false WHERE indexrelid = 'left_over'::regclass;
UPDATE pg_index SET indcheckxmin = true WHERE indexrelid = 'uq_oauth_tokens_identity'::regclass;
SELECT * FROM pg_temp.wrong();
ROLLBACK;
BEGIN;
INSERT INTO oauth_tokens_internal.refresh_rules VALUES ('google', 'none', false, '5 min', '0', 1), ('slack', 'none', false, '0', '1 day', 1), ('zoom', 'none', false, '0', '0', 1);
SELECT * FROM pg_temp.wrong();
-- and what is due
SELECT oauth_tokens_enable_background_refresh();
UPDATE oauth_tokens SET access_token_expires_at = now() AT TIME ZONE 'UTC' - interval '14 min' WHERE actor_id <= 'user 3';
SELECT status, detail FROM oauth_doctor() WHERE item = 'background refresh';
SELECT * FROM pg_temp.wrong();
UPDATE oauth_tokens SET access_token_expires_at = now() AT TIME ZONE 'UTC' - interval '16 min' WHERE actor_id = 'user 3';
SELECT * FROM pg_temp.wrong();
INSERT INTO oauth_tokens_internal.refresh_clients (provider, client_id, paused_until, reason, updated_at) VALUES ('google', 'c', now() + interval '1 h', 'invalid_client', now()), ('google', 'd', now() - interval '1 s', 'was', now());
SELECT * FROM pg_temp.wrong();
ROLLBACK;

-- an owner whom callers do not trust (E20)
BEGIN;
ALTER TABLE oauth_tokens OWNER TO regress_doctor_owner;
SELECT * FROM pg_temp.wrong();
CREATE FUNCTION pg_temp.plain() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION pg_temp.plain();
SELECT * FROM pg_temp.wrong();
SELECT oauth_tokens_grant('regress_doctor_owner', 'admin');
SELECT * FROM pg_temp.wrong();
SELECT status, detail FROM oauth_doctor() WHERE item = 'tables'' owner';
ROLLBACK;

-- code of others on a table of an owner whom they trust (E20), and what REINDEX CONCURRENTLY left
BEGIN;
CREATE FUNCTION pg_temp."swa;llow"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
ALTER FUNCTION pg_temp."swa;llow"() OWNER TO regress_doctor_role;
CREATE TRIGGER "swa;llow" BEFORE INSERT ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION pg_temp."swa;llow"();
CREATE UNIQUE INDEX uq_oauth_tokens_identity_ccnew ON oauth_tokens (workspace_id, provider, actor_type, actor_id);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'uq_oauth_tokens_identity_ccnew'::regclass;
SELECT regexp_replace(pg_temp.obey('owner|indexes'), 'pg_temp_\d+', 'pg_temp', 'g');
SELECT * FROM pg_temp.wrong();
ROLLBACK;
-- one table's differences hide no other's
BEGIN;
ALTER TABLE oauth_tokens DROP COLUMN scopes;
DROP POLICY oauth_token_select ON oauth_token_details;
SELECT pg_temp.obey('tables');
SELECT * FROM pg_temp.wrong();
ROLLBACK;

-- rights: too many (E2)
BEGIN;
GRANT EXECUTE ON FUNCTION oauth_get(uuid, text, text, text) TO PUBLIC;
GRANT SELECT, INSERT ON oauth_tokens TO PUBLIC;
GRANT SELECT (account_label) ON oauth_token_details TO PUBLIC;
GRANT USAGE ON SCHEMA oauth_tokens_internal TO PUBLIC;
GRANT CREATE ON SCHEMA public TO PUBLIC;
GRANT EXECUTE ON FUNCTION oauth_tokens_internal.key_usage(boolean) TO regress_doctor_role;
GRANT SELECT, DELETE ON oauth_tokens_internal.refresh_attempts TO regress_doctor_role;
GRANT SELECT ON oauth_tokens TO regress_doctor_role;
SELECT * FROM pg_temp.wrong();
ROLLBACK;
BEGIN;
SELECT oauth_tokens_grant('regress_doctor_role', 'reader');
GRANT EXECUTE ON FUNCTION oauth_get(uuid, text, text, text) TO regress_doctor_role WITH GRANT OPTION;
SELECT * FROM pg_temp.wrong();
ROLLBACK;

-- and too few: a round trip of Alembic makes the table anew
BEGIN;
SELECT oauth_tokens_grant('regress_doctor_role', 'reader');
SELECT * FROM pg_temp.wrong();
DROP TABLE oauth_tokens;
SELECT oauth_tokens_upgrade();
SELECT * FROM pg_temp.wrong();
SELECT oauth_tokens_grant('regress_doctor_role', 'reader');
SELECT * FROM pg_temp.wrong();
ROLLBACK;

-- a right that was passed on goes with the one that passed it on: each hint runs as it is printed
BEGIN;
SELECT oauth_tokens_grant('regress_doctor_role', 'reader');
GRANT EXECUTE ON FUNCTION oauth_get(uuid, text, text, text) TO regress_doctor_role WITH GRANT OPTION;
SET ROLE regress_doctor_role;
GRANT EXECUTE ON FUNCTION oauth_get(uuid, text, text, text) TO PUBLIC, regress_doctor_sidecar;
RESET ROLE;
SAVEPOINT passed_on;
SELECT pg_temp.obey('rights of PUBLIC');
SELECT count(*) FROM pg_temp.wrong() WHERE item = 'rights of PUBLIC';
ROLLBACK TO passed_on;
SELECT pg_temp.obey('rights of roles');
SELECT * FROM pg_temp.wrong();
-- what lets a role run its code with the rights of callers, or put it among ours
GRANT TRIGGER ON oauth_tokens TO regress_doctor_role;
GRANT CREATE ON SCHEMA oauth_tokens_internal TO regress_doctor_role;
GRANT SELECT (encrypted_access_token) ON oauth_tokens_internal.oauth_revocations TO regress_doctor_role;
SELECT pg_temp.obey('rights');
SELECT * FROM pg_temp.wrong();
-- functions and schemas that a capability needs
SELECT oauth_tokens_grant('regress_doctor_role', 'writer');
REVOKE EXECUTE ON FUNCTION oauth_delete(uuid, text, text, text, boolean) FROM regress_doctor_role;
REVOKE ALL ON SCHEMA oauth_tokens_internal FROM regress_doctor_role;
SELECT pg_temp.obey('capabilities');
SELECT * FROM pg_temp.wrong();
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA oauth_tokens_internal FROM regress_doctor_role;
REVOKE USAGE ON SCHEMA public FROM PUBLIC, regress_doctor_role;
SELECT pg_temp.obey('capabilities');
SELECT * FROM pg_temp.wrong();
ROLLBACK;
-- one function by which a capability is known is not the capability, and no hint makes it so
BEGIN;
SELECT oauth_tokens_grant('regress_doctor_sidecar', 'reader');
GRANT EXECUTE ON FUNCTION oauth_decrypt(text) TO regress_doctor_role, regress_doctor_sidecar;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO regress_doctor_owner;
SELECT * FROM pg_temp.wrong() WHERE item = 'capabilities';
SELECT count(*) FROM pg_temp.obey('capabilities');
SELECT * FROM pg_temp.wrong();
SELECT has_function_privilege('regress_doctor_role', 'oauth_decrypt(text)', 'EXECUTE');
ROLLBACK;

-- row security: ours, one of the user's, and policies that count for nothing
BEGIN;
SELECT oauth_tokens_enable_row_security();
SELECT * FROM pg_temp.wrong();
SELECT status, detail FROM oauth_doctor() WHERE item = 'row security';
ALTER TABLE oauth_tokens DISABLE ROW LEVEL SECURITY;
DROP INDEX idx_oauth_tokens_workspace_provider_actor;
SELECT * FROM pg_temp.wrong();
ROLLBACK;
BEGIN;
CREATE POLICY mine ON oauth_tokens USING (true);
SELECT * FROM pg_temp.wrong();
ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY;
SELECT status, detail FROM oauth_doctor() WHERE item = 'row security';
DROP POLICY mine ON oauth_tokens;
SELECT * FROM pg_temp.wrong();
ROLLBACK;

-- objects that are not ours (E1)
BEGIN;
CREATE FUNCTION oauth_get(uuid, text, actor_type_enum, text) RETURNS text LANGUAGE sql AS $$ SELECT '' $$;
ALTER FUNCTION oauth_get(uuid, text, actor_type_enum, text) OWNER TO regress_doctor_role;
CREATE FUNCTION of_the_application() RETURNS text LANGUAGE sql AS $$ SELECT '' $$;
CREATE TABLE oauth_tokens_internal.planted ();
CREATE FUNCTION oauth_tokens_internal.planted() RETURNS text LANGUAGE sql AS $$ SELECT '' $$;
ALTER FUNCTION oauth_tokens_current() OWNER TO regress_doctor_role;
ALTER FUNCTION oauth_delete(uuid, text, text, text, boolean) SECURITY DEFINER;
CREATE FUNCTION same(text, actor_type_enum) RETURNS boolean LANGUAGE sql AS $$ SELECT true $$;
CREATE OPERATOR public.= (FUNCTION = same, LEFTARG = text, RIGHTARG = actor_type_enum);
ALTER OPERATOR public.= (text, actor_type_enum) OWNER TO regress_doctor_role;
CREATE FUNCTION as_enum(text) RETURNS actor_type_enum LANGUAGE sql AS $$ SELECT 'user'::actor_type_enum $$;
CREATE CAST (text AS actor_type_enum) WITH FUNCTION as_enum(text);
SELECT * FROM pg_temp.wrong();
ROLLBACK;

-- and ours that belong to others, or carry what is not ours: each hint ends its finding
BEGIN;
ALTER SCHEMA oauth_tokens_internal OWNER TO regress_doctor_role;
ALTER TABLE oauth_tokens_internal.refresh_rules OWNER TO regress_doctor_role;
ALTER VIEW oauth_tokens_decrypted OWNER TO regress_doctor_role;
ALTER FUNCTION oauth_tokens_current() OWNER TO regress_doctor_role;
ALTER FUNCTION oauth_tokens_current() SECURITY DEFINER;
CREATE DOMAIN oauth_tokens_internal."pla;nted" AS text;
CREATE SEQUENCE oauth_tokens_internal.planted;
CREATE TYPE oauth_tokens_internal.pair AS (a text);
CREATE FUNCTION oauth_tokens_internal.planted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER planted BEFORE INSERT ON oauth_tokens_internal.cluster FOR EACH ROW EXECUTE FUNCTION pg_catalog.suppress_redundant_updates_trigger();
CREATE RULE planted AS ON DELETE TO oauth_tokens_internal.oauth_revocations DO INSTEAD NOTHING;
SELECT pg_temp.obey('foreign objects');
SELECT * FROM pg_temp.wrong();
ROLLBACK;

-- operation (T14, F15)
BEGIN;
UPDATE pg_extension SET extversion = '0.0.9' WHERE extname = 'oauth_tokens';
SELECT item, status, replace(detail, default_version, '<version>') AS detail, hint FROM pg_temp.wrong(), pg_available_extensions WHERE name = 'oauth_tokens';
ROLLBACK;
BEGIN;
UPDATE oauth_tokens_internal.cluster SET id = '7/7';
SELECT * FROM pg_temp.wrong();
ROLLBACK;
BEGIN;
INSERT INTO oauth_tokens_internal.sidecar_settings VALUES (true, 'https://connect.example.com', 600, '{}', '{google}', now());
SELECT * FROM pg_temp.wrong();
SET LOCAL oauth_tokens.public_url = 'http://localhost:8090';
SELECT * FROM pg_temp.wrong();
SET LOCAL oauth_tokens.public_url = 'https://other.example.com';
SET LOCAL oauth_tokens.confirm_flows = on;
SELECT * FROM pg_temp.wrong();
ROLLBACK;
BEGIN;
INSERT INTO oauth_tokens_internal.refresh_attempts SELECT n, gen_random_uuid(), :'w', 'google', 'user', 'a', '', '', 'x', false, now() - interval '11 min', now() - n * interval '6 min' FROM generate_series(0, 2) n;
INSERT INTO oauth_tokens_internal.oauth_revocations (id, workspace_id, provider, actor_type, actor_id, unless_shared, encrypted_access_token, created_at, next_attempt_at)
    VALUES (gen_random_uuid(), :'w', 'google', 'user', 'a', false, oauth_encrypt('x'), now() - interval '59 min', now());
INSERT INTO oauth_tokens_internal.flow_links (ticket_hash, workspace_id, provider, actor_type, actor_id, confirm, attempt_seconds, created_at, expires_at, vanishes_at)
    SELECT sha256(n::text::bytea), :'w', 'google', 'user', 'a', false, 600, now() - interval '4 h', now() - n * interval '59 min', now() - n * interval '59 min' FROM generate_series(1, 3) n;
SELECT * FROM pg_temp.wrong() WHERE item <> 'values and keys';
UPDATE oauth_tokens_internal.oauth_revocations SET created_at = now() - interval '61 min';
SELECT * FROM pg_temp.wrong() WHERE item IN ('revocations', 'flows');
ROLLBACK;
SELECT oauth_cache_register('redis one') IS NOT NULL AS registered;
SELECT oauth_delete(:'w', 'google', 'user', 'user 1');
SELECT * FROM pg_temp.wrong();
UPDATE oauth_tokens_internal.cache_registrations SET acknowledged_at = now() - interval '2 min';
SELECT * FROM pg_temp.wrong();
-- an old snapshot is no silent cache
BEGIN ISOLATION LEVEL REPEATABLE READ;
UPDATE oauth_tokens_internal.cache_registrations SET acknowledged_at = now() - interval '59.9 s';
SELECT pg_sleep(0.2);
SELECT * FROM pg_temp.wrong();
COMMIT;
SELECT oauth_cache_unregister('redis one');

-- a check that fails, as under a policy that hides rows (E17), hides none of the others
BEGIN;
ALTER TABLE oauth_tokens_internal.flow_confirmations RENAME expires_at TO planted;
UPDATE oauth_tokens_internal.cluster SET id = '7/7';
SELECT * FROM pg_temp.wrong();
ROLLBACK;
ALTER TABLE oauth_tokens OWNER TO regress_doctor_owner;
ALTER TABLE oauth_token_details OWNER TO regress_doctor_owner;
ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT oauth_tokens_grant('regress_doctor_owner', 'admin');
SET ROLE regress_doctor_owner;
SELECT * FROM pg_temp.wrong();
SHOW row_security;
RESET ROLE;
ALTER TABLE oauth_tokens NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
ALTER TABLE oauth_tokens OWNER TO CURRENT_USER;
ALTER TABLE oauth_token_details OWNER TO CURRENT_USER;
SELECT oauth_tokens_revoke('regress_doctor_owner', 'all');

-- views of ours that say nothing, or nulls
BEGIN;
CREATE OR REPLACE VIEW oauth_key_usage WITH (security_invoker) AS SELECT * FROM oauth_tokens_internal.key_usage(true) WHERE false;
SELECT * FROM pg_temp.wrong();
CREATE OR REPLACE VIEW oauth_key_usage WITH (security_invoker) AS SELECT 'x' AS fingerprint, NULL::int AS "position", 0::bigint AS "values", now() AS oldest, 0::bigint AS shared;
SELECT item, status, detail, hint FROM oauth_doctor() WHERE item = 'values and keys';
ROLLBACK;

-- what a sidecar sees
SELECT oauth_tokens_grant('regress_doctor_sidecar', 'sidecar');
SET ROLE regress_doctor_sidecar;
SELECT item, status, detail, hint FROM oauth_doctor() WHERE status <> 'ok' OR detail ~ '^not checked';
SELECT count(*) FROM oauth_doctor();
RESET ROLE;
SELECT count(*) FROM oauth_doctor();
SET ROLE regress_doctor_role;
SELECT * FROM oauth_doctor();
RESET ROLE;

SELECT oauth_tokens_revoke('regress_doctor_sidecar', 'all');
SELECT oauth_tokens_downgrade(true);
DROP EXTENSION oauth_tokens;
DROP TYPE actor_type_enum;
DROP ROLE regress_doctor_owner, regress_doctor_role, regress_doctor_sidecar;
