-- E22: what a tenant may see and change of oauth_token_details is what the policies
-- of oauth_tokens let him see and change of the token; no policy is made by hand.

SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
CREATE ROLE regress_owner;
CREATE ROLE regress_a;
CREATE ROLE regress_b;
GRANT CREATE ON SCHEMA public TO regress_owner;
SELECT oauth_tokens_grant('regress_owner', 'admin') \g (format=unaligned tuples_only=on)
SET ROLE regress_owner;
SELECT oauth_tokens_upgrade() AS revision \gset
RESET ROLE;
SELECT oauth_tokens_grant(r, c) FROM (VALUES ('regress_owner'::regrole, 'admin'), ('regress_a', 'sidecar'), ('regress_b', 'sidecar')) t (r, c) \g (format=unaligned tuples_only=on)
RESET client_min_messages;
\set SHOW_CONTEXT never
\set a '11111111-1111-4111-8111-111111111111'
\set b '22222222-2222-4222-8222-222222222222'
SELECT count(oauth_store(w::uuid, 'google', 'user', name, 'token of ' || name, 'refresh', details => jsonb_build_object('account_label', name || '@example.com')))
FROM (VALUES (:'a', 'alice'), (:'a', 'anna'), (:'b', 'bob')) t (w, name);
CREATE VIEW labels AS SELECT actor_id, account_label FROM oauth_token_details;

-- Without policies on oauth_tokens nothing is hidden.
SET ROLE regress_b;
SELECT account_label FROM oauth_token_details ORDER BY 1;
SELECT oauth_store(:'a', 'google', 'user', 'anna', 'again', details => '{"account_label": "anna@example.org"}') IS NOT NULL AS stored;
SELECT oauth_move(:'a', 'google', 'user', 'anna', :'a', 'google', 'api_key', 'anna'), oauth_move(:'a', 'google', 'api_key', 'anna', :'a', 'google', 'user', 'anna');
SELECT account_label FROM oauth_token_details ORDER BY 1;
SELECT oauth_store(:'a', 'google', 'user', 'gone', 'x', details => '{"account_label": "gone"}') IS NOT NULL AS stored, oauth_delete(:'a', 'google', 'user', 'gone');
RESET ROLE;
SELECT count(*) FROM oauth_token_details;

SET ROLE regress_owner;
ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION workspace() RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT CASE current_user WHEN 'regress_b' THEN '22222222-2222-4222-8222-222222222222'::uuid ELSE '11111111-1111-4111-8111-111111111111' END $$;
CREATE POLICY mine ON oauth_tokens USING (workspace_id = workspace());
SELECT count(*) AS owner FROM oauth_token_details;
SET ROLE regress_b;
SELECT account_label FROM oauth_token_details ORDER BY 1;
SELECT account_label FROM oauth_token_details WHERE workspace_id = :'a';
UPDATE oauth_token_details SET account_label = 'mallory' WHERE workspace_id = :'a';
UPDATE oauth_token_details SET account_label = 'mallory';
DELETE FROM oauth_token_details WHERE workspace_id = :'a';
SELECT token_id AS bob FROM oauth_token_details \gset
RESET ROLE;
SELECT id AS alice FROM oauth_tokens WHERE actor_id = 'alice' \gset
DELETE FROM oauth_token_details WHERE actor_id = 'anna';
SET ROLE regress_b;
-- Nothing is put beside another's token, nor moved there, nor taken over.
INSERT INTO oauth_token_details (workspace_id, provider, actor_type, actor_id, token_id) VALUES (:'a', 'google', 'user', 'anna', :'bob');
\set VERBOSITY sqlstate
INSERT INTO oauth_token_details (workspace_id, provider, actor_type, actor_id, token_id) SELECT :'a', 'google', 'user', 'anna', gen_random_uuid();
INSERT INTO oauth_token_details (workspace_id, provider, actor_type, actor_id, token_id, account_label) VALUES (:'a', 'google', 'user', 'alice', :'alice', 'mallory')
    ON CONFLICT (workspace_id, provider, actor_type, actor_id) DO UPDATE SET account_label = 'mallory';
UPDATE oauth_token_details SET workspace_id = :'a', actor_id = 'anna';
UPDATE oauth_token_details SET token_id = :'alice';
SET row_security = off;
SELECT count(*) FROM oauth_token_details;
RESET row_security;
\set VERBOSITY default
RESET ROLE;
SELECT actor_id, account_label FROM oauth_token_details ORDER BY 1;

-- The functions write what belongs to a token that they may write: store, replace, move, delete.
SET ROLE regress_b;
SELECT oauth_store(:'b', 'google', 'user', 'bob', 'again', details => '{"account_label": "2"}') IS NOT NULL AS stored;
SELECT oauth_move(:'b', 'google', 'user', 'bob', :'b', 'google', 'api_key', 'bob');
SELECT actor_type, account_label FROM oauth_token_details;
SELECT oauth_delete(:'b', 'google', 'api_key', 'bob');
RESET ROLE;
SELECT actor_id, account_label FROM oauth_token_details ORDER BY 1;
-- Details of a token that raw SQL deleted are in nobody's sight, and in nobody's way.
SET ROLE regress_b;
SELECT oauth_store(:'b', 'google', 'user', 'bob', 'x', details => '{"account_label": "left"}') IS NOT NULL AS stored,
    oauth_store(:'b', 'google', 'user', 'bert', 'x', details => '{"account_label": "bert"}') IS NOT NULL AS stored_too;
DELETE FROM oauth_tokens WHERE actor_id = 'bob';
SELECT account_label FROM oauth_token_details;
SELECT oauth_move(:'b', 'google', 'user', 'bert', :'b', 'google', 'user', 'bob');
SELECT account_label FROM oauth_token_details;
DELETE FROM oauth_tokens WHERE actor_id = 'bob';
SELECT oauth_store(:'b', 'google', 'user', 'bob', 'x', details => '{"account_label": "new"}') IS NOT NULL AS stored;
SELECT account_label FROM oauth_token_details;
RESET ROLE;
SELECT actor_id, account_label FROM oauth_token_details ORDER BY 1;

-- Policies by command: who may only see a token changes nothing beside it.
SET ROLE regress_owner;
DROP POLICY mine ON oauth_tokens;
CREATE POLICY sees_all ON oauth_tokens FOR SELECT USING (true);
CREATE POLICY updates_own ON oauth_tokens FOR UPDATE USING (workspace_id = workspace());
SET ROLE regress_b;
SELECT account_label FROM oauth_token_details ORDER BY 1;
UPDATE oauth_token_details SET account_label = account_label || '!' RETURNING account_label;
DELETE FROM oauth_token_details RETURNING account_label;
\set VERBOSITY sqlstate
INSERT INTO oauth_token_details (workspace_id, provider, actor_type, actor_id, token_id) SELECT workspace_id, provider, actor_type, actor_id, id FROM oauth_tokens WHERE actor_id = 'anna';
\set VERBOSITY default
RESET ROLE;
SELECT actor_id, account_label FROM oauth_token_details ORDER BY 1;

-- The migration compares them: what was taken away, changed, or is not forced as it is on oauth_tokens.
CREATE FUNCTION changed(change text) RETURNS TABLE (before text, after text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE change;
    before := oauth_tokens_current();
    PERFORM oauth_tokens_upgrade();
    after := oauth_tokens_current();
    RETURN NEXT;
END $$;
SET client_min_messages = notice;
GRANT regress_owner TO CURRENT_USER;
SELECT oauth_tokens_current() IS NOT NULL AS whole;
ALTER FUNCTION changed(text) OWNER TO regress_owner;
SET ROLE regress_owner;
SELECT before IS NULL AS noticed, after IS NOT NULL AS repaired FROM changed('ALTER TABLE oauth_token_details DISABLE ROW LEVEL SECURITY');
SELECT before IS NULL AS noticed, after IS NOT NULL AS repaired FROM changed('DROP POLICY oauth_token_select ON oauth_token_details');
SELECT before IS NULL AS noticed, after IS NOT NULL AS repaired FROM changed('ALTER POLICY oauth_token_update ON oauth_token_details USING (true)');
SELECT before IS NULL AS noticed, after IS NOT NULL AS repaired FROM changed('ALTER POLICY oauth_token_delete ON oauth_token_details TO regress_b');
SELECT before IS NULL AS noticed, after IS NOT NULL AS repaired FROM changed('ALTER POLICY oauth_token_update ON oauth_token_details WITH CHECK (true)');
SELECT before IS NULL AS noticed, after IS NOT NULL AS repaired FROM changed('ALTER POLICY oauth_token_select ON oauth_token_details USING (oauth_tokens_internal.sees_token(workspace_id, provider, actor_type, provider, token_id))');
SELECT before IS NULL AS noticed, after IS NOT NULL AS repaired FROM changed('ALTER TABLE oauth_token_details DISABLE ROW LEVEL SECURITY; ALTER POLICY oauth_token_update ON oauth_token_details USING (true)');
SELECT before IS NULL AS noticed, after IS NOT NULL AS repaired FROM changed('ALTER TABLE oauth_tokens FORCE ROW LEVEL SECURITY');
SELECT count(*) AS owner FROM oauth_token_details;
DROP POLICY sees_all ON oauth_tokens;
SELECT count(*) AS owner FROM oauth_token_details;
ALTER TABLE oauth_tokens NO FORCE ROW LEVEL SECURITY;
SELECT oauth_tokens_current() IS NOT NULL AS whole;
SELECT count(*) AS owner FROM oauth_token_details;
-- The owner may alter the table of tokens, and drop it, as if the other were not there.
ALTER TABLE oauth_tokens ALTER provider TYPE text COLLATE "C", DROP COLUMN scopes;
DROP TABLE oauth_tokens;
RESET ROLE;
-- DROP EXTENSION takes the policies, and leaves no table open.
SET client_min_messages = warning;
DROP EXTENSION oauth_tokens;
SELECT relrowsecurity FROM pg_class WHERE relname = 'oauth_token_details';
SELECT count(*) FROM pg_policy WHERE polrelid = 'oauth_token_details'::regclass;

DROP VIEW labels;
DROP TABLE oauth_token_details;
DROP FUNCTION workspace, changed;
DROP TYPE actor_type_enum;
REVOKE ALL ON SCHEMA public FROM regress_owner, regress_a, regress_b;
DROP OWNED BY regress_owner;
DROP ROLE regress_owner, regress_a, regress_b;
