"""A sidecar as far as oauth_fresh_access_token() knows it: takes requests, and answers them."""

import threading

import psycopg
from support.harness import DATABASE

WAIT = "SELECT workspace_id, provider, actor_type, actor_id, min_ttl FROM oauth_tokens_internal.refresh_requests_wait(%s)"
DONE = "SELECT oauth_tokens_internal.refresh_request_done(%s, %s, %s, %s, %s, %s)"
REFRESH = "SELECT oauth_store(%s, %s, %s, %s, %s, expires_in => %s)"
FRESH = "SELECT oauth_fresh_access_token(%s, %s, %s, %s, %s, %s)"


class Listener:
    """Loops over refresh_requests_wait(). `refresh` is called with this and the identity in a
    thread of its own, so that the listener goes on listening; by default it stores "fresh 1",
    "fresh 2" … with an hour to live."""

    def __init__(self, cluster, db=DATABASE, user="postgres", refresh=None, connect=None):
        self.connect = connect or (lambda: cluster.connect(db, user, autocommit=True, prepare_threshold=None))
        self.refresh = refresh or Listener.store
        self.taken = []  # (identity, min_ttl)
        self.count = 0
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.listening = threading.Event()
        self.connection = self.connect()
        self.pid = self.connection.info.backend_pid
        self.thread = threading.Thread(target=self._loop, daemon=True)
        self.thread.start()
        assert self.listening.wait(20)

    def _loop(self):
        try:
            while not self.stopping.is_set():
                rows = self.connection.execute(WAIT, ["0" if not self.listening.is_set() else "1 s"]).fetchall()
                self.listening.set()
                for *identity, min_ttl in rows:
                    self.taken.append((tuple(identity), min_ttl))
                    threading.Thread(target=self._answer, args=[tuple(identity)], daemon=True).start()
        except psycopg.Error:
            if not self.stopping.is_set() and self.connection.closed == 0:
                raise

    def _answer(self, identity):
        self.refresh(self, identity)

    def run(self, sql, params):
        """One statement, committed, in a connection of its own."""
        with self.connect() as connection:
            return connection.execute(sql, params).fetchone()[0]

    def store(self, identity, expires_in=3600):
        with self.lock:
            self.count += 1
            token = f"fresh {self.count}"
        self.run(REFRESH, [*identity, token, expires_in])
        return token

    def done(self, identity, outcome, reason=None):
        return self.run(DONE, [*identity, outcome, reason])

    def stop(self):
        self.stopping.set()
        self.thread.join(10)
        self.connection.close()


class Caller(threading.Thread):
    """One call of oauth_fresh_access_token() in a thread; `result()` returns its token or raises
    its error."""

    def __init__(self, connection, identity, min_ttl="60 s", timeout="15 s", close=True):
        super().__init__(daemon=True)
        self.connection, self.params, self.close = connection, [*identity, min_ttl, timeout], close
        self.token = self.error = None
        self.start()

    def run(self):
        try:
            self.token = self.connection.execute(FRESH, self.params).fetchone()[0]
        except psycopg.Error as error:
            self.error = error
        finally:
            if self.close:
                self.connection.close()

    def result(self, timeout=60):
        self.join(timeout)
        assert not self.is_alive(), "the call did not end"
        if self.error:
            raise self.error
        return self.token
