
-- The server's key ring by itself, for administrators: under row security it
-- would be an oracle for other tenants' rows.

CREATE FUNCTION oauth_encrypt(plaintext text) RETURNS text
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_encrypt(text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_encrypt(text) IS
    'the Fernet token of plaintext under the first key of the key ring. Errors: OT001, OT002 key; OT006 empty; OT007 over 65,536 bytes; 22021 not UTF-8; 55000 oauth_tokens.key_binding is bound';

CREATE FUNCTION oauth_encrypt(
    plaintext text, workspace_id uuid, provider text, actor_type text, actor_id text,
    "column" text) RETURNS text
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_encrypt_at';
CREATE FUNCTION oauth_encrypt(
    plaintext text, workspace_id uuid, provider text, actor_type anyenum, actor_id text,
    "column" text) RETURNS text
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_encrypt_at';
REVOKE ALL ON FUNCTION oauth_encrypt(text, uuid, text, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_encrypt(text, uuid, text, anyenum, text, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_encrypt(text, uuid, text, text, text, text) IS
    'the same for the row and column in which the value will be stored, sealed as oauth_tokens.key_binding says; column is encrypted_access_token or encrypted_refresh_token. Errors also: OT004, OT005 table; 22023 unknown actor_type or column';
COMMENT ON FUNCTION oauth_encrypt(text, uuid, text, anyenum, text, text) IS
    'the same for actor_type as an enum';

CREATE FUNCTION oauth_decrypt(token text) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_decrypt(text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_decrypt(text) IS
    'the plaintext of a Fernet token under any key of the key ring. Errors: OT001, OT002 key; OT003 no key opens it; OT010 the plaintext is not text; 55000 oauth_tokens.key_binding is bound; 42501 within a security-restricted operation';

CREATE FUNCTION oauth_decrypt(
    token text, workspace_id uuid, provider text, actor_type text, actor_id text,
    "column" text) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'oauth_decrypt_at';
CREATE FUNCTION oauth_decrypt(
    token text, workspace_id uuid, provider text, actor_type anyenum, actor_id text,
    "column" text) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'oauth_decrypt_at';
REVOKE ALL ON FUNCTION oauth_decrypt(text, uuid, text, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_decrypt(text, uuid, text, anyenum, text, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_decrypt(text, uuid, text, text, text, text) IS
    'the same for a value of this row and column, which errors name; column is encrypted_access_token or encrypted_refresh_token. Errors also: OT004, OT005 table; 22023 unknown actor_type or column';
COMMENT ON FUNCTION oauth_decrypt(text, uuid, text, anyenum, text, text) IS
    'the same for actor_type as an enum';
