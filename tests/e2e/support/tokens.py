"""What several tests need: identities, keys, and a row written and read each way."""

import base64
import contextlib
import hashlib
import threading
import uuid
from datetime import datetime

import psycopg
from cryptography.fernet import Fernet
from support.harness import KEY, wait_until

WORKSPACE = uuid.UUID("11111111-1111-4111-8111-111111111111")

# As the Python service writes: ciphertext of its own, times in UTC.
PYTHON_UPSERT = """
    INSERT INTO oauth_tokens (id, workspace_id, actor_type, actor_id, provider, scopes,
        encrypted_access_token, encrypted_refresh_token, access_token_expires_at,
        created_at, updated_at)
    VALUES (%(id)s, %(workspace_id)s, %(actor_type)s, %(actor_id)s, %(provider)s, %(scopes)s,
        %(access)s, %(refresh)s, %(expires_at)s, %(now)s, %(now)s)
    ON CONFLICT (workspace_id, provider, actor_type, actor_id) DO UPDATE SET
        scopes = EXCLUDED.scopes,
        encrypted_access_token = EXCLUDED.encrypted_access_token,
        encrypted_refresh_token = EXCLUDED.encrypted_refresh_token,
        access_token_expires_at = EXCLUDED.access_token_expires_at,
        updated_at = EXCLUDED.updated_at
"""


def identity(actor_id="alice", provider="google", workspace_id=WORKSPACE):
    return (workspace_id, provider, "user", actor_id)


def store(connection, whose, access, refresh=None):
    """Stores by oauth_store, as an application does; returns the row's id."""
    return connection.execute(
        "SELECT oauth_store(%s, %s, %s, %s, %s, %s)", (*whose, access, refresh)
    ).fetchone()[0]


def get(connection, whose):
    """(access token, refresh token), or None."""
    return connection.execute(
        "SELECT access_token, refresh_token FROM oauth_get(%s, %s, %s, %s)", whose
    ).fetchone()


def python_store(connection, whose, access, refresh=None, key=KEY, expires_at=None):
    """Stores as the Python service does. Tokens are str, or bytes to be sealed as they are."""
    seal = Fernet(key).encrypt

    def sealed(token):
        return token and seal(token if isinstance(token, bytes) else token.encode()).decode()

    workspace_id, provider, actor_type, actor_id = whose
    connection.execute(
        PYTHON_UPSERT,
        {
            "id": uuid.uuid4(), "workspace_id": workspace_id, "provider": provider,
            "actor_type": actor_type, "actor_id": actor_id, "scopes": "openid email",
            "access": sealed(access), "refresh": sealed(refresh), "expires_at": expires_at,
            "now": datetime.utcnow(),
        },
    )


def fingerprint(key):
    """As oauth_key_usage shows it."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def new_key():
    return Fernet.generate_key().decode()


def key_forms(key):
    """Every form that a key must not be found in: its text, its bytes, and the halves
    that sign and that encrypt."""
    raw = base64.urlsafe_b64decode(key)
    return [key.encode(), raw, raw[:16], raw[16:]]


def ring(cluster):
    """The fingerprints of the key ring that a new session has."""
    return cluster.value("SELECT oauth_tokens_internal.key_fingerprints()")


def set_ring(cluster, *keys, name="keys"):
    """Writes the key file and reloads; returns when the new ring is in force."""
    cluster.settings["oauth_tokens.key_file"] = cluster.write_file(name, "\n".join(keys) + "\n")
    if cluster.running:
        cluster.reload()
        wait_until(
            lambda: ring(cluster) == [fingerprint(key) for key in keys], what="the new key ring"
        )


@contextlib.contextmanager
def in_background(cluster, sql, user="postgres"):
    """Runs a statement in a session of its own; result.finish() waits for it and raises
    its error. Yields before it has ended."""

    class Call:
        error = None

        def run(self):
            try:
                self.connection.execute(sql)
            except psycopg.Error as error:
                self.error = error

        def finish(self, timeout=60):
            thread.join(timeout)
            assert not thread.is_alive(), f"{sql} did not end"
            if self.error:
                raise self.error

        running = property(lambda self: thread.is_alive())

    call = Call()
    call.connection = cluster.connect(user=user, autocommit=True)
    call.notices = []
    # What a handler is given is gone when it returns.
    call.connection.add_notice_handler(
        lambda diag: call.notices.append((diag.severity, diag.message_primary))
    )
    call.pid = call.connection.info.backend_pid
    thread = threading.Thread(target=call.run, daemon=True)
    thread.start()
    try:
        yield call
    finally:
        if thread.is_alive():
            with contextlib.suppress(psycopg.Error):
                cluster.rows("SELECT pg_terminate_backend(%s)", [call.pid])
            thread.join(30)
        call.connection.close()
