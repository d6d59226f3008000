-- oauth_get() in FROM is a custom scan, and nothing else than the speed tells it from the function.

SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
SELECT oauth_tokens_upgrade() AS revision \gset
RESET client_min_messages;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
\set w '11111111-1111-4111-8111-111111111111'
\set alice '''11111111-1111-4111-8111-111111111111'', ''google'', ''user'', ''alice'''
SELECT count(oauth_store(:'w', 'google', t, a, concat_ws(' ', 'access', t, a), nullif('refresh ' || a, 'refresh bob'), expires_at => '2031-02-03 04:05:06', scopes => nullif(a, 'bob')))
FROM (VALUES ('user', 'alice'), ('api_key', 'alice'), ('user', 'bob'), ('user', 'damaged')) t (t, a);
UPDATE oauth_tokens SET updated_at = '2026-01-02 03:04:05', encrypted_refresh_token = CASE actor_id WHEN 'damaged' THEN 'gAAAAAsentinel' ELSE encrypted_refresh_token END;
CREATE TYPE other_enum AS ENUM ('robot', 'user');
CREATE TABLE users (name text, type text);
INSERT INTO users VALUES ('alice', 'user'), ('bob', 'user'), ('carol', 'user'), ('alice', 'api_key'), ('alice', 'user'), (NULL, 'user');

-- The rows of a statement, or its error, as text.
CREATE FUNCTION run(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE r record; result text := '';
BEGIN
    FOR r IN EXECUTE statement LOOP
        result := result || r::text;
    END LOOP;
    RETURN result;
EXCEPTION WHEN others THEN
    RETURN concat(result, SQLSTATE, ' ', SQLERRM);
END $$;
-- How it runs, and whether it does the same without the scan.
CREATE FUNCTION compare(statement text, OUT scan boolean, OUT same boolean, OUT result text) LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    statement := replace(statement, '@', '''11111111-1111-4111-8111-111111111111'', ''google''');
    PERFORM set_config('oauth_tokens.enable_get_scan', 'on', true);
    scan := false;
    FOR line IN EXECUTE 'EXPLAIN ' || statement LOOP
        scan := scan OR line ~ 'Custom Scan \(oauth_get\)';
    END LOOP;
    result := run(statement);
    PERFORM set_config('oauth_tokens.enable_get_scan', 'off', true);
    same := result = run(statement);
    PERFORM set_config('oauth_tokens.enable_get_scan', 'on', true);
    result := left(result, 120);
END $$;

EXPLAIN SELECT access_token FROM oauth_get(:alice);
EXPLAIN (VERBOSE, COSTS OFF) SELECT u.name, upper(g.access_token) FROM users u, LATERAL oauth_get(:'w', 'google', u.type, u.name) g WHERE g.scopes = 'alice';
SET oauth_tokens.enable_get_scan = off;
EXPLAIN (COSTS OFF) SELECT access_token FROM oauth_get(:alice);
RESET oauth_tokens.enable_get_scan;

SELECT row_number() OVER () AS n, b.* FROM unnest(ARRAY[
    $$SELECT * FROM oauth_get(@, 'user', 'alice')$$,
    $$SELECT * FROM oauth_get(@, 'user', 'bob')$$,
    $$SELECT * FROM oauth_get(@, 'user', 'carol')$$,
    $$SELECT expires_at, access_token FROM oauth_get(@, 'user', 'alice')$$,
    $$SELECT access_token, access_token, length(refresh_token) FROM oauth_get(@, 'user', 'alice')$$,
    $$SELECT a, e FROM oauth_get(@, 'user', 'alice') g (a, b, c, d, e) WHERE e > '2020-01-01' AND e < 'infinity' AND b ~ 'refresh'$$,
    $$SELECT access_token FROM oauth_get(@, 'user', 'alice') WHERE scopes = 'alice'$$,
    $$SELECT access_token FROM oauth_get(@, 'user', 'alice') WHERE scopes = 'bob'$$,
    $$SELECT access_token FROM oauth_get(@, 'user', 'alice') WHERE scopes IS NULL OR length(refresh_token) > 100$$,
    $$SELECT FROM oauth_get(@, 'user', 'alice')$$,
    $$SELECT count(*) FROM oauth_get(@, 'user', 'alice')$$,
    $$SELECT 1 FROM oauth_get(@, 'user', 'alice') WHERE updated_at IS NOT NULL$$,
    $$SELECT max(expires_at), count(scopes) FROM oauth_get(@, 'user', 'alice') GROUP BY refresh_token HAVING max(access_token) ~ 'a' ORDER BY 1 LIMIT 1$$,
    $$SELECT DISTINCT scopes FROM oauth_get(@, 'user', 'alice')$$,
    $$SELECT scopes, row_number() OVER () FROM oauth_get(@, 'user', 'alice')$$,
    $$SELECT generate_series(1, 2), scopes FROM oauth_get(@, 'user', 'alice')$$,
    $$SELECT access_token FROM oauth_get(actor_id => 'alice', workspace_id => '11111111-1111-4111-8111-111111111111', actor_type => 'user', provider => 'google')$$,
    $$SELECT access_token FROM oauth_get(@, 'api_key'::actor_type_enum, lower('ALICE'))$$,
    $$SELECT access_token FROM oauth_get(@, 'user'::other_enum, 'alice')$$,
    $$SELECT access_token FROM oauth_get(@, 'robot'::other_enum, 'alice')$$,
    $$SELECT access_token FROM oauth_get(@, 'robot', 'alice')$$,
    $$SELECT access_token FROM oauth_get(@, NULL, 'alice')$$,
    $$SELECT access_token FROM oauth_get(@, 'user', nullif('alice', 'alice'))$$,
    $$SELECT count(*) FROM oauth_get(@, 'user', 'damaged')$$,
    $$SELECT access_token FROM oauth_get(@, 'user', (1 / position('no such' IN current_setting('search_path')))::text)$$]) WITH ORDINALITY s (statement, i), compare(statement) b ORDER BY i;
-- Joins, subqueries, and what else scans it again.
SELECT row_number() OVER () AS n, b.* FROM unnest(ARRAY[
    $$SELECT name, type, access_token FROM users, oauth_get(@, type, name) g ORDER BY 1, 2$$,
    $$SELECT name, g.scopes, g.refresh_token FROM users LEFT JOIN LATERAL oauth_get(@, type, name) g ON g.scopes IS NOT NULL ORDER BY 1, 2$$,
    $$SELECT name, x FROM users LEFT JOIN LATERAL (SELECT coalesce(scopes, 'none') || name AS x FROM oauth_get(@, type, name)) g ON true ORDER BY 1, 2$$,
    $$SELECT name FROM users WHERE EXISTS (SELECT FROM oauth_get(@, type, name)) ORDER BY 1$$,
    $$SELECT name FROM users WHERE NOT EXISTS (SELECT FROM oauth_get(@, type, name) WHERE scopes = name) ORDER BY 1$$,
    $$SELECT name, (SELECT access_token FROM oauth_get(@, type, name)) FROM users$$,
    $$SELECT name, (SELECT access_token FROM oauth_get(@, 'user', 'alice') WHERE scopes = name AND type = 'user') FROM users$$,
    $$SELECT name, access_token FROM users, oauth_get(@, 'user', 'alice') WHERE scopes <> name ORDER BY 1$$,
    $$SELECT n, a.refresh_token, b.access_token FROM oauth_get(@, 'user', 'alice') a, oauth_get(@, 'user', a.scopes) b, generate_series(1, 2) n WHERE b.scopes = a.scopes$$,
    $$SELECT a.scopes, b.scopes FROM oauth_get(@, 'user', 'alice') a FULL JOIN oauth_get(@, 'user', 'bob') b USING (expires_at)$$,
    $$SELECT access_token FROM oauth_get(@, 'user', 'alice') UNION ALL SELECT lower(scopes) || n FROM generate_series(1, 2) n, oauth_get(@, 'user', 'alice')$$,
    $$WITH g AS MATERIALIZED (SELECT * FROM oauth_get(@, 'user', 'alice')) SELECT a.scopes, b.access_token FROM g a, g b$$,
    $$WITH RECURSIVE r (n, t) AS (SELECT 1, 'alice' UNION ALL SELECT n + 1, scopes FROM r, oauth_get(@, 'user', t) WHERE n < 4) SELECT * FROM r$$,
    $$SELECT access_token FROM oauth_get(@, 'user', (SELECT name FROM users LIMIT 1))$$,
    $$SELECT access_token FROM (SELECT * FROM oauth_get(@, 'user', 'alice') OFFSET 0) s WHERE scopes = 'alice'$$,
    $$SELECT access_token FROM (VALUES ('alice'), ('bob')) v (n), LATERAL (SELECT n || access_token AS access_token FROM oauth_get(@, 'user', n) LIMIT 1) g$$,
    $$DELETE FROM users u WHERE name = 'nobody' AND name = (SELECT scopes FROM oauth_get(@, u.type, u.name)) RETURNING name$$,
    $$UPDATE users SET type = type FROM (SELECT name AS n FROM users) s WHERE name = (SELECT scopes FROM oauth_get(@, 'user', s.n)) AND name = n RETURNING name$$,
    $$INSERT INTO users SELECT scopes FROM oauth_get(@, 'user', 'carol') RETURNING name$$]) WITH ORDINALITY s (statement, i), compare(statement) b ORDER BY i;
-- Left to the function.
SELECT row_number() OVER () AS n, b.* FROM unnest(ARRAY[
    $$SELECT g IS NULL, (g).scopes FROM oauth_get(@, 'user', 'alice') g$$,
    $$SELECT to_json(g) ->> 'scopes' FROM oauth_get(@, 'user', 'alice') g$$,
    $$SELECT scopes FROM oauth_get(@, 'user', 'alice') g WHERE g IS NOT NULL$$,
    $$SELECT scopes FROM users, oauth_get(@, type, name) g WHERE (g).scopes = name AND row(g, name) IS NOT NULL LIMIT 1$$,
    $$SELECT scopes, ordinality FROM oauth_get(@, 'user', 'alice') WITH ORDINALITY$$,
    $$SELECT scopes, n FROM ROWS FROM (oauth_get(@, 'user', 'alice'), generate_series(1, 2)) g (a, r, scopes, e, u, n)$$,
    $$SELECT (oauth_get(@, 'user', 'alice')).scopes$$,
    $$SELECT scopes FROM oauth_get(@, 'user', left('alice', 5 + (random() * 9)::int))$$,
    $$SELECT scopes FROM users u, oauth_get(@, 'user', (SELECT max(name) FROM users v WHERE v.name = u.name)) ORDER BY 1$$,
    $$SELECT name, scopes FROM users, oauth_get(@, type, name) FOR UPDATE OF users$$,
    $$UPDATE users SET type = type FROM oauth_get(@, 'user', 'alice') g WHERE name = scopes RETURNING g.scopes$$]) WITH ORDINALITY s (statement, i), compare(statement) b ORDER BY i;

-- It is called as often as the function: not for each row that it is joined with, once for each that it depends on.
CREATE FUNCTION calls(statement text, with_scan boolean) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE before bigint := coalesce(pg_stat_get_xact_function_calls('oauth_get(uuid,text,text,text)'::regprocedure), 0);
BEGIN
    PERFORM set_config('oauth_tokens.enable_get_scan', with_scan::text, true), run(replace(statement, '@', '''11111111-1111-4111-8111-111111111111'', ''google'''));
    RETURN pg_stat_get_xact_function_calls('oauth_get(uuid,text,text,text)'::regprocedure) - before;
END $$;
BEGIN;
SET LOCAL track_functions = 'all';
SET LOCAL enable_material = off;
SELECT row_number() OVER () AS n, calls(s, true) AS scan, calls(s, false) AS function FROM unnest(ARRAY[
    $$SELECT FROM oauth_get(@, 'user', 'alice')$$,
    $$SELECT n FROM generate_series(1, 5) n LEFT JOIN oauth_get(@, 'user', 'alice') g ON n > length(scopes) - 2$$,
    $$SELECT name, (SELECT access_token FROM oauth_get(@, 'user', 'alice') WHERE scopes = name) FROM users$$,
    $$SELECT name, (SELECT access_token FROM oauth_get(@, 'user', name)) FROM users$$,
    $$SELECT name, scopes FROM users, oauth_get(@, type, name)$$]) WITH ORDINALITY x (s, i) ORDER BY i;
COMMIT;

-- Cursors, prepared statements, parallel workers, other joins; a plan is copied, written and read.
BEGIN;
DECLARE there SCROLL CURSOR FOR SELECT scopes FROM oauth_get(:alice) WHERE scopes IS NOT NULL;
FETCH PRIOR FROM there;
FETCH ALL FROM there;
FETCH BACKWARD ALL FROM there;
FETCH FIRST FROM there;
FETCH NEXT FROM there;
FETCH RELATIVE 0 FROM there;
FETCH PRIOR FROM there;
FETCH LAST FROM there;
DECLARE none SCROLL CURSOR FOR SELECT scopes FROM oauth_get(:alice) WHERE scopes IS NULL;
FETCH ALL FROM none;
FETCH BACKWARD ALL FROM none;
DECLARE held SCROLL CURSOR WITH HOLD FOR SELECT n, scopes FROM generate_series(1, 2) n, oauth_get(:alice);
COMMIT;
FETCH LAST FROM held;
FETCH FIRST FROM held;
CLOSE held;
SET plan_cache_mode = force_generic_plan;
PREPARE got AS SELECT access_token FROM oauth_get($1, $2, $3, $4);
EXPLAIN (COSTS OFF) EXECUTE got (:alice);
EXECUTE got (:alice);
EXECUTE got (:'w', 'google', 'user', NULL);
EXECUTE got (:'w', 'google', 'api_key', 'alice');
-- Values of parameters that stand still, and of those that a language evaluates.
CREATE FUNCTION sql_gets(name text) RETURNS text LANGUAGE sql AS $$ SELECT access_token FROM oauth_get('11111111-1111-4111-8111-111111111111', 'google', 'user', $1) $$;
CREATE FUNCTION plpgsql_gets(name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE w uuid := '11111111-1111-4111-8111-111111111111'; t text := 'user'; c CURSOR (n text) FOR SELECT access_token FROM oauth_get(w, 'google', t, n); got text; again text;
BEGIN
    SELECT access_token INTO got FROM oauth_get(w, 'google', t, name);
    OPEN c (name);
    t := 'robot';
    FETCH c INTO again;
    CLOSE c;
    RETURN concat_ws(', ', got, again);
END $$;
SELECT name, sql_gets(name), plpgsql_gets(name) FROM unnest(ARRAY['alice', 'bob', 'carol', NULL, 'alice']) name;
DROP FUNCTION sql_gets, plpgsql_gets;
SET enable_nestloop = off;
SET enable_hashjoin = off;
SELECT b.* FROM compare($$SELECT type, access_token FROM users JOIN oauth_get(@, 'user', 'alice') ON scopes = name ORDER BY 1$$) b;
RESET enable_nestloop;
RESET enable_hashjoin;
BEGIN;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL debug_print_plan = on;
ANALYZE users;
SELECT b.* FROM compare($$SELECT count(access_token), min(refresh_token) FROM users, oauth_get(@, type, name)$$) b;
SELECT plan ~ 'Gather.*Parallel.*Custom Scan' AS in_worker FROM (SELECT run($$EXPLAIN SELECT count(access_token) FROM users, oauth_get('11111111-1111-4111-8111-111111111111', 'google', type, name)$$) AS plan) p;
COMMIT;
SET jit_above_cost = 0;
SELECT b.* FROM compare($$SELECT name, upper(access_token) FROM users, oauth_get(@, type, name) WHERE scopes = name ORDER BY 1, 2$$) b;
RESET jit_above_cost;
-- Memory does not grow with the rows: a leak of one token a row would be 4 MB.
CREATE FUNCTION memory(n int) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT sum(total_bytes) FROM pg_backend_memory_contexts); END';
SELECT count(*), max(bytes) - min(bytes) < 1000000 AS is_flat FROM (
    SELECT memory(n) AS bytes
    FROM (SELECT n, access_token FROM generate_series(1, 20000) n, oauth_get(:'w', 'google', 'user', left('alice', 4 + least(n, 1))) OFFSET 0) g
    WHERE n IN (1000, 20000) AND access_token IS NOT NULL) m;

-- Whose right it is: at each start, also of EXPLAIN and of a plan that another role has made.
CREATE ROLE regress_no_get;
SET ROLE regress_no_get;
EXECUTE got (:alice);
EXPLAIN EXECUTE got (:alice);
SELECT b.* FROM compare($$SELECT FROM oauth_get(@, 'user', 'alice')$$) b;
RESET ROLE;
GRANT EXECUTE ON FUNCTION oauth_get(uuid, text, text, text) TO regress_no_get;
SET ROLE regress_no_get;
SELECT b.* FROM compare($$SELECT FROM oauth_get(@, 'user', 'alice')$$) b;
RESET ROLE;
CREATE VIEW alices AS SELECT scopes, access_token FROM oauth_get(:alice);
GRANT SELECT ON alices TO regress_no_get;
SET ROLE regress_no_get;
SELECT b.* FROM compare('SELECT * FROM alices') b;
RESET ROLE;
REVOKE ALL ON FUNCTION oauth_get(uuid, text, text, text) FROM regress_no_get;
CREATE FUNCTION definers() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER AS 'SELECT access_token FROM alices';
SET ROLE regress_no_get;
SELECT b.* FROM compare('SELECT * FROM alices') b;
SELECT definers();
RESET ROLE;
\set VERBOSITY terse
CREATE MATERIALIZED VIEW kept AS SELECT access_token FROM oauth_get(:alice);
\set VERBOSITY default

-- Only our function, and only as it is.
CREATE SCHEMA other;
CREATE FUNCTION other.oauth_get(uuid, text, text, text) RETURNS SETOF oauth_tokens_internal.token LANGUAGE plpgsql AS
    $$ BEGIN RETURN QUERY SELECT 'other', NULL::text, $4, NULL::timestamptz, now(); END $$;
SELECT b.* FROM compare($$SELECT access_token, scopes FROM other.oauth_get(@, 'user', 'alice')$$) b;
ALTER FUNCTION oauth_get(uuid, text, text, text) SET work_mem = '1MB';
EXPLAIN (COSTS OFF) EXECUTE got (:alice);
EXECUTE got (:alice);
ALTER FUNCTION oauth_get(uuid, text, text, text) RESET ALL;
EXPLAIN (COSTS OFF) EXECUTE got (:alice);
ALTER FUNCTION oauth_get(uuid, text, text, text) SECURITY DEFINER;
EXPLAIN (COSTS OFF) EXECUTE got (:alice);
ALTER FUNCTION oauth_get(uuid, text, text, text) SECURITY INVOKER CALLED ON NULL INPUT;
EXPLAIN (COSTS OFF) EXECUTE got (:alice);
EXECUTE got (:'w', 'google', 'user', NULL);
ALTER FUNCTION oauth_get(uuid, text, text, text) STRICT;
ALTER TYPE oauth_tokens_internal.token ADD ATTRIBUTE more int;
SELECT b.* FROM compare($$SELECT scopes, more FROM oauth_get(@, 'user', 'alice')$$) b;
ALTER TYPE oauth_tokens_internal.token DROP ATTRIBUTE more;

-- A statement outlives the extension.
SET client_min_messages = warning;
SELECT oauth_tokens_downgrade(discard_tokens => true) AS revision \gset
DROP VIEW alices;
DROP EXTENSION oauth_tokens CASCADE;
EXECUTE got (:alice);
CREATE EXTENSION oauth_tokens;
SELECT oauth_tokens_upgrade() AS revision \gset
EXECUTE got (:alice);
EXPLAIN (COSTS OFF) EXECUTE got (:alice);
RESET plan_cache_mode;
DEALLOCATE ALL;
DROP SCHEMA other CASCADE;
DROP FUNCTION run, compare, calls, definers, memory;
DROP TABLE users;
DROP TYPE other_enum;
DROP ROLE regress_no_get;
SELECT oauth_tokens_downgrade(discard_tokens => true) AS revision \gset
DROP EXTENSION oauth_tokens;
DROP TYPE actor_type_enum;
