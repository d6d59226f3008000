-- oauth_tokens_enable_row_security(): a role sees the tokens of the workspace in
-- oauth_tokens.workspace_id, and no other (E5, E17, E18, E19, E22).

\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
CREATE ROLE regress_owner;
CREATE ROLE regress_tenant;
CREATE ROLE regress_other;
CREATE ROLE regress_sidecar;
CREATE ROLE regress_member IN ROLE regress_sidecar;
CREATE ROLE regress_later;
GRANT CREATE ON SCHEMA public TO regress_owner;
SELECT oauth_tokens_grant('regress_owner', 'admin') \g (format=unaligned tuples_only=on)
SET ROLE regress_owner;
SELECT oauth_tokens_upgrade() AS revision \gset
RESET ROLE;
SELECT oauth_tokens_grant(r, c) FROM (VALUES ('regress_owner'::regrole, 'admin'), ('regress_tenant', 'writer'), ('regress_tenant', 'refresher'),
    ('regress_other', 'reader'), ('regress_sidecar', 'sidecar')) t (r, c) \g (format=unaligned tuples_only=on)
RESET client_min_messages;
\set a '11111111-1111-4111-8111-111111111111'
\set b '22222222-2222-4222-8222-222222222222'
SELECT count(oauth_store(w::uuid, 'google', 'user', name, 'token of ' || name, 'refresh', details => jsonb_build_object('account_label', name || '@example.com')))
FROM (VALUES (:'a', 'alice'), (:'a', 'anna'), (:'b', 'bob')) t (w, name);
CREATE FUNCTION state() RETURNS text LANGUAGE sql AS $$
    SELECT md5(string_agg(r, '|' ORDER BY r COLLATE "C"))
    FROM (SELECT t::text FROM oauth_tokens t UNION ALL SELECT d::text FROM oauth_token_details d) rows (r) $$;
CREATE VIEW policies AS SELECT c.relname, p.polname, p.polcmd, p.polpermissive, p.polroles::regrole[], pg_get_expr(polqual, polrelid) AS shown, pg_get_expr(polwithcheck, polrelid) = pg_get_expr(polqual, polrelid) AS same_check
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE p.polname ~ '^oauth_tokens';
CREATE VIEW flags AS SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname ~ '^oauth_token(s|_details)$';

-- The setting takes a uuid, as PostgreSQL reads one, or nothing; anything else is refused.
SHOW oauth_tokens.workspace_id;
SET oauth_tokens.workspace_id = '{A0EEBC99-9C0B4EF8-BB6D6BB9BD380A11}';
SET oauth_tokens.workspace_id = 'a0eebc999c0b4ef8bb6d6bb9bd380a11';
SET oauth_tokens.workspace_id = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1';
SET oauth_tokens.workspace_id = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-';
SET oauth_tokens.workspace_id = '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11';
SET oauth_tokens.workspace_id = 'a-0eebc999c0b4ef8bb6d6bb9bd380a11';
SET oauth_tokens.workspace_id = ' ';
SET oauth_tokens.workspace_id = '*';
ALTER ROLE regress_tenant SET oauth_tokens.workspace_id = 'all';
SHOW oauth_tokens.workspace_id;
SET oauth_tokens.workspace_id = '';
RESET oauth_tokens.workspace_id;

-- Only the owner may call it, and superusers.
SET ROLE regress_sidecar;
SELECT oauth_tokens_enable_row_security();
SELECT oauth_tokens_disable_row_security();
RESET ROLE;
GRANT EXECUTE ON FUNCTION oauth_tokens_enable_row_security(), oauth_tokens_disable_row_security() TO regress_tenant;
SET ROLE regress_tenant;
SELECT oauth_tokens_enable_row_security();
SELECT oauth_tokens_disable_row_security();
SET ROLE regress_owner;
SELECT oauth_tokens_disable_row_security(); -- nothing to do
SELECT oauth_tokens_enable_row_security();
SELECT oauth_tokens_enable_row_security(); -- again
SET quote_all_identifiers = on;
SELECT oauth_tokens_enable_row_security(); -- and with its policy written otherwise
RESET quote_all_identifiers;
SELECT oauth_tokens_current();
RESET ROLE;
SELECT oauth_tokens_enable_row_security(); -- by a superuser
TABLE policies ORDER BY 1, 2;
TABLE flags ORDER BY 1;
SELECT indexdef FROM pg_indexes WHERE indexname = 'idx_oauth_tokens_workspace_provider_actor';

-- Without the setting no row is there, for the owner either. With it, those of one workspace.
PREPARE get AS SELECT name, g.access_token FROM (VALUES ('11111111-1111-4111-8111-111111111111'::uuid, 'alice'), ('22222222-2222-4222-8222-222222222222', 'bob')) t (w, name),
    LATERAL oauth_get(w, 'google', 'user', name) g;
CREATE FUNCTION seen() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN format('%s: tokens %s, details %s, connections %s, got %s, access %s', current_user,
        (SELECT string_agg(actor_id, ',' ORDER BY actor_id) FROM public.oauth_tokens),
        (SELECT string_agg(account_label, ',' ORDER BY account_label) FROM public.oauth_token_details),
        (SELECT string_agg(actor_id, ',' ORDER BY actor_id) FROM public.oauth_connections),
        (SELECT string_agg(g.access_token, ',' ORDER BY 1) FROM (VALUES ('11111111-1111-4111-8111-111111111111'::uuid, 'alice'), ('22222222-2222-4222-8222-222222222222', 'bob')) t (w, name),
            LATERAL public.oauth_get(w, 'google', 'user', name) g),
        (SELECT string_agg(public.oauth_access_token(w, 'google', 'user', name), ',') FROM (VALUES ('11111111-1111-4111-8111-111111111111'::uuid, 'alice'), ('22222222-2222-4222-8222-222222222222', 'bob')) t (w, name)));
END $$;
SET ROLE regress_owner;
SELECT seen();
SET ROLE regress_other;
SELECT seen();
EXECUTE get;
BEGIN;
SET LOCAL oauth_tokens.workspace_id = '11111111-1111-4111-8111-111111111111';
SELECT seen();
EXECUTE get;
SET ROLE regress_owner;
SELECT seen();
COMMIT;
-- It is '' now.
SELECT current_setting('oauth_tokens.workspace_id', true) = '' AS empty, seen();
SET ROLE regress_other;
EXECUTE get;
BEGIN;
SELECT set_config('oauth_tokens.workspace_id', :'b', true);
SELECT seen();
EXECUTE get;
ROLLBACK;
EXECUTE get;

-- The same statements in turn by another role, with plans that are kept.
SET plan_cache_mode = force_generic_plan;
SET oauth_tokens.workspace_id = '11111111-1111-4111-8111-111111111111';
EXECUTE get;
SET ROLE regress_sidecar;
EXECUTE get;
SELECT seen();
SET ROLE regress_other;
EXECUTE get;
SELECT seen();
SET oauth_tokens.workspace_id = '22222222-2222-4222-8222-222222222222';
EXECUTE get;
SET ROLE regress_member;
EXECUTE get;
RESET ROLE;
EXECUTE get;
RESET plan_cache_mode;
RESET oauth_tokens.workspace_id;
SET ROLE regress_sidecar;
SELECT seen();
RESET ROLE;
-- A default of the role.
ALTER ROLE regress_other SET oauth_tokens.workspace_id = '22222222-2222-4222-8222-222222222222';
ALTER ROLE regress_other RESET ALL;

SELECT oauth_tokens_internal.publish_settings('https://oauth.example.com', '600 s', '{}', '{google}');
-- Writing, by real calls: another's row is not there, and nobody gives or takes one.
SELECT state() AS state \gset
SET ROLE regress_tenant;
SET oauth_tokens.workspace_id = '22222222-2222-4222-8222-222222222222';
\set VERBOSITY sqlstate
SELECT oauth_store(:'a', 'google', 'user', 'new', 'sentinel');
SELECT oauth_store(:'a', 'google', 'user', 'alice', 'sentinel');
SELECT oauth_move(:'b', 'google', 'user', 'bob', :'a', 'google', 'user', 'bob');
INSERT INTO oauth_tokens (workspace_id, provider, actor_type, actor_id, encrypted_access_token) VALUES (:'a', 'google', 'user', 'new', 'x');
UPDATE oauth_tokens SET workspace_id = :'a';
SELECT oauth_authorize_url(:'a', 'google', 'user', 'alice');
\set VERBOSITY default
SELECT oauth_move(:'a', 'google', 'user', 'alice', :'b', 'google', 'user', 'alice');
SELECT oauth_delete(:'a', 'google', 'user', 'alice'), oauth_delete(:'a', 'google', 'user', 'alice', revoke => true);
SELECT outcome FROM oauth_refresh_begin(:'a', 'google', 'user', 'alice');
SELECT oauth_fresh_access_token(:'a', 'google', 'user', 'alice');
UPDATE oauth_token_details SET account_label = 'mallory' WHERE workspace_id = :'a';
SELECT oauth_store(:'a', 'google', 'user', 'new', 'sentinel');
RESET oauth_tokens.workspace_id;
SELECT oauth_store(:'b', 'google', 'user', 'new', 'sentinel');
SELECT oauth_delete(:'b', 'google', 'user', 'bob');
DELETE FROM oauth_tokens;
RESET ROLE;
SELECT state() = :'state' AS nothing_changed;

-- In the own workspace all works: store, move, delete, links and their confirmation, refreshes, revocation, invalidations.
SELECT oauth_cache_register('regress') AS registration \gset
CREATE FUNCTION ticket(workspace uuid, actor text, confirm boolean) RETURNS bytea LANGUAGE sql AS $$
    SELECT sha256(substring(oauth_authorize_url(workspace, 'google', 'user', actor, return_to => '/', confirm => confirm) FROM 'ticket=(.*)')::bytea) $$;
SET ROLE regress_tenant;
SET oauth_tokens.workspace_id = '22222222-2222-4222-8222-222222222222';
SELECT oauth_store(:'b', 'google', 'user', 'bert', 'of bert', 'refresh of bert', expires_in => 0, details => '{"account_label": "bert@example.com"}') IS NOT NULL AS stored;
SELECT oauth_move(:'b', 'google', 'user', 'bob', :'b', 'google', 'api_key', 'bob');
SELECT outcome, fence FROM oauth_refresh_begin(:'b', 'google', 'user', 'bert') \gset
SELECT :'outcome', oauth_refresh_commit(:'b', 'google', 'user', 'bert', :fence, 'fresh', 'refresh again', expires_in => 3600);
SELECT oauth_fresh_access_token(:'b', 'google', 'user', 'bert');
SELECT seen();
SELECT oauth_delete(:'b', 'google', 'user', 'bert', revoke => true);
SELECT ticket(:'b', 'boris', true) AS boris \gset
SET ROLE regress_sidecar;
RESET oauth_tokens.workspace_id;
SELECT count(*) FROM oauth_tokens_internal.flow_begin(:'boris', 'google', NULL, 'https://issuer.example/token', 'client');
SELECT outcome, flow FROM oauth_tokens_internal.flow_store(:'boris', 'access', 'refresh', NULL, NULL, NULL) \gset
SELECT provider, refresh_token FROM oauth_tokens_internal.revocations_claim(10, '1 min', NULL);
SELECT DISTINCT workspace_id, actor_type, actor_id FROM oauth_changes_pending(100) ORDER BY 3, 2;
SET ROLE regress_tenant;
SET oauth_tokens.workspace_id = '11111111-1111-4111-8111-111111111111';
\set VERBOSITY sqlstate
SELECT oauth_flow_confirm(:'b', 'google', 'user', 'boris', :'flow');
\set VERBOSITY default
SET oauth_tokens.workspace_id = '22222222-2222-4222-8222-222222222222';
SELECT :'outcome', oauth_flow_confirm(:'b', 'google', 'user', 'boris', :'flow') IS NOT NULL AS confirmed;
SELECT actor_id, access_token FROM oauth_connections c, LATERAL oauth_get(workspace_id, provider, actor_type, actor_id) ORDER BY 1;
RESET oauth_tokens.workspace_id;
RESET ROLE;
SELECT oauth_cache_unregister('regress');
DROP FUNCTION ticket;

-- What must see every row fails for the owner, with the way out in its hint; nothing is lost.
SELECT state() AS state \gset
SET ROLE regress_owner;
SET oauth_tokens.workspace_id = '11111111-1111-4111-8111-111111111111';
SELECT oauth_tokens_downgrade(true);
SELECT * FROM oauth_key_usage;
SELECT * FROM oauth_tokens_damaged();
CALL oauth_rotate_keys();
SELECT count(*) FROM oauth_tokens_decrypted;
SELECT oauth_tokens_upgrade() AS revision \gset
RESET oauth_tokens.workspace_id;
RESET ROLE;
SELECT state() = :'state' AS nothing_changed, oauth_tokens_current();
SELECT count(*) FROM oauth_tokens_damaged();
SELECT sum("values") > 0 AS counted FROM oauth_key_usage;
CALL oauth_rotate_keys();

-- The sidecar's roles: granted and revoked while it is enabled, with all of it or admin, and dropped.
CREATE VIEW sees_all AS SELECT polroles::regrole[] AS roles FROM pg_policy WHERE polname = 'oauth_tokens_sidecar';
SELECT oauth_tokens_grant('regress_later', 'sidecar');
SELECT oauth_tokens_grant('regress_later', 'sidecar'); -- again
TABLE sees_all;
SELECT oauth_tokens_revoke('regress_later', 'reader'); -- not of the capability sidecar
TABLE sees_all;
SELECT oauth_tokens_revoke('regress_later', 'sidecar');
TABLE sees_all;
SELECT oauth_tokens_grant('regress_later', 'admin');
TABLE sees_all;
SELECT oauth_tokens_grant('regress_later', 'sidecar');
SELECT oauth_tokens_enable_row_security();
TABLE sees_all;
SELECT oauth_tokens_revoke('regress_later', 'admin');
TABLE sees_all;
SELECT oauth_tokens_grant('regress_later', 'sidecar');
SELECT oauth_tokens_revoke('regress_later', 'all');
TABLE sees_all;
DROP ROLE regress_later;
DROP OWNED BY regress_sidecar;
TABLE sees_all;
SELECT oauth_tokens_enable_row_security();
SELECT oauth_tokens_grant('regress_sidecar', 'sidecar');
TABLE sees_all;
SELECT oauth_tokens_revoke('regress_sidecar', 'all');
TABLE sees_all;
SELECT oauth_tokens_grant('regress_sidecar', 'sidecar');
-- Rights that were taken away, or given, by hand.
REVOKE EXECUTE ON FUNCTION oauth_tokens_internal.publish_settings FROM regress_sidecar;
SELECT oauth_tokens_enable_row_security();
SELECT oauth_tokens_grant('regress_sidecar', 'sidecar');
ALTER POLICY oauth_tokens_sidecar ON oauth_tokens TO regress_other;
SELECT oauth_tokens_enable_row_security();
TABLE sees_all;

-- A policy that is something else gets no role, and does not keep one.
BEGIN;
ALTER POLICY oauth_tokens_sidecar ON oauth_tokens USING (actor_id = 'x');
SAVEPOINT altered;
SELECT oauth_tokens_grant('regress_other', 'sidecar');
ROLLBACK TO altered;
DROP POLICY oauth_tokens_workspace ON oauth_tokens;
SELECT oauth_tokens_revoke('regress_other', 'all'), oauth_tokens_revoke('regress_sidecar', 'all');
TABLE sees_all;
ROLLBACK;

-- What is half there is repaired.
ALTER TABLE oauth_tokens NO FORCE ROW LEVEL SECURITY;
ALTER TABLE oauth_token_details NO FORCE ROW LEVEL SECURITY;
DROP INDEX idx_oauth_tokens_workspace_provider_actor;
SELECT oauth_tokens_enable_row_security();
ALTER TABLE oauth_tokens DISABLE ROW LEVEL SECURITY;
DROP POLICY oauth_tokens_workspace ON oauth_tokens;
SELECT oauth_tokens_enable_row_security();
TABLE policies ORDER BY 1, 2;
TABLE flags ORDER BY 1;
-- What is something else is refused, and nothing is changed.
CREATE FUNCTION obstacles(change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE what text;
BEGIN
    EXECUTE change;
    PERFORM oauth_tokens_enable_row_security();
    RAISE 'not refused';
EXCEPTION WHEN raise_exception THEN
    RETURN sqlerrm;
WHEN SQLSTATE 'OT005' THEN
    GET STACKED DIAGNOSTICS what = PG_EXCEPTION_DETAIL;
    RETURN what;
END $$;
SELECT obstacles('ALTER POLICY oauth_tokens_workspace ON oauth_tokens USING (true)');
SELECT obstacles('ALTER POLICY oauth_tokens_workspace ON oauth_tokens WITH CHECK (true)');
SELECT obstacles('ALTER POLICY oauth_tokens_workspace ON oauth_tokens TO regress_other');
SELECT obstacles('DROP POLICY oauth_tokens_workspace ON oauth_tokens; CREATE POLICY oauth_tokens_workspace ON oauth_tokens FOR SELECT USING (true)');
SELECT obstacles('ALTER POLICY oauth_tokens_sidecar ON oauth_tokens TO PUBLIC');
SELECT obstacles('ALTER POLICY oauth_tokens_sidecar ON oauth_tokens USING (false)');
SELECT obstacles('CREATE POLICY "see all" ON oauth_tokens FOR SELECT USING (true)');
SELECT obstacles('DROP INDEX idx_oauth_tokens_workspace_provider_actor; CREATE INDEX idx_oauth_tokens_workspace_provider_actor ON oauth_tokens (actor_id)');
SELECT obstacles('CREATE POLICY fine ON oauth_tokens TO regress_other USING (true); CREATE POLICY fine_too ON oauth_tokens AS RESTRICTIVE USING (true)');

-- The policies of an owner who is not trusted run with the caller's rights: ours read one setting, and do no harm.
SELECT oauth_tokens_revoke('regress_owner', 'admin');
SET ROLE regress_other;
SET oauth_tokens.workspace_id = '22222222-2222-4222-8222-222222222222';
SELECT oauth_access_token(:'b', 'google', 'user', 'boris');
SET ROLE regress_owner;
CREATE POLICY reads_another ON oauth_tokens AS RESTRICTIVE USING (provider <> current_setting('data_directory', true));
SET ROLE regress_other;
SELECT oauth_access_token(:'b', 'google', 'user', 'boris');
SET ROLE regress_owner;
DROP POLICY reads_another ON oauth_tokens;
RESET ROLE;
RESET oauth_tokens.workspace_id;
SELECT oauth_tokens_grant('regress_owner', 'admin');

-- The same on the details: else they would tell of accounts of others, and have them changed.
SELECT obstacles('CREATE POLICY audit ON oauth_token_details FOR SELECT USING (true)');
ALTER POLICY oauth_token_select ON oauth_token_details USING (true);
SELECT oauth_tokens_enable_row_security();
SET ROLE regress_tenant;
SET oauth_tokens.workspace_id = '22222222-2222-4222-8222-222222222222';
SELECT seen();
RESET oauth_tokens.workspace_id;
RESET ROLE;
-- An operator that reads the same is not PostgreSQL's.
CREATE SCHEMA regress_evil;
CREATE FUNCTION regress_evil.equal(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR regress_evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = regress_evil.equal);
SET search_path = regress_evil, pg_catalog, public;
ALTER POLICY oauth_tokens_workspace ON oauth_tokens USING (workspace_id = NULLIF(current_setting('oauth_tokens.workspace_id', true), '')::uuid);
RESET search_path;
SELECT polname, shown FROM policies WHERE polname = 'oauth_tokens_workspace';
SELECT obstacles('SELECT');
DROP POLICY oauth_tokens_workspace ON oauth_tokens;
SET client_min_messages = warning;
DROP SCHEMA regress_evil CASCADE;
RESET client_min_messages;
SELECT oauth_tokens_enable_row_security();
-- A policy that names a role which is no sidecar any more shows it nothing, whatever it is granted next.
ALTER POLICY oauth_tokens_sidecar ON oauth_tokens TO regress_sidecar, regress_tenant;
SELECT oauth_tokens_grant('regress_tenant', 'reader');
TABLE sees_all;
ALTER POLICY oauth_tokens_sidecar ON oauth_tokens TO regress_sidecar, regress_tenant;
SET ROLE regress_owner;
SELECT oauth_tokens_upgrade() AS revision \gset
RESET ROLE;
TABLE sees_all;
ALTER POLICY oauth_tokens_sidecar ON oauth_tokens USING (false);
SELECT oauth_tokens_grant('regress_tenant', 'sidecar');
ALTER POLICY oauth_tokens_sidecar ON oauth_tokens USING (true);

-- Another policy narrows what is shown, also to the sidecar: a tenant's role that may use SQL itself.
CREATE POLICY only_a ON oauth_tokens AS RESTRICTIVE TO regress_other USING (workspace_id = '11111111-1111-4111-8111-111111111111');
SET ROLE regress_other;
SET oauth_tokens.workspace_id = '22222222-2222-4222-8222-222222222222';
SELECT seen();
SET oauth_tokens.workspace_id = '11111111-1111-4111-8111-111111111111';
SELECT seen();
RESET oauth_tokens.workspace_id;
SET ROLE regress_sidecar;
SELECT oauth_tokens_internal.row_security_applies();
RESET ROLE;
ALTER POLICY only_a ON oauth_tokens TO regress_other, regress_sidecar;
SET ROLE regress_sidecar;
SELECT oauth_tokens_internal.row_security_applies();
SELECT seen();
RESET ROLE;
-- What it refuses, no setting of the workspace would allow.
CREATE POLICY not_x ON oauth_tokens AS RESTRICTIVE TO regress_tenant USING (actor_id <> 'x');
SET ROLE regress_tenant;
SET oauth_tokens.workspace_id = '22222222-2222-4222-8222-222222222222';
SELECT oauth_store(:'b', 'google', 'user', 'x', 'sentinel');
RESET oauth_tokens.workspace_id;
RESET ROLE;
DROP POLICY not_x ON oauth_tokens;
-- It takes away what it made: rows that another policy hides stay hidden.
SELECT oauth_tokens_disable_row_security();
TABLE policies;
TABLE flags ORDER BY 1;
SELECT oauth_tokens_enable_row_security();
DROP POLICY only_a ON oauth_tokens;
SELECT oauth_tokens_disable_row_security();
-- What it has not enabled, it does not end.
ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY;
CREATE INDEX idx_oauth_tokens_workspace_provider_actor ON oauth_tokens (workspace_id, provider, actor_id);
SELECT oauth_tokens_disable_row_security();
TABLE flags ORDER BY 1;
ALTER TABLE oauth_tokens DISABLE ROW LEVEL SECURITY;
DROP INDEX idx_oauth_tokens_workspace_provider_actor;
TABLE policies;
TABLE flags ORDER BY 1;
SELECT indexname FROM pg_indexes WHERE indexname = 'idx_oauth_tokens_workspace_provider_actor';
SET ROLE regress_other;
SELECT seen();
RESET ROLE;

-- An index by which a token is found though the policies come first (E18).
SET client_min_messages = warning;
SELECT oauth_tokens_enable_row_security();
RESET client_min_messages;
CREATE FUNCTION pages() RETURNS bigint LANGUAGE sql AS $$
    SELECT sum(pg_stat_get_xact_blocks_fetched(oid)) FROM (SELECT indexrelid FROM pg_index WHERE indrelid = 'public.oauth_tokens'::regclass UNION ALL SELECT 'public.oauth_tokens'::regclass) t (oid) $$;
CREATE FUNCTION visits(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE before bigint := public.pages();
BEGIN
    EXECUTE statement;
    RETURN CASE WHEN public.pages() - before < 60 THEN 'few' ELSE format('%s pages', public.pages() - before) END;
END $$;
INSERT INTO oauth_tokens (workspace_id, provider, actor_type, actor_id, encrypted_access_token)
    SELECT :'a', 'google', 'user', n::text, t.encrypted_access_token FROM generate_series(1, 20000) n, (SELECT encrypted_access_token FROM oauth_tokens WHERE actor_id = 'alice') t;
ANALYZE oauth_tokens;
SET ROLE regress_tenant;
SET oauth_tokens.workspace_id = '11111111-1111-4111-8111-111111111111';
SELECT visits($$SELECT oauth_get('11111111-1111-4111-8111-111111111111', 'google', 'user', '77')$$);
SELECT visits($$SELECT oauth_access_token('11111111-1111-4111-8111-111111111111', 'google', 'user', '77')$$);
SELECT visits($$SELECT oauth_store('11111111-1111-4111-8111-111111111111', 'google', 'user', '77', 'new')$$);
SELECT visits($$SELECT oauth_refresh_begin('11111111-1111-4111-8111-111111111111', 'google', 'user', '77')$$);
SELECT visits($$SELECT oauth_move('11111111-1111-4111-8111-111111111111', 'google', 'user', '77', '11111111-1111-4111-8111-111111111111', 'google', 'user', 'x')$$);
SELECT visits($$SELECT oauth_delete('11111111-1111-4111-8111-111111111111', 'google', 'user', 'x')$$);
RESET oauth_tokens.workspace_id;
SET ROLE regress_sidecar;
SELECT visits($$SELECT oauth_get('11111111-1111-4111-8111-111111111111', 'google', 'user', '78')$$);
RESET ROLE;

-- DROP EXTENSION leaves policies that need none of it, and no table open.
DROP EXTENSION oauth_tokens;
TABLE policies ORDER BY 1, 2;
TABLE flags ORDER BY 1;
SET ROLE regress_other;
SELECT count(*) FROM oauth_tokens;
SELECT count(*) FROM oauth_token_details;
SET oauth_tokens.workspace_id = '22222222-2222-4222-8222-222222222222';
SELECT count(*) FROM oauth_tokens;
RESET oauth_tokens.workspace_id;
RESET ROLE;

SET client_min_messages = warning;
DROP VIEW policies, flags, sees_all;
DROP FUNCTION state, seen, obstacles, pages, visits;
DROP TABLE oauth_tokens, oauth_token_details;
DROP TYPE actor_type_enum;
DROP OWNED BY regress_owner, regress_tenant, regress_other, regress_sidecar, regress_member;
DROP ROLE regress_owner, regress_tenant, regress_other, regress_sidecar, regress_member;
