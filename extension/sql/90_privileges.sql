
-- What default privileges of this database would give away.

CREATE FUNCTION oauth_tokens_internal.revoke_default_privileges() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_revoke_default_privileges';
REVOKE ALL ON FUNCTION oauth_tokens_internal.revoke_default_privileges() FROM PUBLIC;
SELECT oauth_tokens_internal.revoke_default_privileges();
DROP FUNCTION oauth_tokens_internal.revoke_default_privileges();
