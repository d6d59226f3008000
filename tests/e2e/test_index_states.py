"""Indexes and tables in a state that PostgreSQL allows and that a look below SQL must know
(THREATS E21, E25)."""

import psycopg
import pytest
from harness import DATABASE
from tokens import get, identity, store

WHOSE = identity("indexed")


@pytest.fixture
def session(cluster):
    cluster.wait_ready()
    cluster.fresh_database(DATABASE)
    with cluster.connect(autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("how", [
    "ALTER TABLE oauth_tokens ADD CONSTRAINT uq_oauth_tokens_identity"
    " UNIQUE (workspace_id, provider, actor_type, actor_id)",
    "SELECT oauth_tokens_upgrade()",
])
def test_constraint_built_under_an_old_snapshot(cluster, session, how):
    """E21: indcheckxmin makes no store fail, neither beside the old snapshot nor after it."""
    store(session, WHOSE, "first", "refresh")
    session.execute("ALTER TABLE oauth_tokens DROP CONSTRAINT uq_oauth_tokens_identity")
    with cluster.connect() as old:
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT 1")
        session.execute("UPDATE oauth_tokens SET scopes = 'changed'")  # HOT
        session.execute(how)
        assert session.execute(
            "SELECT indcheckxmin FROM pg_index"
            " WHERE indexrelid = 'uq_oauth_tokens_identity'::regclass").fetchone() == (True,)
        store(session, WHOSE, "second", "refresh")
        assert get(session, WHOSE) == ("second", "refresh")
    with cluster.connect(autocommit=True) as other:
        store(other, WHOSE, "third", "refresh")
        assert get(other, WHOSE) == ("third", "refresh")
    assert get(session, WHOSE) == ("third", "refresh")


CITUS = """
    SET allow_system_table_mods = on;
    CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass NOT NULL);
    INSERT INTO pg_catalog.pg_dist_partition VALUES ('public.{}')"""


@pytest.mark.parametrize("table", ["oauth_tokens", "oauth_token_details"])
def test_distributed_by_citus(cluster, session, table):
    """E25: a distributed table is refused by name, in sessions that were open, too."""
    store(session, WHOSE, "access", "refresh")
    cluster.psql(CITUS.format(table))
    calls = ("SELECT oauth_tokens_current()", "SELECT oauth_tokens_upgrade()",
             "SELECT oauth_tokens_downgrade(true)", "CALL oauth_rotate_keys()",
             "SELECT oauth_cache_register('one')",
             "SELECT * FROM oauth_get('{0}', '{1}', '{2}', '{3}')".format(*WHOSE),
             "SELECT oauth_access_token('{0}', '{1}', '{2}', '{3}')".format(*WHOSE),
             "SELECT oauth_store('{0}', '{1}', '{2}', '{3}', 'x')".format(*WHOSE),
             "SELECT oauth_delete('{0}', '{1}', '{2}', '{3}')".format(*WHOSE))
    for call in calls:
        with pytest.raises(psycopg.Error, match=f"{table} is distributed by Citus") as caught:
            session.execute(call)
        assert caught.value.sqlstate == "OT005", call
        assert "undistribute_table" in caught.value.diag.message_hint


def test_other_access_method_and_rules(cluster, session):
    """E25: refused by name, and right again afterwards."""
    store(session, WHOSE, "access", "refresh")
    session.execute("CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler")
    for before, named, after in (
            ("ALTER TABLE oauth_tokens SET ACCESS METHOD other", "access method other",
             "ALTER TABLE oauth_tokens SET ACCESS METHOD heap"),
            ("CREATE RULE r AS ON DELETE TO oauth_tokens DO INSTEAD NOTHING", "it has rules",
             "DROP RULE r ON oauth_tokens")):
        session.execute(before)
        with pytest.raises(psycopg.Error) as caught:
            get(session, WHOSE)
        assert caught.value.sqlstate == "OT005" and named in caught.value.diag.message_detail
        session.execute(after)
        assert get(session, WHOSE) == ("access", "refresh")
