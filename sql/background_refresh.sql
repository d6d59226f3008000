-- Refreshes that nobody asks for (T2, T5, T13): when a grant ends, and which tokens are due.

SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
SELECT oauth_tokens_upgrade() AS revision \gset
RESET client_min_messages;
\set w '11111111-1111-4111-8111-111111111111'
\set alice '''11111111-1111-4111-8111-111111111111'', ''google'', ''user'', ''alice'''
CREATE FUNCTION pg_temp.ends(OUT column_says int, OUT connection_says int) LANGUAGE sql AS $$
    SELECT round(extract(epoch FROM refresh_expires_at - now()) / 10) * 10,
        (SELECT round(extract(epoch FROM c.refresh_expires_at - now()) / 10) * 10 FROM oauth_tokens_internal.connection(workspace_id, provider, actor_type, actor_id) c)
    FROM oauth_connections WHERE actor_id = 'alice' $$;

-- When the grant ends, as the provider said: until it says something else, or other details are stored.
SELECT oauth_store(:alice, 'a1', 'r1', expires_in => 3600, details => '{"client_id": "c", "refresh_expires_in": 86400}') IS NOT NULL AS stored;
SELECT * FROM pg_temp.ends();
SELECT fence FROM oauth_refresh_begin(:alice, force => true) \gset
SELECT oauth_refresh_commit(:alice, :fence, 'a2', 'r2', 3600);
SELECT * FROM pg_temp.ends();
SELECT fence, spool_key FROM oauth_refresh_begin(:alice, force => true) \gset
SELECT oauth_refresh_replay(:alice, :fence, fernet_encrypt('{"access_token": "a3", "details": {"refresh_expires_in": 1000}}', :'spool_key'));
SELECT * FROM pg_temp.ends();
SELECT oauth_store(:alice, 'a1', 'r1', expires_in => 3600, details => '{"client_id": "c"}') IS NOT NULL AS stored;
SELECT * FROM pg_temp.ends();
SELECT oauth_store(:alice, 'a', details => '{"refresh_expires_in": -1}');
SELECT oauth_store(:alice, 'a', details => '{"refresh_expires_in": 1e30}');
SELECT oauth_store(:alice, 'a', details => '{"refresh_expires_in": "soon"}');
-- A table of before gets the column.
ALTER TABLE oauth_token_details DROP COLUMN refresh_expires_at;
SELECT oauth_tokens_current();
SELECT oauth_tokens_upgrade();
SELECT oauth_tokens_current();
SELECT * FROM pg_temp.ends();

-- Which tokens are due. Tokens of `life`, of which `left` is left (both in minutes).
CREATE FUNCTION keep(provider text, name text, life int, "left" int, details jsonb = '{"client_id": "c"}') RETURNS void LANGUAGE sql AS $$
    SELECT oauth_store('11111111-1111-4111-8111-111111111111', provider, 'user', name, 'access', 'refresh', details => details || jsonb_build_object('lifetime', life * 60));
    UPDATE oauth_tokens SET access_token_expires_at = now() AT TIME ZONE 'UTC' + make_interval(mins => "left"),
        updated_at = now() AT TIME ZONE 'UTC' + make_interval(mins => "left" - life) WHERE actor_id = name $$;
CREATE FUNCTION due(max_rows bigint = 100, providers text[] = NULL) RETURNS TABLE (provider text, actor_id text, min_ttl interval, force boolean) LANGUAGE sql AS $$
    SELECT d.provider, d.actor_id, d.min_ttl, d.force FROM oauth_tokens_internal.refresh_due(max_rows, providers) d ORDER BY d.provider, d.actor_id $$;
CREATE PROCEDURE begin_due(max_rows bigint = 100) LANGUAGE sql AS $$
    SELECT b.outcome FROM oauth_tokens_internal.refresh_due(max_rows) d, LATERAL oauth_refresh_begin(d.workspace_id, d.provider, d.actor_type, d.actor_id, min_ttl => d.min_ttl, force => d.force) b $$;
CREATE VIEW indexes AS SELECT indexdef, indisvalid FROM pg_indexes JOIN pg_index ON indexrelid = indexname::regclass WHERE indexname LIKE '%\_refresh' ORDER BY indexname DESC;
SELECT oauth_tokens_internal.publish_refresh_rules('{"google": {"rotation": "none", "refresh_ahead": 600, "refreshes_per_second": 1000},
    "idle": {"keep_alive": 864000, "refreshes_per_second": 1000}, "kills": {"refresh_kills_access": true, "refresh_ahead": 600, "keep_alive": 864000}, "off": {}}');
SELECT oauth_tokens_internal.publish_refresh_rules('{"google": {"refreshes_per_second": 0}}');
SELECT oauth_tokens_internal.publish_refresh_rules('{"google": {"refreshes_per_second": "many"}}');
DELETE FROM oauth_tokens;
SELECT keep('google', 'g1 expired', 60, -30), keep('google.work', 'g2 soon', 60, 7), keep('google', 'g3 later', 60, 11), keep('google', 'g4 young', 8, 6),
    keep('google', 'g5 old, short-lived', 8, 3), keep('google', 'g6 expired a month ago', 60, -31 * 24 * 60), keep('off', 'o1', 60, -5), keep('googles', 's1', 60, -5),
    keep('idle', 'i1 young', 60, -5), keep('idle', 'i2 old', 60, -9 * 24 * 60), keep('idle', 'i3 too old', 60, -21 * 24 * 60), keep('kills', 'k1', 60, -5), keep('kills', 'k2 old', 60, -9 * 24 * 60)
    \g /dev/null
SELECT oauth_store(:'w', 'google', 'user', 'g7 no refresh token', 'a', expires_in => 0), oauth_store(:'w', 'google', 'user', 'g8 unknown expiry', 'a', 'r') \g /dev/null
-- Off: nothing, and no index.
SELECT * FROM due();
SELECT * FROM indexes;
SELECT oauth_tokens_enable_background_refresh();
SELECT oauth_tokens_enable_background_refresh(); -- again
SELECT * FROM indexes;
SELECT oauth_tokens_current();
SELECT * FROM due(0);
SELECT * FROM due(providers => '{idle,none}');
SELECT * FROM due(providers => '{}');
SELECT * FROM due();
SELECT provider, due, oldest < now() AS late FROM oauth_tokens_internal.refresh_backlog() ORDER BY provider;
SELECT oauth_tokens_internal.refresh_due(-1);
SELECT oauth_tokens_internal.refresh_due(NULL);
-- What is under way, and what has failed, waits.
CALL begin_due();
SELECT * FROM due();
SELECT actor_id, oauth_refresh_fail(workspace_id, provider, actor_type, actor_id, fence, CASE left(actor_id, 1) WHEN 'g' THEN 'transient' ELSE 'dead_grant' END)
    FROM oauth_tokens_internal.refresh_attempts ORDER BY actor_id;
SELECT * FROM due();
UPDATE oauth_tokens_internal.refresh_states SET next_attempt_at = now() - interval '1 s' WHERE kind = 'transient' OR token_id = (SELECT id FROM oauth_tokens WHERE actor_id = 'i2 old');
SELECT * FROM due();
SELECT provider, due FROM oauth_tokens_internal.refresh_backlog() ORDER BY provider;
-- So does what may have been refreshed without an answer, as long as its provider might mind.
SELECT keep('idle', 'i2 old', 60, -9 * 24 * 60) \g /dev/null
CALL begin_due();
UPDATE oauth_tokens_internal.refresh_attempts SET lease_until = now() - interval '1 s', began_at = now() - interval '61 s';
UPDATE oauth_tokens_internal.refresh_states SET lease_until = now() - interval '1 s';
SELECT * FROM due();
-- These are in doubt, until somebody stores another token or the provider says that the grant is dead.
SELECT provider, in_doubt FROM oauth_tokens_internal.refresh_backlog() WHERE in_doubt > 0 ORDER BY 1;
BEGIN;
UPDATE oauth_tokens_internal.refresh_states SET kind = 'dead_grant' WHERE token_id = (SELECT id FROM oauth_tokens WHERE actor_id = 'i2 old');
SELECT provider, in_doubt FROM oauth_tokens_internal.refresh_backlog() WHERE in_doubt > 0 ORDER BY 1;
SELECT count(oauth_store(workspace_id, provider, actor_type, actor_id, 'new', 'new')) FROM oauth_tokens;
SELECT provider, in_doubt FROM oauth_tokens_internal.refresh_backlog() WHERE in_doubt > 0 ORDER BY 1;
ROLLBACK;
UPDATE oauth_tokens_internal.refresh_states SET lease_until = now() - interval '121 s';
SELECT * FROM due(providers => '{idle}');
TRUNCATE oauth_tokens, oauth_tokens_internal.refresh_states, oauth_tokens_internal.refresh_attempts, oauth_tokens_internal.refresh_clients, oauth_tokens_internal.refresh_places;
-- A paused client's wait until one may try; others go on.
-- A client's name of any length.
SELECT keep('google', 'long', 60, -2, jsonb_build_object('client_id', (SELECT string_agg(sha256(i::text::bytea)::text, '') FROM generate_series(1, 100) i))) \g /dev/null
SELECT actor_id FROM due();
SELECT c.client_id = d.client_id AS whole, c.credit < 1000 AS spent FROM oauth_tokens_internal.refresh_clients c, oauth_token_details d
    WHERE d.actor_id = 'long' AND left(c.client_id, 500) = left(d.client_id, 500);
DELETE FROM oauth_tokens WHERE actor_id = 'long';
SELECT keep('google', 'c', 60, -2), keep('google', 'c2', 60, -1), keep('google', 'd', 60, 0, '{"client_id": "d"}') \g /dev/null
INSERT INTO oauth_tokens_internal.refresh_clients (provider, client_id, paused_until, updated_at) VALUES ('google', 'c', now() + interval '1 min', now());
SELECT * FROM due();
SELECT provider, due, paused_until > now() AS paused FROM oauth_tokens_internal.refresh_backlog() WHERE provider = 'google';
UPDATE oauth_tokens_internal.refresh_clients SET paused_until = now() WHERE client_id = 'c';
SELECT * FROM due() WHERE actor_id LIKE 'c%';
-- The end of a grant counts where it is to be kept alive; once in the time before it, if it does not move.
TRUNCATE oauth_tokens, oauth_tokens_internal.refresh_clients, oauth_tokens_internal.refresh_places;
SELECT keep('idle', 'near, valid', 10 * 24 * 60, 60, '{"refresh_expires_in": 86400}'), keep('idle', 'near, expired', 60, -24 * 60 * 4, '{"refresh_expires_in": 86400}'), keep('idle', 'far', 10 * 24 * 60, 60, '{"refresh_expires_in": 864000}'),
    keep('idle', 'refreshed', 120, 60, '{"refresh_expires_in": 86400}'), keep('kills', 'near, kills', 10 * 24 * 60, 60, '{"refresh_expires_in": 86400}'), keep('google', 'not wanted', 24 * 60, 60, '{"refresh_expires_in": 86400}') \g /dev/null
SELECT * FROM due();
-- The rate, soonest expiry first; a second's worth is saved up.
TRUNCATE oauth_tokens, oauth_tokens_internal.refresh_clients, oauth_tokens_internal.refresh_places;
SELECT oauth_tokens_internal.publish_refresh_rules('{"google": {"refresh_ahead": 600, "refreshes_per_second": 3}}');
SELECT keep('google', to_char(n, 'FM00'), 60, n - 40) FROM generate_series(1, 30) n ORDER BY random() \g /dev/null
SELECT actor_id FROM due(2);
TRUNCATE oauth_tokens_internal.refresh_clients, oauth_tokens_internal.refresh_places;
CALL begin_due();
SELECT actor_id FROM oauth_tokens_internal.refresh_attempts ORDER BY 1;
UPDATE oauth_tokens_internal.refresh_clients SET credit = 2.9, credit_at = now() + interval '1 h'; -- a clock that was set back
CALL begin_due();
SELECT actor_id FROM oauth_tokens_internal.refresh_attempts ORDER BY 1;
UPDATE oauth_tokens_internal.refresh_clients SET credit = 0, credit_at = now() - interval '1 h';
CALL begin_due();
SELECT actor_id FROM oauth_tokens_internal.refresh_attempts ORDER BY 1;
SELECT oauth_tokens_internal.publish_refresh_rules('{"google": {"rotation": "none", "refresh_ahead": 600, "refreshes_per_second": 10000}}') \g /dev/null
-- Rows that cannot be handed out hold up no others: 3,000 of each kind stand before 10 of another client, which all come by looks that each read 1,300.
CREATE PROCEDURE crowd(what text, "left" interval = '-2 h', client text = '''stuck''', value text = (oauth_encrypt('x'))) LANGUAGE plpgsql AS $$ BEGIN
    TRUNCATE oauth_tokens, oauth_token_details, oauth_tokens_internal.refresh_attempts, oauth_tokens_internal.refresh_states, oauth_tokens_internal.refresh_clients, oauth_tokens_internal.refresh_scans, oauth_tokens_internal.refresh_places;
    INSERT INTO oauth_tokens (workspace_id, provider, actor_type, actor_id, encrypted_access_token, encrypted_refresh_token, access_token_expires_at, updated_at)
        SELECT '11111111-1111-4111-8111-111111111111', 'google', 'user', what || ' ' || n, value, value, now() AT TIME ZONE 'UTC' + "left" + n * interval '1 ms', now() AT TIME ZONE 'UTC' - interval '3 h' FROM generate_series(1, 3000) n;
    EXECUTE 'INSERT INTO oauth_token_details (token_id, workspace_id, provider, actor_type, actor_id, client_id) SELECT id, workspace_id, provider, actor_type, actor_id, ' || client || ' FROM oauth_tokens';
    PERFORM keep('google', 'alive ' || n, 60, 3) FROM generate_series(1, 10) n;
END $$;
-- What is handed out is refreshed. None of the crowd is.
CREATE FUNCTION looks(who text = '^alive') RETURNS TABLE (handed_out bigint, soon boolean) LANGUAGE plpgsql AS $$ DECLARE looks int := 0; r record; BEGIN
    handed_out := 0;
    LOOP
        looks := looks + 1;
        FOR r IN SELECT d.actor_id FROM oauth_tokens_internal.refresh_due(25) d WHERE d.actor_id ~ who LOOP
            UPDATE oauth_tokens t SET access_token_expires_at = now() AT TIME ZONE 'UTC' + interval '1 day' WHERE t.actor_id = r.actor_id;
            handed_out := handed_out + 1;
        END LOOP;
        EXIT WHEN handed_out >= 10 OR looks = 50;
    END LOOP;
    soon := looks <= 14;
    RETURN NEXT;
END $$;
CALL crowd('paused');
INSERT INTO oauth_tokens_internal.refresh_clients (provider, client_id, paused_until, updated_at) VALUES ('google', 'stuck', now() + interval '1 min', now());
SELECT * FROM looks();
-- Of 40 clients.
CALL crowd('paused', client => '''stuck '' || get_byte(uuid_send(id), 0) % 40');
INSERT INTO oauth_tokens_internal.refresh_clients (provider, client_id, paused_until, updated_at) SELECT 'google', 'stuck ' || n, now() + interval '1 min', now() FROM generate_series(0, 39) n;
SELECT * FROM looks();
CALL crowd('without credit');
INSERT INTO oauth_tokens_internal.refresh_clients (provider, client_id, credit, credit_at, updated_at) VALUES ('google', 'stuck', 0, now() + interval '1 h', now());
SELECT * FROM looks();
CALL crowd('backing off');
INSERT INTO oauth_tokens_internal.refresh_states SELECT id, '', updated_at AT TIME ZONE 'UTC', NULL, 1, 'transient', 'transient', now(), now() + interval '50 s' FROM oauth_tokens WHERE actor_id LIKE 'backing%';
SELECT * FROM looks();
CALL crowd('in doubt');
INSERT INTO oauth_tokens_internal.refresh_states SELECT id, '', updated_at AT TIME ZONE 'UTC', now() - interval '1 s' FROM oauth_tokens WHERE actor_id LIKE 'in doubt%';
SELECT oauth_tokens_internal.publish_refresh_rules('{"google": {"rotation": "strict", "refresh_ahead": 600, "refreshes_per_second": 10000}}') \g /dev/null
SELECT * FROM looks();
CALL crowd('damaged', value => 'gAAAAA of nobody''s key');
SELECT * FROM looks();
CALL crowd('valid, half of whose life is not over', '2 min');
UPDATE oauth_token_details SET lifetime = '200 s' WHERE actor_id LIKE 'valid%';
SELECT * FROM looks();
CALL crowd('dead');
INSERT INTO oauth_tokens_internal.refresh_states SELECT id, '', updated_at AT TIME ZONE 'UTC', NULL, 1, 'dead_grant', 'dead_grant', now(), now() + interval '6 h' FROM oauth_tokens WHERE actor_id LIKE 'dead%';
SELECT * FROM looks();
-- Ten of those that wait are found as soon as they need not.
UPDATE oauth_tokens_internal.refresh_states SET next_attempt_at = now() WHERE token_id IN (SELECT id FROM oauth_tokens WHERE actor_id ~ '^dead 2?[1-5]50$');
SELECT * FROM looks('^dead');
-- Two clients with a backlog, one behind the other: each has its own rate, and its own order.
CALL crowd('first');
SELECT oauth_tokens_internal.publish_refresh_rules('{"google": {"refresh_ahead": 600, "refreshes_per_second": 2}}') \g /dev/null
CREATE TABLE order_of (n int GENERATED ALWAYS AS IDENTITY, actor_id text);
DO $$ BEGIN FOR i IN 1..12 LOOP
    UPDATE oauth_tokens_internal.refresh_clients SET credit = 2, credit_at = now();
    INSERT INTO order_of (actor_id) SELECT actor_id FROM oauth_tokens_internal.refresh_due(25);
    UPDATE oauth_tokens t SET access_token_expires_at = now() AT TIME ZONE 'UTC' + interval '1 day' FROM order_of o WHERE o.actor_id = t.actor_id AND t.access_token_expires_at < now() AT TIME ZONE 'UTC' + interval '1 h';
END LOOP; END $$;
SELECT split_part(actor_id, ' ', 1) AS client, count(*), min(split_part(actor_id, ' ', 2)::int), max(split_part(actor_id, ' ', 2)::int) FROM order_of GROUP BY 1 ORDER BY 1;
SELECT bool_and(number = at) AS in_order FROM (SELECT split_part(actor_id, ' ', 2)::int AS number, row_number() OVER (ORDER BY n) AS at FROM order_of WHERE actor_id LIKE 'first%') o;
SELECT oauth_tokens_internal.publish_refresh_rules('{"google": {"refresh_ahead": 600, "refreshes_per_second": 10000}}') \g /dev/null
-- A state still tells of a row that somebody has changed, if its refresh token is the same.
TRUNCATE oauth_tokens, oauth_token_details, oauth_tokens_internal.refresh_attempts, oauth_tokens_internal.refresh_states, oauth_tokens_internal.refresh_clients, oauth_tokens_internal.refresh_scans, oauth_tokens_internal.refresh_places;
SELECT keep('google', 'alive', 60, -1), keep('google', 'dead', 60, -1) \g /dev/null
SELECT oauth_refresh_fail(:'w', 'google', 'user', 'dead', fence, 'dead_grant') FROM oauth_refresh_begin(:'w', 'google', 'user', 'dead');
UPDATE oauth_tokens SET scopes = 'changed', updated_at = now() AT TIME ZONE 'UTC' WHERE actor_id = 'dead';
SELECT actor_id FROM due();
SELECT outcome, reason FROM oauth_refresh_begin(:'w', 'google', 'user', 'dead');
SELECT actor_id FROM due();
SELECT state FROM oauth_connections WHERE actor_id = 'dead';
-- Times of any size, also where a token's life is less than nothing.
UPDATE oauth_tokens SET updated_at = 'infinity' WHERE actor_id = 'alive';
SELECT actor_id FROM due();
SELECT outcome FROM oauth_refresh_begin(:'w', 'google', 'user', 'alive') \g /dev/null
TRUNCATE oauth_tokens_internal.refresh_attempts, oauth_tokens_internal.refresh_states;
SELECT keep('google', 'e' || e || ' u' || u, 60, 1) FROM unnest('{-infinity,infinity,5 min}'::text[]) e, unnest('{-infinity,infinity,5 min}'::text[]) u \g /dev/null
UPDATE oauth_token_details SET lifetime = NULL;
UPDATE oauth_tokens SET access_token_expires_at = CASE split_part(actor_id, ' u', 1) WHEN 'e5 min' THEN now() AT TIME ZONE 'UTC' + interval '5 min' ELSE substr(split_part(actor_id, ' u', 1), 2)::timestamp END,
    updated_at = CASE split_part(actor_id, ' u', 2) WHEN '5 min' THEN now() AT TIME ZONE 'UTC' - interval '25 min' ELSE split_part(actor_id, ' u', 2)::timestamp END WHERE actor_id LIKE 'e%';
SELECT actor_id FROM due() WHERE actor_id LIKE 'e%';
SELECT d.actor_id, b.outcome FROM oauth_tokens d, LATERAL oauth_refresh_begin(d.workspace_id, d.provider, d.actor_type, d.actor_id, min_ttl => '10 min') b WHERE actor_id LIKE 'e%' ORDER BY 1;
TRUNCATE oauth_tokens, oauth_token_details, oauth_tokens_internal.refresh_attempts, oauth_tokens_internal.refresh_states;
SELECT oauth_tokens_internal.publish_refresh_rules('{"idle": {"keep_alive": 864000, "refreshes_per_second": 1000}}') \g /dev/null
SELECT keep('idle', 'r' || e || ' ' || x, 60, x, '{"refresh_expires_in": 86400}') FROM unnest('{-infinity,infinity}'::text[]) e, unnest('{-1,1}'::int[]) x \g /dev/null
UPDATE oauth_token_details SET refresh_expires_at = substr(split_part(actor_id, ' ', 1), 2)::timestamptz;
SELECT actor_id FROM due();
SELECT provider, due FROM oauth_tokens_internal.refresh_backlog();
SELECT keep('idle', 'near, long expired', 60, -24 * 60 * 4, '{"refresh_expires_in": 86400}') \g /dev/null
UPDATE oauth_tokens SET access_token_expires_at = '-infinity' WHERE actor_id = 'near, long expired';
SELECT actor_id FROM due();
SELECT provider, due, isfinite(oldest) AS finite FROM oauth_tokens_internal.refresh_backlog();
-- Names with dots: a label is what follows the first.
SELECT oauth_tokens_internal.publish_refresh_rules((SELECT jsonb_object_agg('p' || n, '{"refresh_ahead": 600, "refreshes_per_second": 10000}'::jsonb) FROM generate_series(1, 10) n)) \g /dev/null
SELECT keep('p' || n || '.label.of' || n || '.', 'dotted ' || n, 60, -1), keep('.p' || n, 'of no name ' || n, 60, -1) FROM generate_series(1, 10) n \g /dev/null
SELECT count(*), bool_and(actor_id LIKE 'dotted%') AS dotted FROM due();
TRUNCATE oauth_tokens, oauth_token_details, oauth_tokens_internal.refresh_scans, oauth_tokens_internal.refresh_places;
SELECT oauth_tokens_internal.publish_refresh_rules('{"google": {"refresh_ahead": 600, "refreshes_per_second": 10000}}') \g /dev/null
SELECT keep('google', 'alive', 60, -1) \g /dev/null
-- One looks at a time; not as somebody for whom policies hide rows; not on a copy. Nobody else.
CREATE ROLE regress_sidecar;
CREATE ROLE regress_admin;
SELECT oauth_tokens_grant('regress_sidecar', 'sidecar'), oauth_tokens_grant('regress_admin', 'admin') \g /dev/null
SET ROLE regress_sidecar;
SELECT actor_id FROM oauth_tokens_internal.refresh_due(9) WHERE actor_id = 'alive';
SELECT due > 0 AS due FROM oauth_tokens_internal.refresh_backlog();
SELECT oauth_tokens_enable_background_refresh();
SET ROLE regress_admin;
SELECT oauth_tokens_enable_background_refresh();
SELECT oauth_tokens_disable_background_refresh();
RESET ROLE;
ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY;
CREATE POLICY shown ON oauth_tokens USING (workspace_id IS NOT NULL);
SET ROLE regress_sidecar;
SELECT actor_id FROM oauth_tokens_internal.refresh_due(9);
SELECT due FROM oauth_tokens_internal.refresh_backlog();
RESET ROLE;
-- A policy that hides nothing from the role is none.
ALTER POLICY shown ON oauth_tokens USING (true);
SET ROLE regress_sidecar;
SELECT actor_id FROM oauth_tokens_internal.refresh_due(9);
SELECT due FROM oauth_tokens_internal.refresh_backlog();
RESET ROLE;
ALTER TABLE oauth_tokens DISABLE ROW LEVEL SECURITY;
UPDATE oauth_tokens_internal.cluster SET id = 'another';
SELECT oauth_tokens_internal.refresh_due(9);
SELECT oauth_tokens_adopt_cluster();
-- An index of that name that is something else is made anew.
DROP INDEX idx_oauth_tokens_refresh;
CREATE INDEX idx_oauth_tokens_refresh ON oauth_tokens (access_token_expires_at);
SELECT * FROM due();
SELECT oauth_tokens_enable_background_refresh();
SELECT * FROM due() WHERE actor_id = 'alive';
-- Made beforehand: taken as they are, unless a look would have to read the table all the same.
CREATE FUNCTION made(tokens text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE made oid; BEGIN
    PERFORM oauth_tokens_disable_background_refresh();
    EXECUTE 'CREATE INDEX idx_oauth_tokens_refresh ON oauth_tokens ' || tokens;
    made := 'idx_oauth_tokens_refresh'::regclass;
    PERFORM oauth_tokens_enable_background_refresh();
    RETURN CASE WHEN made = 'idx_oauth_tokens_refresh'::regclass THEN 'taken' ELSE 'made anew' END;
END $$;
SELECT made($$(split_part(provider, '.', 1), access_token_expires_at, id)$$),
    made($$(split_part(provider, '.', 1), access_token_expires_at, id) WHERE access_token_expires_at IS NOT NULL$$),
    made($$(split_part(provider, '.', 1), access_token_expires_at, id) WHERE access_token_expires_at IS NOT NULL AND encrypted_refresh_token IS NOT NULL$$);
SELECT made($$(lower(provider), access_token_expires_at, id)$$), made($$(split_part(provider, '.', 2), access_token_expires_at, id)$$),
    made($$(split_part(actor_id, '.', 1), access_token_expires_at, id)$$),
    made($$(split_part(provider, '.', 1), access_token_expires_at, id) WHERE provider = 'google'$$),
    made($$(split_part(provider, '.', 1), access_token_expires_at, id) WHERE scopes IS NOT NULL$$),
    made($$(split_part(provider, '.', 1), access_token_expires_at, id) WHERE access_token_expires_at IS NULL$$);
DROP FUNCTION made;
-- Off again.
SELECT oauth_tokens_disable_background_refresh();
SELECT oauth_tokens_disable_background_refresh();
SELECT * FROM indexes;
SELECT * FROM due();
SELECT oauth_tokens_revoke('regress_sidecar', 'sidecar'), oauth_tokens_revoke('regress_admin', 'admin') \g /dev/null
DROP ROLE regress_sidecar, regress_admin;
DROP VIEW indexes;
DROP TABLE order_of;
DROP FUNCTION keep, due, looks;
DROP PROCEDURE begin_due, crowd;
SELECT oauth_tokens_downgrade(discard_tokens => true);
DROP EXTENSION oauth_tokens;
DROP TYPE actor_type_enum;
