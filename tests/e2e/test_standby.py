"""A hot standby reads; what writes is refused there and goes on after promotion."""

import psycopg
import pytest
from support.harness import KEY, wait_until
from support.tokens import get, identity, new_key, set_ring, store


@pytest.fixture(scope="module")
def pair(cluster):
    cluster.rows("CREATE ROLE app_reader LOGIN")
    cluster.rows("SELECT oauth_tokens_grant('app_reader', 'reader')")
    with cluster.connect(autocommit=True) as connection:
        for i in range(10):
            store(connection, identity(f"a{i}"), f"access-{i}", f"refresh-{i}")
    standby = cluster.standby()
    yield cluster, standby
    standby.remove()


def test_reads(pair):
    primary, standby = pair
    with standby.connect(autocommit=True) as connection:
        assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
        assert get(connection, identity("a3")) == ("access-3", "refresh-3")
        assert get(connection, identity("nobody")) is None
        assert connection.execute(
            "SELECT oauth_access_token(%s, %s, %s, %s, '1 hour')", identity("a4")
        ).fetchone() == ("access-4",)
        for sql, params in (
            ("SELECT * FROM oauth_connections ORDER BY actor_id", None),
            ("SELECT * FROM oauth_tokens_decrypted ORDER BY actor_id", None),
            ("SELECT * FROM oauth_key_usage", None),
            ("SELECT * FROM oauth_tokens_damaged()", None),
            ("SELECT oauth_tokens_current()", None),
            ("SELECT u.a, g.access_token FROM generate_series(0, 11) u (a), LATERAL"
             " oauth_get(%s, %s, %s, 'a' || u.a) g ORDER BY 1", identity()[:3]),
        ):
            assert connection.execute(sql, params).fetchall() == primary.rows(sql, params)
    with standby.connect(user="app_reader") as connection:
        assert get(connection, identity("a5")) == ("access-5", "refresh-5")


def test_reads_under_row_security(pair):
    primary, standby = pair
    primary.rows("SELECT oauth_tokens_enable_row_security()")
    primary.wait_for(standby)
    try:
        with standby.connect(user="app_reader") as connection:
            assert get(connection, identity("a5")) is None
            connection.execute("SELECT set_config('oauth_tokens.workspace_id', %s, true)", [str(identity()[0])])
            assert get(connection, identity("a5")) == ("access-5", "refresh-5")
    finally:
        primary.rows("SELECT oauth_tokens_disable_row_security()")
        primary.wait_for(standby)


@pytest.mark.parametrize("sql", [
    "SELECT oauth_store(gen_random_uuid(), 'p', 'user', 'x', 'y')",
    "SELECT oauth_delete('11111111-1111-4111-8111-111111111111', 'google', 'user', 'a1')",
    "SELECT oauth_move('11111111-1111-4111-8111-111111111111', 'google', 'user', 'a1',"
    " '11111111-1111-4111-8111-111111111111', 'google', 'user', 'a99')",
    "CALL oauth_rotate_keys()",
    "SELECT oauth_tokens_upgrade()",
    "SELECT oauth_tokens_downgrade(true)",
    "SELECT oauth_tokens_grant('app_reader', 'writer')",
    "SELECT oauth_tokens_revoke('app_reader', 'reader')",
    "SELECT oauth_tokens_enable_row_security()",
    "SELECT oauth_tokens_disable_row_security()",
])
@pytest.mark.parametrize("where", ["standby", "read-only transaction"])
def test_writes_are_refused(pair, sql, where):
    """25006 as from any writing statement, and the session goes on."""
    primary, standby = pair
    if "upgrade" in sql and where == "read-only transaction":
        primary.rows("DROP INDEX IF EXISTS idx_oauth_tokens_workspace_id")  # something to repair
    with (standby if where == "standby" else primary).connect(autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = on")
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(sql)
        assert caught.value.sqlstate == "25006", caught.value
        assert get(connection, identity("a1")) == ("access-1", "refresh-1")
        connection.execute("SET default_transaction_read_only = off")


def test_follows_changes_and_is_promoted(pair):
    primary, standby = pair
    with standby.connect(autocommit=True) as reader, primary.connect(autocommit=True) as writer:
        assert get(reader, identity("a1")) == ("access-1", "refresh-1")
        store(writer, identity("a1"), "newer")
        primary.wait_for(standby)
        assert get(reader, identity("a1")) == ("newer", "refresh-1")

        # DDL that arrives by replication is heard of, too.
        primary.rows("ALTER TABLE oauth_tokens RENAME scopes TO parked")
        primary.wait_for(standby)
        with pytest.raises(psycopg.Error) as caught:
            get(reader, identity("a1"))
        assert caught.value.sqlstate == "OT005"
        primary.rows("ALTER TABLE oauth_tokens RENAME parked TO scopes")
        primary.rows("VACUUM FULL oauth_tokens")
        primary.rows("REINDEX TABLE oauth_tokens")
        primary.wait_for(standby)
        assert get(reader, identity("a1")) == ("newer", "refresh-1")

        # A rotation on the primary is seen by a standby that has both keys.
        key = new_key()
        set_ring(standby, key, KEY)
        set_ring(primary, key, KEY)
        primary.rows("CALL oauth_rotate_keys()")
        primary.wait_for(standby)
        set_ring(primary, key)
        set_ring(standby, key)
        assert get(reader, identity("a1")) == ("newer", "refresh-1")

        standby.promote()
        wait_until(lambda: not standby.value("SELECT pg_is_in_recovery()"), what="the promotion")
        store(reader, identity("a1"), "after the promotion")
        assert get(reader, identity("a1")) == ("after the promotion", "refresh-1")
