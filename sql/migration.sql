-- oauth_tokens_upgrade() on what may be there, oauth_tokens_downgrade(), and
-- tables that change behind our back.

SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
RESET client_min_messages;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
\set w '11111111-1111-4111-8111-111111111111'
\set alice '''11111111-1111-4111-8111-111111111111'', ''google'', ''user'', ''alice'''
\set key 'cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4='

-- The table of the Python service's migration.
CREATE FUNCTION python_table() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    CREATE TYPE public.actor_type_enum AS ENUM ('user', 'api_key');
    CREATE TABLE public.oauth_tokens (
        id uuid DEFAULT gen_random_uuid() NOT NULL CONSTRAINT oauth_tokens_pkey PRIMARY KEY,
        workspace_id uuid NOT NULL, actor_type actor_type_enum NOT NULL, actor_id text NOT NULL, provider text NOT NULL, scopes text,
        encrypted_access_token text NOT NULL, encrypted_refresh_token text, access_token_expires_at timestamptz,
        created_at timestamptz DEFAULT now() NOT NULL, updated_at timestamptz DEFAULT now() NOT NULL,
        CONSTRAINT uq_oauth_tokens_identity UNIQUE (workspace_id, provider, actor_type, actor_id));
    CREATE INDEX idx_oauth_tokens_workspace_id ON public.oauth_tokens (workspace_id);
    CREATE INDEX idx_oauth_tokens_workspace_provider ON public.oauth_tokens (workspace_id, provider);
END $$;

-- Adoption: its rows are read as they are, and ours lie beside them.
SELECT python_table();
INSERT INTO oauth_tokens (workspace_id, provider, actor_type, actor_id, scopes, encrypted_access_token, encrypted_refresh_token, access_token_expires_at)
VALUES (:alice, 'mail', fernet_encrypt('from Python', :'key'), fernet_encrypt('refresh', :'key'), '2031-02-03 04:05:06+00');
SELECT md5(string_agg(t::text, '')) AS state FROM oauth_tokens t \gset
SELECT oauth_tokens_current() IS NULL AS not_adopted_yet;
\set VERBOSITY sqlstate
SELECT access_token FROM oauth_get(:alice);
\set VERBOSITY default
SELECT oauth_tokens_upgrade();
SELECT oauth_tokens_upgrade();
SELECT oauth_tokens_current();
SELECT md5(string_agg(t::text, '')) = :'state' AS nothing_changed FROM oauth_tokens t;
SELECT access_token, refresh_token, scopes, expires_at FROM oauth_get(:alice);
SELECT oauth_store(:alice, 'ours', expires_at => '2032-02-03 04:05:06+00') IS NOT NULL AS stored;
SELECT actor_id, expires_at FROM oauth_connections;
SELECT fernet_decrypt(encrypted_access_token, :'key') AS access, access_token_expires_at, updated_at > created_at AS moved FROM oauth_tokens;

-- Downgrade refuses while there are tokens, unless told, and never drops the enum.
SELECT oauth_tokens_downgrade();
SELECT count(*) FROM oauth_tokens;
SELECT oauth_tokens_downgrade(discard_tokens => NULL) IS NULL AS nothing_done;
CREATE TABLE others (who actor_type_enum, token uuid REFERENCES oauth_tokens);
\set VERBOSITY sqlstate
SELECT oauth_tokens_downgrade(discard_tokens => true);
\set VERBOSITY default
SELECT count(*) FROM oauth_tokens;
ALTER TABLE others DROP COLUMN token;
SELECT oauth_tokens_downgrade(discard_tokens => true);
SELECT oauth_tokens_current() IS NULL AS gone, to_regclass('oauth_tokens') IS NULL AND to_regclass('oauth_token_details') IS NULL AS tables_gone, to_regtype('actor_type_enum') AS enum;
SELECT oauth_tokens_downgrade();
SELECT oauth_tokens_upgrade();
SELECT atttypid::regtype FROM pg_attribute WHERE attrelid = 'oauth_tokens'::regclass AND attname = 'actor_type';
SELECT oauth_tokens_downgrade();
DROP TABLE others;
DROP TYPE actor_type_enum;

-- Variants, each undone: what an upgrade says and does, or what it refuses.
CREATE FUNCTION adopt(change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE answer text; code text; message text; detail text; hint text; minimum text := current_setting('client_min_messages');
BEGIN
    PERFORM python_table();
    SET client_min_messages = warning;
    EXECUTE change;
    PERFORM set_config('client_min_messages', minimum, false);
    answer := oauth_tokens_upgrade();
    SET client_min_messages = warning;
    IF oauth_tokens_current() IS DISTINCT FROM answer OR oauth_tokens_upgrade() <> answer THEN answer := 'not whole after the upgrade'; END IF;
    PERFORM oauth_store('11111111-1111-4111-8111-111111111111', 'google', 'user', 'new', 'token', 'refresh', now(), 'scope');
    IF (SELECT access_token || refresh_token FROM oauth_get('11111111-1111-4111-8111-111111111111', 'google', 'user', 'new')) IS DISTINCT FROM 'tokenrefresh'
    THEN answer := 'does not work'; END IF;
    RAISE SQLSTATE 'RG000' USING MESSAGE = answer;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', NULLIF(code, 'RG000'), message, NULLIF(detail, ''));
END $$;
\pset format unaligned
\pset tuples_only on
-- Nothing to do but adopt.
SELECT adopt('');
SELECT adopt('ALTER TABLE oauth_tokens ADD note text, ADD source text NOT NULL DEFAULT ''x'', ADD number int GENERATED ALWAYS AS IDENTITY, ADD size int GENERATED ALWAYS AS (length(actor_id)) STORED');
SELECT adopt('ALTER TABLE oauth_tokens ALTER access_token_expires_at TYPE timestamp, ALTER created_at TYPE timestamp, ALTER updated_at TYPE timestamp');
SELECT adopt('ALTER TABLE oauth_tokens ALTER access_token_expires_at TYPE timestamp');
SELECT adopt('ALTER TYPE actor_type_enum ADD VALUE ''team''');
SELECT adopt('ALTER INDEX idx_oauth_tokens_workspace_id RENAME TO x; ALTER TABLE oauth_tokens RENAME CONSTRAINT uq_oauth_tokens_identity TO y; ALTER TABLE oauth_tokens RENAME CONSTRAINT oauth_tokens_pkey TO z');
SELECT adopt('CREATE SCHEMA other; ALTER TYPE actor_type_enum SET SCHEMA other');
SELECT adopt('CREATE SCHEMA "Other one"; ALTER TYPE actor_type_enum RENAME TO "Kind of actor"; ALTER TYPE "Kind of actor" SET SCHEMA "Other one"');
SELECT adopt('ALTER TABLE oauth_tokens DROP scopes; ALTER TABLE oauth_tokens ADD scopes text');
SELECT adopt('ALTER TABLE oauth_tokens DROP CONSTRAINT uq_oauth_tokens_identity; CREATE UNIQUE INDEX other_name ON oauth_tokens (workspace_id, provider, actor_type, actor_id) INCLUDE (scopes)');
-- Repaired.
SELECT adopt('DROP INDEX idx_oauth_tokens_workspace_id');
SELECT adopt('DROP INDEX idx_oauth_tokens_workspace_provider');
SELECT adopt('ALTER TABLE oauth_tokens DROP CONSTRAINT uq_oauth_tokens_identity');
SELECT adopt('ALTER TABLE oauth_tokens DROP CONSTRAINT oauth_tokens_pkey');
SELECT adopt('ALTER TABLE oauth_tokens ALTER id DROP DEFAULT, ALTER created_at DROP DEFAULT, ALTER updated_at DROP DEFAULT');
SELECT adopt('ALTER TABLE oauth_tokens ALTER provider DROP NOT NULL');
SELECT adopt('ALTER TABLE oauth_tokens DROP scopes, DROP encrypted_refresh_token, DROP access_token_expires_at');
SELECT adopt('ALTER TABLE oauth_tokens DROP created_at, DROP updated_at');
SELECT adopt('ALTER TABLE oauth_tokens DROP CONSTRAINT uq_oauth_tokens_identity; CREATE UNIQUE INDEX other_order ON oauth_tokens (workspace_id, actor_id, provider, actor_type)');
SELECT adopt('ALTER TABLE oauth_tokens DROP CONSTRAINT uq_oauth_tokens_identity; CREATE UNIQUE INDEX part ON oauth_tokens (workspace_id, provider, actor_type, actor_id) WHERE provider <> ''x''');
SELECT adopt('ALTER TABLE oauth_tokens DROP CONSTRAINT uq_oauth_tokens_identity; CREATE UNIQUE INDEX other_collation ON oauth_tokens (workspace_id, provider COLLATE "POSIX", actor_type, actor_id)');
SELECT adopt('ALTER TABLE oauth_tokens SET UNLOGGED');
-- Triggers for caches: missing ones are made without a word; one of that name is not.
SELECT adopt('CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NULL; END''; CREATE TRIGGER oauth_cache_invalidate_row AFTER INSERT ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION mine()');
-- T9: a time that is added to rows is UTC, too.
SET TimeZone = 'Asia/Kolkata';
SELECT adopt($$ALTER TABLE oauth_tokens DROP updated_at; INSERT INTO oauth_tokens (workspace_id, provider, actor_type, actor_id, encrypted_access_token)
    VALUES ('11111111-1111-4111-8111-111111111111', 'google', 'user', 'old', 'x');
    CREATE FUNCTION in_utc() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF EXISTS (SELECT FROM oauth_tokens WHERE abs(extract(epoch FROM updated_at - timezone(''UTC'', now()))) > 60) THEN RAISE ''local time''; END IF; RETURN NULL; END';
    CREATE TRIGGER in_utc AFTER INSERT ON oauth_tokens FOR EACH STATEMENT EXECUTE FUNCTION in_utc()$$);
SET TimeZone = 'UTC';
-- Refused, all that differs in one list.
SELECT adopt('CREATE TABLE child () INHERITS (oauth_tokens)');
SELECT adopt('ALTER TABLE oauth_tokens DROP workspace_id');
SELECT adopt('ALTER TABLE oauth_tokens DROP encrypted_access_token, DROP scopes');
SELECT adopt('ALTER TABLE oauth_tokens ALTER provider TYPE varchar(255), ALTER actor_type TYPE text, ALTER access_token_expires_at TYPE date, ALTER scopes SET NOT NULL, ADD extra text NOT NULL, ALTER id DROP DEFAULT; DROP INDEX idx_oauth_tokens_workspace_id');
SELECT adopt('ALTER TABLE oauth_tokens ALTER scopes SET NOT NULL');
SELECT adopt('ALTER TABLE oauth_tokens ALTER encrypted_refresh_token SET NOT NULL');
SELECT adopt('ALTER TABLE oauth_tokens ADD "Extra one" int NOT NULL');
SELECT adopt('CREATE DOMAIN must AS text NOT NULL; CREATE DOMAIN musts AS must; ALTER TABLE oauth_tokens ADD extra musts');
SELECT adopt('CREATE DOMAIN filled AS text NOT NULL DEFAULT ''x''; ALTER TABLE oauth_tokens ADD extra filled NOT NULL');
SELECT adopt('ALTER TABLE oauth_tokens ALTER workspace_id TYPE text');
SELECT adopt('ALTER TABLE oauth_tokens ALTER encrypted_access_token TYPE bytea USING encrypted_access_token::bytea');
SELECT adopt('CREATE DOMAIN scope AS text; ALTER TABLE oauth_tokens ALTER scopes TYPE scope');
SELECT adopt('ALTER TABLE oauth_tokens DROP scopes; ALTER TABLE oauth_tokens ADD scopes text GENERATED ALWAYS AS (provider) STORED');
SELECT adopt('ALTER TYPE actor_type_enum RENAME VALUE ''api_key'' TO ''key''');
-- By which two ids would be one identity, and two keys of the cache.
SELECT adopt($$CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false); ALTER TABLE oauth_tokens ALTER actor_id TYPE text COLLATE any_case$$);
SELECT adopt('ALTER TABLE oauth_tokens DROP CONSTRAINT oauth_tokens_pkey, ADD PRIMARY KEY (workspace_id, provider, actor_type, actor_id)');
SELECT adopt('ALTER TABLE oauth_tokens DROP CONSTRAINT uq_oauth_tokens_identity, ADD CONSTRAINT uq_oauth_tokens_identity UNIQUE (workspace_id, provider, actor_type, actor_id) DEFERRABLE');
SELECT adopt('ALTER TABLE oauth_tokens DROP CONSTRAINT uq_oauth_tokens_identity, ADD CONSTRAINT uq_oauth_tokens_identity UNIQUE (workspace_id, provider)');
SELECT adopt('ALTER TABLE oauth_tokens DROP CONSTRAINT uq_oauth_tokens_identity, ADD CONSTRAINT uq_oauth_tokens_identity CHECK (true)');
SELECT adopt('DROP INDEX idx_oauth_tokens_workspace_id; CREATE INDEX idx_oauth_tokens_workspace_id ON oauth_tokens (provider)');
SELECT adopt('DROP INDEX idx_oauth_tokens_workspace_id; CREATE TABLE idx_oauth_tokens_workspace_id ()');
SELECT adopt('ALTER TABLE oauth_tokens RENAME TO renamed; CREATE VIEW oauth_tokens AS SELECT * FROM renamed');
SELECT adopt('ALTER TABLE oauth_tokens RENAME TO renamed; CREATE TABLE oauth_tokens (LIKE renamed) PARTITION BY LIST (provider)');
SELECT left(adopt('DROP TABLE oauth_tokens; CREATE TYPE oauth_tokens AS (id uuid)'), 5);
SELECT adopt('DROP TABLE oauth_tokens; CREATE SEQUENCE oauth_tokens');
SELECT left(adopt('DROP TABLE oauth_tokens; CREATE TABLE x (id int); CREATE INDEX oauth_tokens ON x (id)'), 5);
SELECT adopt('CREATE TABLE oauth_token_details (workspace_id uuid)');
SELECT adopt('CREATE VIEW oauth_token_details AS SELECT 1');
-- Details as an earlier version made them get the column that they need.
SELECT adopt('SELECT oauth_tokens_upgrade(); ALTER TABLE oauth_token_details DROP refresh_token_digest');
SELECT adopt('SELECT oauth_tokens_upgrade(); ALTER TABLE oauth_token_details ALTER refresh_token_digest TYPE text');
SELECT adopt('SELECT oauth_tokens_upgrade(); ALTER TABLE oauth_token_details DROP connected_at');
SELECT adopt('SELECT oauth_tokens_upgrade(); ALTER TABLE oauth_token_details SET UNLOGGED');
SELECT adopt($$SELECT oauth_tokens_upgrade(); CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false); ALTER TABLE oauth_token_details ALTER account_id TYPE text COLLATE any_case$$);
-- ON CONFLICT takes no deferrable constraint, and finds no other beside one.
SELECT left(adopt('ALTER TABLE oauth_tokens DROP CONSTRAINT uq_oauth_tokens_identity, ADD CONSTRAINT later UNIQUE (workspace_id, provider, actor_type, actor_id) DEFERRABLE'), 5);
-- Rows that a repaired constraint would not take: nothing is repaired.
SELECT adopt($$ALTER TABLE oauth_tokens DROP CONSTRAINT uq_oauth_tokens_identity; INSERT INTO oauth_tokens (workspace_id, provider, actor_type, actor_id, encrypted_access_token)
    SELECT '11111111-1111-4111-8111-111111111111', 'google', 'user', 'alice', 'sentinel' FROM generate_series(1, 2)$$);
SELECT adopt($$ALTER TABLE oauth_tokens ALTER provider DROP NOT NULL; INSERT INTO oauth_tokens (workspace_id, actor_type, actor_id, encrypted_access_token)
    VALUES ('11111111-1111-4111-8111-111111111111', 'user', 'alice', 'sentinel')$$);
-- A fresh table, and an enum that was there first.
SELECT adopt('DROP TABLE oauth_tokens');
SELECT adopt('DROP TABLE oauth_tokens; DROP TYPE actor_type_enum');
SELECT adopt('DROP TABLE oauth_tokens; CREATE SCHEMA other; ALTER TYPE actor_type_enum SET SCHEMA other');
SELECT adopt('DROP TABLE oauth_tokens; CREATE SCHEMA other; CREATE TYPE other.actor_type_enum AS ENUM (''user'', ''api_key'')');
SELECT adopt('DROP TABLE oauth_tokens; CREATE SCHEMA other; CREATE SCHEMA third; ALTER TYPE actor_type_enum SET SCHEMA other; CREATE TYPE third.actor_type_enum AS ENUM (''user'', ''api_key'')');
SELECT adopt('DROP TABLE oauth_tokens; ALTER TYPE actor_type_enum RENAME VALUE ''user'' TO ''person''');
SELECT adopt('DROP TABLE oauth_tokens; DROP TYPE actor_type_enum; CREATE DOMAIN actor_type_enum AS text');
\pset format aligned
\pset tuples_only off
SELECT count(*) FROM pg_class WHERE relname IN ('oauth_tokens', 'oauth_token_details');

-- Whose table it is. A role's own it may adopt, once it may call the function; a
-- table of another role nobody adopts, not even a superuser, who is no member.
CREATE ROLE regress_app;
CREATE ROLE regress_team;
GRANT regress_team TO regress_app;
GRANT CREATE ON SCHEMA public TO regress_app, regress_team;
GRANT EXECUTE ON FUNCTION oauth_tokens_upgrade, oauth_tokens_downgrade, oauth_tokens_internal.record_change TO regress_app;
GRANT USAGE ON SCHEMA oauth_tokens_internal TO regress_app;
SET ROLE regress_team;
SELECT count(python_table()) AS made;
RESET ROLE;
SELECT oauth_tokens_upgrade();
SELECT oauth_tokens_current() IS NULL AS nothing_adopted;
SET ROLE regress_app;
SELECT oauth_tokens_upgrade();
RESET ROLE;
SELECT relname, relowner::regrole FROM pg_class WHERE relname IN ('oauth_tokens', 'oauth_token_details') ORDER BY relname;
SELECT oauth_tokens_upgrade();
REVOKE regress_team FROM regress_app;
SET ROLE regress_app;
SELECT oauth_tokens_downgrade(true);
SELECT oauth_tokens_upgrade();
RESET ROLE;
GRANT regress_team TO regress_app;
SET ROLE regress_app;
SELECT oauth_tokens_downgrade(true);
SELECT oauth_tokens_upgrade();
RESET ROLE;
SELECT relname, relowner::regrole FROM pg_class WHERE relname IN ('oauth_tokens', 'oauth_token_details') ORDER BY relname;
SELECT oauth_tokens_downgrade();
SET client_min_messages = warning;
DROP OWNED BY regress_team, regress_app;
DROP ROLE regress_team, regress_app;
RESET client_min_messages;

-- The triggers, which a cache stands on: each way in which they may differ is
-- seen, and repaired.
CREATE FUNCTION damage(change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE answer text; state text;
BEGIN
    EXECUTE change;
    answer := concat_ws(' ', 'current:', oauth_tokens_current());
    PERFORM oauth_tokens_upgrade();
    IF oauth_tokens_current() IS NULL THEN RETURN 'not whole after the upgrade'; END IF;
    SELECT string_agg(tgenabled::text, '' ORDER BY tgname) INTO state FROM pg_trigger WHERE tgrelid = 'oauth_tokens'::regclass AND tgname ~ '^oauth_cache_invalidate_';
    RETURN answer || ', then ' || state;
END $$;
CREATE FUNCTION not_ours() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
SELECT oauth_tokens_upgrade() AS revision \gset
SELECT damage('DROP TRIGGER oauth_cache_invalidate_row ON oauth_tokens');
SELECT damage('DROP TRIGGER oauth_cache_invalidate_truncate ON oauth_tokens');
SELECT damage('ALTER TABLE oauth_tokens DISABLE TRIGGER oauth_cache_invalidate_row');
SELECT damage('ALTER TABLE oauth_tokens DISABLE TRIGGER USER');
SELECT damage('ALTER TABLE oauth_tokens ENABLE TRIGGER ALL');
SELECT damage('ALTER TABLE oauth_tokens ENABLE REPLICA TRIGGER oauth_cache_invalidate_truncate');
SELECT damage('ALTER TRIGGER oauth_cache_invalidate_row ON oauth_tokens NO DEPENDS ON EXTENSION oauth_tokens');
SELECT damage('ALTER TRIGGER oauth_cache_invalidate_row ON oauth_tokens RENAME TO other; DROP TRIGGER other ON oauth_tokens');
SELECT damage('CREATE OR REPLACE TRIGGER oauth_cache_invalidate_row AFTER INSERT OR UPDATE OR DELETE ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION not_ours()');
SELECT damage('CREATE OR REPLACE TRIGGER oauth_cache_invalidate_row AFTER INSERT OR UPDATE ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION oauth_tokens_internal.record_change(); ALTER TABLE oauth_tokens ENABLE ALWAYS TRIGGER oauth_cache_invalidate_row');
SELECT damage('CREATE OR REPLACE TRIGGER oauth_cache_invalidate_row AFTER INSERT OR UPDATE OF scopes OR DELETE ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION oauth_tokens_internal.record_change(); ALTER TABLE oauth_tokens ENABLE ALWAYS TRIGGER oauth_cache_invalidate_row');
SELECT damage('CREATE OR REPLACE TRIGGER oauth_cache_invalidate_row AFTER INSERT OR UPDATE OR DELETE ON oauth_tokens FOR EACH ROW WHEN (pg_trigger_depth() > 5) EXECUTE FUNCTION oauth_tokens_internal.record_change(); ALTER TABLE oauth_tokens ENABLE ALWAYS TRIGGER oauth_cache_invalidate_row');
SELECT damage('DROP TRIGGER oauth_cache_invalidate_row ON oauth_tokens; CREATE CONSTRAINT TRIGGER oauth_cache_invalidate_row AFTER INSERT OR UPDATE OR DELETE ON oauth_tokens DEFERRABLE FOR EACH ROW EXECUTE FUNCTION oauth_tokens_internal.record_change(); ALTER TABLE oauth_tokens ENABLE ALWAYS TRIGGER oauth_cache_invalidate_row');
SELECT damage('');
DROP FUNCTION damage, not_ours;
SELECT oauth_tokens_downgrade() AS revision \gset

-- Behind our back, in a session that knows the table.
SELECT oauth_tokens_upgrade() AS revision \gset
SELECT oauth_store(:alice, 'token', 'refresh', details => '{}') IS NOT NULL AS stored;
ALTER TABLE oauth_tokens DROP CONSTRAINT uq_oauth_tokens_identity;
SELECT oauth_tokens_current() IS NULL AS not_whole;
SELECT access_token, refresh_token FROM oauth_get(:alice);
SELECT oauth_access_token(:alice);
SELECT oauth_store(:alice, 'sentinel');
SELECT oauth_tokens_upgrade();
SELECT oauth_store(:alice, 'repaired', 'refresh') IS NOT NULL AS stored;
ALTER TABLE oauth_tokens RENAME COLUMN scopes TO scope;
SELECT oauth_store(:alice, 'sentinel');
\set VERBOSITY sqlstate
SELECT * FROM oauth_get(:alice);
SELECT oauth_access_token(:alice);
SELECT oauth_delete(:alice);
SELECT oauth_move(:alice, :'w', 'google', 'user', 'x');
CALL oauth_rotate_keys();
ALTER TABLE oauth_tokens RENAME COLUMN scope TO scopes;
SELECT access_token FROM oauth_get(:alice);
ALTER TABLE oauth_tokens ALTER COLUMN actor_id TYPE varchar;
SELECT * FROM oauth_get(:alice);
ALTER TABLE oauth_tokens ALTER COLUMN actor_id TYPE text;
SELECT access_token FROM oauth_get(:alice);
ALTER TABLE oauth_tokens ALTER COLUMN encrypted_access_token DROP NOT NULL;
UPDATE oauth_tokens SET encrypted_access_token = NULL;
SELECT * FROM oauth_get(:alice);
SELECT oauth_store(:alice, 'not null again') IS NOT NULL AS stored;
SELECT access_token FROM oauth_get(:alice);
ALTER TABLE oauth_token_details RENAME TO hidden;
SELECT * FROM oauth_get(:alice);
ALTER TABLE hidden RENAME TO oauth_token_details;
ALTER TABLE oauth_tokens RENAME TO hidden;
SELECT * FROM oauth_get(:alice);
SELECT oauth_store(:alice, 'sentinel');
ALTER TABLE hidden RENAME TO oauth_tokens;
\set VERBOSITY default
SELECT access_token FROM oauth_get(:alice);
-- Columns added and dropped before ours, another order, another type of time.
ALTER TABLE oauth_tokens ADD COLUMN note text;
ALTER TABLE oauth_tokens DROP COLUMN note;
ALTER TABLE oauth_tokens DROP COLUMN scopes;
ALTER TABLE oauth_tokens ADD COLUMN scopes text;
ALTER TABLE oauth_tokens ALTER COLUMN access_token_expires_at TYPE timestamptz USING access_token_expires_at AT TIME ZONE 'UTC';
SELECT oauth_store(:alice, 'other order', 'refresh', '2031-02-03 04:05:06+00', 'scope') IS NOT NULL AS stored;
SELECT access_token, refresh_token, scopes, expires_at FROM oauth_get(:alice);
-- Rows in a table that inherits, and a value of the enum renamed.
CREATE TABLE child () INHERITS (oauth_tokens);
INSERT INTO child SELECT t.* FROM oauth_tokens t;
UPDATE child SET actor_id = 'child';
SELECT g.access_token FROM oauth_get(:'w', 'google', 'user', 'child') g;
DROP TABLE child;
ALTER TYPE actor_type_enum RENAME VALUE 'user' TO 'person';
\set VERBOSITY sqlstate
SELECT * FROM oauth_get(:alice);
ALTER TYPE actor_type_enum RENAME VALUE 'person' TO 'user';
SELECT access_token FROM oauth_get(:alice);
-- Dropped and made anew.
DROP TABLE oauth_tokens;
SELECT oauth_store(:alice, 'sentinel');
SELECT * FROM oauth_get(:alice);
\set VERBOSITY default
SELECT oauth_tokens_upgrade();
SELECT count(*) FROM oauth_get(:alice);
SELECT oauth_store(:alice, 'anew') IS NOT NULL AS stored;
SELECT access_token, refresh_token FROM oauth_get(:alice);
-- An upgrade that is rolled back.
SELECT oauth_tokens_downgrade(true) AS revision \gset
BEGIN;
SELECT oauth_tokens_upgrade() AS revision \gset
SELECT oauth_store(:alice, 'for a while') IS NOT NULL AS stored;
ROLLBACK;
\set VERBOSITY sqlstate
SELECT oauth_store(:alice, 'sentinel');
BEGIN READ ONLY;
SELECT oauth_tokens_upgrade();
ROLLBACK;
\set VERBOSITY default
SELECT oauth_tokens_current() IS NULL AS nothing_there;

-- T9: times are UTC whatever the session says, in columns of both types.
CREATE FUNCTION moments(zone text, style text) RETURNS TABLE (sec_off numeric, raw text, got text, connection boolean) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('TimeZone', zone, true), set_config('DateStyle', style, true);
    PERFORM oauth_store('11111111-1111-4111-8111-111111111111', 'google', 'user', zone, 'token', expires_at => '2031-02-03 04:05:06+00'::timestamptz);
    PERFORM oauth_store('11111111-1111-4111-8111-111111111111', 'google', 'user', zone || ' in', 'token', expires_in => 3600);
    PERFORM set_config('TimeZone', 'UTC', true), set_config('DateStyle', 'ISO', true);
    RETURN QUERY SELECT (SELECT round(extract(epoch FROM g.expires_at - clock_timestamp()) - 3600, -1)
            FROM oauth_get('11111111-1111-4111-8111-111111111111', 'google', 'user', zone || ' in') g),
        t.access_token_expires_at::text, (SELECT g.expires_at::text FROM oauth_get(t.workspace_id, t.provider, t.actor_type, t.actor_id) g),
        (SELECT c.updated_at = c.created_at AND abs(extract(epoch FROM c.updated_at - clock_timestamp())) < 60 FROM oauth_connections c WHERE c.actor_id = zone)
    FROM oauth_tokens t WHERE t.actor_id = zone;
    DELETE FROM oauth_tokens;
END $$;
SET client_min_messages = warning;
SELECT oauth_tokens_upgrade() AS revision \gset
SELECT zone, m.* FROM (VALUES ('UTC', 'ISO'), ('Asia/Kolkata', 'German'), ('America/Sao_Paulo', 'SQL, DMY'), ('Pacific/Kiritimati', 'Postgres')) z (zone, style), moments(zone, style) m;
SELECT oauth_tokens_downgrade(true) AS revision \gset
DROP TYPE actor_type_enum;
SELECT count(python_table()) AS made;
SELECT oauth_tokens_upgrade() AS revision \gset
SELECT zone, m.* FROM (VALUES ('UTC', 'ISO'), ('Asia/Kolkata', 'German'), ('America/Sao_Paulo', 'SQL, DMY'), ('Pacific/Kiritimati', 'Postgres')) z (zone, style), moments(zone, style) m;

SELECT oauth_tokens_downgrade(discard_tokens => true) AS revision \gset
DROP FUNCTION moments, adopt, python_table;
DROP EXTENSION oauth_tokens;
DROP TYPE actor_type_enum;
