-- Refresh: a client is many tenants' (E19, T5). Whom row security restricts may say
-- of its own tokens that they were not refreshed, and nothing that stops or hurries others.

SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
SELECT oauth_tokens_upgrade() AS revision \gset
CREATE ROLE regress_tenant;
CREATE ROLE regress_daemon;
SELECT oauth_tokens_grant('regress_tenant', 'refresher') \g (format=unaligned tuples_only=on)
SELECT oauth_tokens_grant('regress_daemon', 'sidecar') \g (format=unaligned tuples_only=on)
RESET client_min_messages;
GRANT USAGE ON SCHEMA public TO regress_tenant, regress_daemon;
\set w '11111111-1111-4111-8111-111111111111'
CREATE FUNCTION store(name text) RETURNS boolean LANGUAGE sql SECURITY DEFINER AS $$
    SELECT oauth_store('11111111-1111-4111-8111-111111111111', 'google', 'user', name, 'a', 'r' || random(), expires_in => 0, details => '{"client_id": "c"}') IS NOT NULL $$;
CREATE FUNCTION fails(name text, kind text, many int DEFAULT 1) RETURNS TABLE (begun text, state text, count bigint) LANGUAGE plpgsql AS $$
DECLARE fence bigint; begins text[]; states text[]; BEGIN
    FOR i IN 1 .. many LOOP
        PERFORM store(name);
        SELECT b.outcome, b.fence INTO begun, fence FROM oauth_refresh_begin('11111111-1111-4111-8111-111111111111', 'google', 'user', name) b;
        state := CASE WHEN fence IS NOT NULL THEN oauth_refresh_fail('11111111-1111-4111-8111-111111111111', 'google', 'user', name, fence, kind, 'sentinel') END;
        begins := begins || begun;
        states := states || state;
    END LOOP;
    RETURN QUERY SELECT e.*, count(*) FROM unnest(begins, states) e GROUP BY 1, 2 ORDER BY 1, 2; END $$;
CREATE FUNCTION tries(name text, OUT outcome text, OUT reason text) LANGUAGE sql AS $$
    SELECT b.outcome, b.reason FROM oauth_refresh_begin('11111111-1111-4111-8111-111111111111', 'google', 'user', name) b $$;
CREATE VIEW clients AS SELECT client_id, failures, dead_grants, pauses, paused_until > now() AS paused, reason, rotates FROM oauth_tokens_internal.refresh_clients;
ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON oauth_tokens TO regress_tenant USING (actor_id LIKE 'mine%');
CREATE POLICY every ON oauth_tokens TO regress_daemon USING (true);
SELECT store(n) FROM unnest('{mine,theirs}'::text[]) n;

-- No failure of the tenant's tokens stops the client, or tells others of it; its own token waits.
SET ROLE regress_tenant;
SELECT * FROM fails('mine', 'client_config');
SELECT state, reason FROM oauth_connections WHERE actor_id = 'mine';
SELECT * FROM tries('mine');
SELECT k, f.* FROM unnest('{client_config,transient,no_answer,dead_grant,needs_interaction}'::text[]) k, LATERAL fails('mine', k, 25) f;
SELECT oauth_tokens_internal.publish_refresh_rules('{}');
SELECT oauth_tokens_internal.refresh_due(1);
SELECT oauth_tokens_internal.refresh_purge();
RESET ROLE;
SELECT * FROM clients;
SELECT * FROM tries('theirs');
-- Nor does a refresh of it teach that refresh tokens stay.
SELECT store('mine');
SET ROLE regress_tenant;
SELECT oauth_refresh_commit(:'w', 'google', 'user', 'mine', b.fence, 'a') FROM oauth_refresh_begin(:'w', 'google', 'user', 'mine') b;
RESET ROLE;
SELECT * FROM clients;
-- The daemon is believed under policies, too. Its pause holds for all, and only it ends it.
SELECT store('theirs');
SET ROLE regress_daemon;
SELECT * FROM fails('theirs', 'client_config');
RESET ROLE;
SELECT * FROM clients;
SELECT store('mine');
SET ROLE regress_tenant;
SELECT * FROM tries('mine');
RESET ROLE;
UPDATE oauth_tokens_internal.refresh_clients SET paused_until = now() - interval '1 s';
SET ROLE regress_tenant;
SELECT outcome FROM oauth_refresh_begin(:'w', 'google', 'user', 'mine', lease => '1 h');
RESET ROLE;
SELECT * FROM clients; -- nobody waits for the tenant's lease
SELECT max(fence) AS fence FROM oauth_tokens_internal.refresh_attempts WHERE actor_id = 'mine' \gset
SET ROLE regress_tenant;
SELECT oauth_refresh_commit(:'w', 'google', 'user', 'mine', :fence, 'a');
RESET ROLE;
SELECT * FROM clients;
SET ROLE regress_daemon;
SELECT oauth_refresh_commit(:'w', 'google', 'user', 'theirs', b.fence, 'a', 'next') FROM oauth_refresh_begin(:'w', 'google', 'user', 'theirs') b;
RESET ROLE;
SELECT * FROM clients;
-- Whom no policy restricts is believed, whatever its capability.
DROP POLICY mine ON oauth_tokens;
ALTER TABLE oauth_tokens DISABLE ROW LEVEL SECURITY;
SET ROLE regress_tenant;
SELECT * FROM fails('mine', 'client_config');
RESET ROLE;
SELECT * FROM clients;

SET client_min_messages = warning;
DROP VIEW clients;
DROP FUNCTION store, fails, tries;
DROP OWNED BY regress_tenant, regress_daemon;
DROP ROLE regress_tenant, regress_daemon;
SELECT oauth_tokens_downgrade(discard_tokens => true) AS revision \gset
DROP EXTENSION oauth_tokens;
DROP TYPE actor_type_enum;
