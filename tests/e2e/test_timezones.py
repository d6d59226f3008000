"""A moment stays a moment: whatever the session's TimeZone and DateStyle, and whichever type
the table's columns have."""

import datetime as dt

import pytest
from support.harness import DATABASE
from support.tokens import identity, python_store

UTC = dt.timezone.utc
SESSIONS = [
    "-c TimeZone=UTC",
    "-c TimeZone=Asia/Kolkata -c DateStyle=German",
    "-c TimeZone=America/Sao_Paulo -c DateStyle=SQL,DMY -c IntervalStyle=sql_standard",
    "-c TimeZone=Pacific/Kiritimati",
]
# One within the hour that New York's clocks pass twice, one in winter, one far away.
MOMENTS = [
    dt.datetime(2031, 11, 2, 5, 30, 15, 123456, tzinfo=UTC),
    dt.datetime(2031, 1, 1, 0, 0, 0, tzinfo=UTC),
    dt.datetime(9998, 12, 30, 23, 59, 59, tzinfo=UTC),
]


@pytest.fixture(params=["timestamp", "timestamptz"])
def db(cluster, request):
    cluster.fresh_database(DATABASE)
    if request.param == "timestamptz":
        cluster.rows("ALTER TABLE oauth_tokens " + ", ".join(
            f"ALTER {column} TYPE timestamptz USING {column} AT TIME ZONE 'UTC'"
            for column in ("access_token_expires_at", "created_at", "updated_at")
        ))
        cluster.rows("SELECT oauth_tokens_upgrade()")
    return cluster


def moments(connection, sql, params=()):
    """One row of them, in binary: psycopg reads no German dates."""
    return connection.execute(sql, params, binary=True).fetchone()


def seen(connection, whose):
    """The expiry by each way to ask for it."""
    return {
        *moments(connection, "SELECT expires_at FROM oauth_get(%s, %s, %s, %s)", whose),
        *moments(connection, "SELECT expires_at FROM oauth_connections WHERE actor_id = %s", whose[3:]),
        *moments(connection, "SELECT expires_at FROM oauth_tokens_decrypted WHERE actor_id = %s", whose[3:]),
    }


@pytest.mark.parametrize("writer", SESSIONS)
def test_expiry(db, writer):  # T9
    with db.connect(autocommit=True, options=writer) as connection:
        for i, moment in enumerate(MOMENTS):
            connection.execute("SELECT oauth_store(%s, %s, %s, %s, 'x', expires_at => %s)",
                               (*identity(f"at-{i}"), moment))
            python_store(connection, identity(f"python-{i}"), "x", expires_at=(
                moment.replace(tzinfo=None) if db.value(
                    "SELECT atttypid = 'timestamp'::regtype FROM pg_attribute WHERE attrelid ="
                    " 'oauth_tokens'::regclass AND attname = 'access_token_expires_at'") else moment))
        connection.execute("SELECT oauth_store(%s, %s, %s, %s, 'x', expires_in => 3600)", identity("in"))
    for reader in SESSIONS:
        with db.connect(autocommit=True, options=reader) as connection:
            for i, moment in enumerate(MOMENTS):
                assert seen(connection, identity(f"at-{i}")) == {moment}
                assert seen(connection, identity(f"python-{i}")) == {moment}
            (soon,) = seen(connection, identity("in"))
            left = (soon - dt.datetime.now(UTC)).total_seconds()
            assert 3500 < left <= 3600
            access = "SELECT oauth_access_token(%s, %s, %s, %s, %s)"
            assert connection.execute(access, (*identity("in"), "58 minutes")).fetchone() == ("x",)
            assert connection.execute(access, (*identity("in"), "61 minutes")).fetchone() == (None,)


@pytest.mark.parametrize("writer", SESSIONS)
def test_updated_and_created(db, writer):  # T9
    before = dt.datetime.now(UTC)
    with db.connect(autocommit=True, options=writer) as connection:
        for _ in range(2):
            connection.execute("SELECT oauth_store(%s, %s, %s, %s, 'x')", identity())
        connection.execute("SELECT oauth_move(%s, %s, %s, %s, %s, %s, %s, %s)",
                           (*identity(), *identity("moved")))
    after = dt.datetime.now(UTC)
    for reader in SESSIONS:
        with db.connect(options=reader) as connection:
            created, updated = moments(
                connection, "SELECT created_at, updated_at FROM oauth_connections")
            assert before <= created < updated <= after
            assert {updated} == {
                *moments(connection, "SELECT updated_at FROM oauth_get(%s, %s, %s, %s)", identity("moved")),
                *moments(connection, "SELECT updated_at FROM oauth_tokens_decrypted"),
            }
