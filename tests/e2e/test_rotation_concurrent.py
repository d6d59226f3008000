"""Rotation beside writers, with kills: each row opens to what was stored last."""

import os
import signal
import threading
import time

import psycopg
import pytest
from support.harness import DATABASE, wait_until
from support.tokens import fingerprint, in_background, new_key, set_ring

ONE, TWO = new_key(), new_key()
ROWS = 6000
HOT = 60  # the rows that writers write

IDENTITY = "'11111111-1111-4111-8111-111111111111', 'google', 'user', (:i)::text"

# Each writer notes what it stored while it holds the row, so that the journal
# has the true order of what was committed.
STORE = f"""
\\set i random(0, {HOT - 1})
\\set v random(1, 1000000000)
BEGIN;
SELECT oauth_store({IDENTITY}, 'a-' || :v, 'r-' || :v);
INSERT INTO journal (actor, value) VALUES (:i, :v);
END;
"""

# As the Python service writes, under whichever key it has.
RAW = f"""
\\set i random(0, {HOT - 1})
\\set v random(1, 1000000000)
BEGIN;
INSERT INTO oauth_tokens (workspace_id, provider, actor_type, actor_id,
    encrypted_access_token, encrypted_refresh_token, updated_at)
VALUES ({IDENTITY}, fernet_encrypt('a-' || :v, '{{key}}'), fernet_encrypt('r-' || :v, '{{key}}'), now())
ON CONFLICT (workspace_id, provider, actor_type, actor_id) DO UPDATE SET
    encrypted_access_token = EXCLUDED.encrypted_access_token,
    encrypted_refresh_token = EXCLUDED.encrypted_refresh_token, updated_at = EXCLUDED.updated_at;
INSERT INTO journal (actor, value) VALUES (:i, :v);
END;
"""

# Several rows in any order within a transaction. A client has rows of its own,
# so no two writers deadlock: whoever does, does with the rotation.
SEVERAL = """
\\set a :client_id * 10 + random(0, 9)
\\set b :client_id * 10 + random(0, 9)
\\set c :client_id * 10 + random(0, 9)
\\set v random(1, 1000000000)
BEGIN;
""" + "".join(
    f"""
SELECT oauth_store('11111111-1111-4111-8111-111111111111', 'google', 'user', (:{i})::text,
    'a-' || :v, 'r-' || :v);
INSERT INTO journal (actor, value) VALUES (:{i}, :v);
"""
    for i in "abc"
) + "END;\n"

LOST = """
    SELECT j.actor, j.value, d.access_token, d.refresh_token
    FROM (SELECT DISTINCT ON (actor) actor, value FROM journal ORDER BY actor, id DESC) j
    LEFT JOIN oauth_tokens_decrypted d ON d.actor_id = j.actor::text
    WHERE d.access_token IS DISTINCT FROM 'a-' || j.value
       OR d.refresh_token IS DISTINCT FROM 'r-' || j.value
"""


@pytest.fixture
def db(module_cluster):
    cluster = module_cluster(
        ring=[ONE], database=DATABASE,
        settings={"deadlock_timeout": "100ms", "autovacuum_naptime": "1s", "max_wal_size": "256MB"})
    cluster.rows("CREATE TABLE journal (id bigserial PRIMARY KEY, actor integer, value bigint)")
    cluster.rows(
        f"""SELECT oauth_store('11111111-1111-4111-8111-111111111111', 'google', 'user',
                a::text, 'a-0', 'r-0') FROM generate_series(0, {ROWS - 1}) a"""
    )
    cluster.rows(f"INSERT INTO journal (actor, value) SELECT a, 0 FROM generate_series(0, {ROWS - 1}) a")
    yield cluster
    cluster.remove()


class Writers:
    """pgbench runs beside the test; ends by itself or with the server."""

    def __init__(self, cluster, seconds, **scripts):
        self.results = {}

        def run(name, script):
            self.results[name] = cluster.run_pgbench(script, clients=3, seconds=seconds, check=False)

        self.threads = [threading.Thread(target=run, args=item) for item in scripts.items()]
        for thread in self.threads:
            thread.start()

    def wait(self):
        for thread in self.threads:
            thread.join()
        return self.results


def assert_nothing_lost(cluster, key):
    """The other key goes, and every row still opens to the last of its journal."""
    usage = cluster.rows('SELECT fingerprint, "values" FROM oauth_key_usage ORDER BY position')
    assert usage == [(fingerprint(key), 2 * ROWS)] + [
        (other, 0) for other, _ in usage[1:]
    ]
    set_ring(cluster, key)
    assert cluster.rows("SELECT * FROM oauth_tokens_damaged()") == []
    assert cluster.rows(LOST) == []
    assert cluster.value("SELECT count(*) FROM oauth_tokens") == ROWS
    assert cluster.rows("SELECT 1 FROM oauth_tokens WHERE updated_at IS NULL") == []
    assert cluster.value("SELECT max(value) FROM journal") > 0


def test_beside_writers_with_kills(db):  # E14
    """Every round has a new key, so each rotation has the whole table to do; it is
    stopped in the middle of it, alone or with the server."""
    keys = [ONE]
    for how in ("terminate", "kill -9", "cancel", "kill -9", "immediate"):
        keys.insert(0, new_key())
        set_ring(db, *keys)
        # The raw writers have not heard of the new key yet.
        writers = Writers(db, seconds=2, store=STORE, raw=RAW.format(key=keys[1]))
        holder = db.connect()  # so that it cannot end before it is stopped
        holder.execute("SELECT 1 FROM oauth_tokens WHERE actor_id = %s FOR UPDATE", [str(ROWS - 1)])
        with in_background(db, "CALL oauth_rotate_keys(5)") as call:
            wait_until(
                lambda: db.rows("SELECT 1 FROM oauth_tokens_internal.key_rotations WHERE"
                                " finished_at IS NULL AND values_rotated > 100 AND fingerprint = %s"
                                " AND id = (SELECT max(id) FROM oauth_tokens_internal.key_rotations)",
                                [fingerprint(keys[0])]),
                what="some batches", interval=0.01,
            )
            assert call.running
            if how == "terminate":
                db.rows("SELECT pg_terminate_backend(%s)", [call.pid])
            elif how == "cancel":
                call.connection.cancel()
            elif how == "immediate":
                db.stop("immediate")
            else:
                os.kill(call.pid, signal.SIGKILL)  # it would go on until it misses the postmaster
                db.kill()
            with pytest.raises(psycopg.Error):
                call.finish()
        holder.close()
        writers.wait()
        if not db.running:
            db.start()
        assert db.value('SELECT sum("values") FROM oauth_key_usage WHERE position > 1') > 0
        assert db.rows(LOST) == []

    # All have heard of it; rotation ends beside them.
    writers = Writers(db, seconds=4, store=STORE, raw=RAW.format(key=keys[0]))
    with in_background(db, "CALL oauth_rotate_keys(50)") as call:
        call.finish()
        assert any(thread.is_alive() for thread in writers.threads)
    for name, bench in writers.wait().items():
        assert bench.failed == 0 and bench.transactions > 100, f"{name}: {bench.output}"
        assert "ERROR" not in bench.output
    assert_nothing_lost(db, keys[0])


def test_two_at_once_and_writers_in_any_order(db):  # E14
    """No deadlock, no lost write, no value left: whatever else runs."""
    position = db.log_position()
    writers = Writers(db, seconds=6, several=SEVERAL, raw=RAW.format(key=ONE))
    rounds = 0
    started = time.monotonic()
    keys = [ONE, TWO]
    while time.monotonic() < started + 4:
        keys.reverse()
        set_ring(db, *keys)
        with in_background(db, "CALL oauth_rotate_keys(20)") as one, \
                in_background(db, "CALL oauth_rotate_keys(100000)") as two:
            wait_until(
                lambda: db.value("SELECT count(*) FROM oauth_tokens_internal.key_rotations"
                                 " WHERE values_rotated > 0") >= rounds + 1,
                60, what="progress",
            )
            rounds += 1
            for call in (one, two):
                if keys[0] == ONE:
                    call.finish()  # the raw writers have this key
    for name, bench in writers.wait().items():
        assert bench.failed == 0 and bench.transactions > 100, f"{name}: {bench.output}"
        assert "ERROR" not in bench.output
    assert rounds >= 2
    db.rows("CALL oauth_rotate_keys()")
    assert "deadlock" not in db.log(position)
    assert_nothing_lost(db, keys[0])
