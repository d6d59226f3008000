
-- Refreshing a token (docs/design/refresh.md): who refreshes is decided here, and no transaction
-- stays open while the provider is asked. Nobody has rights on these tables but to
-- dump them: the functions below work on them as the extension's owner, after the
-- caller's own rights and policies have let it lock the token's row.

-- Which database this is: a copy of it must not spend the refresh tokens of the
-- original. Dumped, so that the copy knows whose it was.
CREATE TABLE oauth_tokens_internal.cluster (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    id text NOT NULL,
    adopted_at timestamptz NOT NULL
);
COMMENT ON TABLE oauth_tokens_internal.cluster IS
    'the system identifier and database oid under which tokens are refreshed; one row';

-- What is said of a token beside its row; none for a healthy one. It tells of the refresh
-- token with this digest (refresh_token_digest.hpp). For oauth_connections, which opens
-- nothing, a row that was changed since tells of another.
CREATE TABLE oauth_tokens_internal.refresh_states (
    token_id uuid PRIMARY KEY,
    refresh_token_digest bytea NOT NULL,
    token_updated_at timestamptz NOT NULL,
    lease_until timestamptz,
    failures integer NOT NULL DEFAULT 0,
    kind text CHECK (kind OPERATOR(pg_catalog.=) ANY ('{transient,no_answer,dead_grant,needs_interaction,client_config,not_sent}')),
    reason text CHECK (pg_catalog.octet_length(reason) OPERATOR(pg_catalog.<=) 600),
    since timestamptz,
    next_attempt_at timestamptz
);
COMMENT ON TABLE oauth_tokens_internal.refresh_states IS
    'tokens that are being refreshed, or whose refresh failed: kind and reason of the last failure, since when, and when the next attempt may be made';

CREATE FUNCTION oauth_tokens_internal.sees_token_id(token_id uuid) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 1000
    AS 'MODULE_PATHNAME', 'oauth_sees_token_id';
REVOKE ALL ON FUNCTION oauth_tokens_internal.sees_token_id(uuid) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.sees_token_id(uuid) IS
    'whether the row security policies of oauth_tokens show the caller the row with this id; true if none apply';

CREATE VIEW oauth_tokens_internal.visible_refresh_states WITH (security_barrier) AS
    SELECT token_id, token_updated_at, lease_until, kind, reason, since, next_attempt_at
    FROM oauth_tokens_internal.refresh_states
    WHERE oauth_tokens_internal.sees_token_id(token_id);
COMMENT ON VIEW oauth_tokens_internal.visible_refresh_states IS
    'refresh_states of the tokens that the caller may see, for oauth_connections';

-- One row an attempt that is under way, or whose outcome nobody knows. It ends with
-- the commit of any attempt at the same token. The identity is that of its begin.
CREATE SEQUENCE oauth_tokens_internal.refresh_fences;
COMMENT ON SEQUENCE oauth_tokens_internal.refresh_fences IS 'numbers attempts; a later one has a greater fence';
CREATE TABLE oauth_tokens_internal.refresh_attempts (
    fence bigint PRIMARY KEY,
    token_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    provider text NOT NULL,
    actor_type text NOT NULL,
    actor_id text NOT NULL,
    access_token_digest bytea NOT NULL,
    refresh_token_digest bytea NOT NULL,
    sealed text NOT NULL CHECK (pg_catalog.octet_length(sealed) OPERATOR(pg_catalog.<=) 1024),
    stored_over boolean NOT NULL DEFAULT false,
    began_at timestamptz NOT NULL,
    lease_until timestamptz NOT NULL,
    account_id text,
    issuer text,
    client_id text
);
CREATE INDEX refresh_attempts_token_id ON oauth_tokens_internal.refresh_attempts (token_id);
COMMENT ON TABLE oauth_tokens_internal.refresh_attempts IS
    'attempts to refresh a token; the key of their spool file is sealed. stored_over: oauth_store() was called since. account_id, issuer, client_id: whose grant it is, in case the token is deleted meanwhile';

-- Of each client at a provider: whether its refreshes succeed (a circuit breaker), and
-- whether its refresh tokens rotate.
CREATE TABLE oauth_tokens_internal.refresh_clients (
    provider text,
    client_id text,
    failures integer NOT NULL DEFAULT 0,
    dead_grants integer NOT NULL DEFAULT 0,
    pauses integer NOT NULL DEFAULT 0,
    paused_until timestamptz,
    reason text,
    rotates boolean,
    credit double precision,
    credit_at timestamptz,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (provider, client_id)
);
COMMENT ON TABLE oauth_tokens_internal.refresh_clients IS
    'for each client, how many refreshes failed since the last success, until when it is paused, and how many refreshes ahead of time could begin at once (credit, at credit_at). provider is without label; client_id is empty if the details name none';

CREATE TABLE oauth_tokens_internal.refresh_rules (
    provider text PRIMARY KEY,
    rotation text NOT NULL,
    kills_access boolean NOT NULL,
    ahead interval NOT NULL,
    keep_alive interval NOT NULL,
    per_second double precision NOT NULL
);
COMMENT ON TABLE oauth_tokens_internal.refresh_rules IS
    'what the sidecar has published about each provider: how its refresh tokens rotate, when to refresh ahead of time (0: never), and how many refreshes a second for each client';

-- A look at what is due reads a few rows, and the next look goes on behind them: among
-- those that wait, and among those that come to be due.
CREATE TABLE oauth_tokens_internal.refresh_scans (
    provider text,
    kind text,
    waiting_time timestamptz,
    waiting_id uuid,
    recent_time timestamptz,
    recent_id uuid,
    PRIMARY KEY (provider, kind)
);
COMMENT ON TABLE oauth_tokens_internal.refresh_scans IS
    'where refresh_due() continues; kind: access (by the expiry of access tokens) or grant';

-- Of a client with tokens that are due and could not be handed out yet: behind which place
-- they begin, and where they go on if few are found there. So they wait for their own client
-- alone, and keep their order.
CREATE TABLE oauth_tokens_internal.refresh_places (
    provider text,
    client_id text,
    kind text,
    time timestamptz NOT NULL,
    id uuid NOT NULL,
    resume_time timestamptz,
    resume_id uuid,
    served_at timestamptz NOT NULL,
    PRIMARY KEY (provider, client_id, kind)
);
COMMENT ON TABLE oauth_tokens_internal.refresh_places IS
    'where the backlog of a client begins; kind as in refresh_scans';

SELECT pg_catalog.pg_extension_config_dump('oauth_tokens_internal.cluster', '');
SELECT pg_catalog.pg_extension_config_dump('oauth_tokens_internal.refresh_states', '');
SELECT pg_catalog.pg_extension_config_dump('oauth_tokens_internal.refresh_fences', '');
SELECT pg_catalog.pg_extension_config_dump('oauth_tokens_internal.refresh_attempts', '');
SELECT pg_catalog.pg_extension_config_dump('oauth_tokens_internal.refresh_clients', '');
SELECT pg_catalog.pg_extension_config_dump('oauth_tokens_internal.refresh_rules', '');

CREATE FUNCTION oauth_refresh_begin(
    workspace_id uuid, provider text, actor_type text, actor_id text,
    min_ttl interval DEFAULT '120 s', lease interval DEFAULT '60 s',
    force boolean DEFAULT false, if_token_sha256 bytea DEFAULT NULL,
    OUT outcome text, OUT fence bigint, OUT refresh_token text, OUT scopes text,
    OUT details jsonb, OUT spool_key text, OUT in_doubt boolean, OUT retry_at timestamptz,
    OUT reason text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
CREATE FUNCTION oauth_refresh_begin(
    workspace_id uuid, provider text, actor_type anyenum, actor_id text,
    min_ttl interval DEFAULT '120 s', lease interval DEFAULT '60 s',
    force boolean DEFAULT false, if_token_sha256 bytea DEFAULT NULL,
    OUT outcome text, OUT fence bigint, OUT refresh_token text, OUT scopes text,
    OUT details jsonb, OUT spool_key text, OUT in_doubt boolean, OUT retry_at timestamptz,
    OUT reason text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_refresh_begin(uuid, text, text, text, interval, interval, boolean, bytea) FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_refresh_begin(uuid, text, anyenum, text, interval, interval, boolean, bytea) FROM PUBLIC;
COMMENT ON FUNCTION oauth_refresh_begin(uuid, text, text, text, interval, interval, boolean, bytea) IS
    'asks whether the caller should refresh this token now. outcome: granted (ask the provider, then call oauth_refresh_commit() or oauth_refresh_fail() with this fence; the lease ends at retry_at, so do not ask if the answer could come later; pass a lease of the longest time that the provider may take, and more than half a minute), fresh (it is valid for min_ttl, or valid and in the first half of its life), busy (another caller refreshes it, or an attempt is in_doubt; try again at retry_at), backoff (until retry_at, for reason), no_refresh_token, needs_reauthorization (for reason; the next attempt is at retry_at), not_connected. spool_key is a Fernet key of this attempt: keep the provider''s answer under it, for oauth_refresh_replay(). With force, a valid token is also refreshed; with if_token_sha256, only if that is the SHA-256 of the stored access token. Call it in a transaction of its own. Errors: OT001, OT002 key; OT003 a value that no key opens; OT004, OT005 table; OT017 another cluster''s copy; 22004 null; 22023 unknown actor_type, negative min_ttl, lease of 0 or over an hour; 25006 read-only';
COMMENT ON FUNCTION oauth_refresh_begin(uuid, text, anyenum, text, interval, interval, boolean, bytea) IS
    'the same for actor_type as an enum';

CREATE FUNCTION oauth_refresh_commit(
    workspace_id uuid, provider text, actor_type text, actor_id text, fence bigint,
    access_token text, refresh_token text DEFAULT NULL, expires_in bigint DEFAULT NULL,
    scopes text DEFAULT NULL, details jsonb DEFAULT NULL) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
CREATE FUNCTION oauth_refresh_commit(
    workspace_id uuid, provider text, actor_type anyenum, actor_id text, fence bigint,
    access_token text, refresh_token text DEFAULT NULL, expires_in bigint DEFAULT NULL,
    scopes text DEFAULT NULL, details jsonb DEFAULT NULL) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_refresh_commit(uuid, text, text, text, bigint, text, text, bigint, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_refresh_commit(uuid, text, anyenum, text, bigint, text, text, bigint, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION oauth_refresh_commit(uuid, text, text, text, bigint, text, text, bigint, text, jsonb) IS
    'stores the provider''s answer: committed (also for a repeat), superseded (nothing is stored, because the row has other tokens by now, or a later attempt has begun), deleted (the row is gone). NULL refresh_token, scopes and details keep the stored ones. Members of details replace those of the same name. expires_in is in seconds from now; NULL is unknown. Errors: as oauth_store(), and 22004 null identity, fence or access_token; 40001 the attempt is newer than the transaction''s snapshot: try again in a new one';
COMMENT ON FUNCTION oauth_refresh_commit(uuid, text, anyenum, text, bigint, text, text, bigint, text, jsonb) IS
    'the same for actor_type as an enum';

CREATE FUNCTION oauth_refresh_fail(
    workspace_id uuid, provider text, actor_type text, actor_id text, fence bigint,
    kind text, detail text DEFAULT NULL, retry_after interval DEFAULT NULL) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
CREATE FUNCTION oauth_refresh_fail(
    workspace_id uuid, provider text, actor_type anyenum, actor_id text, fence bigint,
    kind text, detail text DEFAULT NULL, retry_after interval DEFAULT NULL) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_refresh_fail(uuid, text, text, text, bigint, text, text, interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_refresh_fail(uuid, text, anyenum, text, bigint, text, text, interval) FROM PUBLIC;
COMMENT ON FUNCTION oauth_refresh_fail(uuid, text, text, text, bigint, text, text, interval) IS
    'reports that an attempt failed. Returns the state that follows, backing_off or needs_reauthorization, or superseded. kind: transient (network, 5xx, 408, 425, 429: try again later), no_answer (the request was sent, and no answer came: the provider may have refreshed), dead_grant (invalid_grant), needs_interaction (the user must do something), client_config (invalid_client, unauthorized_client: pauses this client, touches no token), not_sent (nothing was sent, for a reason of the caller''s own: the token waits for some seconds). Under row security, a caller''s report about a client counts only if it has the capability sidecar; otherwise client_config concerns only this token. detail is what the provider said, without secrets; it is cut to 500 bytes. Errors: OT001 to OT005; 22004 null; 22023 unknown actor_type or kind, negative retry_after; 25006 read-only; 40001 as oauth_refresh_commit()';
COMMENT ON FUNCTION oauth_refresh_fail(uuid, text, anyenum, text, bigint, text, text, interval) IS
    'the same for actor_type as an enum';

CREATE FUNCTION oauth_refresh_replay(
    workspace_id uuid, provider text, actor_type text, actor_id text, fence bigint, sealed text)
    RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
CREATE FUNCTION oauth_refresh_replay(
    workspace_id uuid, provider text, actor_type anyenum, actor_id text, fence bigint, sealed text)
    RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_refresh_replay(uuid, text, text, text, bigint, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_refresh_replay(uuid, text, anyenum, text, bigint, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_refresh_replay(uuid, text, text, text, bigint, text) IS
    'stores an answer that was kept under the attempt''s spool_key, if the row still has the refresh token that was spent: committed, superseded (it has not, or the attempt has ended: the file is no longer needed), deleted (the row is gone), busy (a later attempt is under way: try again). sealed is a Fernet token of the JSON object {"access_token", "refresh_token", "expires_at" (seconds since 1970 UTC), "scopes", "details"}; only the first is required. Errors: as oauth_refresh_commit(), and OT018 it does not open with this attempt''s key, or is another object';
COMMENT ON FUNCTION oauth_refresh_replay(uuid, text, anyenum, text, bigint, text) IS
    'the same for actor_type as an enum';

CREATE FUNCTION oauth_tokens_adopt_cluster() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_tokens_adopt_cluster() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_adopt_cluster() IS
    'declares that this database refreshes and revokes its tokens, and no copy of it does. Needed after a restore and after pg_upgrade. Errors: 25006 read-only';

CREATE FUNCTION oauth_tokens_internal.cluster(OUT id text, OUT adopted boolean)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'oauth_cluster';
REVOKE ALL ON FUNCTION oauth_tokens_internal.cluster() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.cluster() IS
    'the system identifier and oid of this database, and whether tokens are refreshed in it';

CREATE FUNCTION oauth_tokens_internal.publish_refresh_rules(rules jsonb) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_publish_refresh_rules';
REVOKE ALL ON FUNCTION oauth_tokens_internal.publish_refresh_rules(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.publish_refresh_rules(jsonb) IS
    'publishes, for oauth_refresh_begin(), the rules of each provider, by name without label, {"rotation": none, strict, until_used, grace:<seconds> or auto, "refresh_kills_access": boolean, "refresh_ahead", "keep_alive": seconds, "refreshes_per_second": number}; each may be missing. Replaces all earlier rules. Errors: 22004 null; 22023 not such an object';

CREATE FUNCTION oauth_tokens_internal.refresh_purge() RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_refresh_purge';
REVOKE ALL ON FUNCTION oauth_tokens_internal.refresh_purge() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.refresh_purge() IS
    'deletes states and attempts of tokens that are gone, and clients without recent reports, at most 5,000 rows of each table in a call. Returns how many. Does nothing if row security applies to the caller';

-- Refreshes that nobody asks for. The indexes cost with each store, so they are there
-- only if somebody wants them.

CREATE FUNCTION oauth_tokens_enable_background_refresh() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
CREATE FUNCTION oauth_tokens_disable_background_refresh() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_tokens_enable_background_refresh() FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_tokens_disable_background_refresh() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_enable_background_refresh() IS
    'makes the partial indexes idx_oauth_tokens_refresh and idx_oauth_token_details_refresh, by which sidecars find the tokens to refresh ahead of time, for providers with refresh_ahead or keep_alive. Stores wait meanwhile. Errors: OT004, OT005 table; 25006 read-only; 42501 not the owner of the tables';
COMMENT ON FUNCTION oauth_tokens_disable_background_refresh() IS
    'drops these indexes: tokens are then refreshed only when somebody asks for them. Errors: as oauth_tokens_enable_background_refresh()';

CREATE FUNCTION oauth_tokens_internal.refresh_due(
    max_rows bigint, providers text[] DEFAULT NULL)
    RETURNS TABLE (workspace_id uuid, provider text, actor_type text, actor_id text,
        min_ttl interval, force boolean)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_refresh_due';
REVOKE ALL ON FUNCTION oauth_tokens_internal.refresh_due(bigint, text[]) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.refresh_due(bigint, text[]) IS
    'returns tokens to refresh ahead of time now, of these providers (without label; NULL: of all), soonest expiry first, and no more than the rate of their clients allows. Call oauth_refresh_begin() for each of them at once, with this min_ttl and force. None if the indexes are missing, if row security applies to the caller, or while another session searches. Errors: OT004, OT005 table; OT017 another cluster''s copy; 22004 null max_rows; 22023 negative; 25006 read-only';

CREATE FUNCTION oauth_tokens_internal.refresh_backlog()
    RETURNS TABLE (provider text, due bigint, oldest timestamptz, paused_until timestamptz,
        in_doubt bigint)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_refresh_backlog';
REVOKE ALL ON FUNCTION oauth_tokens_internal.refresh_backlog() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.refresh_backlog() IS
    'for each provider that has a rule: how many tokens are due (it counts up to 100,000), the expiry of the oldest of them, the end of the longest pause of its clients, and for how many tokens the last attempt is in doubt. For metrics: it reads all of them';
