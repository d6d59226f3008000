-- The Fernet specification by SQL: fernet_encrypt, fernet_decrypt,
-- fernet_timestamp and fernet_generate_key need neither key ring nor table.

SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
RESET client_min_messages;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
\set key 'cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4='
\set token 'gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA=='

-- What a call raises, all of it; 'no error' where it raises nothing.
CREATE FUNCTION pg_temp.error_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE code text; message text; detail text; hint text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
        detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', code, message, NULLIF(detail, ''), NULLIF(hint, ''));
END $$;

-- The specification's vector, and what Python's library made.
SELECT fernet_decrypt(:'token', :'key');
SELECT fernet_decrypt(:'token', :'key', ttl => '100 years');
SELECT fernet_timestamp(:'token') = '1985-10-26 01:20:00-07' AS timestamp_as_specified;
SELECT fernet_decrypt('gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0OD74xCnuht3zKJOfquUQx9FBgXFY8GzZLXNw1BUpvul115_75IXwwASfhpfU3FGo_9A==', :'key')
    = U&'gr\00FCn \2603 \+01F511' AS not_ascii;
SELECT fernet_decrypt('gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAkyKTyMbYmiNsw2aOq718ErZlYQbIORRvp9giNbObzxmg==', :'key') = '' AS empty;

-- Round trips. A token says when it was made, and is never the same twice.
SELECT bool_and(fernet_decrypt(fernet_encrypt(s, :'key'), :'key', '1 hour') = s) AS same,
    bool_and(length(fernet_encrypt(s, :'key')) = 4 * ceil((57 + 16 * (length(s) / 16 + 1)) / 3.0)) AS size
FROM (SELECT repeat('x', n) FROM generate_series(0, 70) n) t (s);
SELECT fernet_decrypt(fernet_encrypt(repeat(U&'\00FC', 1000000), :'key'), :'key') = repeat(U&'\00FC', 1000000) AS megabytes;
SELECT fernet_timestamp(fernet_encrypt('', :'key')) BETWEEN now() - interval '2 s' AND clock_timestamp() AS made_now;
SELECT count(DISTINCT fernet_encrypt('the same', :'key')) FROM generate_series(1, 1000);
SELECT count(DISTINCT k) AS keys, min(length(k)) AS shortest, max(length(k)) AS longest,
    bool_and(k ~ '^[A-Za-z0-9_-]{43}=$') AS base64url, bool_and(fernet_decrypt(fernet_encrypt('x', k), k) = 'x') AS usable
FROM (SELECT fernet_generate_key() FROM generate_series(1, 1000)) t (k);
-- NULL in, NULL out; a null ttl is no limit.
SELECT fernet_encrypt(NULL, :'key') IS NULL AS plaintext, fernet_encrypt('x', NULL) IS NULL AS encrypt_key,
    fernet_decrypt(NULL, :'key') IS NULL AS token, fernet_decrypt(:'token', NULL) IS NULL AS decrypt_key,
    fernet_decrypt(NULL, NULL, NULL) IS NULL AS nothing, fernet_timestamp(NULL) IS NULL AS stamp,
    fernet_decrypt(:'token', :'key', NULL) AS no_ttl;

-- E10: bad tokens. The specification's, and more that a MAC does not save.
CREATE TEMP TABLE bad (what text, token text, ttl interval);
INSERT INTO bad (what, token, ttl) VALUES
('incorrect mac', 'gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykQUFBQUFBQUFBQQ==', NULL),
('too short', 'gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPA==', NULL),
('invalid base64', '%%%%%%%%%%%%%AECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykRtfsH-p1YsUD2Q==', NULL),
('payload not of whole blocks', 'gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPOm73QeoCk9uGib28Xe5vz6oxq5nmxbx_v7mrfyudzUm', NULL),
('payload padding', 'gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0ODz4LEpdELGQAad7aNEHbf-JkLPIpuiYRLQ3RtXatOYREu2FWke6CnJNYIbkuKNqOhw==', NULL),
('far future', 'gP__________AAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLKzZbl-yQSBnTVqvaMmzCAMSONBGqIRpqe8qU2JUFw0iw==', '1 day'),
('future of a signed number', 'gIAAAAAAAAAAAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLIGabEXf0smp5XApSChq9F-OoewnzhRUnOgvg1mGlShSQ==', '0'),
('expired', :'token', '60 s'),
('expired at once', :'token', '0'),
('of 1970', 'gAAAAAAAAAAAAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLIoB8f6TCXuz_6MqZrL97zRzmd2Hb4mnFsGOqTt1H2dXA==', '1 year'),
('incorrect IV', 'gAAAAAAdwJ6xBQECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAkLhFLHpGtDBRLRTZeUfWgHSv49TF2AUEZ1TIvcZjK1zQ==', NULL),
('version 0x81, mac right', 'gQAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLKY7covSkDHw9ma-418Z5yfJ0bAi-R_TUVpW6VSXlO8JA==', NULL),
('padding of 0, mac right', 'gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODwppaXPTA0Z-dA4g63ZRwEM9tU725xTpBON4ICV8xrTt_prvNvbC4HbyyskYHMBaDw==', NULL),
('padding of 17, mac right', 'gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0OD04JtLWGEPUuWvP2k30scLPvOPnNb6Yesr4PMyXZ52O9QmRuI91HOC8Se3pdu83OYQ==', NULL),
('no block', 'gAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', NULL),
('empty', '', NULL),
('of another key', fernet_encrypt('hello', fernet_generate_key()), NULL),
('space before', ' ' || :'token', NULL),
('newline after', :'token' || E'\n', NULL),
('without padding', rtrim(:'token', '='), NULL),
('padding too long', :'token' || '=', NULL),
('padding doubled', :'token' || '====', NULL),
('plain base64', translate(:'token', '-_', '+/'), NULL),
('stray bits', regexp_replace(:'token', 'A==$', 'B=='), NULL),
('twice', :'token' || :'token', NULL),
('not ASCII', U&'\00FC' || substr(:'token', 2), NULL),
('huge', repeat('gAAA', 1000000), NULL);
INSERT INTO bad (what, token) SELECT 'cut to ' || n, left(:'token', n) FROM generate_series(1, length(:'token') - 1) n;
INSERT INTO bad (what, token) SELECT 'changed at ' || n, overlay(:'token' PLACING CASE substr(:'token', n, 1) WHEN 'A' THEN 'B' ELSE 'A' END FROM n)
FROM generate_series(1, length(:'token')) n;
SELECT count(*) AS tokens, count(DISTINCT pg_temp.error_of(format('SELECT fernet_decrypt(%L, %L, %L)', token, :'key', ttl))) AS messages FROM bad;
SELECT DISTINCT pg_temp.error_of(format('SELECT fernet_decrypt(%L, %L, %L)', token, :'key', ttl)) AS error FROM bad;
-- Only ttl refuses these.
SELECT what, fernet_decrypt(token, :'key') FROM bad WHERE ttl IS NOT NULL ORDER BY what COLLATE "C";

-- What opens, but is no text of this database: a NUL, bytes that are not UTF-8, half of a surrogate pair.
SELECT fernet_decrypt('gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy2t4fhiU-vAJ-SSAq9YH6Zc4RG7yofubl-J4zF5o9YtIfWG0-iwpSgZYPBAByquOQ==', :'key');
\set VERBOSITY sqlstate
SELECT fernet_decrypt('gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0OD8SPKj17qJRqqeTxS9jN762PCetkhOeUnGPI-luxsbbdCAF-Pzmh141wMyh5osRWtA==', :'key');
SELECT fernet_decrypt('gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0OD9NAuZGRwy8YDlAmNqBqV14HufgwoUtsPWZYFB4NurCHTMMbOaXr0lCSUk7egNI8iA==', :'key');
\set VERBOSITY default

-- Bad keys: one error in every function, which does not repeat the key.
CREATE TEMP TABLE bad_keys (what text, key text);
INSERT INTO bad_keys VALUES
('empty', ''), ('one character', 'c'), ('short', left(:'key', 43)), ('long', :'key' || '='), ('two', :'key' || ',' || :'key'),
('newline after', :'key' || E'\n'), ('space before', ' ' || left(:'key', 43)),
('without padding', left(:'key', 43) || 'A'), ('padding doubled', left(:'key', 42) || '=='),
('plain base64', translate(:'key', '-_', '+/')), ('stray bits', left(:'key', 42) || '5='), ('not base64', '%' || substr(:'key', 2)),
('not ASCII', U&'\00FC' || substr(:'key', 3)), ('huge', repeat(:'key', 10000));
SELECT what, left(pg_temp.error_of(format('SELECT fernet_encrypt(''x'', %L)', key)), 5) AS encrypt,
    left(pg_temp.error_of(format('SELECT fernet_decrypt(%L, %L)', :'token', key)), 5) AS decrypt
FROM bad_keys ORDER BY what COLLATE "C";
SELECT DISTINCT pg_temp.error_of(format('SELECT fernet_encrypt(''x'', %L)', key)) AS error FROM bad_keys;
-- A bad key says nothing of the token, nor a good token of the key.
SELECT fernet_decrypt('no token', 'no key');

-- ttl.
SELECT fernet_decrypt(fernet_encrypt('fresh', :'key'), :'key', '10 minutes');
SELECT fernet_decrypt(fernet_encrypt('fresh', :'key'), :'key', '-1 month 31 days');
SELECT fernet_decrypt(:'token', :'key', '200000 years');
SELECT fernet_decrypt(:'token', :'key', '-1 s');
SELECT fernet_decrypt(:'token', :'key', '1 month -31 days');
SELECT fernet_decrypt(:'token', :'key', '178000000 years');

-- fernet_timestamp: unverified, to the ends of timestamptz and past them.
SELECT fernet_timestamp(regexp_replace(:'token', '.{10}$', 'AAAAAAAA==')) = fernet_timestamp(:'token') AS unverified;
SELECT fernet_timestamp('gAAAAAAAAAAAAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLIoB8f6TCXuz_6MqZrL97zRzmd2Hb4mnFsGOqTt1H2dXA==') AS zero,
    fernet_timestamp('gAAACGO0Mtn_AAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLs9D4DkT9svmJxJI_K7X4Ha_pzupNVeb31b4p_2JLoHQ==') AS last;
SELECT fernet_timestamp('gAAACAAAAAAAAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLJDyhwdkRUI5Pg3FOjFbaQioP4YUkO9Dd752J46t7F4AA==') AS far;
SELECT fernet_timestamp('gAAACGO0MtoAAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLIMRyq_uFSbCIQY4bSSY11jcJnMdlo7qhrJL406BukS3A==');
\set VERBOSITY sqlstate
SELECT fernet_timestamp('gH__________AAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLJ_SeUvRpEAlxG3jsZd93oFAJ1JKn3Ieg8s4VjWxylkCA==');
SELECT fernet_timestamp('gIAAAAAAAAAAAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLIGabEXf0smp5XApSChq9F-OoewnzhRUnOgvg1mGlShSQ==');
SELECT fernet_timestamp('gP__________AAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLKzZbl-yQSBnTVqvaMmzCAMSONBGqIRpqe8qU2JUFw0iw==');
SELECT fernet_timestamp('');
\set VERBOSITY default
SELECT fernet_timestamp('no token');
-- The moment is the same in every session.
SET TimeZone = 'Asia/Kolkata';
SELECT fernet_timestamp(:'token');

-- Under the server's own key ring, by itself (see capabilities for who may).
SELECT oauth_decrypt(oauth_encrypt('by itself')), fernet_decrypt(oauth_encrypt('plain Fernet'), :'key') AS with_any_library,
    oauth_decrypt(fernet_encrypt('from any library', :'key')) AS from_any_library;
SELECT oauth_encrypt(NULL) IS NULL AS nothing_to_encrypt, oauth_decrypt(NULL) IS NULL AS nothing_to_decrypt;
SELECT oauth_decrypt(token) FROM bad WHERE what = 'of another key';
SELECT count(DISTINCT pg_temp.error_of(format('SELECT oauth_decrypt(%L)', token))) AS messages FROM bad WHERE ttl IS NULL;
SELECT oauth_decrypt('gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy2t4fhiU-vAJ-SSAq9YH6Zc4RG7yofubl-J4zF5o9YtIfWG0-iwpSgZYPBAByquOQ==');
\set VERBOSITY sqlstate
SELECT oauth_encrypt('');
SELECT oauth_encrypt(repeat('x', 65536)) IS NOT NULL AS largest;
SELECT oauth_encrypt(repeat('x', 65537));
\set VERBOSITY default

DROP EXTENSION oauth_tokens;
