"""Those who change tokens while the auditor looks, each in every way there is, and the observer,
who sees when the invalidations of a change are gone."""

import contextlib
import random
import time
import uuid
from datetime import datetime

import psycopg
from support.audit_journal import ABSENT, COMMITTED, POSSIBLE, ROLLED_BACK, state_of, token_of
from cryptography.fernet import Fernet
from support.harness import KEY, wait_until
from support.tokens import python_store

COPY = ("COPY oauth_tokens (id, workspace_id, actor_type, actor_id, provider, scopes,"
        " encrypted_access_token, created_at, updated_at) FROM STDIN")
WHOSE = "(workspace_id, provider, actor_type::text, actor_id) = (%s, %s, %s, %s)"


class Writer:
    """One of them. `control` says how long, and what goes on."""

    def __init__(self, journal, cluster, db, control, number, seed):
        self.journal, self.cluster, self.db, self.control = journal, cluster, db, control
        self.name = f"writer-{number}"
        self.random = random.Random(f"{seed} {self.name}")
        self.connections = {}
        self.ways = [(getattr(self, name), share) for name, share in {
            "store": 8, "store_unflushed": 1, "store_as_python": 3, "store_in_prepared": 1,
            "delete": 2, "delete_and_insert": 2, "copy": 1, "replica_update": 1, "move": 1,
            "update_identity": 1, "roll_back": 1, "truncate": 0.15,
        }.items()]

    def run(self):
        while self.control.running():
            way, = self.random.choices(*zip(*self.ways))
            way()
            self.control.pause(self.random.uniform(0, 0.015))

    def connection(self, user="postgres"):
        connection = self.connections.get(user)
        if connection is None or connection.closed:
            connection = self.connections[user] = self.cluster.connect(self.db, user)
        return connection

    # Ways to change a token

    def store(self, unflushed=False):
        def work(connection, whose, token):
            if self.random.random() < 0.3:
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            if unflushed:
                connection.execute("SET LOCAL synchronous_commit = off")
            lasting = self.random.choice([None, 600])
            connection.execute("SELECT oauth_store(%s, %s, %s, %s, %s, expires_in => %s)",
                               (*whose, token, lasting))
            if self.random.random() < 0.1:
                time.sleep(self.random.uniform(0, 0.1))  # others read the old one meanwhile

        self.change_one(work, user="app", outcome=POSSIBLE if unflushed else COMMITTED)

    def store_unflushed(self):
        """A crash may take it back after it was read."""
        self.store(unflushed=True)

    def store_as_python(self):
        self.change_one(lambda connection, whose, token: python_store(connection, whose, token))

    def store_in_prepared(self):
        """What commits it is another session's business, after a crash, say."""
        gid = f"{self.name}-{uuid.UUID(int=self.random.getrandbits(128))}"

        def work(connection, whose, token):
            python_store(connection, whose, token)
            connection.execute(f"PREPARE TRANSACTION '{gid}'")
            connection.commit()
            time.sleep(self.random.uniform(0, 0.02))
            connection.autocommit = True
            connection.execute(f"COMMIT PREPARED '{gid}'")
            connection.autocommit = False

        self.change_one(work)

    def delete(self):
        self.change_one(self._delete, user="app", absent=True)

    def delete_and_insert(self):
        def work(connection, whose, token):
            self._delete(connection, whose)
            connection.execute("SELECT oauth_store(%s, %s, %s, %s, %s)", (*whose, token))

        self.change_one(work, user="app")

    def copy(self):
        def work(connection, whose, token):
            workspace, provider, actor_type, actor_id = whose
            connection.execute(f"DELETE FROM oauth_tokens WHERE {WHOSE}", whose)
            with connection.cursor() as cursor, cursor.copy(COPY) as copy:
                copy.write_row((uuid.uuid4(), workspace, actor_type, actor_id, provider, "openid",
                                sealed(token), datetime.utcnow(), datetime.utcnow()))

        self.change_one(work)

    def replica_update(self):
        """As what a logical replication applies."""
        def work(connection, whose, token):
            connection.execute("SET LOCAL session_replication_role = replica")
            python_store(connection, whose, token)

        self.change_one(work)

    def roll_back(self):
        def work(connection, whose, token):
            connection.execute("SELECT oauth_store(%s, %s, %s, %s, %s)", (*whose, token))
            connection.rollback()

        self.change_one(work, user="app", outcome=ROLLED_BACK)

    def move(self):
        def work(connection, source, target):
            self._delete(connection, target)
            connection.execute("SELECT oauth_move(%s, %s, %s, %s, %s, %s, %s, %s)", (*source, *target))

        self.change_two(work, user="app")

    def update_identity(self):
        def work(connection, source, target):
            connection.execute(f"DELETE FROM oauth_tokens WHERE {WHOSE}", target)
            connection.execute("UPDATE oauth_tokens SET workspace_id = %s, provider = %s,"
                               " actor_type = %s, actor_id = %s WHERE" + WHOSE, (*target, *source))

        self.change_two(work)

    def truncate(self):
        slots = self.journal.slots
        with self.journal.owned(slots):
            versions = [(slot, self.journal.begin(slot, ABSENT)) for slot in slots]
            self._change(lambda connection: connection.execute("TRUNCATE oauth_tokens"), versions)

    @staticmethod
    def _delete(connection, whose, _=None):
        connection.execute("SELECT oauth_delete(%s, %s, %s, %s)", whose)

    # What they have in common

    def change_one(self, work, user="postgres", outcome=COMMITTED, absent=False):
        slot = self.random.choice(self.journal.slots)
        with self.journal.owned([slot]):
            state = ABSENT if absent else self.journal.new_state(slot)
            version = self.journal.begin(slot, state)
            self._change(lambda connection: work(connection, self.journal.whose[slot], token_of(state)),
                         [(slot, version)], user, outcome)

    def change_two(self, work, user="postgres"):
        source, target = self.random.sample(self.journal.slots, 2)
        with self.journal.owned([source, target]):
            versions = []

            def both(connection):
                state = read_state(connection, self.journal.whose[source])
                if state != ABSENT:
                    versions.append((source, self.journal.begin(source, ABSENT)))
                    versions.append((target, self.journal.begin(target, state)))
                    work(connection, self.journal.whose[source], self.journal.whose[target])

            self._change(both, versions, user)

    def _change(self, work, versions, user="postgres", outcome=COMMITTED):
        try:
            connection = self.connection(user)
            work(connection)
            connection.commit()
        except psycopg.Error as error:
            self._failed(error, versions, user)
            return
        for slot, version in versions:
            self.journal.end(slot, version, outcome)
        self.control.count("rolled back" if outcome == ROLLED_BACK else "commits", len(versions) > 0)

    def _failed(self, error, versions, user):
        """The rotation may get before a REPEATABLE READ writer, and chaos before anybody."""
        if not self.control.is_chaos() and not isinstance(error, psycopg.errors.SerializationFailure):
            self.control.broken(f"{self.name} got {type(error).__name__}: {error}")
        with contextlib.suppress(psycopg.Error):
            if user in self.connections:
                self.connections[user].close()
        self.control.count("failed changes")
        wait_until(lambda: not self.control.running() or self._resolve(versions), 120,
                   what=f"{self.name}'s database")

    def _resolve(self, versions):
        try:
            with contextlib.closing(self.cluster.connect(self.db, autocommit=True)) as connection:
                # Where it was asked to commit it may have.
                for gid, in connection.execute("SELECT gid FROM pg_prepared_xacts WHERE gid LIKE %s",
                                               [f"{self.name}-%"]).fetchall():
                    connection.execute(f"COMMIT PREPARED '{gid}'")
                resolve(self.journal, connection, [slot for slot, _ in versions], self.control)
            return True
        except psycopg.Error:
            return False


class Observer:
    """Sees the invalidations of a change gone from the database, and so says when a read has to know."""

    SEEN = """
        SELECT r.registration_id, ARRAY(SELECT coalesce(m.actor_id, '') FROM oauth_tokens_internal.cache_invalidations m)
        FROM oauth_tokens_internal.cache_registration() r
    """

    def __init__(self, journal, cluster, db, control):
        self.journal, self.cluster, self.db, self.control = journal, cluster, db, control
        self.name = "observer"
        self.registration_id, self.since = None, None
        self.told = {slot: 0 for slot in journal.slots}

    def run(self):
        while self.control.running():
            with contextlib.suppress(psycopg.Error):
                with contextlib.closing(self.cluster.connect(self.db, autocommit=True)) as connection:
                    while self.control.running():
                        self.look(connection)
                        self.control.pause(0.001)
            self.control.pause(0.02)

    def look(self, connection):
        """Invalidations go with a crash, too, and then the registration with them: what was committed under
        another one than there is now may still be in Redis."""
        committed = [self.journal.last_committed(slot) for slot in self.journal.slots]
        (registration_id, invalidated), = connection.execute(self.SEEN).fetchall()
        if registration_id != self.registration_id:
            self.registration_id, self.since = registration_id, time.monotonic()
        if registration_id is None or "" in invalidated:
            return
        for slot, version in zip(self.journal.slots, committed):
            if version > self.told[slot] and self.journal.whose[slot][3] not in invalidated:
                self.told[slot] = version
                self.control.count("dropped", self.journal.drop(slot, version, self.since))


def sealed(token):
    return Fernet(KEY).encrypt(token.encode()).decode()


def read_state(connection, whose):
    row = connection.execute("SELECT access_token FROM oauth_get(%s, %s, %s, %s)", whose).fetchone()
    return state_of(row and row[0])


def resolve(journal, connection, slots, control):
    """What the database says of them, to whom owns them; and that it may say so."""
    with connection.transaction():
        # A backend that was killed may be about to have committed, which recovery will tell; until
        # then its lock stands.
        connection.execute("SET LOCAL lock_timeout = '5s'")
        connection.execute("LOCK TABLE oauth_tokens IN SHARE MODE")
        states = {slot: read_state(connection, journal.whose[slot]) for slot in slots}
    for slot, state in states.items():
        if fault := journal.resolve(slot, state):
            control.broken(fault)
    return states
