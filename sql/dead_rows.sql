-- What a statement reads does not grow with dead rows, nor with the actors of a workspace, where no table has
-- statistics that are true: plans are made here while the tables are known to be empty. By blocks, not by the clock.

SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
SELECT oauth_tokens_upgrade() AS revision \gset
RESET client_min_messages;
\set w '11111111-1111-4111-8111-111111111111'
SELECT set_config('test.alice', $$'11111111-1111-4111-8111-111111111111', 'google', 'user', 'alice'$$, false) = '' AS a \gset
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
            WHERE relkind = 'r' AND (nspname = 'oauth_tokens_internal' OR relname LIKE 'oauth\_token%') LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', name);
    END LOOP;
END $$;
VACUUM ANALYZE;
SELECT oauth_tokens_internal.publish_settings('https://sidecar.invalid', '60 s', '{}', '{google}');

-- Blocks that a statement reads, those of its functions with it.
CREATE FUNCTION pg_temp.blocks(statement text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE plan jsonb; BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ' || replace(statement, '@', current_setting('test.alice')) INTO plan;
    RETURN (plan #>> '{0,Plan,Shared Hit Blocks}')::bigint + (plan #>> '{0,Plan,Shared Read Blocks}')::bigint;
END $$;
CREATE FUNCTION pg_temp.fence() RETURNS bigint LANGUAGE sql AS $$
    SELECT fence FROM oauth_tokens_internal.refresh_attempts ORDER BY fence DESC LIMIT 1 $$;
CREATE FUNCTION pg_temp.age() RETURNS void LANGUAGE sql AS $$
    UPDATE oauth_tokens_internal.refresh_states SET next_attempt_at = '-infinity'; UPDATE oauth_tokens_internal.refresh_attempts SET began_at = began_at - interval '1 day', lease_until = lease_until - interval '1 day' $$;
CREATE TEMP TABLE calls (nr int GENERATED ALWAYS AS IDENTITY, what text, statement text);
INSERT INTO calls (what, statement) VALUES
    ('begin', 'SELECT oauth_refresh_begin(@, force => true)'),
    ('busy', 'SELECT oauth_refresh_begin(@, force => true)'),
    ('state', 'SELECT oauth_tokens_internal.connection(@)'),
    ('fail', $$SELECT oauth_refresh_fail(@, pg_temp.fence(), 'transient')$$),
    ('state', 'SELECT oauth_tokens_internal.connection(@)'),
    (NULL, 'SELECT pg_temp.age()'),
    ('begin', 'SELECT oauth_refresh_begin(@, force => true)'),
    ('replay', $$SELECT oauth_refresh_replay(@, 1, 'nothing')$$),
    ('commit', $$SELECT oauth_refresh_commit(@, pg_temp.fence(), 'a', 'r', 3600)$$),
    ('begin', 'SELECT oauth_refresh_begin(@, force => true)'),
    ('store', $$SELECT oauth_store(@, 'a', 'r', details => '{"account_id": "1", "issuer": "i", "client_id": "c"}')$$),
    ('store, keeping', $$SELECT oauth_store(@, 'a', details => '{"account_id": "1", "issuer": "i", "client_id": "c"}')$$),
    ('move', $$SELECT oauth_move(@, '11111111-1111-4111-8111-111111111111', 'google', 'user', 'bob')$$),
    ('delete', $$SELECT oauth_tokens_internal.delete_token('11111111-1111-4111-8111-111111111111', 'google', 'user', 'bob', 'auto')$$),
    ('claim', $$SELECT oauth_tokens_internal.revocations_claim(1, '60 s')$$),
    ('retry', $$SELECT oauth_tokens_internal.revocation_done((SELECT id FROM oauth_tokens_internal.oauth_revocations ORDER BY next_attempt_at DESC LIMIT 1), 'retry')$$),
    ('done', $$SELECT oauth_tokens_internal.revocation_done((SELECT id FROM oauth_tokens_internal.oauth_revocations ORDER BY next_attempt_at DESC LIMIT 1), 'done')$$),
    ('store', $$SELECT oauth_store(@, 'a', 'r', details => '{"account_id": "1", "issuer": "i", "client_id": "c"}')$$),
    ('link', $$SELECT set_config('test.link', oauth_authorize_url(@), false)$$),
    ('attempt', $$SELECT set_config('test.state', state || '/' || browser_secret, false) FROM oauth_tokens_internal.flow_begin(
        sha256(substring(current_setting('test.link'), 'ticket=(.*)')::bytea), 'google', NULL, 'https://google.invalid/token', 'client')$$),
    ('callback', $$SELECT oauth_tokens_internal.flow_claim(sha256(split_part(current_setting('test.state'), '/', 1)::bytea),
        sha256(split_part(current_setting('test.state'), '/', 2)::bytea), 'google')$$),
    ('connected', $$SELECT oauth_tokens_internal.flow_store(sha256(substring(current_setting('test.link'), 'ticket=(.*)')::bytea), 'a', 'r', 60, NULL, NULL)$$),
    ('purge', $$SELECT oauth_tokens_internal.flow_purge()$$);
CREATE FUNCTION pg_temp.round() RETURNS TABLE (nr int, what text, blocks bigint) LANGUAGE plpgsql AS $$
DECLARE call record; BEGIN
    FOR call IN SELECT * FROM calls ORDER BY nr LOOP
        nr := call.nr; what := call.what; blocks := pg_temp.blocks(call.statement);
        RETURN NEXT;
    END LOOP;
END $$;
SELECT oauth_store(:'w', 'google', 'user', 'alice', 'a', 'r', details => '{"account_id": "1", "issuer": "i", "client_id": "c"}') IS NOT NULL AS stored;
SELECT count(*) FROM pg_temp.round();
CREATE TEMP TABLE before AS SELECT * FROM pg_temp.round();

-- Twenty thousand actors of the workspace, and as many dead rows in each table, half of them alice's.
INSERT INTO oauth_tokens (workspace_id, provider, actor_type, actor_id, encrypted_access_token, encrypted_refresh_token)
    SELECT :'w', 'google', 'user', n::text, 'x', 'x' FROM generate_series(1, 20000) n;
INSERT INTO oauth_token_details (workspace_id, provider, actor_type, actor_id, token_id, connected_at)
    SELECT workspace_id, provider, actor_type, actor_id, id, now() FROM oauth_tokens ON CONFLICT DO NOTHING;
SELECT id AS alice FROM oauth_tokens WHERE actor_id = 'alice' \gset
CREATE TEMP VIEW many AS SELECT n, CASE WHEN n % 2 = 0 THEN :'alice'::uuid ELSE gen_random_uuid() END AS id,
    CASE WHEN n % 2 = 0 THEN 'alice' ELSE n::text END AS actor, sha256(n::text::bytea) AS hash FROM generate_series(1, 20000) n;
INSERT INTO oauth_tokens_internal.refresh_states (token_id, refresh_token_digest, token_updated_at) SELECT gen_random_uuid(), '', now() FROM many;
INSERT INTO oauth_tokens_internal.refresh_attempts (fence, token_id, workspace_id, provider, actor_type, actor_id, access_token_digest, refresh_token_digest, sealed, began_at, lease_until)
    SELECT -n, id, :'w', 'google', 'user', actor, '', '', '', now(), now() FROM many;
INSERT INTO oauth_tokens_internal.refresh_clients (provider, client_id, updated_at) SELECT 'google', n::text, now() FROM many;
INSERT INTO oauth_tokens_internal.refresh_rules SELECT n::text, 'strict', false, '0', '0', 1 FROM many;
INSERT INTO oauth_tokens_internal.oauth_revocations (id, workspace_id, provider, actor_type, actor_id, unless_shared, encrypted_access_token, created_at, next_attempt_at)
    SELECT gen_random_uuid(), :'w', 'google', 'user', actor, true, 'x', now(), now() - interval '1 h' FROM many;
INSERT INTO oauth_tokens_internal.flow_links (ticket_hash, workspace_id, provider, actor_type, actor_id, confirm, attempt_seconds, created_at, expires_at, vanishes_at)
    SELECT hash, :'w', 'google', 'user', actor, false, 600, now(), now(), now() FROM many;
INSERT INTO oauth_tokens_internal.flow_attempts (state_hash, browser_hash, ticket_hash, token_endpoint, client_id, sealed, created_at, expires_at)
    SELECT hash, hash, hash, 'e', 'c', 's', now(), now() FROM many;
INSERT INTO oauth_tokens_internal.flow_confirmations (flow_hash, workspace_id, provider, actor_type, actor_id, sealed, expires_at)
    SELECT hash, :'w', 'google', 'user', actor, 's', now() FROM many;
DO $$ DECLARE name text; BEGIN
    FOREACH name IN ARRAY '{refresh_states, refresh_attempts, refresh_clients, refresh_rules, oauth_revocations, flow_attempts, flow_links, flow_confirmations}'::text[] LOOP
        EXECUTE format('DELETE FROM oauth_tokens_internal.%I', name);
    END LOOP;
END $$;

-- The first who meets them marks them dead in the index.
SELECT count(*) FROM pg_temp.round();
CREATE TEMP TABLE after AS SELECT * FROM pg_temp.round();
SELECT what, before.blocks, after.blocks FROM before JOIN after USING (nr, what) WHERE after.blocks > before.blocks + 100 ORDER BY nr;
DROP VIEW many;
SET client_min_messages = warning;
SELECT oauth_tokens_downgrade(discard_tokens => true) AS revision \gset
DROP EXTENSION oauth_tokens;
DROP TYPE actor_type_enum;
