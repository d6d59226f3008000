"""Whoever writes, and however: what the cache had of it is gone. Writers whose transactions stay
open, writers beside the cache's start, and everything dropped while fills run."""

import threading
import uuid

import psycopg
import pytest
from support.cached import (PROVIDERS, Watch, cache_state, epoch, fill, read, store_and_fill, wait_cache,
                            wait_acknowledged, wait_dropped)
from cryptography.fernet import Fernet
from support.harness import KEY, wait_until
from support.redis_server import PREFIX, metadata_key, entry, entry_key, is_trusted, trusted_entry
from support.sidecar import someone
from support.tokens import WORKSPACE, python_store, store


@pytest.fixture(scope="module")
def server(module_cluster):
    return module_cluster(settings={"max_prepared_transactions": "5"})


@pytest.fixture(scope="module")
def redis(module_redis):
    return module_redis()


@pytest.fixture(scope="module")
def cached(module_cached, server, redis):
    return module_cached(redis, cluster=server)


@pytest.fixture
def writer(cached):
    """A session of the owner's."""
    with cached.cluster.connect(cached.db, autocommit=True) as connection:
        yield connection


def sealed(token):
    return Fernet(KEY).encrypt(token.encode()).decode()


IDENTITY = "(workspace_id, provider, actor_type::text, actor_id) = (%s, %s, %s, %s)"
COLUMNS = "workspace_id, provider, actor_type, actor_id, encrypted_access_token"


def by_update(writer, whose):
    writer.execute(f"UPDATE oauth_tokens SET encrypted_access_token = %s WHERE {IDENTITY}", [sealed("new"), *whose])


def by_python_upsert(writer, whose):
    python_store(writer, whose, "new")


def as_replica(writer, whose):
    writer.execute("SET session_replication_role = replica")
    by_update(writer, whose)


def without_triggers(writer, whose):
    """What pg_restore --disable-triggers does for itself, and then somebody writes."""
    writer.execute("SET session_replication_role = replica")
    by_python_upsert(writer, whose)


def by_delete_and_copy(writer, whose):
    with writer.transaction():
        writer.execute("SET LOCAL session_replication_role = replica")
        writer.execute(f"DELETE FROM oauth_tokens WHERE {IDENTITY}", whose)
        by_copy(writer, whose)


def by_copy(writer, whose):
    with writer.cursor().copy(f"COPY oauth_tokens ({COLUMNS}) FROM STDIN") as copy:
        copy.write_row([*whose, sealed("new")])


def by_truncate_and_insert(writer, whose):
    with writer.transaction():
        writer.execute("TRUNCATE oauth_tokens")
        writer.execute(f"INSERT INTO oauth_tokens ({COLUMNS}) VALUES (%s, %s, %s, %s, %s)", [*whose, sealed("new")])


def by_merge(writer, whose):
    writer.execute(
        f"MERGE INTO oauth_tokens USING (SELECT 1) one ON {IDENTITY}"
        " WHEN MATCHED THEN UPDATE SET encrypted_access_token = %s", [*whose, sealed("new")])


def by_two_phases(writer, whose):
    with writer.transaction():
        by_update(writer, whose)
        writer.execute("PREPARE TRANSACTION 'of the tests'")
    writer.execute("COMMIT PREPARED 'of the tests'")


def by_another_database_role(writer, whose):
    writer.execute("SET ROLE app")
    store(writer, whose, "new")


def in_a_savepoint(writer, whose):
    with writer.transaction():
        writer.execute("SAVEPOINT one")
        python_store(writer, whose, "never")
        writer.execute("ROLLBACK TO SAVEPOINT one")
        by_update(writer, whose)


def by_move_there(writer, whose):
    """Another's token comes to this identity."""
    other = (*whose[:3], whose[3] + "-other")
    store(writer, other, "new")
    with writer.transaction():
        writer.execute(f"DELETE FROM oauth_tokens WHERE {IDENTITY}", whose)
        writer.execute("SELECT oauth_move(%s, %s, %s, %s, %s, %s, %s, %s)", [*other, *whose])


WAYS = [by_update, by_python_upsert, as_replica, without_triggers, by_delete_and_copy, by_truncate_and_insert,
        by_merge, by_two_phases, by_another_database_role, in_a_savepoint, by_move_there]


@pytest.mark.parametrize("write", WAYS)
def test_every_way_to_write(cached, writer, client, write):  # C2
    whose = someone()
    store_and_fill(cached, client, whose, "old")
    write(writer, whose)
    wait_dropped(client, whose)
    assert read(cached, whose) == "new" == fill(cached, client, whose)
    assert cache_state(cached) == "ok"


@pytest.mark.parametrize("write", [by_copy, by_python_upsert, by_truncate_and_insert])
def test_a_new_row_drops_what_stood_there(cached, writer, client, write):  # C2
    """An INSERT alone, by COPY say, is a change, too: the Python service may have written there."""
    whose = someone()
    client.set(entry_key(whose), '{"access_token": "of nobody"}')
    write(writer, whose)
    wait_acknowledged(cached)
    assert client.get(entry_key(whose)) is None
    assert read(cached, whose) == "new"


@pytest.mark.parametrize("statement", [
    f"DELETE FROM oauth_tokens WHERE {IDENTITY}", "TRUNCATE oauth_tokens",
    "SET session_replication_role = replica; DELETE FROM oauth_tokens"])
def test_every_way_to_delete(cached, writer, client, statement):  # C2
    whose = someone()
    store_and_fill(cached, client, whose, "old")
    parts = statement.split("; ")
    for part in parts:
        writer.execute(part, whose if "%s" in part else None)
    wait_dropped(client, whose)
    assert cached.api("token", whose).status == 404


def test_an_identity_changes(cached, writer, client):  # C2
    """Both the old and the new one: two people who swap their ids read their own."""
    one, two = someone(), someone()
    for whose in (one, two):
        store_and_fill(cached, client, whose, f"of {whose[3]}")
    with writer.transaction():
        writer.execute("SET LOCAL session_replication_role = replica")
        for old, new in ((one, "parked"), (two, one[3]), ((*one[:3], "parked"), two[3])):
            writer.execute(f"UPDATE oauth_tokens SET actor_id = %s WHERE {IDENTITY}", [new, *old])
    for whose in (one, two):
        wait_dropped(client, whose)
    assert fill(cached, client, one) == f"of {two[3]}"
    assert fill(cached, client, two) == f"of {one[3]}"
    other = (uuid.uuid4(), *one[1:])
    writer.execute("SELECT oauth_move(%s, %s, %s, %s, %s, %s, %s, %s)", [*one, *other])
    wait_dropped(client, one)
    assert cached.api("token", one).status == 404 and read(cached, other) == f"of {two[3]}"


def test_the_table_is_rewritten(cached, writer, client):  # C2
    """What changes no token drops none."""
    whose = someone()
    store_and_fill(cached, client, whose, "old")
    writer.execute("VACUUM FULL oauth_tokens")
    writer.execute("REINDEX TABLE oauth_tokens")
    assert is_trusted(client, whose) and read(cached, whose) == "old"
    store(writer, whose, "new")
    wait_dropped(client, whose)
    assert fill(cached, client, whose) == "new"


def test_the_triggers_are_taken_away(cached, writer, client):  # C2
    """Nothing more is vouched for than the heartbeat says, and the sidecar says what to do."""
    whose = someone()
    store_and_fill(cached, client, whose, "invalidated")
    before = epoch(client)
    triggers = writer.execute(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = 'oauth_tokens'::regclass"
        " AND tgfoid = 'oauth_tokens_internal.record_change'::regproc").fetchall()
    assert triggers
    try:
        with Watch(lambda: (trusted_entry(client, whose) or {}).get("access_token", "unrecorded"), "invalidated") as watch:
            for (name,) in triggers:
                writer.execute(f'ALTER TABLE oauth_tokens DISABLE TRIGGER "{name}"')
            watch.change(cached, whose, "unrecorded")
            wait_until(lambda: "oauth_tokens_upgrade()" in cached.get("/readyz").json.get("warning", ""),
                       what="/readyz to tell")
            wait_until(lambda: read(cached, whose) == "unrecorded", 6, what="the new token")
            wait_until(lambda: not client.exists(f"{PREFIX}:live"), what="the heartbeat's end")
    finally:
        writer.execute("SELECT oauth_tokens_upgrade()")
    wait_until(lambda: "warning" not in cached.get("/readyz").json, what="/readyz to tell")
    wait_cache(cached)
    assert epoch(client)[0] != before[0] and epoch(client)[2] != before[2]
    assert fill(cached, client, whose) == "unrecorded"


def test_without_preloading(make_cluster, make_redis, make_cached):  # C2
    """Nobody wakes the sidecar, which looks by itself."""
    redis = make_redis()
    sidecar = make_cached(redis, cluster=make_cluster(preload="session"))
    whose = someone()
    with redis.client as client, sidecar.cluster.connect(sidecar.db, autocommit=True) as writer:
        for write in (by_update, as_replica, by_truncate_and_insert):
            store_and_fill(sidecar, client, whose, "old")
            write(writer, whose)
            wait_dropped(client, whose)
            assert read(sidecar, whose) == "new" == fill(sidecar, client, whose)


def test_rotation_drops_nothing(cached, writer, client):
    """New ciphertext of the same tokens."""
    whose = someone()
    store_and_fill(cached, client, whose, "token")
    before = writer.execute("SELECT encrypted_access_token FROM oauth_tokens LIMIT 1").fetchone()
    writer.execute("CALL oauth_rotate_keys()")
    assert before is not None
    wait_acknowledged(cached)
    assert is_trusted(client, whose) and read(cached, whose) == "token"


# Transactions that are open


def test_a_writer_stays_open(cached, writer, client):  # C15
    """For eight seconds: the heartbeat stays, others' changes are dropped as ever, nobody deadlocks
    and nobody gets a serialization failure of ours."""
    whose, others = someone(), [someone() for _ in range(3)]
    for one in (whose, *others):
        store_and_fill(cached, client, one, "old")
    live = f"{PREFIX}:live"
    first = client.get(live)
    with cached.cluster.connect(cached.db) as slow, cached.cluster.connect(cached.db) as strict:
        strict.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        strict.execute("SELECT count(*) FROM oauth_tokens")
        store(slow, whose, "new")
        store(slow, someone(), "its own")
        begun = writer.execute("SELECT clock_timestamp()").fetchone()[0]
        number, longest = 0, 0
        while writer.execute("SELECT clock_timestamp() - %s < '8 s'", [begun]).fetchone()[0]:
            one, number = others[number % len(others)], number + 1
            store(writer, one, f"new {number}")
            wait_dropped(client, one)
            assert fill(cached, client, one) == f"new {number}"
            assert client.get(live) == first, "the heartbeat has lapsed"
            assert read(cached, whose) == "old" and is_trusted(client, whose)
            longest = max(longest, number)
        assert longest >= 3
        # It began before all of this, and writes now.
        store(strict, someone(), "strict")
        python_store(strict, someone(), "strict")
        strict.execute("UPDATE oauth_tokens SET scopes = 'x' WHERE actor_id = %s", [someone()[3]])
        strict.commit()
        slow.commit()
    wait_dropped(client, whose)
    assert read(cached, whose) == "new"
    assert epoch(client)[0] == first and cache_state(cached) == "ok"


def test_a_transaction_of_many_changes(cached, writer, client):  # C2
    """More invalidations than one pass reads, and one for everything past the hundred thousandth."""
    whose, alone = someone(), someone()
    for one in (whose, alone):
        store_and_fill(cached, client, one, "old")
    with writer.transaction():
        writer.execute(
            f"INSERT INTO oauth_tokens ({COLUMNS}) SELECT %s, 'fake', 'user', 'bulk-' || n, 'x'"
            " FROM generate_series(1, 12000) n", [WORKSPACE])
        by_update(writer, whose)
    wait_dropped(client, whose)
    wait_acknowledged(cached)
    assert read(cached, whose) == "new" and is_trusted(client, alone)
    assert cache_state(cached) == "ok"
    writer.execute("DELETE FROM oauth_tokens WHERE actor_id LIKE 'bulk-%'")
    wait_acknowledged(cached)


def test_started_beside_a_writer(server, make_redis, make_sidecar):  # C13
    """The cache comes on only after the writer has ended, and what it wrote is dropped or read."""
    redis = make_redis()
    sidecar = make_sidecar(PROVIDERS, cluster=server, start=False, settings={"REDIS_URL": redis.url})
    whose = someone()
    sidecar.store(whose, "old")
    with redis.client as client, server.connect(sidecar.db) as open_one:
        store(open_one, whose, "new")
        sidecar.start()
        sidecar.wait_log("cannot read changes from the database")
        for _ in range(20):
            assert read(sidecar, whose) == "old" and cache_state(sidecar) == "off"
        assert client.keys("*") == []
        # Nobody who comes later waits behind the cache for long.
        sidecar.store(someone(), "another's")
        open_one.commit()
        wait_cache(sidecar)
        assert read(sidecar, whose) == "new" == fill(sidecar, client, whose)


def test_a_snapshot_from_before(server, make_redis, make_sidecar):  # C13
    """A transaction that began before the cache was registered, and writes after it was."""
    redis = make_redis()
    sidecar = make_sidecar(PROVIDERS, cluster=server, start=False, settings={"REDIS_URL": redis.url})
    whose, another = someone(), someone()
    for one in (whose, another):
        sidecar.store(one, "old")
    with redis.client as client, server.connect(sidecar.db) as early:
        early.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        early.execute("SELECT count(*) FROM oauth_tokens")
        early.execute("SAVEPOINT one")
        sidecar.start()
        wait_cache(sidecar)
        for one in (whose, another):
            assert fill(sidecar, client, one) == "old"
        python_store(early, another, "never")
        early.execute("ROLLBACK TO SAVEPOINT one")
        store(early, whose, "new")
        assert fill(sidecar, client, whose) == "old"
        early.commit()
        wait_dropped(client, whose)
        assert fill(sidecar, client, whose) == "new" and read(sidecar, another) == "old"


def test_a_fill_is_under_way(cached, writer, client):  # C1
    """It has read the old token, and comes after the change has been dropped: its lease is gone."""
    people = [someone() for _ in range(4)]
    for whose in people:
        store(writer, whose, "0")
    for number in range(1, 16):
        wait_acknowledged(cached)
        client.delete(*map(entry_key, people))
        with writer.transaction():
            # Readers wait here, with snapshots from before.
            writer.execute("LOCK TABLE oauth_tokens IN ACCESS EXCLUSIVE MODE")
            for whose in people:
                store(writer, whose, str(number))
            readers = [threading.Thread(target=cached.api, args=["token", whose], daemon=True) for whose in people]
            for reader in readers:
                reader.start()
            wait_until(lambda: cached.sql("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation ="
                                          " 'oauth_tokens'::regclass")[0][0] >= len(people), what="the readers")
        for reader in readers:
            reader.join(30)
        wait_acknowledged(cached)
        found = [entry(client, whose) for whose in people]
        assert [one for one in found if one and one["access_token"] != str(number)] == [], number
        assert [read(cached, whose) for whose in people] == [str(number)] * len(people)


# Everything at once


@pytest.mark.parametrize("way", ["TRUNCATE", "epoch"])
def test_everything_is_dropped_while_fills_run(cached, client, way):  # C18
    """Rounds of it: nothing of the round before stands there once it has been dropped."""
    rounds = 100 if way == "TRUNCATE" else 5  # where keys are lost, a sidecar sees it with its next stamp
    people = [someone() for _ in range(20)]
    writer = cached.cluster.connect(cached.db, autocommit=True)
    ended, wrong = threading.Event(), []

    def write(number):
        with writer.transaction():
            if way == "TRUNCATE":
                writer.execute("TRUNCATE oauth_tokens")
            for whose in people:
                store(writer, whose, f"{number}")

    def fill_on():
        while not ended.is_set():
            for whose in people:
                try:
                    reply = cached.api("token", whose)
                    # TRUNCATE shows an empty table to whoever took a snapshot before.
                    if reply.status != 200 and (way, reply.status) != ("TRUNCATE", 404):
                        wrong.append(reply)
                except Exception as error:
                    wrong.append(error)

    write(0)
    threads = [threading.Thread(target=fill_on, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        survived = []
        for number in range(1, rounds + 1):
            wait_until(lambda: any(is_trusted(client, whose) for whose in people), 20, interval=0, what="a fill")
            if way == "epoch":
                client.delete(f"{PREFIX}:epoch", f"{PREFIX}:live")
            write(number)
            wait_acknowledged(cached)
            for whose in people:
                # Not even one that nobody vouches for: the Python service would read it.
                found = entry(client, whose)
                if found and found["access_token"] != str(number):
                    survived.append((number, found["access_token"]))
    finally:
        ended.set()
        for thread in threads:
            thread.join(30)
        writer.close()
    assert survived == [] and wrong == []
    for whose in people:
        assert fill(cached, client, whose) == str(rounds)
    assert client.get(metadata_key(people[0])).split(" ")[0] == epoch(client)[0]
