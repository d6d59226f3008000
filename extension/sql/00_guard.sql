\echo Use "CREATE EXTENSION oauth_tokens" to load this file. \quit

-- Functions that work on the identity of a token take it in this order:
-- workspace_id uuid, provider text, actor_type, actor_id text. Each has two
-- forms, for actor_type as text and as an enum. All run with the caller's
-- rights; PUBLIC may call none but the pure fernet_* and oauth_tokens_current().
