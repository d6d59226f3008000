-- Triggers of a user (E28): they may leave a row out, change it, or write it again. A token is stored
-- as our functions say it is, or they raise.

SET client_min_messages = warning;
CREATE EXTENSION oauth_tokens;
SELECT oauth_tokens_upgrade() AS revision \gset
RESET client_min_messages;
\set SHOW_CONTEXT never
CREATE FUNCTION identity(actor text) RETURNS text LANGUAGE sql AS $$ SELECT format('''11111111-1111-4111-8111-111111111111'', ''google'', ''user'', %L', actor) $$;
-- The result of an expression, or what it raises.
CREATE FUNCTION said(expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text; detail text;
BEGIN
    EXECUTE 'SELECT ' || expression INTO result;
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(': ', SQLSTATE, SQLERRM, regexp_replace(detail, 'For .*', '…'));
END $$;
CREATE FUNCTION has() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', actor_id, said(format('access_token || coalesce(''+'' || refresh_token, '''') FROM oauth_get(%s)', identity(actor_id))), details ->> 'account_label'), ', ' ORDER BY actor_id)
    FROM oauth_tokens LEFT JOIN oauth_connections USING (workspace_id, provider, actor_id) $$;
-- What each writer says beside a trigger, and what is stored then. All of it is undone.
CREATE FUNCTION beside(timing text, body text, writers text[] DEFAULT '{store,store new,refresh,move,delete,delete and revoke}')
    RETURNS TABLE (writer text, said text, has text) LANGUAGE plpgsql AS $$
DECLARE fence bigint;
BEGIN
    FOREACH writer IN ARRAY writers LOOP
        BEGIN
            PERFORM said(format('oauth_store(%s, ''a1'', ''r1'', expires_in => 0, details => ''{"account_label": "label"}'')', identity('alice')));
            PERFORM said(format('oauth_store(%s, ''b1'')', identity('bob')));
            fence := said(format('fence FROM oauth_refresh_begin(%s)', identity('alice')));
            EXECUTE format('CREATE FUNCTION intervene() RETURNS trigger LANGUAGE plpgsql AS %L', 'BEGIN ' || body || ' END');
            EXECUTE format('CREATE TRIGGER t %s ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION intervene()', timing);
            said := said(CASE writer WHEN 'store' THEN format('''stored'' FROM oauth_store(%s, ''a2'', ''r2'')', identity('alice'))
                WHEN 'store, none' THEN format('''stored'' FROM oauth_store(%s, ''a2'', keep_refresh_token => false)', identity('alice'))
                WHEN 'store, kept' THEN format('''stored'' FROM oauth_store(%s, ''a2'')', identity('alice'))
                WHEN 'store new' THEN format('''stored'' FROM oauth_store(%s, ''n1'', ''n2'', details => ''{"account_label": "new label"}'')', identity('New'))
                WHEN 'refresh' THEN format('oauth_refresh_commit(%s, %s, ''a2'', ''r2'', 3600)', identity('alice'), fence)
                WHEN 'move' THEN format('oauth_move(%s, %s)', identity('alice'), identity('Moved'))
                WHEN 'delete' THEN format('oauth_delete(%s)', identity('alice'))
                WHEN 'delete and revoke' THEN format('oauth_delete(%s, true)', identity('alice')) END);
            has := has();
            RAISE SQLSTATE 'UNDO1';
        EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
            RETURN NEXT;
        END;
    END LOOP;
END $$;

-- What does no harm: most tables have such a trigger. Nor does one that is disabled.
\set touch 'IF TG_OP = ''DELETE'' THEN RETURN OLD; END IF; NEW.updated_at := now(); NEW.scopes := ''set''; RETURN NEW;'
SELECT * FROM beside('BEFORE INSERT OR UPDATE OR DELETE', :'touch');
-- The row is left out.
SELECT * FROM beside('BEFORE INSERT OR UPDATE OR DELETE', 'RETURN NULL;');
-- The old row is written again: a common mistake.
SELECT * FROM beside('BEFORE UPDATE', 'RETURN OLD;');
-- Tokens are changed.
SELECT * FROM beside('BEFORE INSERT OR UPDATE', 'NEW.encrypted_refresh_token := NULL; RETURN NEW;', '{store,store new,"store, none","store, kept",refresh,move}');
SELECT * FROM beside('BEFORE UPDATE', 'NEW.encrypted_refresh_token := coalesce(NEW.encrypted_refresh_token, OLD.encrypted_refresh_token); RETURN NEW;', '{store,"store, none","store, kept",refresh,move}');
-- The row is written again, deleted, or renamed.
SELECT * FROM beside('AFTER INSERT OR UPDATE', 'IF pg_trigger_depth() = 1 THEN UPDATE oauth_tokens SET encrypted_access_token = ''x'' WHERE id = NEW.id; END IF; RETURN NULL;', '{store,store new,refresh,move}');
SELECT * FROM beside('AFTER INSERT OR UPDATE', 'DELETE FROM oauth_tokens WHERE id = NEW.id; RETURN NULL;', '{store,store new,refresh,move}');
-- Another identity. In shared the token opens there, too, and its details go with it; what is
-- sealed for its row would not open.
\set lower 'NEW.actor_id := lower(NEW.actor_id); RETURN NEW;'
SELECT * FROM beside('BEFORE INSERT OR UPDATE', :'lower', '{store,store new,refresh,move}');
SET oauth_tokens.key_binding = migrating;
SELECT * FROM beside('BEFORE INSERT OR UPDATE', :'lower', '{store,store new,refresh,move}');
SET oauth_tokens.key_binding = bound;
SELECT * FROM beside('BEFORE INSERT OR UPDATE', :'lower', '{store,store new,refresh,move}');
SELECT * FROM beside('BEFORE UPDATE', 'NEW.actor_id := ''other''; RETURN NEW;', '{store,refresh,move}');
SELECT * FROM beside('AFTER INSERT OR UPDATE', 'IF NEW.actor_id <> lower(NEW.actor_id) THEN UPDATE oauth_tokens SET actor_id = lower(actor_id) WHERE id = NEW.id; END IF; RETURN NULL;', '{store,store new,refresh,move}');
-- The upsert meets another row than was meant.
SELECT * FROM beside('BEFORE INSERT', 'NEW.actor_id := ''bob''; RETURN NEW;', '{store new}');
RESET oauth_tokens.key_binding;
SELECT * FROM beside('BEFORE INSERT', 'NEW.actor_id := ''bob''; RETURN NEW;', '{store new}');

-- The message as a whole. A plan that is kept learns of a trigger, and that it is disabled.
CREATE FUNCTION old() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$;
SELECT oauth_store('11111111-1111-4111-8111-111111111111', 'google', 'user', 'alice', 'a1', 'r1') IS NOT NULL AS stored;
CREATE TRIGGER old BEFORE UPDATE ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION old();
SELECT oauth_store('11111111-1111-4111-8111-111111111111', 'google', 'user', 'alice', 'a2', 'r2') IS NOT NULL AS stored;
ALTER TABLE oauth_tokens DISABLE TRIGGER old;
SELECT oauth_store('11111111-1111-4111-8111-111111111111', 'google', 'user', 'alice', 'a2', 'r2') IS NOT NULL AS stored;
DROP TRIGGER old ON oauth_tokens;
-- Rows of a child table, whose triggers fire.
CREATE TABLE child () INHERITS (oauth_tokens);
INSERT INTO child SELECT * FROM oauth_tokens;
DELETE FROM ONLY oauth_tokens;
SELECT said(format('oauth_move(%s, %s)', identity('alice'), identity('al'))), said(format('oauth_move(%s, %s)', identity('al'), identity('alice'))), has();
CREATE TRIGGER old BEFORE UPDATE ON child FOR EACH ROW EXECUTE FUNCTION old();
SELECT said(format('oauth_move(%s, %s)', identity('alice'), identity('al'))), has();
DROP TABLE child;

-- Who may write and not read the tokens stores and moves them beside a trigger.
SET client_min_messages = warning;
CREATE ROLE regress_writer;
SELECT oauth_tokens_grant('regress_writer', 'writer');
RESET client_min_messages;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.updated_at := now(); RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION touch();
SET ROLE regress_writer;
SELECT count(encrypted_access_token) FROM oauth_tokens;
SELECT oauth_store('11111111-1111-4111-8111-111111111111', 'google', 'user', 'alice', 'a1', 'r1') IS NOT NULL AS stored, oauth_move('11111111-1111-4111-8111-111111111111', 'google', 'user', 'alice', '11111111-1111-4111-8111-111111111111', 'google', 'user', 'al');
RESET ROLE;
SELECT has();
DROP TRIGGER touch ON oauth_tokens;

-- A grant of another account without a refresh token replaces the whole one.
SELECT oauth_tokens_internal.publish_settings('https://oauth.example.com', '120 s', '{}', '{google}');
CREATE FUNCTION connect() RETURNS text LANGUAGE sql AS $$
    SELECT said(format('outcome FROM oauth_tokens_internal.flow_store(sha256(%L), ''a2'', NULL, 60, NULL, ''{"account_id": "2", "issuer": "i", "client_id": "c"}'')',
        substring(oauth_authorize_url('11111111-1111-4111-8111-111111111111', 'google', 'user', 'al') FROM 'ticket=(.*)$'))) $$;
CREATE FUNCTION keep_refresh() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.encrypted_refresh_token IS NULL THEN RETURN NULL; END IF; RETURN NEW; END $$;
CREATE TRIGGER keep_refresh BEFORE UPDATE ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION keep_refresh();
SELECT connect(), has();
DROP TRIGGER keep_refresh ON oauth_tokens;
SELECT connect();
SELECT has();
-- A trigger that leaves out what would change nothing is not blamed: there was no refresh token.
CREATE TRIGGER redundant BEFORE UPDATE ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
SELECT connect(), has();
DROP TRIGGER redundant ON oauth_tokens;
-- Nor are details lost beside one. The second store of a transaction changes nothing.
CREATE TRIGGER redundant BEFORE UPDATE ON oauth_token_details FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE FUNCTION store(refresh text, details text) RETURNS text LANGUAGE sql AS $$ SELECT said(format('''stored'' FROM oauth_store(%s, ''a4'', %L, expires_in => 0, details => %L)', identity('al'), refresh, details)) $$;
CREATE FUNCTION refresh(details text) RETURNS text LANGUAGE sql AS $$
    SELECT said(format('oauth_refresh_commit(%s, %s, ''a5'', NULL, 60, NULL, %L)', identity('al'),
        said(format('fence FROM oauth_refresh_begin(%s, ''10 years'')', identity('al'))), details)) $$;
\set details '{"account_id": "1", "client_id": "c", "account_label": "label", "extra": {"a": 1}, "lifetime": 60}'
SELECT store('r4', :'details');
SELECT store(NULL, :'details'), store(NULL, :'details');
SELECT refresh('{"account_label": "label", "extra": {"a": 1}}');
SELECT account_id, client_id, account_label, extra, lifetime FROM oauth_token_details;
SELECT store('r4', :'details');
DROP TRIGGER redundant ON oauth_token_details;
-- Details that are left out.
CREATE FUNCTION leave_out() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER leave_out BEFORE INSERT OR UPDATE ON oauth_token_details FOR EACH ROW EXECUTE FUNCTION leave_out();
SELECT refresh('{"account_label": "other"}'), has();
SELECT said(format('oauth_store(%s, ''a3'', details => ''{}'')', identity('al'))), said(format('''stored'' FROM oauth_store(%s, ''a3'')', identity('al')));
DROP TRIGGER leave_out ON oauth_token_details;

-- Details go with a row to which a trigger gives another identity, also if a call says nothing of them.
CREATE FUNCTION lower_actor() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.actor_id := lower(NEW.actor_id); RETURN NEW; END $$;
SELECT said(format('''stored'' FROM oauth_store(%s, ''a1'', ''r1'', expires_in => 0, details => ''{"account_label": "%s''''s"}'')', identity(name), name)) FROM unnest('{Anna,Bob,Carl}'::text[]) name;
SELECT said(format('fence FROM oauth_refresh_begin(%s)', identity('Anna'))) AS anna, said(format('fence FROM oauth_refresh_begin(%s)', identity('Bob'))) AS bob \gset
CREATE TRIGGER lower_actor BEFORE UPDATE ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION lower_actor();
SELECT said(format('oauth_refresh_commit(%s, %s, ''a2'')', identity('Anna'), :anna)), said(format('oauth_refresh_commit(%s, %s, ''a2'', details => ''{"extra": {}}'')', identity('Bob'), :bob)),
    said(format('''stored'' FROM oauth_store(%s, ''a2'')', identity('Carl')));
SELECT has();
DROP TRIGGER lower_actor ON oauth_tokens;

SET client_min_messages = warning;
SELECT oauth_tokens_revoke('regress_writer', 'writer');
DROP ROLE regress_writer;
SELECT oauth_tokens_downgrade(discard_tokens => true) AS revision \gset
DROP EXTENSION oauth_tokens;
DROP TYPE actor_type_enum;
DROP FUNCTION identity, said, has, beside, old, touch, connect, keep_refresh, store, refresh, leave_out, lower_actor;
