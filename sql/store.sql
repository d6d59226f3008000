-- oauth_store: the upsert, what it keeps, and all that it refuses.

SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
SELECT oauth_tokens_upgrade() AS revision \gset
RESET client_min_messages;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
\set w '11111111-1111-4111-8111-111111111111'
\set alice '''11111111-1111-4111-8111-111111111111'', ''google'', ''user'', ''alice'''
\set key 'cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4='
-- Changes with every byte in either table.
CREATE FUNCTION pg_temp.state() RETURNS text LANGUAGE sql AS $$
    SELECT md5(string_agg(r, '|' ORDER BY r COLLATE "C"))
    FROM (SELECT t::text FROM oauth_tokens t UNION ALL SELECT d::text FROM oauth_token_details d) rows (r) $$;

-- Stored encrypted, times in UTC.
SELECT oauth_store(:alice, 'access-1', 'refresh-1', scopes => 'mail files', expires_in => 3600) AS id \gset
SELECT * FROM (SELECT access_token, refresh_token, scopes, expires_at > now() + '59 min' AND expires_at <= clock_timestamp() + '1 h' AS in_an_hour,
    updated_at BETWEEN now() - interval '1 min' AND clock_timestamp() AS just_now FROM oauth_get(:alice)) got;
SELECT id = :'id' AS id_returned, workspace_id = :'w' AS workspace, provider, actor_type, actor_id, scopes,
    t::text !~ 'access-1|refresh-1' AS no_plaintext, fernet_decrypt(encrypted_access_token, :'key') AS any_library_opens,
    fernet_decrypt(encrypted_refresh_token, :'key') AS refresh,
    created_at = updated_at AND created_at BETWEEN timezone('UTC', now()) - interval '1 min' AND timezone('UTC', clock_timestamp()) AS times_in_utc
FROM oauth_tokens t;

-- Again: the row's id and created_at survive, updated_at moves, ciphertext is new.
SELECT created_at, updated_at, encrypted_access_token, encrypted_refresh_token FROM oauth_tokens \gset
SELECT oauth_store(:alice, 'access-1') = :'id' AS same_id;
SELECT count(*) AS rows, bool_and(id = :'id' AND created_at = :'created_at') AS survive, bool_and(updated_at > :'updated_at') AS moves,
    bool_and(encrypted_access_token <> :'encrypted_access_token') AS sealed_anew,
    bool_and(encrypted_refresh_token = :'encrypted_refresh_token') AS refresh_kept_as_it_is FROM oauth_tokens;
-- NULL keeps refresh token and scopes, and forgets the expiry.
SELECT access_token, refresh_token, scopes, expires_at FROM oauth_get(:alice);
SELECT oauth_store(:alice, 'access-2', NULL, keep_refresh_token => NULL, scopes => '') = :'id' AS same_id;
SELECT access_token, refresh_token, scopes, expires_at FROM oauth_get(:alice);
SELECT oauth_store(:alice, 'access-3', 'refresh-3', keep_refresh_token => false) = :'id' AS same_id;
SELECT access_token, refresh_token, scopes FROM oauth_get(:alice);
SELECT oauth_store(:alice, 'access-4', keep_refresh_token => false) = :'id' AS same_id;
SELECT access_token, refresh_token, scopes FROM oauth_get(:alice);
SELECT oauth_store(:alice, 'access-5', scopes => 'only mail') = :'id' AS same_id;
SELECT access_token, refresh_token, scopes FROM oauth_get(:alice);
-- keep_refresh_token matters to a row that is there only.
SELECT oauth_store(:'w', 'google', 'user', 'bob', 'bob-access', keep_refresh_token => true) IS NOT NULL AS stored;
SELECT access_token, refresh_token, scopes, expires_at FROM oauth_get(:'w', 'google', 'user', 'bob');
-- Each part of the identity counts; twice in one statement is twice.
SELECT count(DISTINCT oauth_store(w, p, t, a, concat_ws('/', w, p, t, a)))
FROM (VALUES (:'w'::uuid), ('22222222-2222-4222-8222-222222222222')) workspaces (w), (VALUES ('google'), ('microsoft')) providers (p),
    (VALUES ('user'), ('api_key')) types (t), (VALUES ('1'), ('1 ')) actors (a);
SELECT count(*), bool_and(access_token = concat_ws('/', workspace_id, provider, actor_type, actor_id)) AS apart
FROM oauth_tokens_decrypted WHERE actor_id ~ '1';
SELECT count(DISTINCT oauth_store(:alice, 'access-' || n)) AS rows, max(n) FROM generate_series(6, 8) n;
SELECT access_token FROM oauth_get(:alice);
BEGIN;
SELECT oauth_store(:alice, 'rolled back') = :'id' AS same_id;
SELECT access_token FROM oauth_get(:alice);
ROLLBACK;
SELECT access_token FROM oauth_get(:alice);

-- Expiries.
CREATE FUNCTION pg_temp.expiry() RETURNS text LANGUAGE sql AS
    $$ SELECT access_token_expires_at::text FROM oauth_tokens WHERE actor_id = 'alice' $$;
SELECT oauth_store(:alice, 'a', expires_at => '2031-02-03 04:05:06.789012+02') = :'id' AS stored, pg_temp.expiry() AS in_utc;
SELECT oauth_store(:alice, 'a', expires_at => '1985-10-26 01:20-07', expires_in => NULL) = :'id' AS in_the_past, pg_temp.expiry();
SELECT oauth_store(:alice, 'a', expires_at => '294276-12-31 23:59:59.999999+00') = :'id' AS the_last, pg_temp.expiry();
SELECT expires_at::text FROM oauth_get(:alice);
SELECT oauth_store(:alice, 'a', expires_in => 0) = :'id' AS at_once;
SELECT updated_at - expires_at BETWEEN interval '0' AND interval '1 min' AS expired FROM oauth_get(:alice);
SELECT oauth_store(:alice, 'a', expires_in => 2147483647) = :'id' AS stored;
SELECT updated_at + interval '2147483647 s' - expires_at BETWEEN interval '0' AND interval '1 min' AS in_68_years FROM oauth_get(:alice);
-- A bigint, as Java clients bind it; up to the last day of a timestamp.
PREPARE from_java (bigint) AS SELECT oauth_store(:alice, 'a', expires_in => $1) = :'id' AS stored, oauth_store(:'w', 'google', 'user'::actor_type_enum, 'alice', 'a', expires_in => $1) = :'id' AS by_enum;
EXECUTE from_java (3599);
EXECUTE from_java (9000000000000);
DEALLOCATE from_java;
SELECT extract(year FROM timezone('UTC', expires_at)) > 280000 AS far FROM oauth_get(:alice);
SELECT oauth_store(:alice, 'a', expires_in => extract(epoch FROM timestamptz '294276-12-31 23:59:59+00' - clock_timestamp())::bigint - 60) = :'id' AS the_last_minute;
SELECT oauth_store(:alice, 'access-9', NULL, NULL, NULL, NULL, NULL, NULL) = :'id' AS all_null, pg_temp.expiry() IS NULL AS unknown;
SELECT pg_temp.state() AS state \gset
SELECT oauth_store(:alice, 'sentinel', expires_at => now(), expires_in => 3600);
SELECT oauth_store(:alice, 'sentinel', expires_in => -1);
SELECT oauth_store(:alice, 'sentinel', expires_in => 9300000000000);
SELECT oauth_store(:alice, 'sentinel', expires_at => 'infinity');
\set VERBOSITY sqlstate
SELECT oauth_store(:alice, 'sentinel', expires_at => '-infinity');
SELECT oauth_store(:alice, 'sentinel', expires_in => -2147483648);
SELECT oauth_store(:alice, 'sentinel', expires_in => -9223372036854775808);
SELECT oauth_store(:alice, 'sentinel', expires_in => 9223372036854775807);
SELECT oauth_store(:alice, 'sentinel', expires_in => extract(epoch FROM timestamptz '294276-12-31 23:59:59+00' - clock_timestamp())::bigint + 60);
SELECT oauth_store(:alice, 'sentinel', expires_in => 99999999999999999999);
SELECT oauth_store(:alice, 'sentinel', expires_at => '294277-01-01');
\set VERBOSITY default
SELECT pg_temp.state() = :'state' AS nothing_changed;

-- Tokens: 64 KiB and no more, whatever is in them; bytes count, not characters.
SELECT oauth_store(:alice, repeat('x', 65536), repeat(U&'\00FC', 32768)) = :'id' AS stored;
SELECT access_token = repeat('x', 65536) AS access, refresh_token = repeat(U&'\00FC', 32768) AS refresh FROM oauth_get(:alice);
SELECT oauth_store(:alice, E'\t"\', \\ %s $1 \x01\n', U&'\2603\+01F511') = :'id' AS stored;
SELECT access_token = E'\t"\', \\ %s $1 \x01\n' AS access, refresh_token = U&'\2603\+01F511' AS refresh FROM oauth_get(:alice);
SELECT oauth_store(:alice, ' ', 'r') = :'id' AS stored;
SELECT pg_temp.state() AS state \gset
SELECT oauth_store(:alice, '');
SELECT oauth_store(:alice, repeat('x', 65537));
SELECT oauth_store(:alice, NULL);
\set VERBOSITY sqlstate
SELECT oauth_store(:alice, 'sentinel', '');
SELECT oauth_store(:alice, 'sentinel', '', keep_refresh_token => false);
SELECT oauth_store(:alice, 'sentinel', repeat('x', 65537));
SELECT oauth_store(:alice, repeat(U&'\00FC', 32769));
SELECT oauth_store(:alice, repeat('x', 10000000));
-- PostgreSQL lets no NUL and no bad UTF-8 into a text.
SELECT oauth_store(:alice, E'a\000b');
SELECT oauth_store(:alice, 'a' || chr(0));
SELECT oauth_store(:alice, convert_from('\x610062', 'UTF8'));
SELECT oauth_store(:alice, E'\xff');
SELECT oauth_store(:alice, U&'\D800');
\set VERBOSITY default
SELECT pg_temp.state() = :'state' AS nothing_changed;

-- The identity: 255 and 1,024 bytes, no part empty or null.
SELECT oauth_store(:'w', repeat('p', 255), 'user', repeat(U&'\00FC', 512), 'long') IS NOT NULL AS stored;
SELECT access_token FROM oauth_get(:'w', repeat('p', 255), 'user', repeat(U&'\00FC', 512));
SELECT oauth_store(:'w', repeat('p', 255), 'user', string_agg(md5(n::text), ''), 'long') IS NOT NULL AS uncompressible FROM generate_series(1, 32) n;
SELECT pg_temp.state() AS state \gset
SELECT oauth_store(:'w', 'google', 'user', repeat('a', 1025), 'sentinel');
SELECT oauth_store(:'w', repeat('p', 256), 'user', 'alice', 'sentinel');
SELECT oauth_store(:'w', '', 'user', 'alice', 'sentinel');
SELECT oauth_store(:'w', 'google', 'user', '', 'sentinel');
SELECT oauth_store(NULL, 'google', 'user', 'alice', 'sentinel');
\set VERBOSITY sqlstate
SELECT oauth_store(:'w', repeat(U&'\00FC', 128), 'user', 'alice', 'sentinel');
SELECT oauth_store(:'w', 'google', 'user', repeat(U&'\00FC', 513), 'sentinel');
SELECT oauth_store(:'w', NULL, 'user', 'alice', 'sentinel');
SELECT oauth_store(:'w', 'google', NULL, 'alice', 'sentinel');
SELECT oauth_store(:'w', 'google', NULL::actor_type_enum, 'alice', 'sentinel');
SELECT oauth_store(:'w', 'google', 'user', NULL, 'sentinel');
SELECT oauth_store('no uuid', 'google', 'user', 'alice', 'sentinel');
SELECT oauth_store('', 'google', 'user', 'alice', 'sentinel');
\set VERBOSITY default
SELECT pg_temp.state() = :'state' AS nothing_changed;

-- actor_type as whatever a client sends: text, enum, an enum of another type,
-- parameters of types that the server chooses.
CREATE TYPE other_enum AS ENUM ('robot', 'api_key', 'user');
SELECT oauth_store(:'w', 'google', 'user'::text, 'alice', 'as text') = :'id' AS text;
SELECT oauth_store(:'w', 'google', 'user'::varchar, 'alice', 'as varchar') = :'id' AS varchar;
SELECT oauth_store(:'w', 'google', 'user'::name, 'alice', 'as name') = :'id' AS name;
SELECT oauth_store(:'w', 'google', 'user'::actor_type_enum, 'alice', 'as enum') = :'id' AS enum;
SELECT oauth_store(:'w', 'google', 'user'::other_enum, 'alice', 'as another enum') = :'id' AS other_enum;
SELECT oauth_store(workspace_id, provider, actor_type, actor_id, 'from a row') = :'id' AS from_a_row FROM oauth_tokens WHERE id = :'id';
SELECT oauth_store(actor_id => 'alice', actor_type => 'user', provider => 'google', workspace_id => :'w', access_token => 'named') = :'id' AS named;
SELECT oauth_store(actor_type => 'user'::other_enum, actor_id => 'alice', provider => 'google', workspace_id => :'w', access_token => 'named') = :'id' AS named;
PREPARE chosen AS SELECT oauth_store($1, $2, $3, $4, $5, $6) = $7 AS chosen;
PREPARE unknown (unknown, unknown, unknown, unknown, unknown) AS SELECT oauth_store($1, $2, $3, $4, $5) IS NOT NULL AS unknown;
PREPARE enum (uuid, text, other_enum, text, text) AS SELECT oauth_store($1, $2, $3, $4, $5) IS NOT NULL AS enum;
SELECT name, parameter_types FROM pg_prepared_statements ORDER BY name;
EXECUTE chosen (:alice, 'prepared', NULL, :'id');
SET plan_cache_mode = force_generic_plan;
EXECUTE chosen (:alice, 'prepared', 'generic', :'id');
EXECUTE unknown (:alice, 'prepared');
EXECUTE enum (:alice, 'prepared');
SELECT access_token, refresh_token FROM oauth_get(:alice);
SELECT pg_temp.state() AS state \gset
EXECUTE chosen (:'w', 'google', 'robot', 'alice', 'sentinel', NULL, :'id');
EXECUTE enum (:'w', 'google', 'robot', 'alice', 'sentinel');
RESET plan_cache_mode;
\set VERBOSITY sqlstate
EXECUTE unknown (:'w', 'google', 'robot', 'alice', 'sentinel');
SELECT oauth_store(:'w', 'google', 'User', 'alice', 'sentinel');
SELECT oauth_store(:'w', 'google', 'user ', 'alice', 'sentinel');
SELECT oauth_store(:'w', 'google', '', 'alice', 'sentinel');
SELECT oauth_store(:'w', 'google', 'user' || repeat(' ', 60), 'alice', 'sentinel');
SELECT oauth_store(:'w', 'google', repeat('user', 100000), 'alice', 'sentinel');
SELECT oauth_store(:'w', 'google', 1, 'alice', 'sentinel');
SELECT oauth_store(:'w', 'google', 'robot'::other_enum, 'alice', 'sentinel') FROM oauth_tokens;
\set VERBOSITY default
SELECT pg_temp.state() = :'state' AS nothing_changed;
DEALLOCATE ALL;
DROP TYPE other_enum;

-- Details: replaced as a whole, kept where they are not given.
CREATE FUNCTION pg_temp.details() RETURNS jsonb LANGUAGE sql AS
    $$ SELECT details - 'connected_at' FROM oauth_connections WHERE provider = 'google' AND actor_id = 'alice' $$;
SELECT oauth_store(:alice, 'a', details => '{"account_id": "108", "account_label": "alice@example.com", "issuer": "https://accounts.example.com",
    "client_id": "c", "extra": {"tenant": ["x", {"y": null}]}, "lifetime": 3599}') = :'id' AS stored;
SELECT pg_temp.details();
SELECT oauth_store(:alice, 'b') = :'id' AS stored, pg_temp.details() ->> 'account_id' AS kept;
SELECT (details ->> 'connected_at')::timestamptz BETWEEN now() - interval '1 min' AND clock_timestamp() AS connected_just_now
FROM oauth_connections WHERE provider = 'google' AND actor_id = 'alice';
SELECT oauth_store(:alice, 'c', details => '{"account_id": "109", "issuer": null, "lifetime": 12.75}') = :'id' AS stored;
SELECT pg_temp.details();
SELECT oauth_store(:alice, 'd', details => '{"extra": {}, "lifetime": 0}') = :'id' AS stored;
SELECT pg_temp.details();
SELECT oauth_store(:alice, 'e', details => '{}') = :'id' AS stored;
SELECT pg_temp.details();
SELECT pg_temp.state() AS state \gset
SELECT oauth_store(:alice, 'sentinel', details => '{"sentinel": "sentinel"}');
SELECT oauth_store(:alice, 'sentinel', details => '{"account_id": 108}');
SELECT oauth_store(:alice, 'sentinel', details => '[]');
SELECT oauth_store(:alice, 'sentinel', details => '{"lifetime": -1}');
\set VERBOSITY sqlstate
SELECT oauth_store(:alice, 'sentinel', details => 'null');
SELECT oauth_store(:alice, 'sentinel', details => '"account_id"');
SELECT oauth_store(:alice, 'sentinel', details => '[{"account_id": "108"}]');
SELECT oauth_store(:alice, 'sentinel', details => '{"account_id": {}}');
SELECT oauth_store(:alice, 'sentinel', details => '{"extra": "text"}');
SELECT oauth_store(:alice, 'sentinel', details => '{"extra": ["array"]}');
SELECT oauth_store(:alice, 'sentinel', details => '{"lifetime": "3600"}');
SELECT oauth_store(:alice, 'sentinel', details => '{"lifetime": 1e300}');
SELECT oauth_store(:alice, 'sentinel', details => '{"lifetime": 1e400}');
SELECT oauth_store(:alice, 'sentinel', details => '{"lifetime": 2147483648}');
SELECT oauth_store(:alice, 'sentinel', details => '{"Account_id": "108"}');
SELECT oauth_store(:alice, 'sentinel', details => '{"account_id": "\u0000"}');
SELECT oauth_store(:alice, 'sentinel', details => '{"account_id"');
\set VERBOSITY default
SELECT pg_temp.state() = :'state' AS nothing_changed;

-- What others put in the way.
BEGIN READ ONLY;
\set VERBOSITY sqlstate
SELECT oauth_store(:alice, 'sentinel');
\set VERBOSITY default
ROLLBACK;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT oauth_store(:alice, 'sentinel');
DROP TRIGGER refuse ON oauth_tokens;
DROP FUNCTION refuse;
ALTER TABLE oauth_tokens ADD CONSTRAINT few CHECK (provider <> 'yahoo');
\set VERBOSITY sqlstate
SELECT oauth_store(:'w', 'yahoo', 'user', 'alice', 'sentinel');
\set VERBOSITY default
ALTER TABLE oauth_tokens DROP CONSTRAINT few;
SELECT pg_temp.state() = :'state' AS nothing_changed;

-- No error repeats a token, an identity that is too long, or details.
CREATE FUNCTION pg_temp.leaks(statement text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE code text; message text; detail text; hint text;
BEGIN
    EXECUTE statement;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat(message, detail, hint) ~ 'sentinel';
END $$;
SELECT count(*) AS errors, bool_or(pg_temp.leaks('SELECT oauth_store(' || arguments || ')')) AS leak
FROM (VALUES ($$'11111111-1111-4111-8111-111111111111', 'google', 'user', 'a', 'sentinel', repeat('sentinel', 9000)$$),
    ($$'11111111-1111-4111-8111-111111111111', 'google', 'sentinel', 'a', 'sentinel'$$),
    ($$'11111111-1111-4111-8111-111111111111', 'google', 'user', repeat('sentinel', 900), 'sentinel'$$),
    ($$'11111111-1111-4111-8111-111111111111', repeat('sentinel', 900), 'user', 'a', 'sentinel'$$),
    ($$'11111111-1111-4111-8111-111111111111', 'google', 'user', 'a', 'sentinel', 'sentinel', expires_in => -1$$),
    ($$'11111111-1111-4111-8111-111111111111', 'google', 'user', 'a', 'sentinel', details => '{"sentinel": "sentinel"}'$$),
    ($$'11111111-1111-4111-8111-111111111111', 'google', 'user', 'a', 'sentinel', details => '{"extra": "sentinel"}'$$)) t (arguments);

-- Another writer of the table, with any Fernet library: what it writes we read,
-- its upsert finds our row.
INSERT INTO oauth_tokens (id, workspace_id, provider, actor_type, actor_id, scopes, encrypted_access_token, encrypted_refresh_token, access_token_expires_at)
VALUES (gen_random_uuid(), :'w', 'google', 'user', 'alice', 'mail', fernet_encrypt('from Python', :'key'), fernet_encrypt('refresh', :'key'), '2031-01-01 00:00')
ON CONFLICT (workspace_id, provider, actor_type, actor_id) DO UPDATE SET scopes = EXCLUDED.scopes,
    encrypted_access_token = EXCLUDED.encrypted_access_token, encrypted_refresh_token = EXCLUDED.encrypted_refresh_token,
    access_token_expires_at = EXCLUDED.access_token_expires_at, updated_at = now()
RETURNING id = :'id' AS same_id;
SELECT access_token, refresh_token, scopes, expires_at::text FROM oauth_get(:alice);
SELECT oauth_store(:alice, 'ours again') = :'id' AS same_id;
SELECT fernet_decrypt(encrypted_access_token, :'key') AS access, fernet_decrypt(encrypted_refresh_token, :'key') AS refresh FROM oauth_tokens WHERE id = :'id';

-- A value of the enum that is not committed: its row would outlive it in an index.
BEGIN;
ALTER TYPE actor_type_enum ADD VALUE 'service' BEFORE 'user';
\set VERBOSITY sqlstate
SELECT oauth_store(:'w', 'google', 'service', 'alice', 'access');
ROLLBACK;
\set VERBOSITY default
SELECT oauth_access_token(:alice);

-- A token that this server encrypted already is stored, and the caller told; one of another key, or that only looks so, is as good as any.
SELECT oauth_encrypt('in clear') AS twice \gset
SELECT oauth_store(:'w', 'google', 'user', 'twice', :'twice', :'twice') IS NOT NULL AS stored;
SELECT access_token = :'twice' AND refresh_token = :'twice' AS as_it_came FROM oauth_get(:'w', 'google', 'user', 'twice');
SELECT length(oauth_encrypt(:'twice')) > 100 AS sealed;
SELECT oauth_store(:'w', 'google', 'user', 'twice', fernet_encrypt('x', fernet_generate_key()), 'gAAAA') IS NOT NULL AS stored, oauth_store(:'w', 'google', 'user', 'twice', 'gAAAAABnot', left(:'twice', -1)) IS NOT NULL AS stored_too;
SELECT oauth_delete(:'w', 'google', 'user', 'twice');
-- A key in the other alphabet of base64.
SELECT fernet_encrypt('x', '+/0x689RpI-jtRR7oE8h/eQsKImvJapLeSbXpwF4e4=');

SET client_min_messages = warning;
SELECT oauth_tokens_downgrade(discard_tokens => true) AS revision \gset
DROP EXTENSION oauth_tokens;
DROP TYPE actor_type_enum;
