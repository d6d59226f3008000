-- E5, E17, E19: the caller's policy decides in every function, plans are not
-- kept across roles, and what must see every row fails where it would not.

\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
CREATE ROLE regress_owner;
CREATE ROLE regress_a;
CREATE ROLE regress_b;
CREATE ROLE regress_access;
GRANT CREATE ON SCHEMA public TO regress_owner;
SELECT oauth_tokens_grant('regress_owner', 'admin') \g (format=unaligned tuples_only=on)
SET ROLE regress_owner;
SELECT oauth_tokens_upgrade() AS revision \gset
RESET ROLE;
SELECT oauth_tokens_grant(r, c) FROM (VALUES ('regress_owner'::regrole, 'admin'), ('regress_a', 'sidecar'), ('regress_b', 'sidecar'), ('regress_access', 'access')) t (r, c) \g (format=unaligned tuples_only=on)
RESET client_min_messages;
\set a '11111111-1111-4111-8111-111111111111'
\set b '22222222-2222-4222-8222-222222222222'
CREATE FUNCTION state() RETURNS text LANGUAGE sql AS $$
    SELECT md5(string_agg(r, '|' ORDER BY r COLLATE "C"))
    FROM (SELECT t::text FROM oauth_tokens t UNION ALL SELECT d::text FROM oauth_token_details d) rows (r) $$;
SELECT count(oauth_store(w::uuid, 'google', 'user', name, 'token of ' || name, 'refresh', details => '{"account_id": "1"}'))
FROM (VALUES (:'a', 'alice'), (:'a', 'anna'), (:'b', 'bob')) t (w, name);

-- Policies that the user made.
SET ROLE regress_owner;
ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION workspace() RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT CASE current_user WHEN 'regress_b' THEN '22222222-2222-4222-8222-222222222222'::uuid ELSE '11111111-1111-4111-8111-111111111111' END $$;
CREATE POLICY mine ON oauth_tokens USING (workspace_id = workspace());
RESET ROLE;

-- Reading: the own workspace, and no other; the same statement in turn as
-- another role.
PREPARE get AS SELECT name, g.access_token FROM (VALUES ('11111111-1111-4111-8111-111111111111'::uuid, 'alice'), ('22222222-2222-4222-8222-222222222222', 'bob')) t (w, name),
    LATERAL oauth_get(w, 'google', 'user', name) g;
PREPARE access AS SELECT name, oauth_access_token(w, 'google', 'user', name)
    FROM (VALUES ('11111111-1111-4111-8111-111111111111'::uuid, 'alice'), ('22222222-2222-4222-8222-222222222222', 'bob')) t (w, name);
CREATE FUNCTION got() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT string_agg(access_token, ', ') FROM (VALUES ('11111111-1111-4111-8111-111111111111'::uuid, 'alice'), ('22222222-2222-4222-8222-222222222222', 'bob')) t (w, name),
        LATERAL oauth_get(w, 'google', 'user', name));
END $$;
EXECUTE get;
SET ROLE regress_a;
EXECUTE get;
EXECUTE access;
SELECT got();
SET ROLE regress_b;
EXECUTE get;
EXECUTE access;
SELECT got();
SET ROLE regress_a;
EXECUTE get;
EXECUTE access;
SELECT got();
SET plan_cache_mode = force_generic_plan;
EXECUTE get;
SET ROLE regress_b;
EXECUTE get;
SET ROLE regress_access;
EXECUTE access;
RESET ROLE;
EXECUTE get;
RESET plan_cache_mode;
SET ROLE regress_b;
SELECT actor_id, details ->> 'account_id' AS account FROM oauth_connections;
-- A caller that asks for every row or an error gets the error.
SET row_security = off;
\set VERBOSITY sqlstate
EXECUTE get;
EXECUTE access;
SELECT count(*) FROM oauth_connections;
SELECT oauth_delete(:'a', 'google', 'user', 'alice');
RESET row_security;
RESET ROLE;

-- Writing: another's row is not there, and nobody gives or takes one.
SELECT state() AS state \gset
SET ROLE regress_b;
SELECT oauth_store(:'a', 'google', 'user', 'new', 'sentinel');
SELECT oauth_store(:'a', 'google', 'user', 'alice', 'sentinel');
SELECT oauth_move(:'b', 'google', 'user', 'bob', :'a', 'google', 'user', 'bob');
\set VERBOSITY default
SELECT oauth_move(:'a', 'google', 'user', 'alice', :'b', 'google', 'user', 'alice');
SELECT oauth_move(:'a', 'google', 'user', 'alice', :'a', 'google', 'user', 'gone');
SELECT oauth_delete(:'a', 'google', 'user', 'alice');
RESET ROLE;
SELECT state() = :'state' AS nothing_changed;
-- In the own workspace all works, with details.
SET ROLE regress_b;
SELECT oauth_store(:'b', 'google', 'user', 'bob', 'again', details => '{"account_id": "2"}') IS NOT NULL AS stored;
SELECT oauth_store(:'b', 'google', 'user', 'bert', 'new') IS NOT NULL AS stored;
SELECT oauth_move(:'b', 'google', 'user', 'bob', :'b', 'google', 'api_key', 'bob'), oauth_delete(:'b', 'google', 'user', 'bert');
SELECT actor_type, actor_id, details ->> 'account_id' AS account FROM oauth_connections;
RESET ROLE;
SELECT count(*) FROM oauth_tokens;

-- Flows: no link of another workspace, and nothing stored or kept for one, whatever the role
-- may call. Nobody has rights on the tables.
SELECT oauth_tokens_internal.publish_settings('https://oauth.example.com', '600 s', '{}', '{google}');
GRANT EXECUTE ON FUNCTION oauth_flow_confirm(uuid, text, text, text, text) TO regress_a, regress_b;
CREATE FUNCTION ticket(workspace uuid, actor text, confirm boolean) RETURNS bytea LANGUAGE sql AS $$
    SELECT sha256(substring(oauth_authorize_url(workspace, 'google', 'user', actor, return_to => '/', confirm => confirm) FROM 'ticket=(.*)')::bytea) $$;
SELECT ticket(:'a', 'anna', false) AS anna, ticket(:'a', 'alice', true) AS alice \gset
SET ROLE regress_b;
\set VERBOSITY sqlstate
SELECT ticket(:'a', 'anna', false);
SELECT ticket(:'a', 'nobody', false);
SELECT count(*) FROM oauth_tokens_internal.flow_links;
DELETE FROM oauth_tokens_internal.flow_attempts;
SELECT count(*) FROM oauth_tokens_internal.flow_confirmations;
SELECT * FROM oauth_tokens_internal.flow_store(:'anna', 'sentinel', NULL, NULL, NULL, NULL);
SELECT * FROM oauth_tokens_internal.flow_store(:'alice', 'sentinel', NULL, NULL, NULL, NULL);
\set VERBOSITY default
SELECT ticket(:'b', 'boris', true) AS boris \gset
SELECT count(*) FROM oauth_tokens_internal.flow_begin(:'boris', 'google', NULL, 'https://issuer.example/token', 'client');
SELECT flow AS flow_b FROM oauth_tokens_internal.flow_store(:'boris', 'access', 'refresh', NULL, NULL, NULL) \gset
SELECT count(oauth_authorize_url(:'b', 'google', 'user', 'boris')) FROM generate_series(1, 22) n;
RESET ROLE;
SELECT actor_id, count(*) FROM oauth_tokens_internal.flow_links GROUP BY actor_id ORDER BY actor_id;
SET ROLE regress_a;
SELECT outcome AS anna FROM oauth_tokens_internal.flow_store(:'anna', 'of a', NULL, NULL, NULL, NULL);
SELECT flow AS flow_a FROM oauth_tokens_internal.flow_store(:'alice', 'of a', NULL, NULL, NULL, NULL) \gset
\set VERBOSITY sqlstate
SELECT oauth_flow_confirm(:'b', 'google', 'user', 'boris', :'flow_b');
SET ROLE regress_b;
SELECT oauth_flow_confirm(:'a', 'google', 'user', 'alice', :'flow_a');
\set VERBOSITY default
SELECT oauth_flow_confirm(:'b', 'google', 'user', 'boris', :'flow_b') IS NOT NULL AS confirmed;
RESET ROLE;
SELECT actor_id FROM oauth_tokens_internal.flow_confirmations;

-- A SELECT that makes no link and claims no revocation fires no trigger of the user.
SELECT ticket(:'b', 'boris', false) AS boris, count(oauth_delete(:'b', 'google', 'user', 'boris', revoke => true)) FROM oauth_connections WHERE actor_id = 'boris' \gset
CREATE SEQUENCE fired;
GRANT USAGE ON SEQUENCE fired TO regress_b;
SET ROLE regress_owner;
CREATE FUNCTION count_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('public.fired'); RETURN new; END $$;
CREATE TRIGGER count_it BEFORE INSERT ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION count_it();
SET ROLE regress_b;
SELECT count(*) FROM oauth_connections;
SELECT count(*) FROM oauth_get(:'b', 'google', 'api_key', 'bob');
SELECT oauth_access_token(:'b', 'google', 'api_key', 'bob');
SELECT count(*) FROM oauth_tokens_internal.flow_begin(:'boris', 'google', NULL, 'https://issuer.example/token', 'client');
SELECT count(*) FROM oauth_tokens_internal.flow_claim('', '', 'google');
SELECT oauth_tokens_internal.flow_purge();
SELECT oauth_tokens_internal.revocations_waiting();
SELECT count(*) FROM oauth_tokens_internal.refresh_backlog();
RESET ROLE;
SELECT is_called AS fired FROM fired;
SET ROLE regress_b;
SELECT count(oauth_store(:'b', 'google', 'user', 'boris', 'stored'));
RESET ROLE;
SELECT is_called AS fired FROM fired;
DROP TRIGGER count_it ON oauth_tokens;
DROP FUNCTION count_it;
DROP SEQUENCE fired;
-- Where the policy is asked, triggers fill in what it looks at, as they do in a store.
SET ROLE regress_owner;
CREATE FUNCTION fill_in() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.scopes := 'filled in'; RETURN new; END $$;
CREATE TRIGGER fill_in BEFORE INSERT ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION fill_in();
CREATE POLICY filled_in ON oauth_tokens AS RESTRICTIVE FOR INSERT WITH CHECK (scopes = 'filled in');
SET ROLE regress_b;
SELECT count(oauth_authorize_url(:'b', 'google', 'user', 'boris'));
SET ROLE regress_owner;
DROP POLICY filled_in ON oauth_tokens;
DROP TRIGGER fill_in ON oauth_tokens;
DROP FUNCTION fill_in;
RESET ROLE;
DELETE FROM oauth_tokens WHERE actor_id = 'boris';
DELETE FROM oauth_tokens_internal.oauth_revocations;
DROP FUNCTION ticket;

-- What must see every row: for the owner it may, until the policies are forced
-- upon the owner, too; then each fails, and nothing is lost.
SET ROLE regress_owner;
SELECT sum("values") FROM oauth_key_usage;
SELECT count(*) FROM oauth_tokens_damaged();
CALL oauth_rotate_keys();
RESET ROLE;
UPDATE oauth_tokens SET encrypted_access_token = 'damaged' WHERE actor_id = 'bob';
SELECT state() AS state \gset
SET ROLE regress_owner;
ALTER TABLE oauth_tokens FORCE ROW LEVEL SECURITY;
SELECT oauth_tokens_downgrade();
SELECT * FROM oauth_key_usage;
SELECT * FROM oauth_tokens_damaged();
CALL oauth_rotate_keys();
\set VERBOSITY sqlstate
SELECT oauth_tokens_downgrade(discard_tokens => true);
DELETE FROM oauth_tokens WHERE workspace_id = '11111111-1111-4111-8111-111111111111';
SELECT oauth_tokens_downgrade();
\set VERBOSITY default
SELECT count(*) AS own_view FROM oauth_tokens_decrypted;
RESET ROLE;
-- The two rows that the owner could see are gone, the one that could not be seen is there.
SELECT actor_id FROM oauth_tokens;
SELECT oauth_tokens_current();
-- A superuser sees through policies.
SELECT actor_id, "column" FROM oauth_tokens_damaged();
CALL oauth_rotate_keys();
\set VERBOSITY sqlstate
SELECT oauth_tokens_downgrade();
\set VERBOSITY default
-- A role with the rights of admin and under the policy fails, too.
GRANT UPDATE, SELECT ON oauth_tokens TO regress_a;
SELECT oauth_tokens_grant('regress_a', 'admin');
SET ROLE regress_a;
\set VERBOSITY sqlstate
CALL oauth_rotate_keys();
SELECT * FROM oauth_key_usage;
SELECT * FROM oauth_tokens_damaged();
SELECT oauth_tokens_downgrade(true);
\set VERBOSITY default
-- But the damage of other tenants does not end its scans.
SELECT count(access_token) FROM oauth_tokens_decrypted;
RESET ROLE;
DEALLOCATE ALL;

SET client_min_messages = warning;
SELECT oauth_tokens_downgrade(discard_tokens => true) AS revision \gset
DROP FUNCTION state, workspace, got;
DROP EXTENSION oauth_tokens;
DROP TYPE actor_type_enum;
REVOKE ALL ON SCHEMA public FROM regress_owner, regress_a, regress_b, regress_access;
DROP ROLE regress_owner, regress_a, regress_b, regress_access;
