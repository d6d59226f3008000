-- From the link to the stored grant, as the sidecar does it: flow_begin, flow_claim,
-- flow_store, and oauth_flow_confirm by the application. No line here shows a secret.

SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
SELECT oauth_tokens_upgrade() AS revision \gset
RESET client_min_messages;
\set SHOW_CONTEXT never
SET TimeZone = 'Asia/Kolkata';
SET DateStyle = 'German';
\set w '11111111-1111-4111-8111-111111111111'
\set alice '''11111111-1111-4111-8111-111111111111'', ''google'', ''user'', ''alice'''
SELECT oauth_tokens_internal.publish_settings('https://oauth.example.com', '120 s', '{}', '{google}');
CREATE FUNCTION ticket(actor text, return_to text DEFAULT NULL, confirm boolean DEFAULT NULL, provider text DEFAULT 'google') RETURNS text LANGUAGE sql AS $$
    SELECT substring(oauth_authorize_url('11111111-1111-4111-8111-111111111111', provider, 'user', actor, 'mail', return_to, confirm) FROM 'ticket=(.*)$') $$;
CREATE TABLE attempts (name text, state text, browser_secret text, code_verifier text, nonce text);
CREATE FUNCTION begin(ticket text, name text DEFAULT NULL, provider text DEFAULT 'google') RETURNS bigint LANGUAGE sql AS $$
    WITH b AS (SELECT * FROM oauth_tokens_internal.flow_begin(sha256(ticket::bytea), provider, 'https://issuer.example', 'https://issuer.example/token', 'client')),
        kept AS (INSERT INTO attempts SELECT name, state, browser_secret, code_verifier, nonce FROM b WHERE name IS NOT NULL)
    SELECT count(*) FROM b $$;
CREATE FUNCTION claim(named text, browser text DEFAULT NULL, provider text DEFAULT 'google') RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN c.code_verifier = a.code_verifier AND c.nonce = a.nonce THEN 'same secrets of ' ELSE 'other secrets of ' END || c.actor_id
    FROM attempts a, oauth_tokens_internal.flow_claim(sha256(a.state::bytea), sha256(COALESCE(browser, a.browser_secret)::bytea), provider) c WHERE a.name = named $$;
CREATE FUNCTION store(ticket text, access text DEFAULT 'access', refresh text DEFAULT 'refresh', expires_in bigint DEFAULT 3600, scopes text DEFAULT 'mail', details jsonb DEFAULT NULL) RETURNS TABLE (outcome text, flow text) LANGUAGE sql AS $$
    SELECT * FROM oauth_tokens_internal.flow_store(sha256(ticket::bytea), access, refresh, expires_in, scopes, details) $$;
CREATE VIEW flows AS SELECT (SELECT count(*) FROM oauth_tokens_internal.flow_links) AS links, (SELECT count(*) FROM oauth_tokens_internal.flow_attempts) AS attempts,
    (SELECT count(*) FROM oauth_tokens_internal.flow_confirmations) AS confirmations;
CREATE FUNCTION stored(actor text) RETURNS TABLE (access text, refresh text, scopes text, expires boolean, account text) LANGUAGE sql AS $$
    SELECT g.access_token, g.refresh_token, g.scopes, g.expires_at BETWEEN now() + interval '50 min' AND clock_timestamp() + interval '1 h',
        (SELECT details ->> 'account_id' FROM oauth_connections c WHERE c.actor_id = actor)
    FROM oauth_get('11111111-1111-4111-8111-111111111111', 'google', 'user', actor) g $$;

-- An attempt: what it hands out, and what is kept of it.
SELECT ticket('alice', '/done') AS ticket \gset
SELECT workspace_id, actor_type, actor_id, scopes, return_to, confirm, expires_in, state, browser_secret, code_verifier, nonce
FROM oauth_tokens_internal.flow_begin(sha256(:'ticket'), 'google', 'https://issuer.example', 'https://issuer.example/token', 'client') \gset b_
SELECT :'b_workspace_id' AS workspace, :'b_actor_type' AS actor_type, :'b_actor_id' AS actor_id, :'b_scopes' AS scopes, :'b_return_to' AS return_to, :'b_confirm' AS confirm, :'b_expires_in' AS expires_in;
SELECT count(DISTINCT s) AS different, bool_and(s ~ '^[A-Za-z0-9_-]{43}$') AS formed FROM unnest(ARRAY[:'ticket', :'b_state', :'b_browser_secret', :'b_code_verifier', :'b_nonce']) s;
SELECT state_hash = sha256(:'b_state') AS state, browser_hash = sha256(:'b_browser_secret') AS browser, ticket_hash = sha256(:'ticket') AS ticket, issuer, token_endpoint, client_id,
    expires_at = created_at + interval '120 s' AND created_at BETWEEN now() - interval '1 min' AND clock_timestamp() AS lives FROM oauth_tokens_internal.flow_attempts;
SELECT count(*) AS leaks FROM oauth_tokens_internal.flow_attempts a, oauth_tokens_internal.flow_links l, unnest(ARRAY[:'ticket', :'b_state', :'b_browser_secret', :'b_code_verifier', :'b_nonce']) s
WHERE strpos(a::text || l::text, s) > 0 OR strpos(a::text || l::text, encode(s::bytea, 'hex')) > 0 OR strpos(a::text || l::text, encode(s::bytea, 'base64')) > 0;
-- Sealed, but not as a token is: neither the ring's key by itself nor any function of ours opens it.
SELECT left(sealed, 5) AS fernet FROM oauth_tokens_internal.flow_attempts;
\set VERBOSITY sqlstate
SELECT oauth_decrypt(sealed) FROM oauth_tokens_internal.flow_attempts;
SELECT fernet_decrypt(sealed, 'cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=') FROM oauth_tokens_internal.flow_attempts;

-- No attempt: unknown, or of another provider. What is missing is an error.
SELECT count(*) FROM oauth_tokens_internal.flow_begin(sha256('x'), 'google', NULL, 'https://issuer.example/token', 'client');
SELECT count(*) FROM oauth_tokens_internal.flow_begin(:'ticket', 'google', NULL, 'https://issuer.example/token', 'client');
SELECT count(*) FROM oauth_tokens_internal.flow_begin('', 'google', NULL, 'https://issuer.example/token', 'client');
SELECT begin(:'ticket', provider => 'microsoft'), begin(:'ticket', provider => 'google.work'), begin(:'ticket', provider => '');
SELECT * FROM oauth_tokens_internal.flow_begin(NULL, 'google', NULL, 'https://issuer.example/token', 'client');
SELECT * FROM oauth_tokens_internal.flow_begin('', NULL, NULL, 'https://issuer.example/token', 'client');
SELECT * FROM oauth_tokens_internal.flow_begin('', 'google', NULL, NULL, 'client');
SELECT * FROM oauth_tokens_internal.flow_begin('', 'google', NULL, 'https://issuer.example/token', NULL);
BEGIN READ ONLY;
SELECT * FROM oauth_tokens_internal.flow_begin('', 'google', NULL, 'https://issuer.example/token', 'client');
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM oauth_tokens_internal.flow_claim('', '', 'google');
ROLLBACK;

-- F1, F2, F12: the wrong browser, provider or nothing at all uses nothing up; the right one, once.
SELECT * FROM oauth_tokens_internal.flow_claim(NULL, '', 'google');
SELECT * FROM oauth_tokens_internal.flow_claim('', NULL, 'google');
SELECT * FROM oauth_tokens_internal.flow_claim('', '', NULL);
\set VERBOSITY default
SELECT count(*) FROM oauth_tokens_internal.flow_claim('', '', 'google');
SELECT count(*) FROM oauth_tokens_internal.flow_claim(sha256(''), sha256(''), 'google');
SELECT count(*) FROM oauth_tokens_internal.flow_claim(sha256(:'b_state'), '', 'google');
SELECT count(*) FROM oauth_tokens_internal.flow_claim(sha256(:'b_state'), sha256(:'b_state'), 'google');
SELECT count(*) FROM oauth_tokens_internal.flow_claim(sha256(:'b_browser_secret'), sha256(:'b_state'), 'google');
SELECT count(*) FROM oauth_tokens_internal.flow_claim(sha256(:'b_state'), sha256(:'b_browser_secret'), 'microsoft');
SELECT count(*) FROM oauth_tokens_internal.flow_claim(sha256(:'b_state'), sha256(:'b_browser_secret'), 'google.work');
SELECT c.ticket_hash = sha256(:'ticket') AS ticket, workspace_id, actor_type, actor_id, scopes, return_to, confirm, code_verifier = :'b_code_verifier' AS verifier, nonce = :'b_nonce' AS nonce, issuer, token_endpoint, client_id
FROM oauth_tokens_internal.flow_claim(sha256(:'b_state'), sha256(:'b_browser_secret'), 'google') c;
SELECT count(*) FROM oauth_tokens_internal.flow_claim(sha256(:'b_state'), sha256(:'b_browser_secret'), 'google');
TABLE flows;
-- A claim that is rolled back can be made again.
SELECT begin(:'ticket', 'again');
BEGIN;
SELECT claim('again');
ROLLBACK;
SELECT claim('again'), claim('again') IS NULL AS once;
-- A label picks no other configuration: a callback may do without it.
SELECT ticket('alice', provider => 'google.work') AS labelled \gset
SELECT begin(:'labelled', provider => 'google'), begin(:'labelled', 'labelled', 'google.work'), begin(:'labelled', 'labelled too', 'google.work');
SELECT claim('labelled', provider => 'google.home') IS NULL AS other, claim('labelled', provider => 'google.work') AS whole, claim('labelled too') AS base;

-- F16: opening does not use the link up; five attempts, and the oldest goes at the sixth.
DELETE FROM oauth_tokens_internal.flow_links;
SELECT ticket('alice') AS ticket \gset
SELECT begin(:'ticket', 'attempt ' || n) FROM generate_series(1, 5) n;
TABLE flows;
SELECT begin(:'ticket', 'attempt 6');
TABLE flows;
SELECT name, claim(name) FROM attempts WHERE name ~ '^attempt' ORDER BY name;
-- Expired attempts are none, and go.
SELECT begin(:'ticket', 'late');
UPDATE oauth_tokens_internal.flow_attempts SET expires_at = now();
SELECT claim('late') IS NULL AS none;
SELECT oauth_tokens_internal.flow_purge();
TABLE flows;
-- An attempt that was opened in a link's last minute keeps it: for itself alone.
UPDATE oauth_tokens_internal.flow_links SET expires_at = clock_timestamp() + interval '1 h', vanishes_at = clock_timestamp() + interval '1 s';
SELECT begin(:'ticket', 'last minute');
UPDATE oauth_tokens_internal.flow_links SET expires_at = clock_timestamp();
SELECT begin(:'ticket', 'too late'), oauth_tokens_internal.flow_purge() AS purged;
SELECT claim('last minute');
SELECT oauth_tokens_internal.flow_purge() AS purged;
SELECT outcome, flow FROM store(:'ticket');
SELECT * FROM stored('alice');
TABLE flows;
SELECT outcome, flow FROM store(:'ticket', 'again');
SELECT begin(:'ticket');
SELECT * FROM stored('alice');
-- A link that has vanished takes no grant, purged or not.
SELECT ticket('alice') AS ticket \gset
UPDATE oauth_tokens_internal.flow_links SET expires_at = now(), vanishes_at = now();
SELECT outcome, flow FROM store(:'ticket', 'sentinel');
SELECT access FROM stored('alice');
-- Of two attempts at one link, the second to come is late.
SELECT ticket('alice') AS ticket \gset
SELECT begin(:'ticket', 'first'), begin(:'ticket', 'second');
SELECT claim('first'), claim('second');
SELECT outcome FROM store(:'ticket', 'of the first');
SELECT outcome FROM store(:'ticket', 'of the second');
SELECT access FROM stored('alice');
-- More links than are open, as calls side by side may leave: only the newest take attempts.
DELETE FROM oauth_tokens_internal.flow_links;
SELECT ticket('alice') AS oldest \gset
INSERT INTO oauth_tokens_internal.flow_links SELECT sha256(n::text::bytea), :alice, NULL, NULL, false, 600, clock_timestamp(), clock_timestamp() + interval '10 min', clock_timestamp() + interval '10 min' FROM generate_series(1, 19) n;
SELECT begin(:'oldest');
INSERT INTO oauth_tokens_internal.flow_links VALUES (sha256('20'), :alice, NULL, NULL, false, 600, clock_timestamp(), clock_timestamp() + interval '10 min', clock_timestamp() + interval '10 min');
SELECT begin(:'oldest'), begin('1');
UPDATE oauth_tokens_internal.flow_links SET expires_at = now() WHERE ticket_hash = sha256('20');
SELECT begin(:'oldest');
DELETE FROM oauth_tokens_internal.flow_links;

-- One grant, whole (F17). The refresh token stays only where both are one account's.
CREATE FUNCTION connect(access text, refresh text, details jsonb, scopes text DEFAULT 'mail', expires_in bigint DEFAULT 3600) RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE t text := ticket('bob'); o text;
BEGIN
    SELECT outcome INTO o FROM store(t, access, refresh, expires_in, scopes, details);
    IF o <> 'connected' THEN RAISE EXCEPTION '%', o; END IF;
    RETURN QUERY SELECT * FROM stored('bob');
END $$;
\set as 'AS t (access text, refresh text, scopes text, expires boolean, account text)'
\set one '{"account_id": "1", "issuer": "https://issuer.example", "client_id": "client", "lifetime": 3600}'
SELECT * FROM connect('a1', 'r1', :'one') :as;
SELECT id AS id, created_at AS created, updated_at AS updated FROM oauth_tokens WHERE actor_id = 'bob' \gset
SELECT * FROM connect('a2', NULL, :'one') :as;
SELECT * FROM connect('a3', 'r3', :'one') :as;
SELECT * FROM connect('a4', NULL, :'one', NULL, NULL) :as;
SELECT * FROM connect('a5', NULL, jsonb :'one' || '{"account_id": "2"}') :as;
SELECT * FROM connect('a6', 'r6', :'one') :as;
SELECT * FROM connect('a7', NULL, jsonb :'one' || '{"issuer": "https://other.example"}') :as;
SELECT * FROM connect('a8', 'r8', :'one') :as;
SELECT * FROM connect('a9', NULL, jsonb :'one' || '{"client_id": "other"}') :as;
SELECT * FROM connect('a10', 'r10', :'one') :as;
-- No ID token was checked, now or then; or nothing is told.
SELECT * FROM connect('a11', NULL, jsonb :'one' - 'issuer') :as;
SELECT * FROM connect('a12', 'r12', jsonb :'one' - 'issuer') :as;
SELECT * FROM connect('a13', NULL, jsonb :'one' - 'issuer') :as;
SELECT * FROM connect('a14', 'r14', jsonb :'one' - 'issuer') :as;
SELECT * FROM connect('a15', NULL, :'one') :as;
SELECT * FROM connect('a16', 'r16', jsonb :'one' || '{"issuer": "", "account_id": ""}') :as;
SELECT * FROM connect('a17', NULL, jsonb :'one' || '{"issuer": "", "account_id": ""}') :as;
SELECT * FROM connect('a18', 'r18', :'one') :as;
SELECT * FROM connect('a19', NULL, NULL) :as;
SELECT count(*) AS old_details FROM oauth_token_details WHERE actor_id = 'bob';
SELECT * FROM connect('a20', 'r20', NULL) :as;
SELECT * FROM connect('a21', NULL, :'one') :as;
-- Details of an earlier row tell nothing of this one.
SELECT * FROM connect('a22', 'r22', :'one') :as;
UPDATE oauth_token_details SET token_id = gen_random_uuid() WHERE actor_id = 'bob';
SELECT * FROM connect('a23', NULL, :'one') :as;
SELECT id = :'id' AND created_at = :'created' AS same_row, updated_at > :'updated' AS updated FROM oauth_tokens WHERE actor_id = 'bob';
-- The identity is new.
DELETE FROM oauth_tokens WHERE actor_id = 'bob';
SELECT * FROM connect('a24', NULL, :'one') :as;
-- Details tell of the refresh token that they came with, and not of one that something else has put in its place: oauth_store() without details, or a raw UPDATE.
\set bob '''11111111-1111-4111-8111-111111111111'', ''google'', ''user'', ''bob'''
SELECT * FROM connect('b1', 'r1', :'one') :as;
SELECT count(oauth_store(:bob, 'b2', 'of another'));
SELECT * FROM connect('b3', NULL, :'one') :as;
SELECT * FROM connect('b4', 'r4', :'one') :as;
UPDATE oauth_tokens SET encrypted_refresh_token = oauth_encrypt('of another') WHERE actor_id = 'bob';
SELECT * FROM connect('b5', NULL, :'one') :as;
SELECT * FROM connect('b6', 'r6', :'one') :as;
UPDATE oauth_tokens SET encrypted_refresh_token = 'damaged' WHERE actor_id = 'bob';
SELECT * FROM connect('b7', NULL, :'one') :as;
-- The same one, stored again, is no other; nor is one that stays beside a new access token, or moves.
SELECT * FROM connect('b8', 'r8', :'one') :as;
SELECT count(oauth_store(:bob, 'b9', 'r8'));
SELECT count(oauth_store(:bob, 'b10'));
UPDATE oauth_tokens SET encrypted_refresh_token = oauth_encrypt('r8') WHERE actor_id = 'bob';
SELECT oauth_move(:bob, :'w', 'microsoft', 'user', 'bobby') AND oauth_move(:'w', 'microsoft', 'user', 'bobby', :bob) AS moved;
SELECT * FROM connect('b11', NULL, :'one') :as;
SELECT * FROM connect('b12', NULL, :'one') :as;
-- Details that the application gives are tied to what it gives with them, and to what it keeps only where that was tied to this account.
SELECT count(oauth_store(:bob, 'b13', 'r13', details => :'one'));
SELECT * FROM connect('b14', NULL, :'one') :as;
SELECT count(oauth_store(:bob, 'b15', details => :'one'));
SELECT * FROM connect('b16', NULL, :'one') :as;
SELECT count(oauth_store(:bob, 'b17', 'r17'));
SELECT count(oauth_store(:bob, 'b18', details => :'one'));
SELECT * FROM connect('b19', NULL, :'one') :as;
SELECT count(oauth_store(:bob, 'b20', 'r20', details => jsonb :'one' || '{"account_id": "2"}'));
SELECT count(oauth_store(:bob, 'b21', details => :'one'));
SELECT * FROM connect('b22', NULL, :'one') :as;
SELECT count(oauth_store(:bob, 'b23', 'r23', details => :'one'));
SELECT count(oauth_store(:bob, 'b24', keep_refresh_token => false, details => :'one'));
SELECT count(oauth_store(:bob, 'b25', 'r23'));
SELECT * FROM connect('b26', NULL, :'one') :as;
-- What ties them tells nothing of the token, and is one row's own.
SELECT * FROM connect('b27', 'r27', :'one') :as;
SELECT count(oauth_store(:'w', 'google', 'user', 'bobby', 'b27', 'r27', details => :'one'));
SELECT count(DISTINCT refresh_token_digest), min(octet_length(refresh_token_digest)), bool_or(refresh_token_digest IN (sha256('r27'), hmac.unkeyed)) AS guessable
FROM oauth_token_details, LATERAL (SELECT sha256(uuid_send(token_id) || 'r27') AS unkeyed) hmac WHERE actor_id IN ('bob', 'bobby');
SELECT count(*) FROM oauth_connections c WHERE c::text LIKE '%digest%';
UPDATE oauth_token_details d SET refresh_token_digest = o.refresh_token_digest FROM oauth_token_details o WHERE d.actor_id = 'bob' AND o.actor_id = 'bobby';
SELECT * FROM connect('b28', NULL, :'one') :as;
-- Details of an earlier version, or that something else wrote.
SELECT * FROM connect('b29', 'r29', :'one') :as;
UPDATE oauth_token_details SET refresh_token_digest = NULL WHERE actor_id = 'bob';
SELECT * FROM connect('b30', NULL, :'one') :as;
SELECT * FROM connect('b31', 'r31', :'one') :as;
UPDATE oauth_token_details SET refresh_token_digest = substr(refresh_token_digest, 1, 31) WHERE actor_id = 'bob';
SELECT * FROM connect('b32', NULL, :'one') :as;
SELECT oauth_delete(:'w', 'google', 'user', 'bobby');
-- A writer confirms, who may not read the refresh token that stays.
CREATE ROLE regress_writer;
SET client_min_messages = warning;
SELECT count(oauth_tokens_grant('regress_writer', 'writer'));
RESET client_min_messages;
SELECT * FROM connect('b33', 'r33', :'one') :as;
SELECT flow FROM store(ticket('bob', '/done', true), 'b34', NULL, details => :'one') \gset f_
SET ROLE regress_writer;
SELECT oauth_flow_confirm(:bob, :'f_flow') IS NOT NULL AS stored;
RESET ROLE;
SELECT * FROM stored('bob');
SELECT flow FROM store(ticket('bob', '/done', true), 'b35', NULL, details => :'one') \gset f_
SET ROLE regress_writer;
SELECT count(oauth_store(:bob, 'b36', 'of another'));
SELECT oauth_flow_confirm(:bob, :'f_flow') IS NOT NULL AS stored;
RESET ROLE;
SELECT * FROM stored('bob');
SELECT oauth_tokens_revoke('regress_writer', 'writer');
DROP ROLE regress_writer;

-- What cannot be stored leaves the link.
SELECT ticket('bob') AS ticket \gset
SELECT ticket('bob', '/', true) AS confirmed \gset
SELECT * FROM store(:'ticket', refresh => repeat('r', 65537));
\set VERBOSITY sqlstate
SELECT * FROM store(:'ticket', NULL);
SELECT * FROM store(NULL);
SELECT * FROM store(:'ticket', '');
SELECT * FROM store(:'ticket', refresh => '');
SELECT * FROM store(:'ticket', expires_in => -1);
SELECT * FROM store(:'ticket', expires_in => 9300000000000);
SELECT * FROM store(:'ticket', details => '{"unknown": 1}');
SELECT * FROM store(:'confirmed', NULL);
SELECT * FROM store(:'confirmed', '');
SELECT * FROM store(:'confirmed', repeat('a', 65537));
SELECT * FROM store(:'confirmed', refresh => '');
SELECT * FROM store(:'confirmed', expires_in => -1);
SELECT * FROM store(:'confirmed', expires_in => 9300000000000);
SELECT * FROM store(:'confirmed', details => '[]');
SELECT * FROM store(:'confirmed', details => '{"lifetime": -1}');
SELECT * FROM store(:'confirmed', scopes => repeat('s', 1024 * 1024));
BEGIN READ ONLY;
SELECT * FROM store(:'ticket');
ROLLBACK;
\set VERBOSITY default
SELECT * FROM stored('bob');
TABLE flows;

-- F15: a grant that waits for the application's word.
DELETE FROM oauth_tokens_internal.flow_links;
SELECT ticket('carol', '/done', true) AS ticket \gset
SELECT begin(:'ticket', 'carol');
SELECT claim('carol');
SELECT outcome, flow, flow ~ '^[A-Za-z0-9_-]{43}$' AS formed FROM store(:'ticket', 'sentinel access', 'sentinel refresh', details => :'one') \gset c_
SELECT :'c_outcome' AS outcome, :'c_formed' AS formed;
TABLE flows;
SELECT * FROM stored('carol');
SELECT flow_hash = sha256(:'c_flow') AS hashed, provider, actor_type, actor_id, expires_at BETWEEN now() + interval '1 min' AND clock_timestamp() + interval '120 s' AS lives,
    strpos(c::text, 'sentinel') + strpos(c::text, :'c_flow') + strpos(c::text, encode('sentinel', 'base64')) AS leaks FROM oauth_tokens_internal.flow_confirmations c;
SELECT outcome, flow FROM store(:'ticket');
SELECT oauth_flow_confirm(:alice, :'c_flow');
\set VERBOSITY sqlstate
SELECT oauth_flow_confirm(gen_random_uuid(), 'google', 'user', 'carol', :'c_flow');
SELECT oauth_flow_confirm(:'w', 'google.work', 'user', 'carol', :'c_flow');
SELECT oauth_flow_confirm(:'w', 'google', 'api_key', 'carol', :'c_flow');
SELECT oauth_flow_confirm(:'w', 'google', 'user', 'Carol', :'c_flow');
SELECT oauth_flow_confirm(:'w', 'google', 'user', 'carol', 'x');
SELECT oauth_flow_confirm(:'w', 'google', 'user', 'carol', '');
SELECT oauth_flow_confirm(:'w', 'google', 'user', 'carol', :'ticket');
SELECT oauth_flow_confirm(:'w', 'google', 'user', 'carol', NULL);
SELECT oauth_flow_confirm(NULL, 'google', 'user', 'carol', :'c_flow');
SELECT oauth_flow_confirm(:'w', 'google', 'robot', 'carol', :'c_flow');
BEGIN READ ONLY;
SELECT oauth_flow_confirm(:'w', 'google', 'user', 'carol', :'c_flow');
ROLLBACK;
\set VERBOSITY default
-- It still waits for its owner, also after a rollback; then it is used.
BEGIN;
SELECT oauth_flow_confirm(:'w', 'google', 'user', 'carol', :'c_flow') IS NOT NULL AS stored;
ROLLBACK;
SELECT oauth_flow_confirm(:'w', 'google', 'user', 'carol', :'c_flow') AS id \gset
SELECT :'id' = id AS same_row FROM oauth_tokens WHERE actor_id = 'carol';
SELECT * FROM stored('carol');
TABLE flows;
\set VERBOSITY sqlstate
SELECT oauth_flow_confirm(:'w', 'google', 'user', 'carol', :'c_flow');
-- In the other form; kept and replaced refresh tokens as without the wait.
CREATE FUNCTION confirm(access text, refresh text, details jsonb, scopes text DEFAULT 'mail', expires_in bigint DEFAULT 3600) RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE code text;
BEGIN
    SELECT flow INTO code FROM store(ticket('carol', '/done', true), access, refresh, expires_in, scopes, details);
    PERFORM oauth_flow_confirm('11111111-1111-4111-8111-111111111111', 'google', 'user'::actor_type_enum, 'carol', code);
    RETURN QUERY SELECT * FROM stored('carol');
END $$;
\set VERBOSITY default
SELECT * FROM confirm('c1', NULL, :'one') :as;
SELECT * FROM confirm('c2', NULL, jsonb :'one' || '{"account_id": "2", "extra": {"instance_url": "https://x.example"}}', NULL, NULL) :as;
SELECT details #>> '{extra,instance_url}' AS extra FROM oauth_connections WHERE actor_id = 'carol';
SELECT * FROM confirm('c3', 'c3', NULL) :as;
SELECT * FROM confirm('c4', NULL, NULL) :as;
-- The largest there is.
SELECT length(access), length(refresh), length(account) FROM confirm(repeat('a', 65536), repeat('r', 65536), jsonb_build_object('account_id', repeat('i', 100000))) :as;
-- The same account connects twice: what is kept is decided when it is confirmed.
SELECT flow FROM store(ticket('carol', '/done', true), 'waiting', NULL, details => :'one') \gset d_
SELECT * FROM confirm('c5', 'r5', :'one') :as;
SELECT oauth_flow_confirm(:'w', 'google', 'user', 'carol', :'d_flow') IS NOT NULL AS stored;
SELECT * FROM stored('carol');
-- Expired: neither confirmed nor left lying.
SELECT flow FROM store(ticket('carol', '/done', true), 'sentinel') \gset d_
UPDATE oauth_tokens_internal.flow_confirmations SET expires_at = now();
SELECT oauth_flow_confirm(:'w', 'google', 'user', 'carol', :'d_flow');
SELECT begin('none');
TABLE flows;
SELECT flow FROM store(ticket('carol', '/done', true), 'sentinel') \gset d_
UPDATE oauth_tokens_internal.flow_confirmations SET expires_at = now();
SELECT oauth_tokens_internal.flow_purge();
TABLE flows;
-- A sealed grant opens in its own row only.
SELECT flow FROM store(ticket('carol', '/done', true), 'sentinel') \gset d_
SELECT flow FROM store(ticket('dave', '/done', true), 'mine') \gset e_
UPDATE oauth_tokens_internal.flow_confirmations c SET sealed = (SELECT o.sealed FROM oauth_tokens_internal.flow_confirmations o WHERE o.flow_hash <> c.flow_hash);
\set VERBOSITY sqlstate
SELECT oauth_flow_confirm(:'w', 'google', 'user', 'dave', :'e_flow');
UPDATE oauth_tokens_internal.flow_confirmations SET actor_id = 'dave' WHERE flow_hash = sha256(:'d_flow');
SELECT oauth_flow_confirm(:'w', 'google', 'user', 'dave', :'d_flow');
UPDATE oauth_tokens_internal.flow_confirmations SET sealed = 'damaged';
SELECT oauth_flow_confirm(:'w', 'google', 'user', 'dave', :'d_flow');
\set VERBOSITY default
SELECT access FROM stored('dave');
-- So do a verifier and a nonce.
DELETE FROM oauth_tokens_internal.flow_links;
SELECT begin(ticket('alice'), 'mine'), begin(ticket('alice'), 'moved');
UPDATE oauth_tokens_internal.flow_attempts a SET sealed = (SELECT o.sealed FROM oauth_tokens_internal.flow_attempts o WHERE o.state_hash <> a.state_hash);
SELECT claim('mine') IS NULL AS none, claim('moved') IS NULL AS none_either;
-- Nothing of this is dumped, and dropping the extension takes it.
SELECT count(*) AS dumped FROM pg_extension, unnest(extconfig) t WHERE extname = 'oauth_tokens' AND t::regclass::text ~ 'flow_';

SET client_min_messages = warning;
SELECT oauth_tokens_downgrade(discard_tokens => true) AS revision \gset
DROP VIEW flows;
DROP EXTENSION oauth_tokens;
DROP TABLE attempts;
DROP FUNCTION ticket, begin, claim, store, stored, connect, confirm;
DROP TYPE actor_type_enum;
