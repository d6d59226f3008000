"""The shortest way through everything: what is stored comes back, and lies in
the table as a Fernet token that any library opens."""

import uuid

from cryptography.fernet import Fernet
from support.harness import KEY

WORKSPACE = uuid.UUID("11111111-1111-4111-8111-111111111111")
IDENTITY = (WORKSPACE, "google", "user", "alice")


def test_round_trip(cluster):
    with cluster.connect() as connection:
        connection.execute(
            "SELECT oauth_store(%s, %s, %s, %s, %s, %s, expires_in => 3600)",
            (*IDENTITY, "ya29.access", "1//refresh"),
        )
        got = connection.execute(
            "SELECT access_token, refresh_token FROM oauth_get(%s, %s, %s, %s)", IDENTITY
        ).fetchall()
        stored = connection.execute(
            "SELECT encrypted_access_token, encrypted_refresh_token FROM oauth_tokens"
        ).fetchall()

    assert got == [("ya29.access", "1//refresh")]
    opened = [Fernet(KEY).decrypt(token.encode()) for token in stored[0]]
    assert opened == [b"ya29.access", b"1//refresh"]


def test_every_object_says_what_it_is(cluster):
    """Every function, view and table of the extension has a comment, so \\df+ explains."""
    silent = cluster.rows(
        """
        SELECT pg_describe_object(classid, objid, 0) FROM pg_depend
         WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
           AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'oauth_tokens')
           AND classid IN ('pg_proc'::regclass, 'pg_class'::regclass)
           AND pg_describe_object(classid, objid, 0) !~ '^sequence '
           AND obj_description(objid, classid::regclass::name) IS NULL
        """
    )
    assert silent == []
