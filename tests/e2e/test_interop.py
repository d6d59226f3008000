"""Plain Fernet: what Python's `cryptography` writes we read, and the other way round."""

import base64
import time
import uuid

import psycopg
import pytest
from cryptography.fernet import Fernet, MultiFernet
from support.harness import KEY
from support.tokens import PYTHON_UPSERT, WORKSPACE, get, identity, new_key, python_store, store

ALPHABETS = {
    "ascii": "".join(map(chr, range(1, 128))),
    "latin": "äöüßéñÆøÿ¡",
    "cyrillic": "Привет, мир",
    "cjk": "漢字かな交じり文",
    "emoji": "🔑👩‍👩‍👧‍👦🏳️‍🌈",
    "combining": "e\u0301\u200d\ufeff\u202e",
    "edges": "\x01\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff",
}
SIZES = [1, 2, 15, 16, 17, 31, 32, 33, 127, 128, 1000, 2048, 5000, 8191, 65535, 65536]


def text_of(alphabet, size):
    """Text of `alphabet` that takes exactly `size` bytes, filled up with ASCII."""
    text = ""
    left = size
    while left > 0:
        for character in alphabet:
            width = len(character.encode())
            if width <= left:
                text += character
                left -= width
        if left < 4:
            text += "x" * left
            left = 0
    return text


@pytest.fixture(scope="module")
def connection(cluster):
    with cluster.connect(autocommit=True) as opened:
        yield opened


@pytest.mark.parametrize("kind", ALPHABETS)
def test_every_kind_and_size_both_ways(connection, kind):
    for size in SIZES:
        text = text_of(ALPHABETS[kind], size)
        assert len(text.encode()) == size
        whose = identity(f"{kind}-{size}")

        store(connection, whose, text, text[::-1])
        sealed = connection.execute(
            "SELECT encrypted_access_token, encrypted_refresh_token FROM oauth_tokens"
            " WHERE actor_id = %s", [whose[3]],
        ).fetchone()
        assert [Fernet(KEY).decrypt(token).decode() for token in sealed] == [text, text[::-1]]

        python_store(connection, whose, text[::-1], text)
        assert get(connection, whose) == (text[::-1], text)


def test_every_length_up_to_300(connection):
    fernet = Fernet(KEY)
    for size in range(1, 301):
        text = text_of("aé漢🔑", size)
        ours, = connection.execute("SELECT oauth_encrypt(%s)", [text]).fetchone()
        assert fernet.decrypt(ours).decode() == text
        theirs = fernet.encrypt(text.encode()).decode()
        assert connection.execute("SELECT oauth_decrypt(%s)", [theirs]).fetchone() == (text,)


def test_explicit_key(connection):
    key = connection.execute("SELECT fernet_generate_key()").fetchone()[0]
    token = connection.execute("SELECT fernet_encrypt('hello', %s)", [key]).fetchone()[0]
    assert Fernet(key).decrypt(token) == b"hello"
    theirs = Fernet(key).encrypt_at_time(b"hello", 1_000_000_000).decode()
    assert connection.execute(
        "SELECT fernet_decrypt(%s, %s), extract(epoch FROM fernet_timestamp(%s))::bigint",
        [theirs, key, theirs],
    ).fetchone() == ("hello", 1_000_000_000)
    with pytest.raises(psycopg.Error) as expired:
        connection.execute("SELECT fernet_decrypt(%s, %s, '1 hour')", [theirs, key])
    assert expired.value.sqlstate == "OT003"


def test_timestamp_is_now(connection):
    before = int(time.time())
    token = connection.execute("SELECT oauth_encrypt('x')").fetchone()[0]
    assert before <= Fernet(KEY).extract_timestamp(token) <= int(time.time())


def test_multifernet_reads_ours_and_we_read_rotated(connection):
    """MultiFernet's rotate keeps the timestamp, and we open what it made."""
    other = new_key()
    store(connection, identity("multi"), "token of multi")
    sealed, = connection.execute(
        "SELECT encrypted_access_token FROM oauth_tokens WHERE actor_id = 'multi'"
    ).fetchone()
    assert MultiFernet([Fernet(other), Fernet(KEY)]).decrypt(sealed) == b"token of multi"

    old = Fernet(other).encrypt_at_time(b"rotated by Python", 1_234_567_890)
    rotated = MultiFernet([Fernet(KEY), Fernet(other)]).rotate(old).decode()
    assert connection.execute(
        "SELECT oauth_decrypt(%s), extract(epoch FROM fernet_timestamp(%s))::bigint",
        [rotated, rotated],
    ).fetchone() == ("rotated by Python", 1_234_567_890)


def test_python_service_side_by_side(cluster):
    """The service's own statements work on our table, whoever wrote the row last."""
    whose = identity("shared")
    with cluster.connect(autocommit=True) as theirs, cluster.connect(autocommit=True) as ours:
        made = store(ours, whose, "ours-1", "ours-refresh-1")
        for round_ in range(3):
            python_store(theirs, whose, f"theirs-{round_}", f"theirs-refresh-{round_}")
            assert get(ours, whose) == (f"theirs-{round_}", f"theirs-refresh-{round_}")
            store(ours, whose, f"ours-{round_}")
            access, refresh = theirs.execute(
                "SELECT encrypted_access_token, encrypted_refresh_token FROM oauth_tokens"
                " WHERE workspace_id = %s AND provider = %s AND actor_type = %s AND actor_id = %s",
                whose,
            ).fetchone()
            assert Fernet(KEY).decrypt(access).decode() == f"ours-{round_}"
            assert Fernet(KEY).decrypt(refresh).decode() == f"theirs-refresh-{round_}"
        rows = ours.execute(
            "SELECT id, scopes FROM oauth_tokens WHERE actor_id = 'shared'"
        ).fetchall()
    assert rows == [(made, "openid email")]


def test_python_service_expiry_is_utc(cluster):  # T9
    """A naive UTC time of the service's is the same moment here, whatever the TimeZone."""
    import datetime as dt

    expires_at = dt.datetime(2031, 7, 1, 12, 30, 15)
    with cluster.connect(autocommit=True, options="-c TimeZone=Asia/Kolkata") as connection:
        python_store(connection, identity("expiry"), "x", expires_at=expires_at)
        got, = connection.execute(
            "SELECT expires_at FROM oauth_get(%s, %s, %s, %s)", identity("expiry")
        ).fetchone()
        assert got == expires_at.replace(tzinfo=dt.timezone.utc)
        connection.execute(
            "SELECT oauth_store(%s, %s, %s, %s, 'x', expires_at => %s)",
            (*identity("expiry-ours"), got),
        )
        assert connection.execute(
            "SELECT access_token_expires_at FROM oauth_tokens WHERE actor_id = 'expiry-ours'"
        ).fetchone() == (expires_at,)


@pytest.mark.parametrize(
    "plaintext",
    [b"SENTINEL\0zero", b"SENTINEL\xff", b"SENTINEL\xc3", b"SENTINEL\xed\xa0\x80", b"\xc0\x80SENTINEL",
     b"SENTINEL" * 100 + b"\0"],
    ids=["nul", "ff", "cut", "surrogate", "overlong", "late nul"],
)
def test_plaintext_that_is_no_text(cluster, plaintext):  # E8
    """OT010 names the place, never a byte; the row is listed as damaged."""
    whose = identity(f"bytes-{uuid.uuid4()}")
    with cluster.connect(autocommit=True) as connection:
        python_store(connection, whose, "fine", plaintext)
        with pytest.raises(psycopg.Error) as caught:
            get(connection, whose)
        assert caught.value.sqlstate == "OT010"
        shown = " ".join(
            str(getattr(caught.value.diag, part)) for part in
            ("message_primary", "message_detail", "message_hint", "context")
        )
        assert "encrypted_refresh_token" in shown and whose[3] in shown
        assert "SENTINEL" not in shown and "0x" not in shown and "\\x" not in shown
        # What is not damaged is still served.
        assert connection.execute(
            "SELECT oauth_access_token(%s, %s, %s, %s)", whose
        ).fetchone() == ("fine",)
        assert (*whose, "encrypted_refresh_token") in connection.execute(
            "SELECT * FROM oauth_tokens_damaged()"
        ).fetchall()
        connection.execute("DELETE FROM oauth_tokens WHERE actor_id = %s", [whose[3]])
        assert connection.execute("SELECT * FROM oauth_tokens_damaged()").fetchall() == []


def test_ciphertext_variants(connection):
    """What Python accepts and what it refuses, we do: one error for all that is refused."""
    good = Fernet(KEY).encrypt(b"plain").decode()
    body = base64.urlsafe_b64decode(good)
    bad = [
        "", "g", good[:-1], good[:-4], good + "A", good + "=" * 4, "\n" + good, good.swapcase(),
        base64.urlsafe_b64encode(b"\x81" + body[1:]).decode(),
        base64.urlsafe_b64encode(body[:-1]).decode(),
        base64.urlsafe_b64encode(body + b"\0").decode(),
        Fernet(new_key()).encrypt(b"plain").decode(),
    ]
    messages = set()
    for token in bad:
        with pytest.raises(psycopg.Error) as caught:
            connection.execute("SELECT oauth_decrypt(%s)", [token])
        messages.add((caught.value.sqlstate, str(caught.value)))
    assert len(messages) == 1 and messages.pop()[0] == "OT003"  # E10
    assert connection.execute("SELECT oauth_decrypt(%s)", [good]).fetchone() == ("plain",)


def test_python_upsert_is_the_identity(cluster):
    """The statement finds our unique constraint by its columns."""
    plan = cluster.rows("EXPLAIN " + PYTHON_UPSERT, {
        "id": uuid.uuid4(), "workspace_id": WORKSPACE, "actor_type": "user", "actor_id": "a",
        "provider": "p", "scopes": None, "access": "x", "refresh": None, "expires_at": None,
        "now": "2030-01-01",
    })
    assert any("Conflict Arbiter Indexes: uq_oauth_tokens_identity" in line for line, in plan)
