
-- Connecting an account: links, the browsers' attempts at them, and grants that
-- wait for the application's word. Tickets, states, browser secrets and codes
-- stand here as SHA-256 of their 43 characters; what must be read again is sealed
-- under keys of its own. All of it lives for minutes. The constraints hold what the
-- functions write, against whatever else writes here.

CREATE TABLE oauth_tokens_internal.sidecar_settings (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    public_url text NOT NULL CHECK (pg_catalog.octet_length(public_url) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(public_url) OPERATOR(pg_catalog.<=) 2048),
    flow_seconds integer NOT NULL CHECK (flow_seconds OPERATOR(pg_catalog.>=) 1 AND flow_seconds OPERATOR(pg_catalog.<=) 86400),
    return_to_origins text[] NOT NULL CHECK (pg_catalog.cardinality(return_to_origins) OPERATOR(pg_catalog.<=) 1000),
    providers text[] NOT NULL CHECK (pg_catalog.cardinality(providers) OPERATOR(pg_catalog.<=) 1000),
    published_at timestamptz NOT NULL
);
COMMENT ON TABLE oauth_tokens_internal.sidecar_settings IS
    'the settings that the sidecar has published; one row, no secret';

-- vanishes_at is later than expires_at if an attempt was opened late: a link that
-- accepts no more attempts still exists until its last one has ended.
CREATE TABLE oauth_tokens_internal.flow_links (
    ticket_hash bytea PRIMARY KEY CHECK (pg_catalog.octet_length(ticket_hash) OPERATOR(pg_catalog.=) 32),
    workspace_id uuid NOT NULL,
    provider text NOT NULL CHECK (pg_catalog.octet_length(provider) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(provider) OPERATOR(pg_catalog.<=) 255),
    actor_type text NOT NULL CHECK (pg_catalog.octet_length(actor_type) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(actor_type) OPERATOR(pg_catalog.<=) 63),
    actor_id text NOT NULL CHECK (pg_catalog.octet_length(actor_id) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(actor_id) OPERATOR(pg_catalog.<=) 1024),
    scopes text CHECK (pg_catalog.octet_length(scopes) OPERATOR(pg_catalog.>=) 0 AND pg_catalog.octet_length(scopes) OPERATOR(pg_catalog.<=) 4096),
    return_to text CHECK (pg_catalog.octet_length(return_to) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(return_to) OPERATOR(pg_catalog.<=) 2048),
    confirm boolean NOT NULL,
    attempt_seconds integer NOT NULL CHECK (attempt_seconds OPERATOR(pg_catalog.>=) 1 AND attempt_seconds OPERATOR(pg_catalog.<=) 600),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    vanishes_at timestamptz NOT NULL,
    -- a day at most, and then the last attempt at it and its exchange
    CHECK (expires_at OPERATOR(pg_catalog.<=) (created_at OPERATOR(pg_catalog.+) interval '86400 s')
        AND vanishes_at OPERATOR(pg_catalog.<=) (expires_at OPERATOR(pg_catalog.+) interval '720 s'))
);
CREATE INDEX flow_links_identity ON oauth_tokens_internal.flow_links
    (workspace_id, provider, actor_type, actor_id, created_at);
CREATE INDEX flow_links_vanishes_at ON oauth_tokens_internal.flow_links (vanishes_at);
COMMENT ON TABLE oauth_tokens_internal.flow_links IS
    'links of oauth_authorize_url(); a link is deleted in the transaction that stores the tokens';

CREATE TABLE oauth_tokens_internal.flow_attempts (
    state_hash bytea PRIMARY KEY CHECK (pg_catalog.octet_length(state_hash) OPERATOR(pg_catalog.=) 32),
    browser_hash bytea NOT NULL CHECK (pg_catalog.octet_length(browser_hash) OPERATOR(pg_catalog.=) 32),
    ticket_hash bytea NOT NULL CHECK (pg_catalog.octet_length(ticket_hash) OPERATOR(pg_catalog.=) 32) REFERENCES oauth_tokens_internal.flow_links ON DELETE CASCADE,
    issuer text CHECK (pg_catalog.octet_length(issuer) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(issuer) OPERATOR(pg_catalog.<=) 8192),
    token_endpoint text NOT NULL CHECK (pg_catalog.octet_length(token_endpoint) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(token_endpoint) OPERATOR(pg_catalog.<=) 8192),
    client_id text NOT NULL CHECK (pg_catalog.octet_length(client_id) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(client_id) OPERATOR(pg_catalog.<=) 8192),
    sealed text NOT NULL CHECK (pg_catalog.octet_length(sealed) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(sealed) OPERATOR(pg_catalog.<=) 1024),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CHECK (expires_at OPERATOR(pg_catalog.<=) (created_at OPERATOR(pg_catalog.+) interval '600 s'))
);
CREATE INDEX flow_attempts_ticket_hash ON oauth_tokens_internal.flow_attempts (ticket_hash);
CREATE INDEX flow_attempts_expires_at ON oauth_tokens_internal.flow_attempts (expires_at);
COMMENT ON TABLE oauth_tokens_internal.flow_attempts IS
    'attempts: browsers on their way through a provider; code verifier and nonce are sealed';

CREATE TABLE oauth_tokens_internal.flow_confirmations (
    flow_hash bytea PRIMARY KEY CHECK (pg_catalog.octet_length(flow_hash) OPERATOR(pg_catalog.=) 32),
    workspace_id uuid NOT NULL,
    provider text NOT NULL CHECK (pg_catalog.octet_length(provider) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(provider) OPERATOR(pg_catalog.<=) 255),
    actor_type text NOT NULL CHECK (pg_catalog.octet_length(actor_type) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(actor_type) OPERATOR(pg_catalog.<=) 63),
    actor_id text NOT NULL CHECK (pg_catalog.octet_length(actor_id) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(actor_id) OPERATOR(pg_catalog.<=) 1024),
    sealed text NOT NULL CHECK (pg_catalog.octet_length(sealed) OPERATOR(pg_catalog.>=) 1 AND pg_catalog.octet_length(sealed) OPERATOR(pg_catalog.<=) 1500000),
    expires_at timestamptz NOT NULL
);
CREATE INDEX flow_confirmations_expires_at ON oauth_tokens_internal.flow_confirmations (expires_at);
COMMENT ON TABLE oauth_tokens_internal.flow_confirmations IS
    'sealed grants that wait for oauth_flow_confirm()';

CREATE FUNCTION oauth_authorize_url(
    workspace_id uuid, provider text, actor_type text, actor_id text,
    scopes text DEFAULT NULL, return_to text DEFAULT NULL, confirm boolean DEFAULT NULL)
    RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
CREATE FUNCTION oauth_authorize_url(
    workspace_id uuid, provider text, actor_type anyenum, actor_id text,
    scopes text DEFAULT NULL, return_to text DEFAULT NULL, confirm boolean DEFAULT NULL)
    RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_authorize_url(uuid, text, text, text, text, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_authorize_url(uuid, text, anyenum, text, text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION oauth_authorize_url(uuid, text, text, text, text, text, boolean) IS
    'a link for a user''s browser, which connects an account of provider to this identity. It is valid for the sidecar''s OAUTH_STATE_TTL_SECONDS (600). At most 20 links of an identity are valid; older ones are deleted. NULL scopes ask for the configured ones. return_to is a path, or a URL on an allowed origin. With confirm (NULL: oauth_tokens.confirm_flows), the grant waits for oauth_flow_confirm(). Errors: OT001, OT002 key; OT004, OT005 table; OT008 provider over 255 or actor_id over 1,024 bytes; OT013 no public URL, or published settings that were changed; OT014 unknown provider; OT015 return_to, or confirm without one; 22004 null; 22023 unknown actor_type, bad provider name or scopes; 25006 read-only; 42501 a row security policy forbids to store this identity';
COMMENT ON FUNCTION oauth_authorize_url(uuid, text, anyenum, text, text, text, boolean) IS
    'the same for actor_type as an enum';

CREATE FUNCTION oauth_flow_confirm(
    workspace_id uuid, provider text, actor_type text, actor_id text, flow text) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
CREATE FUNCTION oauth_flow_confirm(
    workspace_id uuid, provider text, actor_type anyenum, actor_id text, flow text) RETURNS uuid
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME';
REVOKE ALL ON FUNCTION oauth_flow_confirm(uuid, text, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION oauth_flow_confirm(uuid, text, anyenum, text, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_flow_confirm(uuid, text, text, text, text) IS
    'stores the grant that waits for confirmation under flow, the one-time code that came to return_to as oauth_flow. Its link must have been made for this identity: pass the identity of your own session''s user. Returns the row''s id. Errors: OT001, OT002 key; OT004, OT005 table; OT012 unknown, used or expired code, or another identity (the flow then still waits); 22004 null; 22023 unknown actor_type; 25006 read-only';
COMMENT ON FUNCTION oauth_flow_confirm(uuid, text, anyenum, text, text) IS
    'the same for actor_type as an enum';

-- For the sidecar.

CREATE FUNCTION oauth_tokens_internal.publish_settings(
    public_url text, flow_ttl interval, return_to_origins text[], providers text[]) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_publish_settings';
REVOKE ALL ON FUNCTION oauth_tokens_internal.publish_settings(text, interval, text[], text[]) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.publish_settings(text, interval, text[], text[]) IS
    'publishes the sidecar''s settings for oauth_authorize_url(); providers are without labels. Writes only if something has changed. Errors: 22004 null; 22023 not a public URL, origin, provider name, or life of 1 s to 1 day';

CREATE FUNCTION oauth_tokens_internal.flow_begin(
    ticket_hash bytea, provider_in_path text, issuer text, token_endpoint text, client_id text)
    RETURNS TABLE (workspace_id uuid, provider text, actor_type text, actor_id text, scopes text,
        return_to text, confirm boolean, state text, browser_secret text, code_verifier text,
        nonce text, expires_in integer)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
    AS 'MODULE_PATHNAME', 'oauth_flow_begin';
REVOKE ALL ON FUNCTION oauth_tokens_internal.flow_begin(bytea, text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.flow_begin(bytea, text, text, text, text) IS
    'opens an attempt at the link whose ticket has this SHA-256, for this provider, with or without its label. No row if the link is used, expired, of another provider, or no longer among the newest 20 of its identity. A link has at most 5 attempts; the oldest is deleted. It lives for expires_in seconds. Errors: OT001, OT002 key; 22004 null (issuer may be)';

CREATE FUNCTION oauth_tokens_internal.flow_claim(
    state_hash bytea, browser_hash bytea, provider_in_path text)
    RETURNS TABLE (ticket_hash bytea, workspace_id uuid, provider text, actor_type text,
        actor_id text, scopes text, return_to text, confirm boolean, code_verifier text,
        nonce text, issuer text, token_endpoint text, client_id text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1
    AS 'MODULE_PATHNAME', 'oauth_flow_claim';
REVOKE ALL ON FUNCTION oauth_tokens_internal.flow_claim(bytea, bytea, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.flow_claim(bytea, bytea, text) IS
    'claims, and so deletes, the attempt with this state, browser secret (both as SHA-256) and provider (with or without its label). If one of them differs, or the attempt has expired, it returns no row and deletes nothing. Errors: OT001, OT002 key; 22004 null';

CREATE FUNCTION oauth_tokens_internal.flow_store(
    ticket_hash bytea, access_token text, refresh_token text, expires_in bigint, scopes text,
    details jsonb, OUT outcome text, OUT flow text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_flow_store';
REVOKE ALL ON FUNCTION oauth_tokens_internal.flow_store(bytea, text, text, bigint, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.flow_store(bytea, text, text, bigint, text, jsonb) IS
    'deletes the link, and replaces the whole grant of its identity (connected), or keeps the grant for oauth_flow_confirm() under a one-time code (confirm). Does nothing if the link has ended (expired). Errors: as oauth_store(), and OT007 a grant over 1 MiB';

CREATE FUNCTION oauth_tokens_internal.flow_purge() RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_flow_purge';
REVOKE ALL ON FUNCTION oauth_tokens_internal.flow_purge() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.flow_purge() IS
    'deletes links, attempts and confirmations of any identity that have expired and that nobody has locked, at most 5,000 of each in a call. Returns how many: call it again until it is fewer than 5,000';
