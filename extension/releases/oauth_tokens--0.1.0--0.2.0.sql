\echo Use "ALTER EXTENSION oauth_tokens UPDATE" to load this file. \quit

-- A server runs the library that it has loaded until it is restarted, whatever was installed
-- since. That of 0.1.0 has no such function, and must not run what follows.

CREATE FUNCTION oauth_tokens_internal.require_library(version text) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_require_library';
REVOKE ALL ON FUNCTION oauth_tokens_internal.require_library(text) FROM PUBLIC;
SELECT oauth_tokens_internal.require_library('0.2.0'::text);
DROP FUNCTION oauth_tokens_internal.require_library(text);

-- Objects that exist keep what was granted on them if they are replaced (CREATE OR REPLACE), and
-- are neither granted nor revoked here: pg_dump would then take what users granted for ours. What
-- is made here has no grants yet; oauth_tokens_upgrade() names each role that needs some.

-- What default privileges of this database would give away of what was made here.

CREATE FUNCTION oauth_tokens_internal.revoke_default_privileges() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_revoke_default_privileges';
REVOKE ALL ON FUNCTION oauth_tokens_internal.revoke_default_privileges() FROM PUBLIC;
SELECT oauth_tokens_internal.revoke_default_privileges();
DROP FUNCTION oauth_tokens_internal.revoke_default_privileges();
