"""Refreshes by callers whose transactions keep an old snapshot: no answer is called superseded
that is not (T4), and nobody else is granted the same refresh token (T2)."""

import json

import psycopg
import pytest
from cryptography.fernet import Fernet
from support.tokens import identity

LEVELS = ["REPEATABLE READ", "SERIALIZABLE"]
BEGIN = "SELECT outcome, fence, spool_key FROM oauth_refresh_begin(%s, %s, %s, %s)"
TOKENS = "SELECT access_token, refresh_token FROM oauth_get(%s, %s, %s, %s)"


def store(cluster, actor):
    cluster.rows("SELECT oauth_store(%s, %s, %s, %s, 'old', 'spent', expires_in => 0)", identity(actor))


@pytest.fixture(params=LEVELS)
def old(cluster, request):
    """A session that begins such a transaction at start()."""
    with cluster.connect(autocommit=True) as session:

        def start():
            session.execute(f"BEGIN ISOLATION LEVEL {request.param}")
            session.execute("SELECT count(*) FROM oauth_tokens")
            return session

        start.level = request.param
        yield start


def test_an_attempt_that_the_snapshot_does_not_show_is_not_superseded(cluster, old):
    for actor, statement in [
        ("committed", "SELECT oauth_refresh_commit(%s, %s, %s, %s, %s, 'new', 'next')"),
        ("replayed", "SELECT oauth_refresh_replay(%s, %s, %s, %s, %s, %s)"),
        ("failed", "SELECT oauth_refresh_fail(%s, %s, %s, %s, %s, 'transient')"),
    ]:
        store(cluster, actor)
        session = old()
        _, fence, key = cluster.rows(BEGIN, identity(actor))[0]
        answer = {"access_token": "new", "refresh_token": "next"}
        sealed = Fernet(key).encrypt(json.dumps(answer).encode()).decode()
        parameters = [*identity(actor), fence, sealed]
        with pytest.raises(psycopg.errors.SerializationFailure):
            session.execute(statement, parameters[: statement.count("%s")])
        session.execute("ROLLBACK")
        assert cluster.value("SELECT oauth_refresh_replay(%s, %s, %s, %s, %s, %s)", parameters) == "committed"
        assert cluster.rows(TOKENS, identity(actor)) == [("new", "next")]


def test_nothing_is_granted_beside_a_grant_that_the_snapshot_does_not_show(cluster, old):
    actor = f"begun before {old.level}"
    store(cluster, actor)
    session = old()
    assert cluster.value(BEGIN, identity(actor)) == "granted"
    with pytest.raises(psycopg.errors.SerializationFailure):
        session.execute(BEGIN, identity(actor))


def test_refreshes_of_one_client_do_not_wait_for_each_others_commit(cluster):
    """A row of the client's, locked until a commit is on the disk, would let one refresh after the other through."""
    commit = "SELECT oauth_refresh_commit(%s, %s, %s, %s, %s, 'new', 'next')"
    actors = ["client's first", "client's second", "client's third"]
    for actor in actors:
        store(cluster, actor)
    fences = {actor: cluster.rows(BEGIN, identity(actor))[0][1] for actor in actors}
    cluster.rows(commit, [*identity(actors[0]), fences[actors[0]]])  # the client is known to succeed now
    with cluster.connect() as uncommitted, cluster.connect() as beside:
        uncommitted.execute(commit, [*identity(actors[1]), fences[actors[1]]])
        beside.execute("SET lock_timeout = '5s'")
        assert beside.execute(commit, [*identity(actors[2]), fences[actors[2]]]).fetchone()[0] == "committed"
