-- Refresh: attempts, fences, replay, states (T1, T3, T5, T6, T10, T13, T14).

SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
SELECT oauth_tokens_upgrade() AS revision \gset
RESET client_min_messages;
\set w '11111111-1111-4111-8111-111111111111'
\set alice '''11111111-1111-4111-8111-111111111111'', ''google'', ''user'', ''alice'''
\set bob '''11111111-1111-4111-8111-111111111111'', ''google'', ''user'', ''bob'''
CREATE FUNCTION pg_temp.try(name text, force boolean DEFAULT true, lease interval DEFAULT '60 s', OUT outcome text, OUT refresh_token text, OUT in_doubt boolean, OUT seconds int, OUT reason text)
    LANGUAGE sql AS $$ SELECT b.outcome, b.refresh_token, b.in_doubt, round(extract(epoch FROM b.retry_at - now()))::int, b.reason
    FROM oauth_refresh_begin('11111111-1111-4111-8111-111111111111', 'google', 'user', name, force => force, lease => lease) b $$;
CREATE FUNCTION pg_temp.tokens(name text, OUT access text, OUT refresh text, OUT scopes text, OUT seconds int)
    LANGUAGE sql AS $$ SELECT access_token, refresh_token, scopes, round(extract(epoch FROM expires_at - now()))::int
    FROM oauth_get('11111111-1111-4111-8111-111111111111', 'google', 'user', name) $$;
CREATE TEMP VIEW states AS SELECT actor_id, state, reason, since <= now() AS since,
    round(extract(epoch FROM next_attempt_at - now()) / 10) * 10 AS seconds FROM oauth_connections ORDER BY actor_id;
CREATE FUNCTION pg_temp.kept(OUT states bigint, OUT attempts bigint) LANGUAGE sql AS $$
    SELECT (SELECT count(*) FROM oauth_tokens_internal.refresh_states), (SELECT count(*) FROM oauth_tokens_internal.refresh_attempts) $$;

-- When: not before half of its life is over (T13), and not where it is not needed.
SELECT * FROM pg_temp.try('alice');
SELECT oauth_store(:alice, 'a1', 'r1', expires_in => 3600, scopes => 'mail', details => '{"account_id": "1", "issuer": "i", "client_id": "c", "extra": {"a": 1}}') IS NOT NULL AS stored;
SELECT * FROM pg_temp.try('alice', false);
SELECT outcome FROM oauth_refresh_begin(:alice, min_ttl => '1 h');
SELECT outcome FROM oauth_refresh_begin(:alice, min_ttl => '1000 years');
SELECT * FROM pg_temp.kept();
UPDATE oauth_tokens SET access_token_expires_at = now() AT TIME ZONE 'UTC' + interval '29 min', updated_at = now() AT TIME ZONE 'UTC' - interval '31 min';
SELECT outcome FROM oauth_refresh_begin(:alice, min_ttl => '28 min');
SELECT oauth_store(:bob, 'b1', 'q1') IS NOT NULL AS stored;
SELECT * FROM pg_temp.try('bob', false); -- unknown expiry
SELECT oauth_store(:bob, 'b1', keep_refresh_token => false, expires_in => 0) IS NOT NULL AS stored;
SELECT * FROM pg_temp.try('bob', false);
SELECT state FROM states WHERE actor_id = 'bob';
SELECT outcome FROM oauth_refresh_begin(:alice, force => true, if_token_sha256 => sha256('another'));

-- Times without an end: what ended at the beginning of time is over, and a life that began then is long.
BEGIN;
UPDATE oauth_tokens SET access_token_expires_at = '-infinity' WHERE actor_id = 'bob';
SELECT outcome FROM oauth_refresh_begin(:bob);
UPDATE oauth_tokens SET access_token_expires_at = now() AT TIME ZONE 'UTC' + interval '1 min', encrypted_refresh_token = NULL, updated_at = '-infinity' WHERE actor_id = 'bob';
SELECT outcome FROM oauth_refresh_begin(:bob);
UPDATE oauth_tokens SET access_token_expires_at = 'infinity' WHERE actor_id = 'bob';
SELECT outcome FROM oauth_refresh_begin(:bob, min_ttl => '1000 years');
ROLLBACK;

-- Granted to one; what begin answers, and what commit stores.
SELECT outcome, fence IS NOT NULL AS fence, refresh_token, scopes, details - 'connected_at' AS details, length(spool_key), in_doubt, retry_at > now() AS lease, reason
    FROM oauth_refresh_begin(:alice, min_ttl => '30 min');
SELECT max(fence) AS fence FROM oauth_tokens_internal.refresh_attempts \gset
SELECT * FROM pg_temp.try('alice');
SELECT * FROM states;
SELECT oauth_refresh_commit(:alice, :fence, 'a2', 'r2', 3600, details => '{"extra": {"b": 2}}');
SELECT * FROM pg_temp.tokens('alice');
SELECT details - 'connected_at' AS details FROM oauth_connections WHERE actor_id = 'alice';
SELECT * FROM states;
SELECT * FROM pg_temp.kept();
SELECT oauth_refresh_commit(:alice, :fence, 'a2', 'r2', 3600) AS repeated;
SELECT oauth_refresh_commit(:alice, :fence, 'a2', 'another', 3600), oauth_refresh_commit(:alice, :fence, 'another'), oauth_refresh_fail(:alice, :fence, 'dead_grant'),
    oauth_refresh_replay(:alice, :fence, 'whatever');
-- T1: no refresh token, and no scope, in the answer keep what is stored; expiry is never the old one.
SELECT fence FROM oauth_refresh_begin(:alice, force => true, if_token_sha256 => sha256('a2')) \gset
SELECT oauth_refresh_commit(:alice, :fence, 'a3');
SELECT * FROM pg_temp.tokens('alice');
-- With the digest: consent again without a refresh token keeps the refreshed one.
SELECT fence FROM oauth_refresh_begin(:alice, force => true) \gset
SELECT oauth_refresh_commit(:alice, :fence, 'a4', 'r4', 3600, 'mail drive');
SELECT octet_length(refresh_token_digest) FROM oauth_token_details WHERE actor_id = 'alice';

-- The fence. Another identity's:
SELECT oauth_store(:bob, 'b1', 'q1') IS NOT NULL AS stored;
SELECT fence AS bobs FROM oauth_refresh_begin(:bob, force => true) \gset
SELECT fence FROM oauth_refresh_begin(:alice, force => true) \gset
SELECT oauth_refresh_commit(:alice, :bobs, 'x'), oauth_refresh_fail(:alice, :bobs, 'dead_grant'), oauth_refresh_replay(:alice, :bobs, 'x'), oauth_refresh_commit(:alice, 0, 'x');
SELECT * FROM pg_temp.kept();
-- T10: raw SQL that changes a token wins, and what leaves both as they are does not.
UPDATE oauth_tokens SET scopes = 'raw', updated_at = updated_at + interval '1 s', encrypted_access_token = oauth_encrypt('a4') WHERE actor_id = 'alice';
SELECT oauth_refresh_commit(:alice, :fence, 'a5', 'r5', 3600);
SELECT fence FROM oauth_refresh_begin(:alice, force => true) \gset
UPDATE oauth_tokens SET encrypted_access_token = oauth_encrypt('python') WHERE actor_id = 'alice';
SELECT oauth_refresh_commit(:alice, :fence, 'a6', 'r6', 3600);
SELECT * FROM pg_temp.tokens('alice');
SELECT * FROM pg_temp.try('alice');
SELECT oauth_store(:alice, 'python', 'r5b', expires_in => 3600) IS NOT NULL AS stored;
-- So does a store, even of the same tokens. But while the row has the refresh token that was
-- spent, nobody else spends it, and the answer may be replayed.
SELECT fence, spool_key FROM oauth_refresh_begin(:alice, force => true) \gset
SELECT oauth_store(:alice, 'python', 'r5b', expires_in => 3600) IS NOT NULL AS stored;
SELECT oauth_refresh_commit(:alice, :fence, 'a6', 'r6', 3600);
SELECT * FROM pg_temp.try('alice');
SELECT oauth_store(:alice, 'app''s', expires_in => 3600) IS NOT NULL AS stored;
SELECT oauth_refresh_commit(:alice, :fence, 'a6', 'r6', 3600), oauth_refresh_replay(:alice, :fence, fernet_encrypt('{"access_token": "a6", "refresh_token": "r6"}', :'spool_key'));
SELECT * FROM pg_temp.tokens('alice');
-- The same where raw SQL changed the access token alone; a fail then tells nothing of the grant.
SELECT fence, spool_key FROM oauth_refresh_begin(:alice, force => true) \gset
UPDATE oauth_tokens SET encrypted_access_token = oauth_encrypt('raw') WHERE actor_id = 'alice';
SELECT oauth_refresh_commit(:alice, :fence, 'a7', 'r7'), oauth_refresh_fail(:alice, :fence, 'no_answer'), oauth_refresh_replay(:alice, :fence, fernet_encrypt('{"access_token": "a7", "refresh_token": "r7"}', :'spool_key'));
SELECT fence, spool_key FROM oauth_refresh_begin(:alice, force => true) \gset
SELECT oauth_store(:alice, 'a', 'r', expires_in => 3600) IS NOT NULL AS stored;
SELECT oauth_refresh_commit(:alice, :fence, 'x', 'x'), oauth_refresh_replay(:alice, :fence, fernet_encrypt('{"access_token": "x", "refresh_token": "x"}', :'spool_key'));
SELECT * FROM pg_temp.kept();
-- T3: a lease that is over does not end the attempt, but a later begin does.
UPDATE oauth_tokens_internal.refresh_rules SET rotation = 'none';
SELECT oauth_tokens_internal.publish_refresh_rules('{"google": {"rotation": "none"}}');
SELECT fence AS first FROM oauth_refresh_begin(:alice, force => true, lease => '1 ms') \gset
SELECT pg_sleep(0.01);
SELECT outcome, in_doubt, fence AS second FROM oauth_refresh_begin(:alice, force => true, lease => '1 ms') \gset
SELECT :'outcome' AS outcome, :'in_doubt' AS in_doubt;
SELECT oauth_refresh_commit(:alice, :first, 'late', 'late', 3600), oauth_refresh_fail(:alice, :first, 'transient'), oauth_refresh_commit(:alice, :second, 'a7', 'r7', 3600);
SELECT * FROM pg_temp.tokens('alice');
-- An attempt follows a token that moves.
SELECT fence FROM oauth_refresh_begin(:alice, force => true) \gset
SELECT oauth_move(:alice, :'w', 'google', 'user', 'moved');
SELECT outcome FROM oauth_refresh_begin(:'w', 'google', 'user', 'moved', force => true);
SELECT oauth_refresh_commit(:alice, :fence, 'a8', 'r8', 3600);
SELECT * FROM pg_temp.tokens('moved');
SELECT oauth_move(:'w', 'google', 'user', 'moved', :alice);
-- T6: a delete is not undone.
SELECT fence FROM oauth_refresh_begin(:alice, force => true) \gset
SELECT oauth_delete(:alice);
SELECT oauth_refresh_commit(:alice, :fence, 'zombie', 'zombie', 3600);
SELECT * FROM pg_temp.tokens('alice');
SELECT oauth_store(:alice, 'a1', 'r1', expires_in => 3600, details => '{"client_id": "c"}') IS NOT NULL AS stored;
SELECT oauth_refresh_commit(:alice, :fence, 'zombie', 'zombie', 3600);

-- Failures (T5). Transient: a back-off, or what the provider asks for.
SELECT fence FROM oauth_refresh_begin(:alice, force => true) \gset
SELECT oauth_refresh_fail(:alice, :fence, 'transient', E'HTTP 503\nService\tUnavailable', '100 s');
SELECT * FROM pg_temp.try('alice');
SELECT * FROM pg_temp.try('alice', false);
SELECT * FROM states WHERE actor_id = 'alice';
SELECT * FROM pg_temp.tokens('alice');
SELECT oauth_store(:alice, 'a1', 'r1-2', expires_in => 3600) IS NOT NULL AS stored;
SELECT * FROM states WHERE actor_id = 'alice';
-- The grant is dead, or the user must act: the row stays, and another store ends it.
SELECT fence FROM oauth_refresh_begin(:alice, force => true) \gset
SELECT oauth_refresh_fail(:alice, :fence, 'dead_grant', 'invalid_grant');
SELECT outcome, seconds BETWEEN 3 * 3600 AND 6 * 3600 AS probed_in_hours, reason FROM pg_temp.try('alice');
SELECT state, reason FROM states WHERE actor_id = 'alice';
SELECT * FROM pg_temp.tokens('alice');
UPDATE oauth_tokens_internal.refresh_states SET next_attempt_at = now();
SELECT outcome FROM pg_temp.try('alice');
SELECT state, reason FROM states WHERE actor_id = 'alice';
UPDATE oauth_tokens SET encrypted_refresh_token = oauth_encrypt('r2'), updated_at = now() AT TIME ZONE 'UTC' WHERE actor_id = 'alice';
SELECT state, reason FROM states WHERE actor_id = 'alice';
SELECT outcome FROM pg_temp.try('alice');
SELECT max(fence) AS fence FROM oauth_tokens_internal.refresh_attempts WHERE actor_id = 'alice' \gset
SELECT oauth_refresh_fail(:alice, :fence, 'needs_interaction', repeat('ü', 400));
SELECT state, octet_length(reason) FROM states WHERE actor_id = 'alice';
SELECT oauth_store(:alice, 'a1', 'r1-3', expires_in => 3600) IS NOT NULL AS stored;
-- Nothing was sent: the token waits for a moment, and what was said of it before stays.
SELECT fence FROM oauth_refresh_begin(:alice, force => true) \gset
SELECT oauth_refresh_fail(:alice, :fence, 'not_sent', 'the lease is nearly over', '1 day');
SELECT outcome, seconds BETWEEN 4 AND 10 AS soon, in_doubt, reason FROM pg_temp.try('alice');
SELECT state, reason, since FROM states WHERE actor_id = 'alice';
SELECT * FROM pg_temp.kept();
UPDATE oauth_tokens_internal.refresh_states SET next_attempt_at = now(), failures = 5, kind = 'dead_grant', reason = 'dead_grant: x' WHERE kind = 'not_sent';
SELECT fence FROM oauth_refresh_begin(:alice, force => true) \gset
SELECT oauth_refresh_fail(:alice, :fence, 'not_sent', 'no place to keep the answer');
SELECT state, reason FROM states WHERE actor_id = 'alice';
SELECT failures, next_attempt_at < now() + interval '11 s' AS soon FROM oauth_tokens_internal.refresh_states WHERE kind = 'dead_grant';
-- After an attempt in doubt, the doubt says when; and it tells nothing of the client.
SELECT oauth_store(:alice, 'a1', 'r1-3b', expires_in => 3600) IS NOT NULL AS stored;
SELECT oauth_tokens_internal.publish_refresh_rules('{"google": {"rotation": "grace:60"}}');
SELECT fence FROM oauth_refresh_begin(:alice, force => true) \gset
SELECT oauth_refresh_fail(:alice, :fence, 'no_answer');
SELECT sum(failures) AS before FROM oauth_tokens_internal.refresh_clients \gset
SELECT fence FROM oauth_refresh_begin(:alice, force => true, lease => '45 s') \gset
SELECT oauth_refresh_fail(:alice, :fence, 'not_sent');
SELECT sum(failures) - :before AS counted FROM oauth_tokens_internal.refresh_clients;
SELECT outcome, in_doubt FROM pg_temp.try('alice', lease => '45 s');
SELECT oauth_store(:alice, 'a1', 'r1-3c', expires_in => 3600) IS NOT NULL AS stored;
-- No answer: in doubt, by how the provider rotates (T12).
CREATE FUNCTION pg_temp.doubt(rotation text, ago interval, lease interval DEFAULT '60 s') RETURNS TABLE (outcome text, in_doubt boolean, seconds numeric) LANGUAGE plpgsql AS $$ BEGIN
    PERFORM oauth_tokens_internal.publish_refresh_rules(jsonb_build_object('google', jsonb_build_object('rotation', rotation)));
    PERFORM oauth_store('11111111-1111-4111-8111-111111111111', 'google', 'user', 'alice', 'a1', md5(random()::text), expires_in => 600);
    PERFORM oauth_refresh_begin('11111111-1111-4111-8111-111111111111', 'google', 'user', 'alice', force => true);
    UPDATE oauth_tokens_internal.refresh_attempts SET began_at = began_at - ago, lease_until = began_at WHERE actor_id = 'alice';
    RETURN QUERY SELECT b.outcome, b.in_doubt, round(b.seconds, -1) FROM pg_temp.try('alice', lease => doubt.lease) b; END $$;
SELECT 'none', * FROM pg_temp.doubt('none', '1 s') UNION ALL SELECT 'until_used', * FROM pg_temp.doubt('until_used', '1 h')
UNION ALL SELECT 'strict', * FROM pg_temp.doubt('strict', '1 s') UNION ALL SELECT 'strict, later', * FROM pg_temp.doubt('strict', '1 h')
UNION ALL SELECT 'grace', * FROM pg_temp.doubt('grace:30', '9 s', '50 s') UNION ALL SELECT 'grace, but the next call may take longer', * FROM pg_temp.doubt('grace:30', '9 s', '55 s')
UNION ALL SELECT 'grace is over', * FROM pg_temp.doubt('grace:30', '31 s', '1 s')
UNION ALL SELECT 'auto', * FROM pg_temp.doubt('auto', '1 s');
UPDATE oauth_tokens_internal.refresh_clients SET rotates = false;
SELECT 'auto, learnt', * FROM pg_temp.doubt('auto', '1 s');
-- The same where the failure was told: at once, and after a second one in a row as after any failure.
CREATE FUNCTION pg_temp.unanswered(rotation text, OUT first text, OUT second text, OUT third text) LANGUAGE plpgsql AS $$
DECLARE
    alice CONSTANT uuid := '11111111-1111-4111-8111-111111111111';
    b record;
BEGIN
    PERFORM oauth_tokens_internal.publish_refresh_rules(jsonb_build_object('google', jsonb_build_object('rotation', rotation)));
    PERFORM oauth_store(alice, 'google', 'user', 'alice', 'a1', 'r1-' || rotation, expires_in => 3600);
    SELECT * INTO b FROM oauth_refresh_begin(alice, 'google', 'user', 'alice', force => true);
    first := b.outcome;
    PERFORM oauth_refresh_fail(alice, 'google', 'user', 'alice', b.fence, 'no_answer', 'timeout');
    SELECT * INTO b FROM oauth_refresh_begin(alice, 'google', 'user', 'alice', force => true);
    second := b.outcome;
    PERFORM oauth_refresh_fail(alice, 'google', 'user', 'alice', b.fence, 'no_answer', 'timeout') WHERE b.fence IS NOT NULL;
    third := outcome FROM oauth_refresh_begin(alice, 'google', 'user', 'alice', force => true);
END $$;
SELECT rotation, u.* FROM unnest('{none,until_used,strict}'::text[]) rotation, pg_temp.unanswered(rotation) u;
SELECT oauth_store(:alice, 'a1', 'r1-4', expires_in => 3600) IS NOT NULL AS stored;
SELECT oauth_tokens_internal.publish_refresh_rules('{"google": {"rotation": "strict"}}');
SELECT fence, spool_key FROM oauth_refresh_begin(:alice, force => true) \gset
SELECT oauth_refresh_fail(:alice, :fence, 'no_answer', 'timeout');
SELECT * FROM pg_temp.try('alice');
SELECT * FROM states WHERE actor_id = 'alice';

-- Replay: what no key of this attempt sealed, or is no answer, is refused; the errors hold nothing of it.
SELECT oauth_refresh_replay(:alice, :fence, 'gAAAA');
\set VERBOSITY sqlstate
SELECT oauth_refresh_replay(:alice, :fence, '');
\set VERBOSITY default
SELECT oauth_refresh_replay(:alice, :fence, fernet_encrypt('{"access_token": "sentinel"}', fernet_generate_key()));
SELECT oauth_refresh_replay(:alice, :fence, fernet_encrypt('{"access_token": "sentinel', :'spool_key'));
SELECT oauth_refresh_replay(:alice, :fence, fernet_encrypt('["sentinel"]', :'spool_key'));
SELECT oauth_refresh_replay(:alice, :fence, fernet_encrypt('{"access_token": {"sentinel": 1}}', :'spool_key'));
SELECT oauth_refresh_replay(:alice, :fence, fernet_encrypt('{"refresh_token": "sentinel"}', :'spool_key'));
SELECT oauth_refresh_replay(:alice, :fence, fernet_encrypt('{"access_token": "a", "expires_at": 1e300}', :'spool_key'));
SELECT oauth_refresh_replay(:alice, :fence, fernet_encrypt('{"access_token": "a", "details": {"sentinel": 1}}', :'spool_key'));
-- An older attempt's, while a later one is under way; then over the later one's dead grant.
UPDATE oauth_tokens_internal.refresh_attempts SET began_at = began_at - interval '1 day' WHERE fence = :fence;
UPDATE oauth_tokens_internal.refresh_states SET next_attempt_at = now() WHERE kind IS NOT NULL;
UPDATE oauth_tokens SET access_token_expires_at = updated_at WHERE actor_id = 'alice';
SELECT fence AS later FROM oauth_refresh_begin(:alice) \gset
\set answer '{"access_token": "a9", "refresh_token": "r9", "expires_at": 2000000000, "scopes": "all", "details": {"extra": {"c": 3}}}'
SELECT oauth_refresh_replay(:alice, :fence, fernet_encrypt(:'answer', :'spool_key'));
SELECT oauth_refresh_fail(:alice, :later, 'dead_grant', 'invalid_grant');
SELECT state FROM states WHERE actor_id = 'alice';
SELECT oauth_refresh_replay(:alice, :fence, fernet_encrypt(:'answer', :'spool_key'));
SELECT access, refresh, scopes FROM pg_temp.tokens('alice');
SELECT state FROM states WHERE actor_id = 'alice';
SELECT oauth_refresh_replay(:alice, :fence, fernet_encrypt(:'answer', :'spool_key'));

-- A client that is misconfigured is paused, and no token is touched.
SELECT fence FROM oauth_refresh_begin(:alice, force => true) \gset
SELECT oauth_refresh_fail(:alice, :fence, 'client_config', 'invalid_client');
SELECT * FROM states WHERE actor_id = 'alice';
SELECT * FROM pg_temp.try('alice');
SELECT outcome FROM pg_temp.try('bob');
-- One tries again when the pause is over.
UPDATE oauth_tokens_internal.refresh_clients SET paused_until = now() WHERE client_id = 'c';
SELECT fence FROM oauth_refresh_begin(:alice, force => true) \gset
SELECT oauth_store(:alice, 'a1', 'r1-5', expires_in => 3600) IS NOT NULL AS stored;
SELECT outcome FROM pg_temp.try('alice');
UPDATE oauth_tokens_internal.refresh_clients SET paused_until = now() WHERE client_id = 'c';
SELECT fence FROM oauth_refresh_begin(:alice, force => true) \gset
SELECT oauth_refresh_commit(:alice, :fence, 'a2', 'r2', 3600);
SELECT provider, client_id, failures, dead_grants, pauses, paused_until, reason, rotates FROM oauth_tokens_internal.refresh_clients ORDER BY client_id;
-- A burst of dead grants says nothing of a token.
CREATE FUNCTION pg_temp.many(kind text, many int) RETURNS TABLE (state text, count bigint) LANGUAGE plpgsql AS $$ DECLARE fence bigint; BEGIN
    FOR i IN 1 .. many LOOP
        PERFORM oauth_store('11111111-1111-4111-8111-111111111111', 'other.label', 'user', 'n' || i, 'a', 'r', expires_in => 0, details => '{"client_id": "d"}');
        SELECT b.fence INTO fence FROM oauth_refresh_begin('11111111-1111-4111-8111-111111111111', 'other.label', 'user', 'n' || i) b;
        CONTINUE WHEN fence IS NULL;
        PERFORM oauth_refresh_fail('11111111-1111-4111-8111-111111111111', 'other.label', 'user', 'n' || i, fence, kind);
    END LOOP;
    RETURN QUERY SELECT c.state, count(*) FROM oauth_connections c WHERE c.provider = 'other.label' GROUP BY 1 ORDER BY 1; END $$;
SELECT * FROM pg_temp.many('dead_grant', 30);
-- However long ago: until one succeeds, the account that tries whether the pause is over is not marked either.
UPDATE oauth_tokens_internal.refresh_clients SET paused_until = now(), updated_at = now() - interval '1 day';
SELECT fence FROM oauth_refresh_begin(:'w', 'other.label', 'user', 'n30') \gset
SELECT oauth_refresh_fail(:'w', 'other.label', 'user', 'n30', :fence, 'dead_grant');
DELETE FROM oauth_tokens WHERE provider = 'other.label';
DELETE FROM oauth_tokens_internal.refresh_clients;
SELECT * FROM pg_temp.many('transient', 15);
SELECT provider, client_id, failures, pauses, paused_until > now() AS paused FROM oauth_tokens_internal.refresh_clients;
-- A provider that says a grant is dead is there again: the pause of its outage is over.
UPDATE oauth_tokens_internal.refresh_clients SET paused_until = now();
SELECT fence FROM oauth_refresh_begin(:'w', 'other.label', 'user', 'n15') \gset
SELECT oauth_refresh_fail(:'w', 'other.label', 'user', 'n15', :fence, 'dead_grant');
SELECT failures, dead_grants, pauses, paused_until, reason FROM oauth_tokens_internal.refresh_clients;

-- Bad arguments.
SELECT oauth_refresh_begin(:alice, min_ttl => '-1 s');
SELECT oauth_refresh_begin(:alice, lease => '0');
SELECT oauth_refresh_begin(:alice, lease => '61 min');
SELECT oauth_refresh_begin(:alice, force => NULL);
SELECT oauth_refresh_begin(NULL, 'google', 'user', 'alice');
SELECT oauth_refresh_begin(:'w', 'google', 'robot', 'alice');
SELECT oauth_refresh_commit(:alice, NULL, 'a');
SELECT oauth_refresh_commit(:alice, 1, NULL);
SELECT oauth_refresh_commit(:alice, 1, 'a', expires_in => -1);
SELECT oauth_refresh_fail(:alice, 1, 'sentinel');
SELECT oauth_refresh_fail(:alice, 1, NULL);
SELECT oauth_refresh_fail(:alice, 1, 'transient', retry_after => '-1 s');
SELECT oauth_refresh_replay(:alice, 1, NULL);
SELECT oauth_tokens_internal.publish_refresh_rules('[]');
SELECT oauth_tokens_internal.publish_refresh_rules('{"google": {"rotation": "often"}}');
SELECT oauth_tokens_internal.publish_refresh_rules('{"google": {"refresh_ahead": -1}}');
SELECT fence FROM oauth_refresh_begin(:alice, force => true) \gset
SELECT oauth_refresh_commit(:alice, :fence, '');
SELECT oauth_refresh_commit(:alice, :fence, 'a', details => '{"sentinel": 1}');
SELECT oauth_refresh_commit(:alice, :fence, 'a5', 'r5', 3600);

-- T14: another database's tokens.
UPDATE oauth_tokens_internal.cluster SET id = '1/1';
\set VERBOSITY sqlstate
SELECT oauth_refresh_fail(:alice, 1, 'transient');
\set VERBOSITY default
SELECT oauth_refresh_begin(:alice, force => true);
SELECT oauth_refresh_commit(:alice, 1, 'a');
SELECT oauth_tokens_adopt_cluster();
SELECT outcome FROM pg_temp.try('alice');
-- Policies of oauth_tokens decide what is refreshed, and whose state is seen (E19, E22).
SELECT count(oauth_store(:'w', 'google', 'user', n, 'a', 'r', expires_in => 0)) FROM unnest('{mine,theirs}'::text[]) n;
SELECT outcome, max(oauth_refresh_fail(:'w', 'google', 'user', n, b.fence, 'dead_grant'))
    FROM unnest('{mine,theirs}'::text[]) n, LATERAL oauth_refresh_begin(:'w', 'google', 'user', n) b GROUP BY 1;
CREATE ROLE regress_refresher;
SELECT oauth_tokens_grant('regress_refresher', 'refresher');
ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON oauth_tokens USING (actor_id = 'mine');
GRANT SELECT ON states TO regress_refresher;
GRANT USAGE ON SCHEMA public TO regress_refresher;
SET ROLE regress_refresher;
SELECT actor_id, state FROM oauth_connections;
SELECT count(*) FROM oauth_tokens_internal.visible_refresh_states;
SELECT outcome FROM oauth_refresh_begin(:'w', 'google', 'user', 'mine');
SELECT outcome FROM oauth_refresh_begin(:'w', 'google', 'user', 'theirs');
SELECT oauth_refresh_commit(:'w', 'google', 'user', 'theirs', 1, 'x', 'x'), oauth_refresh_replay(:'w', 'google', 'user', 'theirs', 1, 'x');
SELECT count(*) FROM oauth_tokens_internal.refresh_states;
SELECT count(*) FROM oauth_tokens_internal.refresh_attempts;
SELECT oauth_store(:'w', 'google', 'user', 'mine', 'x');
RESET ROLE;
-- Who may not refresh a token ends no attempt at it, though the fence can be guessed (E19).
SELECT oauth_store(:'w', 'google', 'user', n, 'a', n, expires_in => 0) IS NOT NULL AS stored FROM unnest('{mine,theirs}'::text[]) n;
SELECT fence FROM oauth_refresh_begin(:'w', 'google', 'user', 'theirs') \gset
CREATE POLICY seen ON oauth_tokens FOR SELECT USING (true);
SET ROLE regress_refresher;
SELECT oauth_refresh_fail(:'w', 'google', 'user', 'theirs', :fence, kind) FROM unnest('{dead_grant,no_answer,transient}'::text[]) kind;
SELECT oauth_refresh_commit(:'w', 'google', 'user', 'theirs', :fence, 'x', 'x');
SELECT oauth_refresh_replay(:'w', 'google', 'user', 'theirs', :fence, 'x');
RESET ROLE;
-- Nor where a token of theirs has taken the place of the one that moved on.
SELECT oauth_move(:'w', 'google', 'user', 'theirs', :'w', 'google', 'user', 'theirs now'), oauth_move(:'w', 'google', 'user', 'mine', :'w', 'google', 'user', 'theirs');
DROP POLICY seen ON oauth_tokens;
DROP POLICY mine ON oauth_tokens;
CREATE POLICY mine ON oauth_tokens USING (actor_id = 'theirs');
SET ROLE regress_refresher;
SELECT oauth_refresh_fail(:'w', 'google', 'user', 'theirs', :fence, 'transient'), oauth_refresh_commit(:'w', 'google', 'user', 'theirs', :fence, 'x', 'x');
SELECT oauth_refresh_replay(:'w', 'google', 'user', 'theirs', :fence, 'x');
RESET ROLE;
SELECT oauth_refresh_commit(:'w', 'google', 'user', 'theirs', :fence, 'a', 'next', 3600);
SELECT oauth_tokens_revoke('regress_refresher', 'refresher');
ALTER TABLE oauth_tokens DISABLE ROW LEVEL SECURITY;
DROP POLICY mine ON oauth_tokens;
-- What was said of a token moves with it, but not what was said of the token before.
SELECT oauth_store(:'w', 'google', 'user', n, 'a', 'r', expires_in => 0) IS NOT NULL AS stored FROM unnest('{m1,m2}'::text[]) n;
SELECT outcome, oauth_refresh_fail(:'w', 'google', 'user', n, b.fence, 'dead_grant', 'of ' || n)
    FROM unnest('{m1,m2}'::text[]) n, LATERAL oauth_refresh_begin(:'w', 'google', 'user', n) b;
UPDATE oauth_tokens SET updated_at = updated_at + interval '1 s' WHERE actor_id = 'm2';
SELECT oauth_move(:'w', 'google', 'user', n, :'w', 'google', 'user', n || 'moved') FROM unnest('{m1,m2}'::text[]) n;
SELECT actor_id, state, reason FROM states WHERE actor_id LIKE 'm_moved';
-- An attempt is known though the label of its actor type has another name by now.
SELECT oauth_store(:'w', 'google', 'user', 'label', 'a', 'r', expires_in => 0) IS NOT NULL AS stored;
SELECT fence FROM oauth_refresh_begin(:'w', 'google', 'user', 'label') \gset
ALTER TYPE actor_type_enum RENAME VALUE 'user' TO 'person';
SELECT oauth_refresh_commit(:'w', 'google', 'person', 'label', :fence, 'new', 'next');
ALTER TYPE actor_type_enum RENAME VALUE 'person' TO 'user';
-- A client's name of any length; two long ones are two clients.
SELECT count(oauth_store(:'w', 'google', 'user', 'long' || n, 'a', 'r', expires_in => 0, details => jsonb_build_object('client_id',
    (SELECT string_agg(sha256(i::text::bytea)::text, '') FROM generate_series(1, 100) i) || n))) FROM generate_series(1, 2) n;
SELECT oauth_refresh_commit(:'w', 'google', 'user', 'long1', b.fence, 'a', 'r') FROM oauth_refresh_begin(:'w', 'google', 'user', 'long1') b;
SELECT oauth_refresh_fail(:'w', 'google', 'user', 'long2', b.fence, 'transient') FROM oauth_refresh_begin(:'w', 'google', 'user', 'long2') b;
SELECT count(*), max(octet_length(client_id)) FROM oauth_tokens_internal.refresh_clients WHERE octet_length(client_id) > 100;
-- A client's other tokens may be another tenant's: what was said of one is not told there.
SELECT count(oauth_store(:'w', 'gitlab', 'user', n::text, 'a', 'r', expires_in => 0)) FROM generate_series(1, 11) n;
SELECT oauth_refresh_fail(:'w', 'gitlab', 'user', n::text, b.fence, 'transient', 'sentinel of ' || n)
    FROM generate_series(1, 10) n, LATERAL oauth_refresh_begin(:'w', 'gitlab', 'user', n::text) b;
SELECT outcome, reason FROM oauth_refresh_begin(:'w', 'gitlab', 'user', '11');
-- What is said of a client goes when it says nothing any more; a pause, and that its refresh tokens stay, later.
DELETE FROM oauth_tokens_internal.refresh_clients;
INSERT INTO oauth_tokens_internal.refresh_clients (provider, client_id, failures, pauses, paused_until, rotates, credit, credit_at, updated_at)
    SELECT 'p', n || ' ' || days, 1, 0, CASE n WHEN 'paused' THEN now() - days * interval '1 day' END, n <> 'stays', CASE n WHEN 'rate' THEN 1 END, CASE n WHEN 'rate' THEN now() - days * interval '1 day' END,
        now() - (CASE n WHEN 'rate' THEN 40 ELSE days END) * interval '1 day' FROM unnest('{failed,paused,stays,rate}'::text[]) n, unnest('{0,2,31}'::int[]) days;
SELECT oauth_tokens_internal.refresh_purge();
SELECT client_id FROM oauth_tokens_internal.refresh_clients ORDER BY client_id COLLATE "C";
-- What is kept of tokens that are gone goes a day later.
TRUNCATE oauth_tokens;
UPDATE oauth_tokens_internal.refresh_attempts SET began_at = began_at - interval '2 days', lease_until = lease_until - interval '2 days';
UPDATE oauth_tokens_internal.refresh_states SET since = since - interval '2 days', lease_until = lease_until - interval '2 days', next_attempt_at = next_attempt_at - interval '2 days';
SELECT oauth_tokens_internal.refresh_purge() > 0 AS purged;
SELECT * FROM pg_temp.kept();

-- connection() looks below SQL whether a token has a state, and shows what the view does.
SELECT oauth_tokens_internal.publish_refresh_rules('{"google": {"refresh_ahead": 900}}') \g /dev/null
SELECT count(oauth_store(:'w', p, 'user', 'both ' || n, 'a', 'r', expires_in => seconds)) FROM (VALUES (1, 0), (2, 60), (3, 600), (4, 3600), (5, 3600), (6, 3600), (7, 3600), (8, 3600), (9, NULL)) v (n, seconds), unnest('{google.label, other}'::text[]) p;
INSERT INTO oauth_tokens_internal.refresh_states (token_id, refresh_token_digest, token_updated_at, lease_until, kind, reason, since, next_attempt_at)
    SELECT id, '', CASE WHEN actor_id = 'both 8' THEN 'epoch' ELSE updated_at AT TIME ZONE 'UTC' END, now() + CASE WHEN actor_id = 'both 5' THEN interval '1 h' END,
        CASE actor_id WHEN 'both 6' THEN 'transient' WHEN 'both 7' THEN 'dead_grant' END, actor_id, now(), now() + interval '2 h' FROM oauth_tokens WHERE actor_id BETWEEN 'both 5' AND 'both 8';
SELECT provider, actor_id, v.state, v.reason, ROW(v.state, v.reason, v.since, v.next_attempt_at, v.expires_at, v.details) IS NOT DISTINCT FROM ROW(c.state, c.reason, c.since, c.next_attempt_at, c.expires_at, c.details) AS same
    FROM oauth_connections v, oauth_tokens_internal.connection(workspace_id, provider, actor_type, actor_id) c WHERE actor_id LIKE 'both %' ORDER BY 1, 2;

SET client_min_messages = warning;
DROP VIEW states;
DROP OWNED BY regress_refresher;
DROP ROLE regress_refresher;
SELECT oauth_tokens_downgrade(discard_tokens => true) AS revision \gset
DROP EXTENSION oauth_tokens;
DROP TYPE actor_type_enum;
