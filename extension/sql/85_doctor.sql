
-- What is wrong with this database.

CREATE FUNCTION oauth_doctor()
    RETURNS TABLE (item text, status text, detail text, hint text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_doctor() FROM PUBLIC;
COMMENT ON FUNCTION oauth_doctor() IS
    'what is wrong with keys, log, tables, rights and daemons, errors first: status is error, warning or ok; detail says what was found; hint says what to do about it, and is null if there is nothing to do. It changes nothing, shows no secret, and works on a standby and before the migration. It reads the whole table if the caller has the capability admin. A check that fails is a finding. Errors: none of its own';
