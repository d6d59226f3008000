"""Rotations that seal for a row (E14, E15) beside what they cannot seal, and beside others that write
as oauth_tokens.key_binding was before."""

import base64
import hashlib
import hmac
import os
import struct
import threading
import uuid

import psycopg
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from support.harness import DATABASE, wait_until
from support.tokens import identity, in_background, new_key, set_ring, store

OLD, NEW = new_key(), new_key()
W = uuid.UUID(int=7)
SHARED = 'SELECT "values", shared FROM oauth_key_usage ORDER BY position'


@pytest.fixture(scope="module")
def cluster(module_cluster):
    return module_cluster(ring=[OLD], database=DATABASE)


@pytest.fixture
def odd(db):
    """A database with an encoding that has more than UTF-8, and a session with it."""
    db.rows("CREATE DATABASE rotation_odd TEMPLATE template0 ENCODING 'EUC_JP' LOCALE 'C'", db="postgres")
    db.rows("CREATE EXTENSION oauth_tokens", db="rotation_odd")
    db.rows("SELECT oauth_tokens_upgrade()", db="rotation_odd")
    with db.connect("rotation_odd", autocommit=True, client_encoding="EUC_JP") as connection:
        yield connection
    db.rows("DROP DATABASE rotation_odd WITH (FORCE)", db="postgres")


def call(connection, batch_size=1000):
    """What the rotation warns of, with detail and hint."""
    told = []
    connection.execute("SET statement_timeout = '30s'")
    connection.add_notice_handler(
        lambda diag: told.append(f"{diag.message_primary} {diag.message_detail} {diag.message_hint}")
        if diag.severity == "WARNING" else None)
    connection.execute(f"CALL oauth_rotate_keys({batch_size})")
    return told


def mode(connection, setting):
    connection.execute(f"SET oauth_tokens.key_binding = {setting}")


def bad_padding(key):
    """Signed by the key, but what is in it ends in no padding."""
    raw, iv = base64.urlsafe_b64decode(key), os.urandom(16)
    cipher = Cipher(algorithms.AES(raw[16:]), modes.CBC(iv)).encryptor()
    body = b"\x80" + struct.pack(">Q", 1_700_000_000) + iv + cipher.update(b"\0" * 16) + cipher.finalize()
    return base64.urlsafe_b64encode(body + hmac.new(raw[:16], body, hashlib.sha256).digest()).decode()


def test_an_identity_that_utf8_has_not_is_in_no_ones_way(odd):
    """Everything else is bound; the warning names it, also if it waits to be revoked."""
    whose = rf"'{W}', 'google', 'user', E'\xa9\xa1'"
    for statement in (f"'{W}', 'google', 'user', 'before'", whose, f"'{W}', 'google', 'user', 'behind'"):
        odd.execute(f"SELECT oauth_store({statement}, 'access', 'refresh')")
    mode(odd, "migrating")
    warnings = call(odd, 1)
    assert len(warnings) == 1 and warnings[0].startswith("2 values cannot be bound to their rows")
    assert rf"('{W}', E'google', E'user', E'\xa9\xa1')" in warnings[0]
    assert odd.execute(SHARED).fetchall() == [(6, 2)]

    mode(odd, "shared")
    odd.execute(f"SELECT oauth_delete({whose}, revoke => true)")
    mode(odd, "migrating")
    assert [warning.split(" cannot")[0] for warning in call(odd)] == [
        "2 values of deleted tokens that wait to be revoked"]
    assert odd.execute(SHARED).fetchall() == [(6, 2)]


def test_a_signed_value_with_bad_padding(db):
    """It counts as one that no key opens: the pass and the proof agree."""
    with db.connect(autocommit=True) as connection:
        store(connection, identity("good"), "access", "refresh")
        store(connection, identity("bad"), "access")
        connection.execute("UPDATE oauth_tokens SET encrypted_access_token = %s WHERE actor_id = 'bad'",
                           [bad_padding(OLD)])
        mode(connection, "migrating")
        told = call(connection)
        assert [text.split(" of")[0] for text in told] == ["1 value opens under no key"]
    set_ring(db, NEW, OLD)
    with db.connect(autocommit=True) as connection:
        told = call(connection)
        assert [text.split(" of")[0] for text in told] == ["1 value opens under no key"]
        assert connection.execute(SHARED).fetchall() == [(2, 2), (1, 1)]
    set_ring(db, OLD)


def test_the_queue_of_revocations_is_told_of(db):
    """In bound, what shared has put there waits for ever, unless somebody knows."""
    with db.connect(autocommit=True) as connection:
        store(connection, identity("gone"), "access", "refresh")
        connection.execute("SELECT oauth_delete(%s, %s, %s, %s, revoke => true)", identity("gone"))
        mode(connection, "bound")
        told = call(connection)
        assert len(told) == 1 and told[0].startswith(
            "2 values of deleted tokens that wait to be revoked do not open, and are left as they are")
        assert "set it to migrating" in told[0]
        mode(connection, "migrating")
        assert call(connection) == []
        mode(connection, "bound")
        assert call(connection) == []


def test_a_session_of_before_ends_the_rotation(db):
    """It stores in the old mode as fast as the rotation seals anew: an error says so, and what to do."""
    db.rows("SELECT count(oauth_store(%s, 'google', 'user', 'n' || n, 'token')) FROM generate_series(1, 2000) n", [W])
    stop = threading.Event()

    def write():
        with db.connect(autocommit=True) as connection:
            mode(connection, "shared")
            while not stop.is_set():
                connection.execute("SELECT oauth_store(%s, 'google', 'user', 'n' || 1 + (random() * 1999)::int, 'token')", [W])

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        with db.connect(autocommit=True) as connection:
            mode(connection, "migrating")
            with pytest.raises(psycopg.errors.ObjectInUse, match="another session keeps storing"):
                for _ in range(50):  # one can end between two stores
                    call(connection)
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    with db.connect(autocommit=True) as connection:
        mode(connection, "migrating")
        assert call(connection) == []
        assert connection.execute("SELECT sum(shared) FROM oauth_key_usage").fetchone() == (0,)


def test_two_that_would_undo_each_other(db):
    """The second one with another setting is refused at once; the same setting goes, and so does the
    other one when the first has ended, however it ended."""
    with db.connect(autocommit=True) as connection:
        store(connection, identity("held"), "access", "refresh")
    with db.connect(autocommit=True) as one, db.connect(autocommit=True) as two, db.connect() as holder:
        holder.execute("SELECT 1 FROM oauth_tokens FOR UPDATE")
        mode(one, "migrating")
        mode(two, "shared")
        first = threading.Thread(target=lambda: pytest.raises(psycopg.errors.QueryCanceled, call, one))
        first.start()
        wait_until(lambda: db.rows("SELECT 1 FROM oauth_tokens_internal.key_rotations"), what="the first one's begin")
        for _ in range(2):
            with pytest.raises(psycopg.errors.ObjectInUse, match="another session rotates keys with another"):
                call(two)
        two.execute("DO $$ BEGIN CALL oauth_rotate_keys(); EXCEPTION WHEN OTHERS THEN NULL; END $$")
        mode(two, "migrating")
        two.execute("SET statement_timeout = '1s'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            two.execute("CALL oauth_rotate_keys()")
        one.cancel()
        first.join()
        holder.rollback()
        mode(two, "shared")
        assert call(two) == []
        mode(one, "migrating")
        assert call(one) == []
        assert db.rows("SELECT 1 FROM pg_locks WHERE locktype = 'object' AND objid ="
                       " 'oauth_tokens_internal.key_rotations'::regclass") == []
