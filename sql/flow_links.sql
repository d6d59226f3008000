-- oauth_authorize_url: what it makes, all that it refuses at once, and how many
-- links stand. No line here shows a ticket.

SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
RESET client_min_messages;
SET TimeZone = 'America/Sao_Paulo';
SET DateStyle = 'German';
\set w '11111111-1111-4111-8111-111111111111'
\set alice '''11111111-1111-4111-8111-111111111111'', ''google'', ''user'', ''alice'''
SELECT oauth_authorize_url(:alice);
SELECT oauth_tokens_upgrade() AS revision \gset
CREATE FUNCTION shape(url text) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace(url, '[A-Za-z0-9_-]{43}$', '<43>') $$;

-- Nothing published: no address to make one from.
SELECT oauth_authorize_url(:alice);
-- The setting makes do for it: any provider, relative return_to only.
SET oauth_tokens.public_url = 'https://oauth.example.com/tokens/';
SHOW oauth_tokens.public_url;
SELECT shape(oauth_authorize_url(:alice));
SELECT shape(oauth_authorize_url(:'w', 'whatever.work', 'api_key'::actor_type_enum, 'key', 'mail', '/done'));
SELECT oauth_authorize_url(:alice, return_to => 'https://oauth.example.com/done');
-- What is no public URL.
SET oauth_tokens.public_url = 'http://oauth.example.com';
\set VERBOSITY sqlstate
SET oauth_tokens.public_url = 'https://user@oauth.example.com';
SET oauth_tokens.public_url = 'https://oauth.example.com/?x';
SET oauth_tokens.public_url = 'oauth.example.com';
SET oauth_tokens.public_url = 'https://*.example.com';
SET oauth_tokens.confirm_flows = 'perhaps';
SET oauth_tokens.public_url = 'http://localhost:8090';
SET oauth_tokens.public_url = '';
SELECT oauth_authorize_url(:alice);

-- What the sidecar publishes, and what it cannot.
\set publish 'SELECT oauth_tokens_internal.publish_settings'
:publish(NULL, '600 s', '{}', '{}');
:publish('https://oauth.example.com', NULL, '{}', '{}');
:publish('https://oauth.example.com', '600 s', NULL, '{}');
:publish('https://oauth.example.com', '600 s', '{}', NULL);
:publish('https://oauth.example.com', '0', '{}', '{}');
:publish('https://oauth.example.com', '-1 s', '{}', '{}');
:publish('https://oauth.example.com', '1 day 1 s', '{}', '{}');
:publish('https://oauth.example.com', '600 s', '{https://app.example.com/}', '{}');
:publish('https://oauth.example.com', '600 s', '{NULL}', '{}');
:publish('https://oauth.example.com', '600 s', '{}', '{google.work}');
:publish('https://oauth.example.com', '600 s', '{}', '{NULL}');
\set VERBOSITY default
:publish('http://oauth.example.com', '600 s', '{}', '{}');
:publish('https://oauth.example.com', '600 s', '{https://*.com}', '{}');
:publish('https://oauth.example.com', '600 s', '{}', '{Google}');
SELECT count(*) FROM oauth_tokens_internal.sidecar_settings;
:publish('https://oauth.example.com/', '120 s', '{}', '{}');
SELECT oauth_authorize_url(:alice);
:publish('https://oauth.example.com/', '120 s', '{https://app.example.com,https://*.tenants.example.com}', '{google,microsoft}');
SELECT xmin AS before FROM oauth_tokens_internal.sidecar_settings \gset
:publish('https://oauth.example.com', '2 min', '{https://app.example.com,https://*.tenants.example.com}', '{google,microsoft}');
SELECT public_url, flow_seconds, return_to_origins, providers, published_at BETWEEN now() - interval '1 min' AND clock_timestamp() AS published, xmin = :'before' AS not_written_again
FROM oauth_tokens_internal.sidecar_settings;

-- Good ones.
DELETE FROM oauth_tokens_internal.flow_links;
SELECT shape(oauth_authorize_url(:alice));
SELECT shape(oauth_authorize_url(:alice, 'openid https://www.googleapis.com/auth/gmail.readonly', 'https://app.example.com/done?x=1', true));
SELECT shape(oauth_authorize_url(:alice, return_to => 'https://acme.tenants.example.com:443', confirm => false));
SELECT shape(oauth_authorize_url(:'w', 'google.work', 'user'::actor_type_enum, 'alice', repeat('a', 4096)));
SELECT provider, actor_type, actor_id, length(scopes) AS scopes, return_to, confirm, attempt_seconds, octet_length(ticket_hash) AS hash,
    expires_at = created_at + interval '120 s' AND vanishes_at = expires_at AND created_at BETWEEN now() - interval '1 min' AND clock_timestamp() AS lives
FROM oauth_tokens_internal.flow_links ORDER BY created_at;
-- The ticket's hash is kept, the ticket nowhere.
SELECT substring(oauth_authorize_url(:alice) FROM 'ticket=(.*)$') AS ticket \gset
SELECT count(*) FROM oauth_tokens_internal.flow_links l WHERE ticket_hash = sha256(:'ticket');
SELECT count(*) FROM oauth_tokens_internal.flow_links l, unnest(ARRAY[:'ticket', encode(:'ticket', 'hex'), encode(:'ticket', 'base64')]) t WHERE strpos(l::text, t) > 0;
-- The setting comes before what was published, and confirm after its setting.
SET oauth_tokens.public_url = 'http://127.0.0.1:8090';
SET oauth_tokens.confirm_flows = on;
SELECT shape(oauth_authorize_url(:alice, return_to => '/done'));
SELECT oauth_authorize_url(:alice);
SELECT confirm FROM oauth_tokens_internal.flow_links ORDER BY created_at DESC LIMIT 1;
RESET oauth_tokens.public_url;
RESET oauth_tokens.confirm_flows;
-- A life of more than ten minutes is the link's alone.
:publish('https://oauth.example.com', '1 hour', '{https://app.example.com}', '{google,microsoft}');
SELECT shape(oauth_authorize_url(:alice));
SELECT expires_at - created_at AS life, attempt_seconds FROM oauth_tokens_internal.flow_links ORDER BY created_at DESC LIMIT 1;

-- Refused at once, and nothing is kept.
SELECT count(*) AS before FROM oauth_tokens_internal.flow_links \gset
SELECT oauth_authorize_url(:'w', 'github', 'user', 'alice');
SELECT oauth_authorize_url(:alice, return_to => 'https://evil.example/');
SELECT oauth_authorize_url(:alice, confirm => true);
\echo :LAST_ERROR_SQLSTATE
SELECT oauth_authorize_url(:'w', 'Google', 'user', 'alice');
SELECT oauth_authorize_url(:alice, 'mail  calendar');
SELECT oauth_authorize_url(:alice, repeat('a', 4097));
BEGIN READ ONLY;
SELECT oauth_authorize_url(:alice);
ROLLBACK;
\set VERBOSITY sqlstate
SELECT oauth_authorize_url(NULL, 'google', 'user', 'alice');
SELECT oauth_authorize_url(:'w', NULL, 'user', 'alice');
SELECT oauth_authorize_url(:'w', 'google', NULL::text, 'alice');
SELECT oauth_authorize_url(:'w', 'google', NULL::actor_type_enum, 'alice');
SELECT oauth_authorize_url(:'w', 'google', 'user', NULL);
SELECT oauth_authorize_url(:'w', 'google', 'robot', 'alice');
SELECT oauth_authorize_url(:'w', 'google', 'user', '');
SELECT oauth_authorize_url(:'w', '', 'user', 'alice');
SELECT oauth_authorize_url(:'w', repeat('g', 256), 'user', 'alice');
SELECT oauth_authorize_url(:'w', 'google', 'user', repeat('a', 1025));
SELECT oauth_authorize_url(:'w', 'google.', 'user', 'alice');
SELECT oauth_authorize_url(:'w', 'google.a.b', 'user', 'alice');
SELECT oauth_authorize_url(:'w', 'google/../x', 'user', 'alice');
SELECT oauth_authorize_url(:'w', 'github.google', 'user', 'alice');
SELECT oauth_authorize_url(:alice, return_to => '');
SELECT oauth_authorize_url(:alice, return_to => '//evil.example');
SELECT oauth_authorize_url(:alice, return_to => '/\evil.example');
SELECT oauth_authorize_url(:alice, return_to => '/%5cevil.example');
SELECT oauth_authorize_url(:alice, return_to => 'https://app.example.com@evil.example/');
SELECT oauth_authorize_url(:alice, return_to => 'https://app.example.com:8443/');
SELECT oauth_authorize_url(:alice, return_to => 'http://app.example.com/');
SELECT oauth_authorize_url(:alice, return_to => U&'https://app\3002example.com/');
SELECT oauth_authorize_url(:alice, return_to => E'/done\r\nx');
SELECT oauth_authorize_url(:alice, return_to => '/' || repeat('a', 2048));
SELECT oauth_authorize_url(:alice, return_to => 'javascript:alert(1)');
SELECT oauth_authorize_url(:alice, '');
SELECT oauth_authorize_url(:alice, ' mail');
SELECT oauth_authorize_url(:alice, 'mail ');
SELECT oauth_authorize_url(:alice, E'mail\tcalendar');
SELECT oauth_authorize_url(:alice, 'm"ail');
SELECT oauth_authorize_url(:alice, E'm\\ail');
SELECT oauth_authorize_url(:alice, 'mäil');
\set VERBOSITY default
SELECT count(*) = :before AS nothing_kept FROM oauth_tokens_internal.flow_links;

-- At most 20 an identity, and the oldest goes; another identity's stay.
DELETE FROM oauth_tokens_internal.flow_links;
SELECT count(oauth_authorize_url(:'w', 'google', 'user', 'bob')) FROM generate_series(1, 3);
SELECT count(oauth_authorize_url(:alice, 'n' || n)) FROM generate_series(1, 20) n;
SELECT count(*), count(*) FILTER (WHERE scopes = 'n1') AS oldest FROM oauth_tokens_internal.flow_links WHERE actor_id = 'alice';
SELECT count(oauth_authorize_url(:alice, 'n21'));
SELECT count(*), count(*) FILTER (WHERE scopes = 'n1') AS oldest, count(*) FILTER (WHERE scopes = 'n2') AS next FROM oauth_tokens_internal.flow_links WHERE actor_id = 'alice';
SELECT count(oauth_authorize_url(:alice)) FROM generate_series(1, 1000) n;
SELECT actor_id, count(*) FROM oauth_tokens_internal.flow_links GROUP BY actor_id ORDER BY actor_id;

-- What has expired goes, a bounded number with each call, or all at once.
UPDATE oauth_tokens_internal.flow_links SET created_at = created_at - interval '2 h', expires_at = now(), vanishes_at = now();
SELECT count(oauth_authorize_url(:'w', 'google', 'user', 'carol'));
SELECT count(*) FROM oauth_tokens_internal.flow_links;
SELECT count(oauth_authorize_url(:'w', 'google', 'user', 'carol'));
SELECT count(*) FROM oauth_tokens_internal.flow_links;
SELECT oauth_tokens_internal.flow_purge();
SELECT actor_id, count(*) FROM oauth_tokens_internal.flow_links GROUP BY actor_id;
SELECT oauth_tokens_internal.flow_purge();
-- A rolled back call leaves nothing.
BEGIN;
SELECT count(oauth_authorize_url(:alice));
ROLLBACK;
SELECT count(*) FROM oauth_tokens_internal.flow_links WHERE actor_id = 'alice';

-- No link under a policy that hides the identity: exactly what the upsert says.
CREATE ROLE regress_tenant;
SET client_min_messages = warning;
SELECT count(oauth_tokens_grant('regress_tenant', 'writer'));
RESET client_min_messages;
ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON oauth_tokens FOR SELECT USING (true);
CREATE POLICY inserted ON oauth_tokens FOR INSERT WITH CHECK (actor_id ~ '^t');
CREATE POLICY updated ON oauth_tokens FOR UPDATE USING (actor_id <> 'tom');
SELECT count(oauth_store(:'w', 'google', 'user', name, 'access', 'refresh')) FROM unnest('{tom,tina}'::text[]) name;
SELECT md5(string_agg(t::text, '' ORDER BY actor_id)) AS state FROM oauth_tokens t \gset
\set SHOW_CONTEXT never
SET ROLE regress_tenant;
SELECT shape(oauth_authorize_url(:'w', 'google', 'user', 'tina'));
SELECT shape(oauth_authorize_url(:'w', 'google', 'user', 'tessa'));
SELECT oauth_authorize_url(:'w', 'google', 'user', 'tom');
SELECT oauth_authorize_url(:alice);
DO $$ BEGIN PERFORM oauth_authorize_url('11111111-1111-4111-8111-111111111111', 'google', 'user', 'alice'); EXCEPTION WHEN insufficient_privilege THEN RAISE NOTICE 'refused'; END $$;
-- Nor past the function.
INSERT INTO oauth_tokens_internal.flow_links VALUES (sha256('x'), :'w', 'google', 'user', 'tessa', NULL, NULL, false, 600, now(), now() + interval '1 h', now() + interval '1 h');
SELECT count(oauth_authorize_url(:'w', 'google', 'user', 'tina')) FROM generate_series(1, 21) n;
-- A role that asks for an error if rows are hidden gets it from oauth_tokens.
SET row_security = off;
SELECT oauth_authorize_url(:'w', 'google', 'user', 'tina');
RESET ROLE;
ALTER TABLE oauth_tokens DISABLE ROW LEVEL SECURITY;
SET ROLE regress_tenant;
SELECT shape(oauth_authorize_url(:alice));
RESET row_security;
RESET ROLE;
SELECT actor_id, count(*) FROM oauth_tokens_internal.flow_links GROUP BY actor_id ORDER BY actor_id;
SELECT md5(string_agg(t::text, '' ORDER BY actor_id)) = :'state' AS no_token_changed FROM oauth_tokens t;

-- What something else wrote over the published settings is not believed, and what no function would write cannot be written.
CREATE FUNCTION published(change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text; message text;
BEGIN
    EXECUTE 'UPDATE oauth_tokens_internal.sidecar_settings SET ' || change;
    PERFORM oauth_authorize_url('11111111-1111-4111-8111-111111111111', 'google', 'user', 'alice', return_to => '/');
    RETURN 'believed';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, message = MESSAGE_TEXT;
    RETURN SQLSTATE || CASE SQLSTATE WHEN '23514' THEN '' ELSE ' ' || message || ': ' || detail END;
END $$;
SELECT oauth_tokens_internal.publish_settings('https://oauth.example.com', '600 s', '{https://app.example.com}', '{google}');
SELECT left(change, 60) AS change, published(change) FROM unnest(ARRAY['flow_seconds = 600', $$public_url = 'javascript:alert(1)'$$, $$public_url = 'http://oauth.example.com'$$, $$public_url = ''$$,
    $$public_url = 'https://' || repeat('x', 3000)$$, $$return_to_origins = '{javascript:}'$$, $$return_to_origins = '{NULL}'$$, $$return_to_origins = '{https://*}'$$, $$providers = '{google,../x}'$$,
    $$providers = array_fill('google'::text, ARRAY[1001])$$, 'flow_seconds = 2147483647', 'flow_seconds = 0', 'flow_seconds = -1', 'flow_seconds = 86401']) change;
SELECT count(*) FROM oauth_tokens_internal.sidecar_settings WHERE public_url = 'https://oauth.example.com' AND flow_seconds = 600;
DROP FUNCTION published;
DELETE FROM oauth_tokens_internal.flow_links;
SELECT count(oauth_authorize_url(:alice, return_to => '/', confirm => true)) AS made;
SELECT count(*) AS attempts FROM oauth_tokens_internal.flow_links, oauth_tokens_internal.flow_begin(ticket_hash, 'google', NULL, 'https://issuer.example/token', 'client');
CREATE FUNCTION refused(change text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'UPDATE oauth_tokens_internal.' || change; RETURN 'written'; EXCEPTION WHEN check_violation THEN RETURN 'refused'; END $$;
SELECT change, refused(change) FROM unnest(ARRAY[$$flow_links SET ticket_hash = 'x'$$, $$flow_links SET provider = ''$$, $$flow_links SET provider = repeat('x', 256)$$, $$flow_links SET actor_id = repeat('x', 1025)$$,
    $$flow_links SET actor_type = ''$$, $$flow_links SET scopes = repeat('x', 4097)$$, $$flow_links SET return_to = repeat('x', 2049)$$, 'flow_links SET attempt_seconds = 601', 'flow_links SET attempt_seconds = 0',
    $$flow_links SET expires_at = 'infinity', vanishes_at = 'infinity'$$, $$flow_links SET expires_at = created_at + interval '68 years'$$, $$flow_links SET vanishes_at = vanishes_at + interval '1 day'$$,
    $$flow_attempts SET state_hash = ''$$, $$flow_attempts SET browser_hash = ''$$, $$flow_attempts SET sealed = ''$$, $$flow_attempts SET token_endpoint = ''$$, $$flow_attempts SET client_id = ''$$,
    $$flow_attempts SET issuer = ''$$, $$flow_attempts SET expires_at = 'infinity'$$, $$flow_attempts SET expires_at = created_at + interval '11 min'$$]) change;
DROP FUNCTION refused;

SET client_min_messages = warning;
DROP FUNCTION shape;
SELECT oauth_tokens_downgrade(discard_tokens => true) AS revision \gset
DROP EXTENSION oauth_tokens;
DROP TYPE actor_type_enum;
REVOKE ALL ON SCHEMA public FROM regress_tenant;
DROP ROLE regress_tenant;
