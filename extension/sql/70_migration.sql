
-- The table, which is no member of the extension.

CREATE FUNCTION oauth_tokens_upgrade() RETURNS text
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_tokens_upgrade() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_upgrade() IS
    'makes the tables oauth_tokens and oauth_token_details in the extension''s schema, or adopts and repairs existing ones. Returns the revision. Errors: OT005 a table differs in a way that cannot be repaired safely; 42501 a table or enum belongs to a role that the caller is not a member of';

CREATE FUNCTION oauth_tokens_current() RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION oauth_tokens_current() IS
    'the revision of the tables, bb51836389e7 (head); null if they are missing or incomplete';

CREATE FUNCTION oauth_tokens_downgrade(discard_tokens boolean DEFAULT false) RETURNS text
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_tokens_downgrade(boolean) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_downgrade(boolean) IS
    'drops the tables, never the enum. Returns the revision before. Errors: OT011 tokens remain and discard_tokens is false; 42501 not the owner, or a row security policy hides rows';
