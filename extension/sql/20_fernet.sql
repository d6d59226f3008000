
-- Fernet with an explicit key (https://github.com/fernet/spec). What takes a
-- secret is PARALLEL UNSAFE: a parallel worker publishes the statement's text.

CREATE FUNCTION fernet_generate_key() RETURNS text
    LANGUAGE c VOLATILE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION fernet_generate_key() IS
    'a new Fernet key from the private random generator: 44 characters of base64url';

CREATE FUNCTION fernet_encrypt(plaintext text, key text) RETURNS text
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION fernet_encrypt(text, text) IS
    'the Fernet token of plaintext (as UTF-8) under a key of 44 characters. Errors: OT002 the key is malformed';

CREATE FUNCTION fernet_decrypt(token text, key text, ttl interval DEFAULT NULL) RETURNS text
    LANGUAGE c STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION fernet_decrypt(text, text, interval) IS
    'the plaintext of a Fernet token. With ttl (a day is 24 hours, a month 30 days), a token that is older, or more than 60 seconds in the future, is refused. Errors: OT002 the key is malformed, OT003 the token is damaged, expired or of another key (one message for all), OT010 the plaintext is not text of this database';

CREATE FUNCTION fernet_timestamp(token text) RETURNS timestamptz
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION fernet_timestamp(text) IS
    'the time at which a Fernet token says that it was made, to the second. It is not verified, and needs no key. Errors: OT003 not a Fernet token, 22008 it is out of timestamptz''s range';
