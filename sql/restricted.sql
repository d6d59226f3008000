-- E4: no DDL that keeps what a query returns may keep a token in clear. Each
-- fails, and leaves nothing.

\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
SELECT oauth_tokens_upgrade() AS revision \gset
RESET client_min_messages;
\set w '11111111-1111-4111-8111-111111111111'
\set key 'cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4='
SELECT count(oauth_store(:'w', 'google', 'user', 'user ' || n, 'sentinel ' || n, 'sentinel')) FROM generate_series(1, 100) n;

-- Not immutable, and so refused at once.
\set VERBOSITY sqlstate
CREATE INDEX leak ON oauth_tokens (oauth_decrypt(encrypted_access_token));
CREATE INDEX leak ON oauth_tokens (oauth_decrypt(encrypted_access_token, workspace_id, provider, actor_type, actor_id, 'encrypted_access_token'));
CREATE INDEX leak ON oauth_tokens (actor_id) WHERE oauth_decrypt(encrypted_access_token) ~ 'sentinel';
CREATE INDEX leak ON oauth_tokens (fernet_decrypt(encrypted_access_token, 'cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4='));
CREATE INDEX leak ON oauth_tokens (oauth_access_token(workspace_id, provider, actor_type, actor_id));
ALTER TABLE oauth_tokens ADD COLUMN leak text GENERATED ALWAYS AS (oauth_decrypt(encrypted_access_token)) STORED;
ALTER TABLE oauth_tokens ADD COLUMN leak text GENERATED ALWAYS AS (oauth_access_token(workspace_id, provider, actor_type, actor_id)) STORED;
\set VERBOSITY default

-- By a wrapper that claims to be immutable. Its names are qualified: from PostgreSQL 17
-- on, an index is built with a search_path that has no public.
CREATE FUNCTION opened(token text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT public.oauth_decrypt(token) $$;
CREATE FUNCTION opened_at(w uuid, p text, t text, a text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN public.oauth_access_token(w, p, t, a); END $$;
CREATE FUNCTION got(w uuid, p text, t text, a text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT access_token FROM public.oauth_get(w, p, t, a) $$;
CREATE FUNCTION opened_by_key(token text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT public.fernet_decrypt(token, 'cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=') $$;
CREATE INDEX leak ON oauth_tokens (opened(encrypted_access_token));
\set VERBOSITY sqlstate
CREATE INDEX leak ON oauth_tokens (actor_id) WHERE opened(encrypted_access_token) ~ 'sentinel';
CREATE INDEX leak ON oauth_tokens (opened_at(workspace_id, provider, 'user', actor_id));
CREATE INDEX leak ON oauth_tokens (got(workspace_id, provider, 'user', actor_id));
CREATE INDEX leak ON oauth_tokens (opened_by_key(encrypted_access_token));
CREATE INDEX CONCURRENTLY leak ON oauth_tokens (opened(encrypted_access_token));
DROP INDEX leak;
CREATE UNIQUE INDEX leak ON oauth_tokens (opened(encrypted_access_token));

-- Materialized views.
CREATE MATERIALIZED VIEW leak AS SELECT * FROM oauth_tokens_decrypted;
CREATE MATERIALIZED VIEW leak AS SELECT g.* FROM oauth_tokens t, oauth_get(t.workspace_id, t.provider, t.actor_type, t.actor_id) g;
CREATE MATERIALIZED VIEW leak AS SELECT oauth_access_token(workspace_id, provider, actor_type, actor_id) FROM oauth_tokens;
CREATE MATERIALIZED VIEW leak AS SELECT oauth_decrypt(encrypted_refresh_token) FROM oauth_tokens;
CREATE MATERIALIZED VIEW leak AS SELECT fernet_decrypt(encrypted_refresh_token, 'cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=') FROM oauth_tokens;
CREATE MATERIALIZED VIEW leak AS SELECT * FROM oauth_tokens_decrypted WITH NO DATA;
REFRESH MATERIALIZED VIEW leak;
SELECT * FROM leak;
DROP MATERIALIZED VIEW leak;
\set VERBOSITY default

-- Statistics take any volatility, and are gathered by ANALYZE.
CREATE STATISTICS leak ON oauth_decrypt(encrypted_access_token), actor_id FROM oauth_tokens;
ANALYZE oauth_tokens;
DROP STATISTICS leak;
\set VERBOSITY sqlstate
CREATE STATISTICS leak ON (oauth_access_token(workspace_id, provider, actor_type, actor_id)) FROM oauth_tokens;
ANALYZE oauth_tokens;
VACUUM (ANALYZE) oauth_tokens;
DROP STATISTICS leak;
CREATE STATISTICS leak ON (opened(encrypted_access_token)) FROM oauth_tokens;
ANALYZE oauth_tokens;
DROP STATISTICS leak;
CREATE STATISTICS leak ON (fernet_decrypt(encrypted_access_token, 'cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=')) FROM oauth_tokens;
ANALYZE oauth_tokens;
DROP STATISTICS leak;
\set VERBOSITY default
ANALYZE oauth_tokens;
SELECT count(*) > 0 AS other_statistics FROM pg_stats WHERE tablename = 'oauth_tokens';

-- What has nothing to do with a secret goes on as before.
CREATE INDEX stamp ON oauth_tokens (fernet_timestamp(encrypted_access_token));
CREATE MATERIALIZED VIEW connected AS SELECT * FROM oauth_connections;
SELECT count(*) FROM connected;
REINDEX TABLE oauth_tokens;
CLUSTER oauth_tokens USING oauth_tokens_pkey;
VACUUM FULL oauth_tokens;
SELECT oauth_store(:'w', 'google', 'user', 'user 1', 'after') IS NOT NULL AS stored;
DROP MATERIALIZED VIEW connected;
DROP INDEX stamp;

-- Nothing is left, and no statistics hold a token.
SELECT count(*) FROM pg_class WHERE relname ~ 'leak';
SELECT count(*) FROM pg_statistic_ext WHERE stxname ~ 'leak';
SELECT count(*) FROM pg_attribute WHERE attname = 'leak';
SELECT count(*) FROM pg_stats s WHERE s::text ~ 'sentinel';
SELECT access_token FROM oauth_get(:'w', 'google', 'user', 'user 2');
DROP FUNCTION opened, opened_at, got, opened_by_key;

SET client_min_messages = warning;
SELECT oauth_tokens_downgrade(discard_tokens => true) AS revision \gset
DROP EXTENSION oauth_tokens;
DROP TYPE actor_type_enum;
