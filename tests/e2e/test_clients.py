"""Applications bring a plain client: each way to pass an actor_type finds its function."""

import asyncio
import json
import re
import uuid
from datetime import datetime, timedelta, timezone

import asyncpg
import psycopg
import pytest
import sqlalchemy
from support.harness import CHECKOUT, DATABASE
from support.pgbouncer import PgBouncer
from psycopg.types.enum import EnumInfo, register_enum
from support.tokens import WORKSPACE, get, identity, store

GET = "SELECT access_token FROM oauth_get({0}, {1}, {2}, {3})"


@pytest.fixture(scope="module")
def stored(cluster):
    with cluster.connect(autocommit=True) as connection:
        store(connection, identity(), "the token", "the refresh token")
    return cluster


def ways():
    """Name, SQL, parameters."""

    def literally(actor_type):
        return GET.format(f"'{WORKSPACE}'", "'google'", actor_type, "'alice'")

    four, params = GET.format("%s", "%s", "%s", "%s"), list(identity())
    yield "literal", literally("'user'"), []
    yield "text literal", literally("'user'::text"), []
    yield "enum literal", literally("'user'::actor_type_enum"), []
    yield "unknown parameter", four, params
    yield "text parameter", GET.format("%s", "%s", "%t", "%t"), params
    yield "text cast", GET.format("%s::uuid", "%s::text", "%s::text", "%s::text"), list(map(str, params))
    yield "enum cast", GET.format("%s", "%s", "%s::actor_type_enum", "%s"), params
    yield "varchar cast", GET.format("%s", "%s", "%s::varchar", "%s::varchar"), params
    yield "binary", GET.format("%b", "%b", "%b", "%b"), params
    yield "named", "SELECT access_token FROM oauth_get(workspace_id => %s, provider => %s," \
        " actor_type => %s, actor_id => %s)", params
    yield "column of the table", "SELECT g.access_token FROM oauth_tokens t, LATERAL" \
        " oauth_get(t.workspace_id, t.provider, t.actor_type, t.actor_id) g", []


@pytest.mark.parametrize("name, sql, params", list(ways()), ids=[way[0] for way in ways()])
@pytest.mark.parametrize("prepare", [False, True], ids=["simple", "prepared"])
def test_ways_to_pass_it(stored, name, sql, params, prepare):
    with stored.connect(autocommit=True) as connection:
        for _ in range(7):  # the sixth may take a generic plan
            assert connection.execute(sql, params or None, prepare=prepare).fetchall() == [("the token",)]


def test_enum_of_python(stored):
    with stored.connect(autocommit=True) as connection:
        info = EnumInfo.fetch(connection, "actor_type_enum")
        register_enum(info, connection)
        for _ in range(7):
            assert connection.execute(
                GET.format("%s", "%s", "%s", "%s"), [WORKSPACE, "google", info.enum.user, "alice"],
                prepare=True,
            ).fetchall() == [("the token",)]


@pytest.mark.parametrize("actor_type", ["%s", "%s::text", "%s::actor_type_enum"])
def test_server_side_prepared(stored, actor_type):
    """PREPARE in SQL, with the plan's kind forced either way."""
    types = {"%s": "unknown", "%s::text": "text", "%s::actor_type_enum": "actor_type_enum"}[actor_type]
    for mode in ("force_generic_plan", "force_custom_plan", "auto"):
        with stored.connect(autocommit=True) as connection:
            connection.execute(f"SET plan_cache_mode = {mode}")
            connection.execute(f"PREPARE g (uuid, text, {types}, text) AS"
                               " SELECT access_token FROM oauth_get($1, $2, $3, $4)")
            connection.execute(f"PREPARE s (uuid, text, {types}, text, text) AS"
                               " SELECT oauth_store($1, $2, $3, $4, $5)")
            for i in range(7):
                connection.execute(f"EXECUTE s ('{WORKSPACE}', 'p', 'user', 'prepared', 'token {i}')")
                assert connection.execute(
                    f"EXECUTE g ('{WORKSPACE}', 'p', 'user', 'prepared')").fetchone() == (f"token {i}",)
                with pytest.raises(psycopg.Error) as caught:
                    connection.execute(f"EXECUTE g ('{WORKSPACE}', 'p', 'robot', 'prepared')")
                assert caught.value.sqlstate in ("22023", "22P02")


@pytest.mark.parametrize("prepare", [False, True])
def test_unknown_actor_type(stored, prepare):
    """22023 whatever the plan, also where a join's other side has no rows at all."""
    with stored.connect(autocommit=True) as connection:
        for _ in range(7):
            for value in ("robot", "", "USER", "user ", "u" * 100):
                with pytest.raises(psycopg.Error) as caught:
                    connection.execute(GET.format("%s", "%s", "%s", "%s"),
                                       [WORKSPACE, "google", value, "alice"], prepare=prepare)
                assert caught.value.sqlstate == "22023"


def test_another_enum(stored):
    """An application's own enum is read by its labels."""
    stored.rows("CREATE TYPE kind AS ENUM ('api_key', 'user', 'robot')")
    get_kind = GET.format("%s", "%s", "%s::kind", "%s")
    assert stored.rows(get_kind, identity()) == [("the token",)]
    with pytest.raises(psycopg.Error) as caught:
        stored.rows(get_kind, [WORKSPACE, "google", "robot", "alice"])
    assert caught.value.sqlstate == "22023"
    stored.rows("DROP TYPE kind")


def test_cursors_and_pipelines(stored):
    with stored.connect() as connection:
        with connection.cursor("named") as cursor:
            cursor.execute("SELECT i, g.access_token FROM generate_series(1, 50) i, LATERAL"
                           " oauth_get(%s, %s, %s, %s) g", identity())
            assert cursor.fetchmany(3) == [(i, "the token") for i in (1, 2, 3)]
            assert len(cursor.fetchall()) == 47
    if psycopg.Pipeline.is_supported():
        with stored.connect(autocommit=True) as connection, connection.pipeline():
            cursors = [connection.execute(GET.format("%s", "%s", "%s", "%s"), identity())
                       for _ in range(20)]
            assert [cursor.fetchone() for cursor in cursors] == [("the token",)] * 20


def test_copy_out(stored):
    with stored.connect() as connection:
        with connection.cursor().copy(
            f"COPY (SELECT access_token, refresh_token FROM oauth_get('{WORKSPACE}', 'google', 'user',"
            " 'alice')) TO STDOUT"
        ) as copy:
            assert list(copy.rows()) == [("the token", "the refresh token")]


def test_null_identity(stored):
    """A strict read: no row; a write: an error."""
    with stored.connect(autocommit=True) as connection:
        for place in range(4):
            params = list(identity())
            params[place] = None
            sql = GET.format("%s::uuid", "%s::text", "%s::text", "%s::text")
            assert connection.execute(sql, params).fetchall() == []
            with pytest.raises(psycopg.Error) as caught:
                connection.execute("SELECT oauth_store(%s::uuid, %s::text, %s::text, %s::text, 'x')", params)
            assert caught.value.sqlstate == "22004"


@pytest.fixture
def bouncer(stored):
    before = PgBouncer(stored)
    yield before
    before.stop()


def test_pgbouncer_in_transaction_mode(stored, bouncer):
    """Clients change servers between statements; nothing of ours is tied to a session."""
    connections = [bouncer.connect(autocommit=True, prepare_threshold=None) for _ in range(10)]
    servers = set()
    for round_ in range(5):
        for number, connection in enumerate(connections):
            whose = identity(f"bounced-{number}")
            store(connection, whose, f"{number} in {round_}", str(uuid.uuid4()))
            servers.add(connection.execute("SELECT pg_backend_pid()").fetchone())
        for number, connection in enumerate(connections):
            assert get(connection, identity(f"bounced-{number}"))[0] == f"{number} in {round_}"
    assert len(servers) <= 2
    with bouncer.connect(prepare_threshold=None) as connection:
        with connection.transaction():
            store(connection, identity("bounced-1"), "rolled back")
            raise psycopg.Rollback()
    assert get(connections[0], identity("bounced-1"))[0] == "1 in 4"
    for connection in connections:
        connection.close()


# What docs/clients.md says.


def asynchronously(run, host, port, **settings):
    """Calls `run` with a connection of asyncpg."""

    async def call():
        connection = await asyncpg.connect(host=host, port=port, user="postgres", database=DATABASE,
                                           **settings)
        try:
            return await run(connection)
        finally:
            await connection.close()

    return asyncio.run(call())


ASYNCPG_STORE = "SELECT oauth_store($1, $2, {}, $4, $5, $6, expires_in => $7, details => $8)"


@pytest.mark.parametrize("actor_type", ["$3", "$3::text", "$3::actor_type_enum"])
@pytest.mark.parametrize("workspace", [WORKSPACE, str(WORKSPACE)], ids=["UUID", "str"])
def test_asyncpg(stored, actor_type, workspace):
    whose = [workspace, "google", "user", "asynchronous"]

    async def run(connection):
        for number in range(3):  # the second call finds it prepared
            await connection.execute(ASYNCPG_STORE.format(actor_type), *whose, f"token {number}", None,
                                     3599, json.dumps({"account_id": "7"}))
            sql = f"FROM oauth_get($1, $2, {actor_type}, $4)"
            row = await connection.fetchrow("SELECT access_token, expires_at " + sql, *whose)
            assert row["access_token"] == f"token {number}"
            assert row["expires_at"] > datetime.now(timezone.utc) + timedelta(minutes=59)
            assert await connection.fetchval(
                f"SELECT oauth_access_token($1, $2, {actor_type}, $4, $5)", *whose, timedelta(minutes=2)
            ) == f"token {number}"
        joined = await connection.fetch(
            "SELECT g.access_token FROM oauth_tokens t, LATERAL oauth_get(t.workspace_id, t.provider,"
            " t.actor_type, t.actor_id) g WHERE t.actor_id = $1", "asynchronous")
        assert [row["access_token"] for row in joined] == ["token 2"]
        with pytest.raises(asyncpg.PostgresError) as caught:
            await connection.fetch(f"SELECT * FROM oauth_get($1, $2, {actor_type}, $4)",
                                   workspace, "google", "robot", "x")
        assert caught.value.sqlstate in ("22023", "22P02")

    asynchronously(run, str(stored.socket_dir), stored.port)


def test_asyncpg_behind_pgbouncer(stored, bouncer):
    async def run(connection):
        for number in range(5):
            await connection.execute(ASYNCPG_STORE.format("$3"), WORKSPACE, "google", "user", "bounced",
                                     f"token {number}", None, 3599, None)
            assert await connection.fetchval(
                "SELECT oauth_access_token($1, $2, $3, $4)", WORKSPACE, "google", "user", "bounced"
            ) == f"token {number}"

    for _ in range(3):
        asynchronously(run, bouncer.host, bouncer.port, statement_cache_size=0)


def test_sqlalchemy_hides_parameters(stored):
    def error_of(**settings):
        engine = sqlalchemy.create_engine(
            f"postgresql+psycopg2://postgres@/{DATABASE}?host={stored.socket_dir}&port={stored.port}", **settings)
        with pytest.raises(sqlalchemy.exc.DBAPIError) as caught, engine.begin() as connection:
            connection.execute(
                sqlalchemy.text("SELECT oauth_store(:workspace, 'google', :kind, 'alice', :access)"),
                {"workspace": str(WORKSPACE), "kind": "robot", "access": "sentinel"})
        return str(caught.value)

    assert "sentinel" in error_of()
    assert "sentinel" not in error_of(hide_parameters=True)


def page_sql(words):
    """Statements of the SQL block with these words."""
    page = (CHECKOUT / "docs/clients.md").read_text()
    return next(block for block in re.findall(r"```sql\n(.*?)```", page, re.DOTALL) if words in block)


def test_grant_by_name_and_postgrest(stored):
    """PostgREST reads pg_proc, and writes its call with the parameters' declared types."""
    with stored.connect(autocommit=True) as connection:
        connection.execute("CREATE ROLE web; CREATE SCHEMA api; GRANT USAGE ON SCHEMA api TO web")
        for words in ("oauth_tokens_grant('web'", "CREATE FUNCTION api."):
            for statement in page_sql(words).split(";\n"):
                connection.execute(statement)
        functions = connection.execute(
            "SELECT p.proargnames[i], t::regtype::text FROM pg_proc p, unnest(p.proargtypes) WITH ORDINALITY a (t, i)"
            " WHERE p.proname = 'access_token' AND pronamespace = 'api'::regnamespace ORDER BY i").fetchall()
        assert [name for name, _ in functions] == ["workspace_id", "provider", "actor_type", "actor_id"]
        columns = ", ".join(f'"{name}" {kind}' for name, kind in functions)
        call = ", ".join(f'"{name}" := b."{name}"' for name, _ in functions)
        sql = (f"SELECT api.access_token({call}) FROM (SELECT %s::json AS data) p,"
               f" LATERAL (SELECT * FROM json_to_record(p.data) AS _({columns}) LIMIT 1) b")
        body = json.dumps(dict(zip(["workspace_id", "provider", "actor_type", "actor_id"],
                                   [str(WORKSPACE), "google", "user", "alice"])))
        connection.execute("SET ROLE web")
        assert connection.execute(sql, [body]).fetchall() == [("the token",)]
        assert connection.execute(GET.format("%s", "%s", "%s", "%s").replace(
            "access_token FROM oauth_get", "oauth_access_token"), identity()).fetchall() == [("the token",)]
        connection.execute("RESET ROLE")
        # Others may neither by the wrapper, nor by its like that PUBLIC may call.
        connection.execute("CREATE ROLE stranger; GRANT USAGE ON SCHEMA api TO stranger")
        for grant in ("SELECT", "GRANT EXECUTE ON FUNCTION api.access_token TO PUBLIC"):
            connection.execute("RESET ROLE")
            connection.execute(grant)
            connection.execute("SET ROLE stranger")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(sql, [body])
