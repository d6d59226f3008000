
-- Revoking a grant at its provider (RFC 7009): what was deleted waits here for the
-- sidecar, which calls the provider in the background. Nobody has rights on the table but
-- to dump it: the functions below work on it as the extension's owner. The ciphertexts
-- are those of the token's row, as they were there: they open for its identity.

CREATE TABLE oauth_tokens_internal.oauth_revocations (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    provider text NOT NULL,
    actor_type text NOT NULL,
    actor_id text NOT NULL,
    client_id text,
    issuer text,
    account_id text,
    unless_shared boolean NOT NULL,
    encrypted_refresh_token text,
    encrypted_access_token text,
    created_at timestamptz NOT NULL,
    next_attempt_at timestamptz NOT NULL,
    give_up_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    reason text CHECK (pg_catalog.octet_length(reason) OPERATOR(pg_catalog.<=) 500),
    CHECK (encrypted_refresh_token IS NOT NULL OR encrypted_access_token IS NOT NULL)
);
ALTER TABLE oauth_tokens_internal.oauth_revocations
    ALTER COLUMN encrypted_refresh_token SET STORAGE EXTERNAL,
    ALTER COLUMN encrypted_access_token SET STORAGE EXTERNAL;
CREATE INDEX oauth_revocations_next_attempt_at ON oauth_tokens_internal.oauth_revocations (next_attempt_at);
COMMENT ON TABLE oauth_tokens_internal.oauth_revocations IS
    'deleted grants that wait to be revoked at their provider. While one is being revoked, next_attempt_at is the end of the lease. give_up_at is a day after the first attempt; reason is that of the last failure. unless_shared: not while another token is of the same provider, client and account';
SELECT pg_catalog.pg_extension_config_dump('oauth_tokens_internal.oauth_revocations', '');

CREATE FUNCTION oauth_tokens_internal.delete_token(
    workspace_id uuid, provider text, actor_type text, actor_id text, revoke text,
    OUT deleted boolean, OUT revocation text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_delete_token';
REVOKE ALL ON FUNCTION oauth_tokens_internal.delete_token(uuid, text, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.delete_token(uuid, text, text, text, text) IS
    'oauth_delete() for the API. revoke is always, never, or auto, which does not revoke while the caller sees another token of the same provider, client and account. revocation: queued or skipped. Errors: as oauth_delete(), and 22023 another revoke';

CREATE FUNCTION oauth_tokens_internal.revocations_claim(
    max_rows bigint, lease interval, providers text[] DEFAULT NULL,
    OUT id uuid, OUT provider text, OUT client_id text, OUT issuer text, OUT refresh_token text,
    OUT access_token text, OUT shared boolean, OUT attempts integer)
    RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10
    AS 'MODULE_PATHNAME', 'oauth_revocations_claim';
REVOKE ALL ON FUNCTION oauth_tokens_internal.revocations_claim(bigint, interval, text[]) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.revocations_claim(bigint, interval, text[]) IS
    'claims up to max_rows grants to revoke now; no other caller gets them until lease has ended. Those of providers (without label; null: of all), and those of others that nobody has claimed for a day, of identities that row security lets the caller store. shared: it must not be revoked, because another token is of the same account by now. Both tokens null: no key of the ring opens them. Errors: OT001, OT002 key; OT005 table; OT017 another cluster''s copy; 22004 null; 22023 negative max_rows or lease; 25006 read-only';

CREATE FUNCTION oauth_tokens_internal.revocation_done(
    id uuid, outcome text, reason text DEFAULT NULL, retry_after interval DEFAULT NULL) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'oauth_revocation_done';
REVOKE ALL ON FUNCTION oauth_tokens_internal.revocation_done(uuid, text, text, interval) FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.revocation_done(uuid, text, text, interval) IS
    'ends an attempt. outcome done: the row is deleted. retry: another attempt follows after 1 s, then twice as long each time, up to 1 h, or after retry_after if that is longer; after a day the row is deleted. reason is stored (500 bytes, no secret). Returns done, retry or given_up; null if the row is gone. Errors: 22004 null id or outcome; 22023 another outcome, or negative retry_after; 25006 read-only';

CREATE FUNCTION oauth_tokens_internal.revocations_waiting() RETURNS bigint
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'oauth_revocations_waiting';
REVOKE ALL ON FUNCTION oauth_tokens_internal.revocations_waiting() FROM PUBLIC;
COMMENT ON FUNCTION oauth_tokens_internal.revocations_waiting() IS
    'how many deleted grants wait to be revoked, of all identities';
