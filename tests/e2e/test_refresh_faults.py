"""What goes wrong while a token is refreshed (T2 to T14), by the SQL functions alone: the
callers are processes of docs/examples/refresh.py with the capability `refresher`, before a provider
that rotates and ends a grant whose refresh token is used twice."""

import json
import time

import psycopg
import pytest
from support.harness import DATABASE, KEY, all_of, new_directory
from support.interrupting_proxy import InterruptingProxy
from support.openid import CLIENT, LIFE
from support.refresh_holder import Holder
from support.tokens import get, identity, new_key, python_store, set_ring

RULES = '{"openid": {"rotation": "strict"}, "graceful": {"rotation": "grace:60"}}'


def prepare(server, db=DATABASE):
    server.fresh_database(db)
    if not server.rows("SELECT 1 FROM pg_roles WHERE rolname = 'refresher'"):
        server.rows("CREATE ROLE refresher LOGIN")
    server.rows("SELECT oauth_tokens_grant('refresher', 'refresher')", db=db)
    server.rows("SELECT oauth_tokens_internal.publish_refresh_rules(%s)", [RULES], db=db)


@pytest.fixture(scope="module")
def cluster(module_cluster):
    made = module_cluster(settings={"max_connections": "200", "timezone": "Asia/Kolkata", "datestyle": "German"})  # T9
    prepare(made)
    return made


class Account:
    """One that is connected at `openid`; its access token has expired, unless `expires_in` says
    otherwise. The proxy before the provider is of this account alone."""

    def __init__(self, cluster, openid, actor, provider="openid", plan=(), expires_in=0):
        self.cluster, self.openid, self.whose = cluster, openid, identity(actor, provider)
        self.proxy = InterruptingProxy(openid.issuer, plan)
        grant = openid.grant(actor)
        self.asked = openid.token_requests("refresh_token")
        self.refused = len(openid.errors())
        # A client of its own: no failure of other accounts pauses it.
        cluster.rows("SELECT oauth_store(%s, %s, %s, %s, %s, %s, expires_in => %s, details => %s)", [
            *self.whose, grant["access_token"], grant["refresh_token"], expires_in,
            f'{{"client_id": "{actor}", "lifetime": {LIFE}}}'])
        self.holders = []

    def holder(self, **arguments):
        server = self.cluster
        self.holders.append(Holder(
            database=f"host={server.socket_dir} port={server.port} dbname={DATABASE} user=refresher",
            provider=[self.proxy.url + "/token", *CLIENT.values()], identity=list(map(str, self.whose)), **arguments))
        return self.holders[-1]

    def stored(self):
        """(access token, refresh token), or None."""
        with self.cluster.connect() as connection:
            return get(connection, self.whose)

    def expire(self):
        self.cluster.rows("UPDATE oauth_tokens SET access_token_expires_at = updated_at - interval '1 s'"
                          " WHERE actor_id = %s", [self.whose[3]])

    def end_lease(self, ago="1 ms"):
        """Of the attempt that is under way, which began so long ago at least."""
        changed = self.cluster.rows(
            "UPDATE oauth_tokens_internal.refresh_attempts SET lease_until = clock_timestamp(),"
            " began_at = least(began_at, now() - %s::interval) WHERE actor_id = %s RETURNING 1", [ago, self.whose[3]])
        assert changed
        # What oauth_refresh_fail() has set goes by then, too.
        self.cluster.rows("UPDATE oauth_tokens_internal.refresh_states s SET next_attempt_at = now() FROM oauth_tokens t"
                          " WHERE t.id = s.token_id AND t.actor_id = %s AND s.next_attempt_at IS NOT NULL", [self.whose[3]])

    def requests(self):
        """How many refreshes came to the provider since the account was connected, and what it has
        refused of all requests."""
        self.openid.wait_token_requests(0)
        return self.openid.token_requests("refresh_token") - self.asked, self.openid.errors()[self.refused:]

    def redeems(self):
        return self.openid.redeems(self.stored()[1])

    def close(self):
        for holder in self.holders:
            holder.close()
        self.proxy.close()


@pytest.fixture
def connect():
    yield from all_of(Account, Account.close)


# Many callers.


def test_exactly_one_refresh_for_each_expiry(cluster, openid, connect):  # T2
    account = connect(cluster, openid, "many")
    processes = [account.holder(callers=20) for _ in range(3)]
    for process in processes:
        assert process.line() == "ready"
    seen = set()
    for _ in range(10):
        account.expire()
        for process in processes:
            process.go()
        results = [result for process in processes for result in process.line()]
        assert results == [{"token": account.stored()[0]}] * 60
        seen.add(results[0]["token"])
    assert len(seen) == 10
    assert account.requests() == (10, [])
    assert account.redeems()


# A holder that is stopped.


def test_a_holder_that_sleeps_past_its_lease_stores_nothing(cluster, graceful, connect):  # T3
    account = connect(cluster, graceful, "sleeps", "graceful")
    first = account.holder(stop="answered")
    first.wait_stopped()
    account.end_lease()
    second = account.holder().result()
    stored = account.stored()
    assert second == {"token": stored[0]}
    first.resume()
    assert first.result() == second
    assert account.stored() == stored
    assert account.requests() == (2, [])
    assert account.redeems()


def test_a_holder_that_sleeps_before_the_call_sends_nothing(cluster, openid, connect):  # T11
    account = connect(cluster, openid, "before")
    began = time.monotonic()
    first = account.holder(stop="connected", LEASE=2, CALL=1)
    first.wait_stopped()
    account.end_lease(ago="1 h")
    second = account.holder().result()
    assert second == {"token": account.stored()[0]}
    time.sleep(max(0, began + 2.1 - time.monotonic()))
    first.resume()
    assert first.result() == second
    assert (account.proxy.arrived, account.requests()) == (["pass"], (1, []))
    assert account.redeems()


# No answer.


def test_no_answer_of_a_strict_provider(cluster, openid, connect):  # T12
    """It may have rotated. Nobody asks again, and the old token is served, until it has expired and
    two minutes are over. What is lost then, only a spool could have kept."""
    account = connect(cluster, openid, "strict", plan=["drop_answer"], expires_in=30)
    old, refresh = account.stored()
    for _ in range(2):
        assert account.holder().result() == {"token": old}
    account.expire()
    assert account.holder(timeout=1).result()["error"] == "busy"
    assert (account.proxy.arrived, account.requests()) == (["drop_answer"], (1, []))
    assert cluster.value("SELECT state FROM oauth_connections WHERE actor_id = %s", [account.whose[3]]) == "backing_off"
    account.end_lease(ago="121 s")
    assert account.holder().result()["error"] == "needs_reauthorization"
    assert account.requests() == (2, ["invalid_grant"])
    assert account.stored() == (old, refresh)


def test_a_request_that_never_came_to_a_strict_provider(cluster, openid, connect):  # T12
    account = connect(cluster, openid, "never came", plan=["drop"])
    assert account.holder(timeout=1).result()["error"] == "busy"
    account.end_lease(ago="121 s")
    assert account.holder().result() == {"token": account.stored()[0]}
    assert (account.proxy.arrived, account.requests()) == (["drop", "pass"], (1, []))
    assert account.redeems()


def test_no_answer_of_a_graceful_provider(cluster, graceful, connect):  # T12
    """It is asked again at once."""
    account = connect(cluster, graceful, "graceful", "graceful", plan=["cut_answer"])
    assert account.holder().result() == {"token": account.stored()[0]}
    assert (account.proxy.arrived, account.requests()) == (["cut_answer", "pass"], (2, []))
    assert account.redeems()


def test_the_holder_dies_without_a_word(cluster, openid, connect):  # T12
    account = connect(cluster, openid, "dies")
    first = account.holder(stop="answered")
    first.wait_stopped()
    first.kill()
    assert account.holder(timeout=1).result()["error"] == "busy"
    account.end_lease()
    assert account.holder(timeout=1).result()["error"] == "busy"
    assert account.requests() == (1, [])


# Others change the row meanwhile.


def test_a_delete_is_not_undone(cluster, openid, connect):  # T6
    account = connect(cluster, openid, "deleted", plan=["hold_answer"])
    holder = account.holder()
    account.proxy.wait_processed(1)
    cluster.rows("SELECT oauth_delete(%s, %s, %s, %s)", account.whose)
    account.proxy.release()
    assert holder.result() == {"token": None}
    assert account.stored() is None
    waiting = "SELECT count(*) FROM oauth_tokens_internal.oauth_revocations WHERE actor_id = 'deleted'"
    assert cluster.value(waiting) == 1


def test_a_store_after_a_delete_stays(cluster, openid, connect):  # T6
    account = connect(cluster, openid, "again", plan=["hold_answer"])
    holder = account.holder()
    account.proxy.wait_processed(1)
    cluster.rows("SELECT oauth_delete(%s, %s, %s, %s)", account.whose)
    cluster.rows("SELECT oauth_store(%s, %s, %s, %s, 'other access', 'other refresh', expires_in => 3600)", account.whose)
    account.proxy.release()
    assert holder.result() == {"token": "other access"}
    assert account.stored() == ("other access", "other refresh")


def test_raw_sql_wins(cluster, openid, connect):  # T10
    account = connect(cluster, openid, "raw", plan=["hold_answer"])
    holder = account.holder()
    account.proxy.wait_processed(1)
    with cluster.connect(autocommit=True) as connection:
        python_store(connection, account.whose, "raw access", "raw refresh")
    account.proxy.release()
    assert holder.result() == {"token": "raw access"}
    assert account.stored() == ("raw access", "raw refresh")


def test_raw_sql_that_leaves_the_refresh_token(cluster, openid, connect):  # T10
    """That one is spent: the new one is stored, or the grant would be lost."""
    account = connect(cluster, openid, "access alone", plan=["hold_answer"])
    holder = account.holder()
    account.proxy.wait_processed(1)
    refresh = account.stored()[1]
    with cluster.connect(autocommit=True) as connection:
        python_store(connection, account.whose, "raw access", refresh)
    account.proxy.release()
    assert holder.result() == {"token": account.stored()[0]}
    assert account.stored()[1] != refresh
    assert account.requests() == (1, [])
    assert account.redeems()


# The server dies, and its keys change.


@pytest.fixture(scope="module")
def mortal(module_cluster):
    """A server that flushes no commit by itself, and has its keys in a file."""
    made = module_cluster(key=None, start=False, settings={
        "synchronous_commit": "off", "wal_writer_delay": "10s", "bgwriter_delay": "10s", "autovacuum": "off",
        "timezone": "America/Sao_Paulo"})
    set_ring(made, KEY)
    prepare(made.start())
    return made


def die(server):
    server.kill()
    server.start()


def test_the_server_dies_between_answer_and_commit(mortal, openid, connect):  # T4
    """And again once the caller has been told; the grant still redeems."""
    account = connect(mortal, openid, "survives", plan=["hold_answer"] * 2)
    for count in range(1, 3):
        account.expire()
        mortal.rows("CHECKPOINT")
        holder = account.holder(CALL=60, LEASE=180)  # to start a server takes its time
        account.proxy.wait_processed(count)
        mortal.kill()
        account.proxy.release()
        mortal.start()
        assert holder.result() == {"token": account.stored()[0]}
    after = account.stored()
    die(mortal)
    assert account.stored() == after
    assert account.requests() == (2, [])
    assert account.redeems()


def test_server_and_holder_die_between_answer_and_commit(mortal, openid, connect):  # T4
    """The next holder finds the answer in the spool."""
    account = connect(mortal, openid, "spooled")
    spool = new_directory("spool")
    for count in range(1, 3):
        account.expire()
        mortal.rows("CHECKPOINT")
        holder = account.holder(stop="spooled", spool=str(spool))
        holder.wait_stopped()
        before = account.stored()
        die(mortal)
        holder.kill()
        result = account.holder(spool=str(spool)).result()
        assert result == {"token": account.stored()[0]}
        assert account.stored()[1] != before[1]
        assert account.requests() == (count, [])
        assert list(spool.iterdir()) == []
    after = account.stored()
    die(mortal)
    assert account.stored() == after
    assert account.redeems()


def test_a_rotation_of_keys_during_a_refresh(mortal, openid, connect):  # T10
    """The commit is made all the same; and a spooled answer still opens when the old key is gone."""
    account = connect(mortal, openid, "rotated", plan=["hold_answer"])
    spool = new_directory("spool")
    other, third = new_key(), new_key()
    holder = account.holder()
    account.proxy.wait_processed(1)
    set_ring(mortal, other, KEY)
    mortal.rows("CALL oauth_rotate_keys()")
    set_ring(mortal, other)
    account.proxy.release()
    assert holder.result() == {"token": account.stored()[0]}

    account.expire()
    holder = account.holder(stop="spooled", spool=str(spool))
    holder.wait_stopped()
    set_ring(mortal, third, other)
    mortal.rows("CALL oauth_rotate_keys()")
    set_ring(mortal, third)
    holder.kill()
    assert account.holder(spool=str(spool)).result() == {"token": account.stored()[0]}
    assert account.requests() == (2, [])
    assert account.redeems()


def test_a_key_that_is_taken_away_meanwhile(mortal, openid, connect):
    """An error, and nothing is lost."""
    account = connect(mortal, openid, "keyless")
    spool = new_directory("spool")
    holder = account.holder(stop="spooled", spool=str(spool))
    holder.wait_stopped()
    holder.kill()
    keys = (mortal.path / "keys").read_text().split()
    set_ring(mortal, new_key())
    (file,) = spool.iterdir()
    entry = json.loads(file.read_text())
    for sql in ("SELECT oauth_refresh_begin(%s, %s, %s, %s)",
                f"SELECT oauth_refresh_commit(%s, %s, %s, %s, {entry['fence']}, 'access')",
                f"SELECT oauth_refresh_fail(%s, %s, %s, %s, {entry['fence']}, 'dead_grant')",
                f"SELECT oauth_refresh_replay(%s, %s, %s, %s, {entry['fence']}, '{entry['sealed']}')"):
        assert sqlstate(mortal, sql, account.whose) == "OT003"
    assert account.holder(spool=str(spool)).exit_status() != 0
    assert list(spool.iterdir()) == [file]
    set_ring(mortal, *keys)
    assert account.holder(spool=str(spool)).result() == {"token": account.stored()[0]}
    assert account.requests() == (1, [])
    assert account.redeems()


# Bad input.

CALLS = {
    "begin": "SELECT oauth_refresh_begin(%s, %s, %s, %s)",
    "commit": "SELECT oauth_refresh_commit(%s, %s, %s, %s, 1, 'access')",
    "fail": "SELECT oauth_refresh_fail(%s, %s, %s, %s, 1, 'transient')",
    "replay": "SELECT oauth_refresh_replay(%s, %s, %s, %s, 1, 'gAAAA')",
}


def sqlstate(server, sql, params=None, db=DATABASE, user="postgres"):
    with pytest.raises(psycopg.Error) as caught:
        server.rows(sql, params, db=db, user=user)
    return caught.value.sqlstate


def test_a_role_without_the_right(cluster):
    cluster.rows("CREATE ROLE outsider LOGIN")
    cluster.rows("CREATE ROLE onlooker LOGIN")
    cluster.rows("SELECT oauth_tokens_grant('onlooker', 'reader')")
    for user in ("outsider", "onlooker"):
        for sql in CALLS.values():
            assert sqlstate(cluster, sql, identity("nobody"), user=user) == "42501"
    assert sqlstate(cluster, "SELECT oauth_tokens_adopt_cluster()", user="refresher") == "42501"
    assert sqlstate(cluster, "SELECT oauth_tokens_internal.publish_refresh_rules('{}')", user="refresher") == "42501"


def test_a_standby_refuses(cluster):
    standby = cluster.standby()
    for sql in CALLS.values():
        assert sqlstate(standby, sql, identity("nobody")) == "25006"
    standby.remove()


def test_a_snapshot_of_before_grants_nothing(cluster):
    """Above READ COMMITTED a transaction would not see the attempt of another."""
    whose = identity("snapshot")
    cluster.rows("SELECT oauth_store(%s, %s, %s, %s, 'access', 'refresh', expires_in => 0)", whose)
    begin = "SELECT outcome, fence FROM oauth_refresh_begin(%s, %s, %s, %s)"
    for level in ("REPEATABLE READ", "SERIALIZABLE"):
        with cluster.connect() as old, cluster.connect(autocommit=True) as other:
            old.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
            old.execute("SELECT count(*) FROM oauth_tokens")
            outcome, fence = other.execute(begin, whose).fetchone()
            assert outcome == "granted"
            with pytest.raises(psycopg.Error) as caught:
                old.execute(begin, whose)
            assert caught.value.sqlstate == "40001"
            old.rollback()
            # Nor does it store over an attempt that it does not see.
            old.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
            old.execute("SELECT count(*) FROM oauth_tokens")
            other.execute("UPDATE oauth_tokens_internal.refresh_attempts SET lease_until = now(), began_at = now() - interval '1 h'")
            outcome, _ = other.execute(begin, whose).fetchone()
            assert outcome == "granted"
            with pytest.raises(psycopg.Error) as caught:
                old.execute("SELECT oauth_refresh_commit(%s, %s, %s, %s, %s, 'late', 'late')", [*whose, fence])
            assert caught.value.sqlstate == "40001"
        cluster.rows("SELECT oauth_store(%s, %s, %s, %s, 'access', gen_random_uuid()::text, expires_in => 0)", whose)


# A copy.


@pytest.fixture(scope="module")
def spooling(cluster, openid):
    """An account whose refreshed tokens are in a file of the spool, and not in the database yet."""
    cluster.rows("SELECT oauth_store(%s, %s, %s, %s, 'access', 'refresh', expires_in => 0)", identity("needs the user"))
    cluster.rows("SELECT oauth_refresh_fail(w, p, 'user', a, b.fence, 'dead_grant') FROM (VALUES (%s::uuid, %s, %s, %s)) v(w, p, t, a),"
                 " LATERAL oauth_refresh_begin(w, p, 'user', a) b", identity("needs the user"))
    account = Account(cluster, openid, "copied")
    spool = new_directory("spool")
    holder = account.holder(stop="spooled", spool=str(spool))
    holder.wait_stopped()
    holder.kill()
    yield account
    account.close()


KEPT = [f"SELECT kept::text FROM ({sql}) kept ORDER BY 1" for sql in [
    "SELECT s.*, t.actor_id FROM oauth_tokens_internal.refresh_states s JOIN oauth_tokens t ON t.id = s.token_id",
    "SELECT * FROM oauth_tokens_internal.refresh_attempts",
    "SELECT * FROM oauth_tokens_internal.refresh_clients",
    "SELECT last_value FROM oauth_tokens_internal.refresh_fences",
    "SELECT id FROM oauth_tokens_internal.cluster",
]]


def refuses(server, whose, db):
    """Until it is adopted."""
    assert server.rows("SELECT adopted FROM oauth_tokens_internal.cluster()", db=db) == [(False,)]
    for sql in CALLS.values():
        assert sqlstate(server, sql, whose, db=db) == "OT017"


def test_a_dump_restored_elsewhere(cluster, openid, spooling, module_cluster):  # T14
    """It refreshes nothing until told, and has all that is known of refreshes."""
    copy = module_cluster(settings=cluster.settings)
    copy.rows("CREATE ROLE refresher LOGIN", db="postgres")
    for role in ("outsider", "onlooker"):
        copy.rows(f"CREATE ROLE {role}", db="postgres")
    copy.rows(f"CREATE DATABASE {DATABASE}", db="postgres")
    copy.restore(cluster.dump("-Fc"))
    refuses(copy, spooling.whose, DATABASE)
    kept = [copy.rows(sql) for sql in KEPT]
    assert kept == [cluster.rows(sql) for sql in KEPT]
    assert any("dead_grant" in str(row) for row in kept[0])
    assert openid.token_requests("refresh_token") == spooling.asked + 1

    copy.rows("SELECT oauth_tokens_adopt_cluster()")
    assert copy.value("SELECT outcome FROM oauth_refresh_begin(%s, %s, %s, %s)", spooling.whose) == "busy"
    assert copy.value("SELECT outcome FROM oauth_refresh_begin(%s, %s, %s, %s)", identity("needs the user")) \
        == "needs_reauthorization"
    assert copy.value("SELECT adopted FROM oauth_tokens_internal.cluster()")


def test_a_database_made_of_a_template(cluster, spooling):  # T14
    cluster.rows(f"CREATE DATABASE copy TEMPLATE {DATABASE}", db="postgres")
    refuses(cluster, spooling.whose, "copy")
    assert cluster.value("SELECT adopted FROM oauth_tokens_internal.cluster()")
