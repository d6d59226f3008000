
-- A token that lives long enough, by a call that waits for a sidecar's refresh.
-- docs/refresh-requests.md says how caller, sidecar and commit meet.

CREATE FUNCTION oauth_fresh_access_token(
    workspace_id uuid, provider text, actor_type text, actor_id text,
    min_ttl interval DEFAULT '60 s', timeout interval DEFAULT '15 s') RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE COST 100
    AS 'MODULE_PATHNAME';
CREATE FUNCTION oauth_fresh_access_token(
    workspace_id uuid, provider text, actor_type anyenum, actor_id text,
    min_ttl interval DEFAULT '60 s', timeout interval DEFAULT '15 s') RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE COST 100
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_fresh_access_token(uuid, text, text, text, interval, interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_fresh_access_token(uuid, text, anyenum, text, interval, interval) FROM PUBLIC;
COMMENT ON FUNCTION oauth_fresh_access_token(uuid, text, text, text, interval, interval) IS
    'the access token: the stored one if it is valid for min_ttl from now (by the clock; an unknown expiry satisfies every min_ttl), otherwise the one that a sidecar''s refresh stores within timeout, even if its life is shorter. NULL if there is none that the caller may see. Holds no lock while it waits. Errors: those of oauth_get; OT019 needs reauthorization; OT020 no refresh token; OT021 no sidecar is listening; OT022 not refreshed in time (oauth_access_token returns the stored one); 22004 null; 22023 min_ttl or timeout is negative; and, if a refresh is needed: 25001 above READ COMMITTED, or the transaction has itself changed or locked the row; 25006 on a standby; 55000 without shared_preload_libraries';
COMMENT ON FUNCTION oauth_fresh_access_token(uuid, text, anyenum, text, interval, interval) IS
    'the same for actor_type as an enum';

CREATE FUNCTION oauth_tokens_internal.refresh_requests_wait(
    timeout interval DEFAULT '1 s',
    OUT workspace_id uuid, OUT provider text, OUT actor_type text, OUT actor_id text,
    OUT min_ttl interval)
    RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10
    AS 'MODULE_PATHNAME', 'oauth_refresh_requests_wait';
REVOKE ALL ON FUNCTION oauth_tokens_internal.refresh_requests_wait(interval) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.refresh_requests_wait(interval) IS
    'takes the requests of callers of oauth_fresh_access_token() in this database, of all identities, regardless of policies. Sleeps until there is one, for at most timeout and 1 s. Call it again at once: a session counts as listening for 3 s after a call, and requests of a silent one are offered again. Errors: 22004 null; 22008, 22023 timeout is out of range or negative; 25006 on a standby; 53400 more than 64 sessions of the database listen; 55000 without shared_preload_libraries';

CREATE FUNCTION oauth_tokens_internal.refresh_request_done(
    workspace_id uuid, provider text, actor_type text, actor_id text,
    outcome text, reason text DEFAULT NULL) RETURNS boolean
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_refresh_request_done';
REVOKE ALL ON FUNCTION oauth_tokens_internal.refresh_request_done(uuid, text, text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.refresh_request_done(uuid, text, text, text, text, text) IS
    'tells the callers that wait for this token that no commit follows. Returns whether any caller waits. outcome, as of oauth_refresh_begin(): fresh (they get the stored token), needs_reauthorization (OT019), no_refresh_token (OT020), backoff or not_connected (OT022). reason is cut at 500 bytes. Errors: OT004, OT005 table; 22004 null; 22023 unknown outcome or actor_type; 25006 on a standby; 55000 without shared_preload_libraries';
