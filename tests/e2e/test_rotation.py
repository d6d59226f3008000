"""Rotation by itself: what it changes, what it keeps, and that it is done when it says so."""

import base64
import datetime as dt

import psycopg
import pytest
from cryptography.fernet import Fernet
from support.harness import DATABASE, wait_until
from support.tokens import fingerprint, get, identity, in_background, new_key, python_store, set_ring, store

OLD, MIDDLE, NEW = new_key(), new_key(), new_key()

USAGE = 'SELECT fingerprint, "values" FROM oauth_key_usage ORDER BY position'


@pytest.fixture(scope="module")
def cluster(module_cluster):
    return module_cluster(ring=[OLD], database=DATABASE, settings={"deadlock_timeout": "200ms"})


def fill(cluster, count, access="access", refresh="refresh"):
    """Stores identities 0 .. count-1 under the first key."""
    cluster.rows(
        f"""SELECT oauth_store('11111111-1111-4111-8111-111111111111', 'google', 'user',
                a::text, '{access}-' || a, '{refresh}-' || a)
            FROM generate_series(0, {count - 1}) a"""
    )


def rotate(cluster, batch_size=1000):
    """Runs it to its end; the messages that it sent."""
    with in_background(cluster, f"CALL oauth_rotate_keys({batch_size})") as call:
        call.finish()
        return call.notices


def made_at(token):
    """The timestamp of a Fernet token, whatever its key."""
    return int.from_bytes(base64.urlsafe_b64decode(token)[1:9], "big")


def everything(cluster):
    return cluster.rows("SELECT * FROM oauth_tokens ORDER BY id")


def assert_all_open(cluster, key, expected):
    """Every row holds what was expected, by that one key alone."""
    rows = cluster.rows(
        "SELECT actor_id, encrypted_access_token, encrypted_refresh_token FROM oauth_tokens"
    )
    fernet = Fernet(key)
    opened = {
        actor: (fernet.decrypt(access).decode(), refresh and fernet.decrypt(refresh).decode())
        for actor, access, refresh in rows
    }
    assert opened == expected


# What it does


def test_three_keys(db):  # E14
    """Values of all three keys end under the first; the rest of each row stays."""
    made = dt.datetime(2020, 2, 3, 4, 5, 6, tzinfo=dt.timezone.utc)
    plain = {}
    with db.connect(autocommit=True) as connection:
        for i, key in enumerate([OLD, MIDDLE, NEW] * 20):
            workspace_id, provider, actor_type, actor = identity(str(i))
            python_store(connection, identity(actor), b"x", b"y", key=key)
            for column, text in (("access", f"access {i} é🔑"), ("refresh", f"refresh {i}")):
                token = Fernet(key).encrypt_at_time(text.encode(), int(made.timestamp()) + i).decode()
                connection.execute(
                    f"UPDATE oauth_tokens SET encrypted_{column}_token = %s,"
                    " updated_at = '2001-02-03 04:05:06.789' WHERE actor_id = %s", [token, actor],
                )
            plain[actor] = (f"access {i} é🔑", f"refresh {i}")
    set_ring(db, NEW, MIDDLE, OLD)
    expected = [fingerprint(key) for key in (NEW, MIDDLE, OLD)]
    assert db.rows(USAGE) == [(key, 40) for key in expected]
    assert db.value("SELECT oldest FROM oauth_key_usage WHERE position = 3") == made

    before = {row[0]: row for row in everything(db)}
    messages = rotate(db)
    assert db.rows(USAGE) == [(expected[0], 120), (expected[1], 0), (expected[2], 0)]
    assert db.value("SELECT oldest FROM oauth_key_usage WHERE position = 1") == made
    assert ("INFO", "oauth_rotate_keys: 80 values re-encrypted") in messages

    set_ring(db, NEW)
    assert_all_open(db, NEW, plain)
    changed = 0
    for row in everything(db):
        old = before[row[0]]
        for column, (was, now) in enumerate(zip(old, row)):
            if was != now:
                changed += 1
                assert column in (6, 7) and made_at(now) == made_at(was)
    assert changed == 80
    with db.connect() as connection:
        assert all(get(connection, identity(actor)) == pair for actor, pair in plain.items())
    assert db.rows("SELECT * FROM oauth_tokens_damaged()") == []


def test_progress(db):
    """An INFO line and a committed row per batch; a second call finds nothing to do."""
    fill(db, 95)
    set_ring(db, NEW, OLD)
    messages = rotate(db, batch_size=10)
    first = f"oauth_rotate_keys: the key with fingerprint {fingerprint(NEW)} is the first"
    assert messages[0] == ("INFO", first)
    done = [0]
    for severity, text in messages[1:]:
        assert severity == "INFO" and text == f"oauth_rotate_keys: {text.split()[1]} values re-encrypted"
        done.append(int(text.split()[1]))
    assert all(0 < rows <= 2 * 10 for rows in (after - before for before, after in zip(done, done[1:])))
    assert done[-1] == 190
    progress = "SELECT fingerprint, values_rotated, values_damaged, finished_at IS NOT NULL" \
        " FROM oauth_tokens_internal.key_rotations ORDER BY id"
    assert db.rows(progress) == [(fingerprint(NEW), 190, 0, True)]

    before = db.rows("SELECT xmin::text, ctid::text FROM oauth_tokens ORDER BY id")
    assert rotate(db) == [("INFO", first)]
    assert db.rows("SELECT xmin::text, ctid::text FROM oauth_tokens ORDER BY id") == before
    assert db.rows(progress)[1] == (fingerprint(NEW), 0, 0, True)


def test_progress_is_committed_with_each_batch(db):
    """Others see it while rotation still waits for a row."""
    fill(db, 50)
    set_ring(db, NEW, OLD)
    with db.connect() as holder:
        holder.execute("SELECT 1 FROM oauth_tokens WHERE actor_id = '49' FOR UPDATE")
        with in_background(db, "CALL oauth_rotate_keys(10)") as call:
            wait_until(
                lambda: db.rows("SELECT 1 FROM oauth_tokens_internal.key_rotations"
                                " WHERE values_rotated = 98 AND finished_at IS NULL"),
                what="the progress",
            )
            wait_until(lambda: any("waiting for 2 values" in text for _, text in call.notices),
                       what="the INFO line of the wait")
            assert db.value('SELECT "values" FROM oauth_key_usage WHERE position = 2') == 2
            holder.rollback()
            call.finish()
    assert db.value('SELECT "values" FROM oauth_key_usage WHERE position = 2') == 0


def test_damaged_values_are_left_and_counted(db):
    fill(db, 5)
    garbage = "gAAAAABnot-a-token"
    foreign = Fernet(new_key()).encrypt(b"foreign").decode()
    db.rows("UPDATE oauth_tokens SET encrypted_access_token = %s WHERE actor_id = '1'", [garbage])
    db.rows("UPDATE oauth_tokens SET encrypted_refresh_token = %s WHERE actor_id = '2'", [foreign])
    db.rows("UPDATE oauth_tokens SET encrypted_refresh_token = '' WHERE actor_id = '3'")
    set_ring(db, NEW, OLD)
    messages = rotate(db)
    assert ("WARNING", "3 values open under no key of the ring") in messages
    assert db.rows("SELECT values_rotated, values_damaged FROM oauth_tokens_internal.key_rotations") \
        == [(7, 3)]
    assert db.rows(USAGE) == [(fingerprint(NEW), 7), (fingerprint(OLD), 0), (None, 3)]
    assert db.value("SELECT encrypted_access_token FROM oauth_tokens WHERE actor_id = '1'") == garbage
    assert db.value("SELECT encrypted_refresh_token FROM oauth_tokens WHERE actor_id = '2'") == foreign


def test_triggers_do_not_fire(db):
    """Not even ALWAYS ones: rotation changes nothing that anybody could see."""
    fill(db, 20)
    db.rows("CREATE TABLE fired (what text)")
    db.rows("CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN INSERT INTO fired VALUES (TG_OP); NEW.updated_at := now(); RETURN NEW; END $$")
    for when in ("BEFORE", "AFTER"):
        db.rows(f"CREATE TRIGGER t_{when} {when} UPDATE ON oauth_tokens FOR EACH ROW EXECUTE"
                " FUNCTION note()")
        db.rows(f"ALTER TABLE oauth_tokens ENABLE ALWAYS TRIGGER t_{when}")
    db.rows("CREATE TRIGGER t_statement AFTER UPDATE ON oauth_tokens FOR EACH STATEMENT EXECUTE"
            " FUNCTION note()")
    before = db.rows("SELECT id, updated_at, created_at FROM oauth_tokens ORDER BY id")
    set_ring(db, NEW, OLD)
    rotate(db)
    assert db.rows("SELECT * FROM fired") == []
    assert db.rows("SELECT id, updated_at, created_at FROM oauth_tokens ORDER BY id") == before
    db.rows("UPDATE oauth_tokens SET scopes = 'x' WHERE actor_id = '1'")
    assert db.rows("SELECT count(*) FROM fired") == [(3,)]


def test_unusual_table(db):
    """Generated column, indexes on the ciphertext, by expression and partial, dropped and
    extra columns, TOASTed tokens, a fill factor: all as good afterwards as before."""
    db.rows("ALTER TABLE oauth_tokens ADD COLUMN gone text DEFAULT 'gone'")
    db.rows("ALTER TABLE oauth_tokens DROP COLUMN gone")
    db.rows("ALTER TABLE oauth_tokens ADD COLUMN size integer GENERATED ALWAYS AS"
            " (length(encrypted_access_token)) STORED,"
            " ADD COLUMN head text GENERATED ALWAYS AS (left(encrypted_refresh_token, 40)) STORED,"
            " ADD COLUMN note text DEFAULT 'noted', ADD COLUMN big text")
    db.rows("ALTER TABLE oauth_tokens SET (fillfactor = 50)")
    db.rows("CREATE INDEX by_hash ON oauth_tokens USING hash (encrypted_access_token)")
    db.rows("CREATE INDEX by_digest ON oauth_tokens (md5(encrypted_refresh_token))")
    db.rows("CREATE INDEX partial ON oauth_tokens (actor_id) WHERE encrypted_refresh_token IS NOT NULL")
    db.rows("CREATE UNIQUE INDEX by_head ON oauth_tokens (head)")
    db.rows("CREATE INDEX by_brin ON oauth_tokens USING brin (created_at)")
    fill(db, 60)
    with db.connect(autocommit=True) as connection:
        for i, size in enumerate([2000, 5000, 8200, 20000, 65536]):
            store(connection, identity(f"toasted-{i}"), "A" * size, "R" * size)
        connection.execute("UPDATE oauth_tokens SET big = repeat('0123456789', 5000),"
                           " note = NULL WHERE actor_id LIKE 'toasted%'")
    plain = dict(db.rows("SELECT actor_id, (access_token, refresh_token)::text"
                         " FROM oauth_tokens_decrypted"))
    kept = "SELECT id, actor_id, note, md5(big), size, updated_at FROM oauth_tokens ORDER BY id"
    before = db.rows(kept)
    set_ring(db, NEW, OLD)
    rotate(db, batch_size=7)
    set_ring(db, NEW)
    assert dict(db.rows("SELECT actor_id, (access_token, refresh_token)::text"
                        " FROM oauth_tokens_decrypted")) == plain
    assert db.rows(kept) == before
    assert db.rows("SELECT 1 FROM oauth_tokens WHERE head <> left(encrypted_refresh_token, 40)") == []
    db.rows("CREATE EXTENSION IF NOT EXISTS amcheck")
    for index in ("by_digest", "partial", "by_head", "oauth_tokens_pkey", "uq_oauth_tokens_identity"):
        db.rows("SELECT bt_index_check(%s::regclass, heapallindexed => true)", [index])
    assert db.rows("SELECT * FROM verify_heapam('oauth_tokens')") == []
    with db.connect() as connection:
        connection.execute("SET enable_seqscan = off")
        for column, found in (("encrypted_access_token", "encrypted_access_token"),
                              ("md5(encrypted_refresh_token)", "md5(encrypted_refresh_token)"),
                              ("head", "left(encrypted_refresh_token, 40)")):
            wanted = connection.execute(f"SELECT {found}, actor_id FROM oauth_tokens").fetchall()
            for value, actor in wanted:
                assert connection.execute(
                    f"SELECT actor_id FROM oauth_tokens WHERE {column} = %s", [value]
                ).fetchall() == [(actor,)]


def test_replica_identity_is_respected(db):
    """A published table without a replica identity refuses updates, and so rotation."""
    fill(db, 3)
    db.rows("ALTER TABLE oauth_tokens REPLICA IDENTITY NOTHING")
    db.rows("CREATE PUBLICATION everything FOR TABLE oauth_tokens")
    set_ring(db, NEW, OLD)
    with pytest.raises(psycopg.Error):
        rotate(db)
    db.rows("ALTER TABLE oauth_tokens REPLICA IDENTITY DEFAULT")
    rotate(db)
    assert db.rows(USAGE) == [(fingerprint(NEW), 6), (fingerprint(OLD), 0)]


def test_where_it_must_not_run(db):
    """Before any work, with a hint; nothing is written."""
    fill(db, 3)
    set_ring(db, NEW, OLD)
    before = everything(db)
    db.rows("CREATE PROCEDURE wrapped() LANGUAGE plpgsql SET work_mem = '1MB' AS"
            " $$ BEGIN CALL oauth_rotate_keys(); END $$")
    db.rows("CREATE FUNCTION wrapped_too() RETURNS void LANGUAGE plpgsql AS"
            " $$ BEGIN CALL oauth_rotate_keys(); END $$")
    for sql in ("BEGIN; CALL oauth_rotate_keys()", "SELECT wrapped_too()", "CALL wrapped()",
                "CALL oauth_rotate_keys(); SELECT 1"):
        with db.connect(autocommit=True) as connection, pytest.raises(psycopg.Error) as caught:
            connection.execute(sql)
        assert caught.value.sqlstate == "25001", sql
        assert caught.value.diag.message_hint
    with db.connect() as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute("CALL oauth_rotate_keys()")
    assert caught.value.sqlstate == "25001"
    for size in ("0", "-1", "NULL"):
        with pytest.raises(psycopg.Error) as caught:
            rotate(db, size)
        assert caught.value.sqlstate == "22023"
    assert everything(db) == before
    assert db.rows("SELECT * FROM oauth_tokens_internal.key_rotations") == []
    # A procedure that may commit may call it.
    db.rows("CREATE PROCEDURE outer_one() LANGUAGE plpgsql AS $$ BEGIN CALL oauth_rotate_keys(1); END $$")
    db.rows("CALL outer_one()")
    assert db.rows(USAGE) == [(fingerprint(NEW), 6), (fingerprint(OLD), 0)]


def test_row_security_makes_it_fail(db):  # E17
    """Fewer rows must not look like all rows."""
    fill(db, 5)
    db.rows("DROP ROLE IF EXISTS owner_of_tokens")
    db.rows("CREATE ROLE owner_of_tokens LOGIN")
    db.rows("ALTER TABLE oauth_tokens OWNER TO owner_of_tokens")
    db.rows("ALTER TABLE oauth_token_details OWNER TO owner_of_tokens")
    db.rows("SELECT oauth_tokens_grant('owner_of_tokens', 'admin')")
    db.rows("ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    db.rows("CREATE POLICY p ON oauth_tokens USING (actor_id = '1')")
    set_ring(db, NEW, OLD)
    for sql in ("CALL oauth_rotate_keys()", "TABLE oauth_key_usage",
                "SELECT * FROM oauth_tokens_damaged()", "SELECT oauth_tokens_downgrade(true)"):
        with pytest.raises(psycopg.Error) as caught:
            db.rows(sql, user="owner_of_tokens")
        assert caught.value.sqlstate == "42501", sql
    assert db.value("SELECT count(*) FROM oauth_tokens") == 5
    rotate(db)  # a superuser sees all
    assert db.rows(USAGE) == [(fingerprint(NEW), 10), (fingerprint(OLD), 0)]


# Room


def size(cluster):
    return cluster.value("SELECT pg_table_size('oauth_tokens')")


SHAPES = {
    "nine rows a page": ("fillfactor = 100, toast_tuple_target = 8160", 200, 9000),
    "with room": ("fillfactor = 90, toast_tuple_target = 8160", 200, 9000),
    "small rows": ("fillfactor = 100, toast_tuple_target = 8160", 5, 20000),
    "one row a page": ("fillfactor = 100, toast_tuple_target = 8160", 1500, 1000),
    "tokens in the TOAST table": ("fillfactor = 100, toast_tuple_target = 2040", 1500, 3000),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_table_does_not_double(db, shape):
    """What a batch leaves behind has room for the next ones."""
    options, token, rows = SHAPES[shape]
    db.rows(f"ALTER TABLE oauth_tokens SET ({options}, autovacuum_enabled = off, toast.autovacuum_enabled = off)")
    fill(db, rows, "a" * token, "r" * token)
    db.rows("VACUUM oauth_tokens")
    before = size(db)
    set_ring(db, NEW, OLD)
    rotate(db)
    assert db.rows(USAGE) == [(fingerprint(NEW), 2 * rows), (fingerprint(OLD), 0)]
    assert size(db) <= 1.2 * before
    db.rows("CREATE EXTENSION amcheck")
    assert db.rows("SELECT * FROM verify_heapam('oauth_tokens')") == []
    for index in ("oauth_tokens_pkey", "uq_oauth_tokens_identity"):
        db.rows("SELECT bt_index_check(%s::regclass, heapallindexed => true)", [index])


def test_an_old_snapshot_takes_room_and_no_more(db):
    """It needs the rows as they were: they stay until it ends, and the rotation waits for none of it."""
    fill(db, 2000, "a" * 200, "r" * 200)
    with db.connect() as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        before = reader.execute("SELECT * FROM oauth_tokens ORDER BY id").fetchall()
        set_ring(db, NEW, OLD)
        rotate(db, batch_size=50)
        assert reader.execute("SELECT * FROM oauth_tokens ORDER BY id").fetchall() == before
    assert db.rows(USAGE) == [(fingerprint(NEW), 4000), (fingerprint(OLD), 0)]


# Beside others


def test_waits_for_a_row_that_an_idle_transaction_holds(db):  # E14
    fill(db, 30)
    set_ring(db, NEW, OLD)
    with db.connect() as idle:
        idle.execute("UPDATE oauth_tokens SET encrypted_access_token = %s WHERE actor_id = '7'",
                     [Fernet(OLD).encrypt(b"held").decode()])
        with in_background(db, "CALL oauth_rotate_keys()") as call:
            wait_until(lambda: db.value('SELECT "values" FROM oauth_key_usage WHERE position = 2') == 2,
                       what="the rotation of all other rows")
            # It holds nobody up meanwhile.
            with db.connect(autocommit=True) as writer:
                writer.execute("SET lock_timeout = '5s'")
                store(writer, identity("8"), "written meanwhile", "refresh-8")
            assert call.running
            idle.commit()
            call.finish()
    set_ring(db, NEW)
    expected = {str(i): (f"access-{i}", f"refresh-{i}") for i in range(30)}
    expected["7"] = ("held", "refresh-7")
    expected["8"] = ("written meanwhile", "refresh-8")
    assert_all_open(db, NEW, expected)


@pytest.mark.parametrize("index", ["INDEX", "UNIQUE INDEX"])
def test_a_row_that_a_foreign_key_holds(db, index):  # E14
    """A foreign key wants the keys of a row to stay. A unique index makes the ciphertext one: then
    this row waits for the next pass, and the rotation, which holds others, does not."""
    fill(db, 10)
    db.rows(f"CREATE {index} by_token ON oauth_tokens (encrypted_access_token)")
    db.rows("CREATE TABLE referring (token uuid REFERENCES oauth_tokens)")
    set_ring(db, NEW, OLD)
    with db.connect() as idle:
        idle.execute("INSERT INTO referring SELECT id FROM oauth_tokens WHERE actor_id = '5'")
        with in_background(db, "CALL oauth_rotate_keys()") as call:
            if index == "UNIQUE INDEX":
                wait_until(lambda: any("waiting for 2 values" in text for _, text in call.notices),
                           what="the INFO line of the wait")
                with db.connect(autocommit=True) as writer:
                    writer.execute("SET lock_timeout = '5s'")
                    store(writer, identity("4"), "access-4", "refresh-4")
                idle.commit()
            call.finish()
    assert db.rows(USAGE) == [(fingerprint(NEW), 20), (fingerprint(OLD), 0)]


def test_serializable_sessions(db):  # E14
    """Sealing anew depends on no other row, so it is in no cycle that serializable transactions
    must break: none fails by it, and it does not fail by them."""
    fill(db, 8)
    db.rows("""CREATE FUNCTION gate(actor_id text, token text) RETURNS text IMMUTABLE LANGUAGE plpgsql
        AS $$ BEGIN
            IF actor_id = '0' THEN PERFORM pg_advisory_xact_lock_shared(42); END IF;
            RETURN actor_id;
        END $$""")
    db.rows("CREATE INDEX gated ON oauth_tokens (gate(actor_id, encrypted_access_token))")
    db.rows("ALTER DATABASE app SET default_transaction_isolation = serializable")
    set_ring(db, NEW, OLD)
    with db.connect(autocommit=True) as gatekeeper, db.connect() as writer:
        gatekeeper.execute("SELECT pg_advisory_lock(42)")
        with in_background(db, "CALL oauth_rotate_keys()") as call:
            wait_until(
                lambda: db.rows("SELECT 1 FROM pg_stat_activity WHERE pid = %s"
                                " AND wait_event = 'advisory'", [call.pid]),
                what="the gate",
            )
            # Each reads what the other writes.
            writer.execute("SELECT encrypted_access_token FROM oauth_tokens WHERE actor_id = '7'")
            writer.execute("UPDATE oauth_tokens SET scopes = 'x' WHERE actor_id = '1'")
            writer.commit()
            gatekeeper.execute("SELECT pg_advisory_unlock(42)")
            call.finish()
    assert db.rows(USAGE) == [(fingerprint(NEW), 16), (fingerprint(OLD), 0)]


@pytest.mark.parametrize("how", ["oauth_store", "raw insert", "raw update"])
def test_writer_from_before_the_reload(db, how):  # E14
    """Its row is under the old key and not to be seen yet: rotation waits for it."""
    fill(db, 5)
    writer = db.connect()
    if how == "oauth_store":
        store(writer, identity("late"), "late", "refresh")
    elif how == "raw insert":
        python_store(writer, identity("late"), "late", "refresh", key=OLD)
    else:
        python_store(writer, identity("3"), "late", "refresh", key=OLD)
    set_ring(db, NEW, OLD)
    with in_background(db, "CALL oauth_rotate_keys()") as call:
        # Either way of waiting: for the transaction, or for its row.
        wait_until(
            lambda: db.rows("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND"
                            " (wait_event_type = 'Lock' OR wait_event = 'Extension')", [call.pid]),
            what="the rotation's wait",
        )
        assert call.running
        writer.commit()
        call.finish()
    writer.close()
    set_ring(db, NEW)
    with db.connect() as connection:
        assert get(connection, identity("3" if how == "raw update" else "late")) == ("late", "refresh")
    assert db.rows("SELECT * FROM oauth_tokens_damaged()") == []


def test_writer_that_sealed_and_has_not_written(db):  # E14
    """Between sealing a value and locking the table oauth_store must not be overlooked:
    it commits under the old key after rotation has ended, and that key is removed."""
    fill(db, 5)
    db.rows("CREATE TABLE source (refresh text)")
    db.rows("ALTER TABLE source ALTER COLUMN refresh SET STORAGE EXTERNAL")
    db.rows("INSERT INTO source VALUES (repeat('r', 20000))")
    toast = db.value("SELECT reltoastrelid::regclass::text FROM pg_class WHERE relname = 'source'")
    workspace_id = identity()[0]
    # The refresh token is fetched from a TOAST table whose index is locked here.
    holder = db.connect(autocommit=True)
    holder.execute("BEGIN")
    holder.execute(f"REINDEX TABLE {toast}")
    with in_background(
        db, f"SELECT oauth_store('{workspace_id}', 'google', 'user', 'sealed', 'access', refresh)"
            " FROM source"
    ) as writer:
        wait_until(
            lambda: db.rows("SELECT 1 FROM pg_stat_activity WHERE pid = %s"
                            " AND wait_event_type = 'Lock'", [writer.pid]),
            what="the writer's wait",
        )
        set_ring(db, NEW, OLD)
        with in_background(db, "CALL oauth_rotate_keys()") as call:
            # Ends, or rightly waits for the writer.
            wait_until(
                lambda: not call.running or db.rows(
                    "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'",
                    [call.pid]),
                what="the rotation's end or wait",
            )
            holder.execute("COMMIT")
            holder.close()
            writer.finish()
            call.finish()
    # The key may go where nothing is under it.
    assert db.value('SELECT "values" FROM oauth_key_usage WHERE position = 2') == 0
    set_ring(db, NEW)
    with db.connect() as connection:
        assert get(connection, identity("sealed")) == ("access", "r" * 20000)


def test_rows_that_change_within_a_batch(db):  # E14
    """A batch sees rows as they were when it began. Here it stands still at the first row, in
    an index's function, while others are stored anew, deleted, moved and held."""
    fill(db, 8)
    db.rows("""CREATE FUNCTION gate(actor_id text, token text) RETURNS text IMMUTABLE LANGUAGE plpgsql
        AS $$ BEGIN
            IF actor_id = '0' THEN PERFORM pg_advisory_xact_lock_shared(42); END IF;
            RETURN actor_id;
        END $$""")
    db.rows("CREATE INDEX gated ON oauth_tokens (gate(actor_id, encrypted_access_token))")
    set_ring(db, NEW, OLD)
    with db.connect(autocommit=True) as gatekeeper, db.connect() as holder:
        gatekeeper.execute("SELECT pg_advisory_lock(42)")
        with in_background(db, "CALL oauth_rotate_keys()") as call:
            wait_until(
                lambda: db.rows("SELECT 1 FROM pg_stat_activity WHERE pid = %s"
                                " AND wait_event = 'advisory'", [call.pid]),
                what="the gate",
            )
            with db.connect(autocommit=True) as writer:
                store(writer, identity("1"), "stored anew", "refresh anew")
                python_store(writer, identity("2"), "raw and old", "refresh raw", key=OLD)
                writer.execute("SELECT oauth_delete(%s, %s, %s, %s)", identity("3"))
                writer.execute("SELECT oauth_move(%s, %s, %s, %s, %s, %s, %s, %s)",
                               (*identity("4"), *identity("moved")))
                writer.execute("UPDATE oauth_tokens SET scopes = 'kept' WHERE actor_id = '5'")
            store(holder, identity("6"), "held", "refresh held")
            gatekeeper.execute("SELECT pg_advisory_unlock(42)")
            wait_until(lambda: any("waiting for 2 values" in text for _, text in call.notices),
                       what="the wait for the row that is held")
            holder.commit()
            call.finish()
    set_ring(db, NEW)
    assert_all_open(db, NEW, {
        "0": ("access-0", "refresh-0"), "1": ("stored anew", "refresh anew"),
        "2": ("raw and old", "refresh raw"), "moved": ("access-4", "refresh-4"),
        "5": ("access-5", "refresh-5"), "6": ("held", "refresh held"), "7": ("access-7", "refresh-7"),
    })
    assert db.value("SELECT scopes FROM oauth_tokens WHERE actor_id = '5'") == "kept"


@pytest.mark.parametrize("how", ["TRUNCATE", "VACUUM FULL"])
def test_a_table_that_becomes_shorter(db, how):
    """The batch knows places of rows, which are behind the end of the table when it goes on."""
    fill(db, 400)
    db.rows("""CREATE FUNCTION gate(actor_id text, token text) RETURNS text IMMUTABLE LANGUAGE plpgsql
        AS $$ BEGIN
            IF actor_id = '0' THEN PERFORM pg_advisory_xact_lock_shared(42); END IF;
            RETURN actor_id;
        END $$""")
    db.rows("CREATE INDEX gated ON oauth_tokens (gate(actor_id, encrypted_access_token))")
    set_ring(db, NEW, OLD)
    with db.connect(autocommit=True) as gatekeeper:
        gatekeeper.execute("SELECT pg_advisory_lock(42)")
        with in_background(db, "CALL oauth_rotate_keys(1)") as call:
            wait_until(
                lambda: db.rows("SELECT 1 FROM pg_stat_activity WHERE pid = %s"
                                " AND wait_event = 'advisory'", [call.pid]),
                what="the gate",
            )
            with in_background(db, f"{how} oauth_tokens") as shortener:
                wait_until(
                    lambda: db.rows("SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted", [shortener.pid]),
                    what="the lock's queue",
                )
                gatekeeper.execute("SELECT pg_advisory_unlock(42)")
                shortener.finish()
            call.finish()
    rows = 0 if how == "TRUNCATE" else 400
    assert db.rows(USAGE) == [(fingerprint(NEW), 2 * rows), (fingerprint(OLD), 0)]


def test_old_snapshot_sees_the_old_value(db):
    """A REPEATABLE READ reader goes on as if nothing had happened."""
    fill(db, 10)
    with db.connect() as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        before = reader.execute("SELECT * FROM oauth_tokens ORDER BY id").fetchall()
        set_ring(db, NEW, OLD)
        rotate(db)
        assert reader.execute("SELECT * FROM oauth_tokens ORDER BY id").fetchall() == before
        assert get(reader, identity("4")) == ("access-4", "refresh-4")


def test_ring_changed_during_a_rotation(db):  # E14
    """What was done under a first key that no longer is one is done again."""
    fill(db, 40)
    set_ring(db, MIDDLE, OLD)
    with db.connect() as idle:
        idle.execute("SELECT 1 FROM oauth_tokens WHERE actor_id = '39' FOR UPDATE")
        with in_background(db, "CALL oauth_rotate_keys(10)") as call:
            wait_until(lambda: db.value('SELECT "values" FROM oauth_key_usage WHERE position = 1') == 78,
                       what="the rotation of all other rows")
            set_ring(db, NEW, MIDDLE, OLD)
            wait_until(lambda: db.value('SELECT "values" FROM oauth_key_usage WHERE position = 1') == 78,
                       what="the rotation to the new first key")
            idle.rollback()
            call.finish()
    assert [values for _, values in db.rows(USAGE)] == [80, 0, 0]
    set_ring(db, NEW)
    assert_all_open(db, NEW, {str(i): (f"access-{i}", f"refresh-{i}") for i in range(40)})


@pytest.mark.parametrize("how", ["terminate", "cancel"])
def test_stopped_and_started_again(db, how):  # E14
    fill(db, 200)
    set_ring(db, NEW, OLD)
    expected = {str(i): (f"access-{i}", f"refresh-{i}") for i in range(200)}
    with db.connect() as idle:
        idle.execute("SELECT 1 FROM oauth_tokens WHERE actor_id = '150' FOR UPDATE")
        with in_background(db, "CALL oauth_rotate_keys(10)") as call:
            wait_until(lambda: db.rows("SELECT 1 FROM oauth_tokens_internal.key_rotations"
                                       " WHERE values_rotated > 0"), what="the first batch")
            if how == "cancel":
                call.connection.cancel()
            else:
                db.rows("SELECT pg_terminate_backend(%s)", [call.pid])
            with pytest.raises(psycopg.OperationalError):
                call.finish()
        with db.connect(autocommit=True) as reader:
            assert {str(i): get(reader, identity(str(i))) for i in range(200)} == expected
    rotate(db)
    set_ring(db, NEW)
    assert_all_open(db, NEW, expected)
    assert [finished for finished, in db.rows(
        "SELECT finished_at IS NOT NULL FROM oauth_tokens_internal.key_rotations ORDER BY id"
    )] == [False, True]


def test_psql_and_its_cancel(db):
    """As an administrator runs it: INFO lines on the screen, Ctrl-C, again."""
    fill(db, 100)
    set_ring(db, NEW, OLD)
    with db.connect() as idle:
        idle.execute("SELECT 1 FROM oauth_tokens WHERE actor_id = '99' FOR UPDATE")
        done = db.psql("SET statement_timeout = '1s'; CALL oauth_rotate_keys(10);", check=False)
        assert done.returncode != 0 and "statement timeout" in done.stderr
        assert "INFO:  oauth_rotate_keys: 20 values re-encrypted" in done.stderr
    done = db.psql("CALL oauth_rotate_keys()")
    assert done.stdout == ""
    assert [values for _, values in db.rows(USAGE)] == [200, 0]


@pytest.mark.parametrize("batch_size", [20, 1_000_000], ids=["many batches", "one batch"])
def test_memory_of_the_backend_stays_flat(db, batch_size):  # E7
    """What it has of its own after 50,000 values is what it had after 5,000."""

    def rotated(keys):
        set_ring(db, *keys)
        with db.connect(autocommit=True) as connection:
            connection.execute(f"CALL oauth_rotate_keys({batch_size})")
            status = open(f"/proc/{connection.info.backend_pid}/status").read()
            # Without shared buffers that it touched.
            return int(status.partition("RssAnon:")[2].split()[0])

    fill(db, 2500)
    few = rotated([NEW, OLD])
    set_ring(db, OLD, NEW)
    db.rows("TRUNCATE oauth_tokens")
    fill(db, 25000)
    many = rotated([NEW, OLD])
    assert db.rows(USAGE) == [(fingerprint(NEW), 50000), (fingerprint(OLD), 0)]
    assert many < few + 2048, f"{few} kB became {many} kB"
