"""A schema and a locale that nobody has thought of."""

import subprocess

import psycopg
import pytest
from support.harness import DATABASE, new_directory
from support.tokens import get, identity, store

SCHEMA = "Odd .schema; %s, "  # no quotes or comments: PostgreSQL refuses them
QUOTED = f'"{SCHEMA}"'


def test_a_schema_with_an_odd_name(cluster):
    """Adopted, repaired, rotated, and nothing is wrong."""
    cluster.fresh_database(DATABASE, schema=SCHEMA)
    cluster.rows(f"ALTER TABLE {QUOTED}.oauth_tokens DROP CONSTRAINT uq_oauth_tokens_identity")
    cluster.rows(f"DROP INDEX {QUOTED}.idx_oauth_tokens_workspace_id")
    cluster.rows(f"DROP TRIGGER oauth_cache_invalidate_row ON {QUOTED}.oauth_tokens")
    cluster.rows(f"SELECT {QUOTED}.oauth_tokens_upgrade(), {QUOTED}.oauth_tokens_enable_row_security(),"
                 f" {QUOTED}.oauth_tokens_enable_background_refresh()")
    with cluster.connect(autocommit=True) as session:
        session.execute(f"SET search_path = {QUOTED}, public")
        store(session, identity(), "access", "refresh")
        assert get(session, identity()) == ("access", "refresh")
        session.execute("CALL oauth_rotate_keys()")
        assert session.execute("SELECT item, detail FROM oauth_doctor() WHERE status <> 'ok'"
                               " AND item NOT IN ('source of the key', 'daemon')").fetchall() == []


@pytest.fixture
def turkish(monkeypatch):
    """A locale that is made here, since few machines have it."""
    locales = new_directory("locales")
    subprocess.run(["localedef", "--inputfile=tr_TR", "--charmap=UTF-8", locales / "tr_TR.utf8"], check=True)
    monkeypatch.setenv("LOCPATH", str(locales))


def test_turkish(turkish, make_cluster):
    """I is no capital of i there."""
    cluster = make_cluster(initdb_args=["--locale=tr_TR.utf8", "--encoding=UTF8"],
                           settings={"lc_messages": "tr_TR.utf8", "log_statement": "all",
                                     "oauth_tokens.redact_also": "GIZLI_iI"})
    cluster.fresh_database(DATABASE)
    with cluster.connect(autocommit=True) as session:
        store(session, identity(), "access", "refresh")
        assert get(session, identity()) == ("access", "refresh")
        assert session.execute("SELECT oauth_tokens_current()").fetchone() == ("bb51836389e7 (head)",)
        since = cluster.log_position()
        for statement in ("SELECT OAUTH_FLOW_CONFIRM('sentinel')", "SELECT GIZLI_Ii('sentinel')",
                          "SELECT OAUTH_REFRESH_COMMIT('sentinel')"):
            with pytest.raises(psycopg.Error):
                session.execute(statement)
    assert "sentinel" not in cluster.log(since)
