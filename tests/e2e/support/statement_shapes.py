"""Ways in which a secret gets into a statement. Each is a function of an open, autocommitting
superuser's connection and the secret; what the server says to it does not matter."""

import socket
import struct
import threading
import time

import psycopg
from support.sidecar import someone

SHAPES = {}
SEEN = {}  # by secret: pg_stat_activity at a moment that only the shape knows
WHO = "'{}', '{}', '{}', '{}'"


def shape(function):
    SHAPES[function.__name__] = function
    return function


def who():
    """A new identity, as SQL's first four arguments."""
    return WHO.format(*someone())


def statement(name, sql):
    """A shape that is one simple query; {} is the secret, {who} an identity."""
    SHAPES[name] = lambda connection, secret: connection.execute(sql.replace("{who}", who()).replace("{}", secret))


statement("store", "SELECT oauth_store({who}, '{}')")
statement("store_by_name", "SELECT oauth_store({who}, refresh_token => '{}', access_token => '{}')")
statement("encrypt", "SELECT oauth_encrypt('{}')")
statement("encrypt_at", "SELECT oauth_encrypt('{}', {who}, 'encrypted_access_token')")
statement("upper_case", "SELECT OAUTH_ENCRYPT('{}')")
statement("quoted", """SELECT "oauth_encrypt"('{}')""")
statement("unicode_name", r"""SELECT U&"oauth\005fencrypt"('{}')""")
statement("unicode_name_uescape", """SELECT U&"oauth!005fencrypt" UESCAPE '!' ('{}')""")
statement("unicode_name_uescape_dollar", """SELECT U&"oauth!005fencrypt" UESCAPE $$!$$ ('{}')""")
statement("failing_unicode_name", r"""SELECT U&"o\+000061uth_encrypt"('{}', 1)""")
statement("comment_between", "SELECT oauth_encrypt/**/ -- \n('{}')")
statement("dollar_quoted", "SELECT oauth_encrypt($a${}$a$)")
statement("escape_string", "SELECT oauth_encrypt(E'{}\\n')")
statement("double_quoted", 'SELECT oauth_encrypt("{}")')
statement("bare", "SELECT oauth_encrypt({})")
statement("missing_parenthesis", "SELECT oauth_encrypt$${}$$")
statement("view_in_string", "SELECT run($$SELECT oauth_encrypt(token) FROM (SELECT '{}' AS token) t$$)")
statement("nested_comment", "PREPARE p(text, int) AS SELECT oauth_encrypt($1), $2; EXECUTE /* a /* b */ c */ p('{}', 'x')")
statement("concatenated", "SELECT oauth_encrypt('{}' || 'x')")
statement("two_statements", "SELECT 1; SELECT oauth_encrypt('{}')")
statement("failing_store", "SELECT oauth_store('00000000-0000-0000-0000-000000000000', 'p', 'nobody', 'a', '{}')")
statement("wrong_argument", "SELECT oauth_store('{}', 'p', 'user', 'a', 'x')")
statement("wrong_enum", "SELECT oauth_store('00000000-0000-0000-0000-000000000000', 'p', '{}', 'a', 'x')")
statement("wrong_json", "SELECT oauth_store({who}, 'x', details => '{}')")
statement("unknown_function", "SELECT oauth_encrypt('{}', 1)")
statement("syntax_error", "SELECT oauth_encrypt('{}'")
statement("syntax_error_at_secret", "SELECT oauth_encrypt '{}' '{}'")
statement("cte", "WITH t AS (SELECT oauth_encrypt('{}') AS c) SELECT length(c) FROM t")
statement("sublink", "SELECT 1 WHERE EXISTS (SELECT oauth_encrypt('{}'))")
statement("never_called", "SELECT oauth_encrypt('{}') WHERE now() < '2000-01-01'")
statement("insert", "INSERT INTO copies SELECT oauth_encrypt('{}')")
statement("update", "UPDATE copies SET value = oauth_encrypt('{}')")
statement("do_block", "DO $$ BEGIN PERFORM oauth_encrypt('{}'); END $$")
statement("failing_do_block", "DO $$ BEGIN PERFORM oauth_encrypt('{}'); RAISE 'x'; END $$")
statement("dynamic", "DO $$ BEGIN EXECUTE 'SELECT oauth_encrypt(''{}''), 1/0'; END $$")
statement("copy", "COPY (SELECT oauth_encrypt('{}')) TO '/dev/null'")
statement("table_as", "CREATE TABLE made_as AS SELECT oauth_encrypt('{}'); DROP TABLE made_as")
statement("explain", "EXPLAIN (ANALYZE, VERBOSE) SELECT oauth_encrypt('{}')")
statement("cursor", "BEGIN; DECLARE c CURSOR FOR SELECT oauth_encrypt('{}'); FETCH c; COMMIT")
statement("prepare_literal", "PREPARE p AS SELECT oauth_encrypt('{}'); EXECUTE p; DEALLOCATE p")
statement("execute", "PREPARE p(text) AS SELECT oauth_encrypt($1); EXECUTE p('{}'); DEALLOCATE p")
statement("failing_transaction", "BEGIN; SELECT oauth_encrypt('{}'); SELECT 1/0")
statement("security_definer", "SET ROLE stranger; SELECT oauth_encrypt('{}')")
statement("view", "SELECT provider FROM oauth_tokens_decrypted WHERE access_token = '{}'")
statement("fernet", "SELECT fernet_encrypt('{}', fernet_generate_key())")
statement("fernet_key", "SELECT fernet_encrypt('x', '{}')")
statement("fernet_decrypt", "SELECT fernet_decrypt('gAAAA', '{}')")
statement("confirm", "SELECT oauth_flow_confirm({who}, '{}')")
statement("refresh_commit", "SELECT oauth_refresh_commit({who}, 7, '{}', '{}')")
statement("refresh_fail", "SELECT oauth_refresh_fail({who}, 7, 'transient', '{}')")
statement("wrapper", "SELECT save_token({who}, '{}')")
statement("wrapper_of_schema", "SELECT public.save_token({who}, '{}')")
statement("failing_wrapper", "SELECT save_token({who}, '{}', fail => true)")
statement("inner_literal", "SELECT run($$SELECT oauth_encrypt('{}')$$)")
statement("failing_inner_literal", "SELECT run($$SELECT oauth_encrypt('{}'), 1/0$$)")
statement("inner_utility", "SELECT run($$DO 'BEGIN PERFORM oauth_encrypt(''{}''); END'$$)")


@shape
def execute_apart(connection, secret):
    connection.execute("PREPARE apart(text, uuid) AS SELECT oauth_encrypt($1), $2")
    connection.execute(f"EXECUTE apart('{secret}', gen_random_uuid())")


@shape
def failing_execute(connection, secret):
    connection.execute('PREPARE "Apart"(text, uuid) AS SELECT oauth_encrypt($1), $2')
    connection.execute(f"""EXECUTE /* */ "Apart"('{secret}', '{secret}')""")


@shape
def explain_execute(connection, secret):
    connection.execute("PREPARE apart(text) AS SELECT oauth_encrypt($1)")
    connection.execute(f"EXPLAIN (VERBOSE, ANALYZE) EXECUTE apart('{secret}')")


@shape
def parameter(connection, secret):
    connection.execute("SELECT oauth_store(%s, %s, %s, %s, %s)", [*someone(), secret])


@shape
def failing_parameter(connection, secret):
    connection.execute("SELECT oauth_store(%s, %s, 'nobody', %s, %s)", [*someone()[:3], secret])


@shape
def wrong_parameter(connection, secret):
    connection.execute("SELECT oauth_store(%s::uuid, 'p', 'user', 'a', 'x')", [secret])


@shape
def literal_beside_parameter(connection, secret):
    connection.execute(f"SELECT oauth_encrypt('{secret}'), %s::int", [1])


@shape
def failing_literal_beside_parameter(connection, secret):
    connection.execute(f"SELECT oauth_encrypt('{secret}'), 1/%s::int", [0])


@shape
def never_called_beside_parameter(connection, secret):
    connection.execute(f"SELECT oauth_encrypt('{secret}') WHERE %s::int > 1", [1])


@shape
def prepared_by_protocol(connection, secret):
    for _ in range(7):
        connection.execute("SELECT oauth_encrypt(%s)", [secret], prepare=True)


@shape
def pipeline(connection, secret):
    with connection.pipeline():
        for number in (1, 0, 1):
            connection.execute("SELECT oauth_encrypt(%s), 1/%s::int", [secret, number])


@shape
def aborted_transaction(connection, secret):
    for sql in ("BEGIN", "SELECT 1/0", f"SELECT oauth_encrypt('{secret}')"):
        try:
            connection.execute(sql)
        except psycopg.Error:
            pass


@shape
def savepoint(connection, secret):
    connection.execute("BEGIN; SAVEPOINT s")
    try:
        connection.execute(f"SELECT oauth_encrypt('{secret}'), 1/0")
    except psycopg.Error:
        connection.execute("ROLLBACK TO s; COMMIT")


@shape
def cancelled(connection, secret):
    thread = threading.Timer(0.3, connection.cancel)
    thread.start()
    try:
        connection.execute(f"SELECT oauth_encrypt('{secret}'), pg_sleep(60)")
    finally:
        thread.join()


@shape
def timed_out(connection, secret):
    connection.execute("SET statement_timeout = 100")
    connection.execute("SELECT oauth_encrypt(%s), pg_sleep(60)", [secret])


@shape
def terminated(connection, secret):
    connection.execute(f"SELECT oauth_encrypt('{secret}'), pg_terminate_backend(pg_backend_pid()), pg_sleep(60)")


@shape
def failing_bind(connection, secret):
    connection.pgconn.prepare(b"bound", f"SELECT oauth_encrypt('{secret}'), $1::int".encode())
    connection.pgconn.exec_prepared(b"bound", [b"no number"])


def message(kind, body):
    return kind + struct.pack("!i", len(body) + 4) + body


@shape
def bound_and_not_executed(connection, secret):
    """Parse, Bind and Sync, as no library sends them by themselves; the session stays open."""
    info = connection.info
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(f"{info.host}/.s.PGSQL.{info.port}")
        raw.sendall(message(b"", struct.pack("!i", 196608) + f"user\0{info.user}\0database\0{info.dbname}\0\0".encode()))
        sql = f"SELECT oauth_encrypt('{secret}')".encode()
        raw.sendall(message(b"P", b"\0" + sql + b"\0\0\0") + message(b"B", b"\0\0" + 6 * b"\0") + message(b"S", b""))
        answer = b""
        while b"2\0\0\0\4Z" not in answer:  # BindComplete, ReadyForQuery
            answer += raw.recv(4096)
        SEEN[secret] = connection.execute("SELECT string_agg(query, '') FROM pg_stat_activity").fetchone()[0]


@shape
def never_called_in_transaction(connection, secret):
    """It is open still when somebody looks at what is shown of it."""
    connection.execute("BEGIN")
    connection.execute(f"SELECT oauth_encrypt('{secret}') WHERE %s::int > 1", [1])


@shape
def utility_in_transaction(connection, secret):
    """Parsed, bound and executed: each shows its text anew."""
    connection.execute("BEGIN")
    never = f"DO $$ BEGIN IF false THEN PERFORM oauth_encrypt('{secret}'); END IF; END $$"
    connection.pgconn.exec_params(never.encode(), [])


@shape
def executed_and_dropped(connection, secret):
    """Not called, and not to be found any more when the statement's duration is logged."""
    connection.execute("PREPARE apart(text) AS SELECT oauth_encrypt($1) WHERE false")
    connection.execute(f"EXECUTE apart('{secret}'); DEALLOCATE apart")


@shape
def parallel_worker(connection, secret):
    """What a worker raises, the leader raises again; it has called nothing itself."""
    connection.execute("CREATE TABLE many AS SELECT oauth_encrypt(%s) AS sealed FROM generate_series(1, 100)", [secret])
    connection.execute("ALTER TABLE many SET (parallel_workers = 2)")
    connection.execute("CREATE VIEW opened AS SELECT oauth_decrypt(sealed) AS token FROM many")
    connection.execute("SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;"
                       " SET parallel_leader_participation = off")
    try:
        connection.execute("SELECT count(token::int) FROM opened")
    finally:
        connection.execute("DROP VIEW opened; DROP TABLE many")


def another(connection):
    return psycopg.connect(connection.info.dsn, autocommit=True)


def held_up(connection, held, sql):
    """Runs a statement that waits, longer than deadlock_timeout, for what another transaction holds."""
    with another(connection) as holder:
        holder.execute(f"BEGIN; {held}")
        thread = threading.Timer(0.5, lambda: holder.execute("COMMIT"))
        thread.start()
        connection.execute(sql)
        thread.join()


@shape
def lock_wait(connection, secret):
    mine = who()
    held_up(connection, f"SELECT oauth_store({mine}, 'x')", f"SELECT oauth_store({mine}, '{secret}')")


@shape
def lock_wait_in_analysis(connection, secret):
    held_up(connection, "LOCK TABLE copies", f"SELECT oauth_encrypt('{secret}') FROM copies")


@shape
def deadlock(connection, secret):
    """Each waits for the other; the report of the one that fails quotes both."""
    with another(connection) as other:
        first, second = who(), who()
        connection.execute(f"BEGIN; SELECT oauth_store({first}, '{secret}')")
        other.execute(f"BEGIN; SELECT oauth_store({second}, '{secret}')")

        def cross():
            try:
                other.execute(f"SELECT oauth_store({first}, '{secret}'); COMMIT")
            except psycopg.Error:
                other.execute("ROLLBACK")

        thread = threading.Thread(target=cross)
        thread.start()
        time.sleep(0.1)
        try:
            connection.execute(f"SELECT oauth_store({second}, '{secret}'); COMMIT")
        finally:
            thread.join()


@shape
def decrypted_in_error(connection, secret):
    """The secret is stored, and an error has it."""
    mine = who()
    connection.execute(f"SELECT oauth_store({mine}, '{secret}')")
    connection.execute(f"SELECT oauth_access_token({mine})::int")


@shape
def fresh_in_error(connection, secret):
    mine = who()
    connection.execute(f"SELECT oauth_store({mine}, '{secret}')")
    connection.execute(f"SELECT oauth_fresh_access_token({mine})::int")


@shape
def decrypted_in_function(connection, secret):
    """A function that names nothing of ours to its caller; the second call analyzes nothing."""
    mine = who()
    connection.execute(f"SELECT oauth_store({mine}, '{secret}')")
    for _ in range(2):
        try:
            connection.execute(f"SELECT length_of_token({mine})")
        except psycopg.Error as error:
            last = error
    raise last


@shape
def revoked(connection, secret):
    mine = who()
    connection.execute(f"SELECT oauth_store({mine}, '{secret}', '{secret}')")
    connection.execute(f"SELECT oauth_delete({mine}, revoke => true)")
    connection.execute("SELECT refresh_token::text::int FROM oauth_tokens_internal.revocations_claim(5, '1 min')")


@shape
def moved(connection, secret):
    mine, other = who(), who()
    connection.execute(f"SELECT oauth_store({mine}, '{secret}')")
    connection.execute(f"SELECT oauth_move({mine}, {other})")
    connection.execute("SELECT access_token::int FROM oauth_tokens_decrypted")


@shape
def refresh(connection, secret):
    mine = who()
    connection.execute(f"SELECT oauth_store({mine}, 'x', '{secret}', expires_in => 1)")
    fence = connection.execute(f"SELECT fence FROM oauth_refresh_begin({mine}, force => true)").fetchone()[0]
    connection.execute(f"SELECT oauth_refresh_commit({mine}, %s, %s, %s)", [fence, secret, secret])


# What the shapes need in a database
SETUP = """
    CREATE TABLE copies (value text); INSERT INTO copies VALUES ('');
    CREATE ROLE stranger;
    CREATE FUNCTION save_token(uuid, text, text, text, token text, fail boolean DEFAULT false)
        RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM oauth_store($1, $2, $3, $4, token);
        IF fail THEN RAISE 'cannot keep %', token; END IF;
    END $$;
    CREATE FUNCTION run(sql text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE sql; END';
    CREATE FUNCTION length_of_token(uuid, text, text, text) RETURNS int LANGUAGE plpgsql AS $$
    DECLARE token text := oauth_access_token($1, $2, $3, $4);
    BEGIN RETURN token::int; END $$;
"""
