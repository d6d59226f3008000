"""No initialization vector comes twice: not by fork, by reload, or under load."""

import base64
import os

from support.harness import DATABASE, KEY
from support.tokens import identity, key_forms, new_key, set_ring, store

SEALED = "SELECT encrypted_access_token FROM oauth_tokens"


def iv(token):
    return base64.urlsafe_b64decode(token)[9:25]


def assert_unique(tokens, count):
    ivs = [iv(token) for token in tokens]
    assert len(ivs) == count
    assert len(set(ivs)) == count
    # Nor a counter, nor zeros: each byte takes many values.
    if count >= 1000:
        assert all(len({value[i] for value in ivs}) > 200 for i in range(16))
    assert bytes(16) not in ivs


def test_many_fresh_backends(cluster):  # E11
    """Each seals a few values as its first act."""
    tokens = []
    for _ in range(150):
        with cluster.connect(autocommit=True) as connection:
            tokens += [token for token, in connection.execute(
                "SELECT oauth_encrypt('x') FROM generate_series(1, 5)")]
            tokens += [token for token, in connection.execute(
                "SELECT fernet_encrypt('x', %s) FROM generate_series(1, 2)", [KEY])]
    assert_unique(tokens, 150 * 7)


def test_backends_with_one_process_id(make_cluster):  # E11
    """Restarted servers and crashed ones begin anew, with the memory of the same postmaster."""
    cluster = make_cluster()
    cluster.fresh_database(DATABASE)
    tokens = []
    for i in range(4):
        with cluster.connect(autocommit=True) as connection:
            tokens += [token for token, in connection.execute(
                "SELECT oauth_encrypt('x') FROM generate_series(1, 50)")]
        if i % 2:
            cluster.restart()
        else:
            position = cluster.log_position()
            # Held: a backend whose client has gone ends by itself, and that is no crash.
            victim = cluster.connect()
            os.kill(victim.info.backend_pid, 9)
            cluster.wait_log("reinitializing", since=position)
            cluster.wait_ready()
    assert_unique(tokens, 200)


def test_many_stores_at_once(cluster):  # E11
    """Every value that was ever written, from many backends at one time."""
    cluster.fresh_database(DATABASE)
    cluster.rows("CREATE TABLE written (token text)")
    cluster.rows("CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO"
                 " written VALUES (NEW.encrypted_access_token), (NEW.encrypted_refresh_token);"
                 " RETURN NEW; END $$")
    cluster.rows("CREATE TRIGGER note AFTER INSERT OR UPDATE ON oauth_tokens FOR EACH ROW"
                 " EXECUTE FUNCTION note()")
    bench = cluster.run_pgbench(
        "SELECT oauth_store('11111111-1111-4111-8111-111111111111', 'google', 'user',"
        " :client_id || '-' || i % 3, 'same text', 'same text') FROM generate_series(1, 10) i",
        clients=20, transactions=10, options=("-C",),
    )
    assert bench.transactions == 200
    assert_unique([token for token, in cluster.rows("SELECT token FROM written")], 4000)


def test_rotation_takes_new_ones(make_cluster):  # E11
    cluster = make_cluster(key=None, start=False)
    first, second = new_key(), new_key()
    set_ring(cluster, first)
    cluster.start()
    cluster.fresh_database(DATABASE)
    with cluster.connect(autocommit=True) as connection:
        for i in range(200):
            store(connection, identity(str(i)), "same text")
    tokens = [token for token, in cluster.rows(SEALED)]
    for keys in ((second, first), (first, second)):
        set_ring(cluster, *keys)
        cluster.rows("CALL oauth_rotate_keys()")
        tokens += [token for token, in cluster.rows(SEALED)]
    assert_unique(tokens, 600)


def test_generated_keys(cluster):  # E11
    keys = [cluster.value("SELECT fernet_generate_key()") for _ in range(40)]
    keys += [key for key, in cluster.rows("SELECT fernet_generate_key() FROM generate_series(1, 1000)")]
    halves = [half for key in keys for half in key_forms(key)[2:]]
    assert len(set(halves)) == 2 * 1040
