"""Databases of other encodings: tokens stay UTF-8 inside, and no odd byte gets in or out."""

import psycopg
import pytest
from cryptography.fernet import Fernet
from support.harness import KEY
from support.tokens import get, identity, python_store, store

ENCODINGS = ["UTF8", "LATIN1", "WIN1251", "EUC_JP", "SQL_ASCII"]


@pytest.fixture(scope="module", params=ENCODINGS)
def encoded(cluster, request):
    name = f"in_{request.param.lower()}"
    cluster.rows(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{request.param}' LOCALE 'C'",
                 db="postgres")
    cluster.rows("CREATE EXTENSION oauth_tokens", db=name)
    cluster.rows("SELECT oauth_tokens_upgrade()", db=name)
    # A SQL_ASCII server converts nothing, and psycopg gives bytes for it unless told.
    with cluster.connect(name, autocommit=True, client_encoding="UTF8") as connection:
        yield request.param, connection
    cluster.rows(f"DROP DATABASE {name} WITH (FORCE)", db="postgres")


SAMPLES = {
    "ascii": "ya29.a0AfH6SM~!\x7f\x01",
    "latin": "naïve café ÿ",
    "cyrillic": "Привет",
    "kana": "トークン",
    "emoji": "🔑",
}
REPERTOIRE = {
    "UTF8": set(SAMPLES),
    "LATIN1": {"ascii", "latin"},
    "WIN1251": {"ascii", "cyrillic"},
    "EUC_JP": {"ascii", "latin", "cyrillic", "kana"},
    "SQL_ASCII": set(SAMPLES),
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_what_python_wrote(encoded, kind):  # E8
    encoding, connection = encoded
    whose = identity(f"python-{kind}")
    python_store(connection, whose, SAMPLES[kind], "fine")
    if kind in REPERTOIRE[encoding]:
        got = get(connection, whose)
        assert [value if isinstance(value, str) else value.decode() for value in got] \
            == [SAMPLES[kind], "fine"]
        return
    with pytest.raises(psycopg.Error) as caught:
        get(connection, whose)
    assert caught.value.sqlstate == "OT010"
    shown = f"{caught.value.diag.message_primary} {caught.value.diag.message_detail}"
    assert encoding in shown and SAMPLES[kind] not in shown and "0x" not in shown
    assert (kind, "encrypted_access_token") in [
        (actor.removeprefix("python-"), column) for actor, column in connection.execute(
            'SELECT actor_id, "column" FROM oauth_tokens_damaged()').fetchall()
    ]


@pytest.mark.parametrize("kind", SAMPLES)
def test_what_we_wrote(encoded, kind):  # E8
    """Inside it is UTF-8, whatever the database holds."""
    encoding, connection = encoded
    if kind not in REPERTOIRE[encoding]:
        with pytest.raises(psycopg.Error) as caught:
            store(connection, identity(f"ours-{kind}"), SAMPLES[kind])
        assert caught.value.sqlstate == "22P05"  # the server's own, before we see it
        return
    store(connection, identity(f"ours-{kind}"), SAMPLES[kind], SAMPLES[kind] * 100)
    rows = connection.execute(
        "SELECT encrypted_access_token, encrypted_refresh_token FROM oauth_tokens WHERE actor_id = %s",
        [f"ours-{kind}"],
    ).fetchall()
    assert [Fernet(KEY).decrypt(token) for token in rows[0]] == [
        SAMPLES[kind].encode(), SAMPLES[kind].encode() * 100
    ]
    token = connection.execute("SELECT fernet_encrypt(%s, %s)", [SAMPLES[kind], KEY]).fetchone()[0]
    assert Fernet(KEY).decrypt(token) == SAMPLES[kind].encode()


def test_bytes_that_are_no_text(encoded):  # E8
    encoding, connection = encoded
    bad = [b"NUL\0", b"cut\xc3", b"\xff\xfe", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80"]
    for i, plaintext in enumerate(bad):
        python_store(connection, identity(f"bytes-{i}"), plaintext)
        with pytest.raises(psycopg.Error) as caught:
            get(connection, identity(f"bytes-{i}"))
        assert caught.value.sqlstate == "OT010", plaintext
    damaged = connection.execute("SELECT actor_id FROM oauth_tokens_damaged()").fetchall()
    assert {f"bytes-{i}" for i in range(len(bad))} <= {actor for actor, in damaged}
    connection.execute("DELETE FROM oauth_tokens WHERE actor_id LIKE 'bytes%'")


@pytest.mark.parametrize("encoded", ["SQL_ASCII"], indirect=True)
def test_sql_ascii_takes_only_utf8(encoded):  # E8
    """There text is bytes; what is not UTF-8 would be a token that nobody else can read."""
    _, connection = encoded
    connection.execute("SET client_encoding = 'SQL_ASCII'")
    try:
        for sql in (r"SELECT oauth_encrypt(E'\xff')", r"SELECT fernet_encrypt(E'caf\xe9', '" + KEY + "')",
                    r"SELECT oauth_store(gen_random_uuid(), 'p', 'user', 'a', E'\xc3')"):
            with pytest.raises(psycopg.Error) as caught:
                connection.execute(sql)
            assert caught.value.sqlstate == "22021"
            assert "0x" not in str(caught.value)
    finally:
        connection.execute("SET client_encoding = 'UTF8'")


def test_identity_in_the_encoding(encoded):
    encoding, connection = encoded
    name = {"LATIN1": "café", "WIN1251": "Анна", "EUC_JP": "花子"}.get(encoding, "花子🔑")
    store(connection, identity(name), "x")
    assert get(connection, identity(name)) in [("x", None), (b"x", None)]
    connection.execute("UPDATE oauth_tokens SET encrypted_access_token = 'x' WHERE actor_id = %s", [name])
    with pytest.raises(psycopg.Error) as caught:
        get(connection, identity(name))
    assert caught.value.sqlstate == "OT003"
    assert name in caught.value.diag.message_detail or encoding == "SQL_ASCII"
    connection.execute("DELETE FROM oauth_tokens WHERE actor_id = %s", [name])
