"""Refresh on read (docs/design/refresh.md): GET /token and oauth_fresh_access_token() through a real daemon,
and what becomes of each kind of failure. What cuts, kills and stops is test_refresh_daemons.py."""

import base64
import hashlib
import json
import os
import shutil
import threading
import time

import psycopg
import pytest
from cryptography.fernet import Fernet
from support.fake_provider import CLIENT_ID, Answer
from support.harness import wait_until
from support.listener import FRESH
from support.sidecar import in_parallel, metrics, someone

# Of a provider that says no more than RFC 6749 wants.
TOKEN = {"access_token": "new-access", "token_type": "Bearer", "expires_in": 3600}


# Of a token that is past the first half of its life, in which none is refreshed.
OLD = '{"lifetime": 3600}'


@pytest.fixture(scope="module")
def sidecar(module_sidecar, fake):
    return module_sidecar({"fake": fake.settings(), "graceful": fake.settings(rotation="grace:60")})


@pytest.fixture(autouse=True)
def clean(sidecar):
    """Failures of one test must not open the client's breaker for the next."""
    yield
    sidecar.sql("DELETE FROM oauth_tokens_internal.refresh_clients")


def stored(sidecar, access="old-access", refresh="old-refresh", expires_in=1, expired=True, provider="fake", **more):
    """An identity whose token lives for a moment, and is over if `expired`."""
    whose = someone(provider)
    sidecar.store(whose, access, refresh_token=refresh, expires_in=expires_in, **more)
    if expired:
        sidecar.sql("UPDATE oauth_tokens SET access_token_expires_at = now() AT TIME ZONE 'UTC' - interval '1 s'"
                    " WHERE actor_id = %s", [whose[3]])
    return whose


def outcomes(sidecar, provider="fake"):
    samples = metrics(sidecar.get("/metrics").text)
    return {dict(labels)["outcome"]: value for (name, labels), value in samples.items()
            if name == "oauth_sidecar_refreshes_total" and ("provider", provider) in labels and value > 0}


def spool_files(sidecar):
    return sorted(os.listdir(sidecar.path / "spool"))


def test_an_expired_token_is_refreshed(sidecar, fake):
    fake.answer = Answer(TOKEN | {"refresh_token": "new-refresh"})
    whose = stored(sidecar, scopes="a b", details='{"account_id": "7", "account_label": "a@example.org"}')
    reply = sidecar.api("token", whose)
    assert reply.status == 200
    assert reply.json["access_token"] == "new-access"
    assert 3500 < reply.json["expires_in"] <= 3600
    assert reply.json["scopes"] == "a b" and reply.json["account"]["id"] == "7"
    assert fake.token_requests[-1].form["grant_type"] == "refresh_token"
    assert fake.token_requests[-1].form["refresh_token"] == "old-refresh"
    assert sidecar.grant(whose) == ("new-access", "new-refresh", "a b")
    assert sidecar.connection(whose)["state"] == "active"
    assert spool_files(sidecar) == []
    assert sidecar.api("token", whose).json["access_token"] == "new-access"
    assert len(fake.token_requests) == 1
    assert outcomes(sidecar)["committed"] >= 1
    assert "old-refresh" not in sidecar.log() and "new-" not in sidecar.log()


def test_an_answer_without_a_refresh_token_keeps_the_stored_one(sidecar, fake):  # T1
    fake.answers = [Answer(TOKEN), Answer(TOKEN | {"refresh_token": "second"}), Answer(TOKEN)]
    whose = stored(sidecar)
    for refresh in ("old-refresh", "second", "second"):
        assert sidecar.api("token", whose, force="true").status == 200
        assert sidecar.grant(whose)[:2] == ("new-access", refresh)
    assert [request.form["refresh_token"] for request in fake.token_requests] == [
        "old-refresh", "old-refresh", "second"]


def test_who_asks_for_longer_gets_a_fresh_token(sidecar, fake):
    fake.answer = Answer(TOKEN)
    whose = stored(sidecar, expires_in=300, expired=False, details=OLD)
    for min_ttl in (None, "200", "0"):
        assert sidecar.api("token", whose, min_ttl=min_ttl).json["access_token"] == "old-access"
    assert fake.token_requests == []
    assert sidecar.api("token", whose, min_ttl="301").json["access_token"] == "new-access"
    assert len(fake.token_requests) == 1


def test_min_ttl_above_the_life_of_a_token_refreshes_once(sidecar, fake):  # T13
    fake.answer = Answer(TOKEN | {"expires_in": 40})
    whose = stored(sidecar)
    for _ in range(10):
        assert sidecar.api("token", whose, min_ttl="7200").json["access_token"] == "new-access"
    assert len(fake.token_requests) == 1


def test_an_answer_without_a_lifetime_is_not_refreshed_again(sidecar, fake):  # T13
    fake.answer = Answer(TOKEN | {"expires_in": None})
    whose = stored(sidecar)
    for _ in range(10):
        reply = sidecar.api("token", whose, min_ttl="7200")
        assert reply.json["access_token"] == "new-access" and reply.json["expires_in"] is None
    assert len(fake.token_requests) == 1


def test_a_storm_of_refused_tokens_is_one_refresh(sidecar, fake):  # T13
    fake.answer = lambda _: Answer(TOKEN | {"access_token": f"new-{len(fake.token_requests)}"}, delay=0.3)
    whose = stored(sidecar, expires_in=3600, expired=False)
    digest = hashlib.sha256(b"old-access").hexdigest()
    replies = in_parallel(50, lambda: sidecar.api("token", whose, force="true", if_token_sha256=digest))
    assert {reply.json["access_token"] for reply in replies} == {"new-1"}
    # Those who come later say which token was refused, and it is not there any more.
    assert sidecar.api("token", whose, force="true", if_token_sha256=digest.upper()).json["access_token"] == "new-1"
    assert len(fake.token_requests) == 1
    # Without a digest it is the token that is there.
    assert sidecar.api("token", whose, force="true").json["access_token"] == "new-2"
    assert sidecar.api("token", whose).json["access_token"] == "new-2"
    assert len(fake.token_requests) == 2


def test_many_readers_share_one_refresh_across_sidecars(sidecar, fake, make_sidecar):
    other = make_sidecar(sidecar.providers, db=sidecar.db)
    fake.answer = Answer(TOKEN, delay=0.5)
    whose = stored(sidecar)
    replies = in_parallel(60, lambda: [one.api("token", whose) for one in (sidecar, other)])
    assert {reply.json["access_token"] for both in replies for reply in both} == {"new-access"}
    assert len(fake.token_requests) == 1


@pytest.mark.parametrize("parameter, value", [
    ("force", "yes"), ("force", ""), ("if_token_sha256", "ab"), ("if_token_sha256", "g" * 64),
    ("if_token_sha256", "a" * 64),  # without force it would go unheeded
])
def test_a_wrong_parameter_is_named(sidecar, parameter, value):
    reply = sidecar.api("token", someone(), **{parameter: value})
    assert reply.status == 400 and reply.json["parameter"] == parameter


REFUSED = {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}

# What the provider says: the status and reason of the API, the state, and its kind in `reason`.
KINDS = {
    "500": (Answer("no", 500, content_type="text/plain"), 503, "backing_off", "transient"),
    "429": (Answer({"error": "slow"}, 429, {"Retry-After": "77"}), 503, "backing_off", "transient"),
    "invalid_client": (Answer({"error": "invalid_client"}, 401), 502, None, "client_config"),
    "invalid_grant": (Answer(REFUSED, 400), 409, "needs_reauthorization", "dead_grant"),
    "mfa": (Answer({"error": "interaction_required"}, 400), 409, "needs_reauthorization", "needs_interaction"),
    "not JSON": (Answer("<html>welcome</html>", content_type="text/html"), 502, "backing_off", "no_answer"),
    "no token in it": (Answer({"token_type": "Bearer"}), 502, "backing_off", "no_answer"),
    "cut": (Answer(close=True), 503, "backing_off", "no_answer"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("valid", [False, True], ids=["expired", "valid"])
def test_a_failure_says_what_follows(sidecar, fake, kind, valid):  # T5
    answer, status, state, word = KINDS[kind]
    fake.answer = answer
    whose = stored(sidecar, expires_in=30, expired=not valid)
    reply = sidecar.api("token", whose, min_ttl="3600")
    assert len(fake.token_requests) == (0 if valid else 1)  # the first half of its life
    if valid:
        reply = sidecar.api("token", whose, force="true")
    assert reply.status == status, reply.text
    code = {503: "unavailable", 502: "provider_error", 409: "reauthorization_required"}[status]
    assert reply.json["error"] == code
    assert reply.json["reason"].partition(":")[0] == word
    if status != 409:
        assert int(reply.header("retry-after")) >= 1
    if kind == "429":
        assert reply.header("retry-after") == "77"
    # The grant is there as it was, and a valid token is still given.
    assert sidecar.grant(whose)[:2] == ("old-access", "old-refresh")
    if valid:
        assert sidecar.api("token", whose).json["access_token"] == "old-access"
    shown = sidecar.api("status", whose).json
    if state:
        assert shown["state"] == state
        assert shown["reason"].startswith(word + ": ")
        assert shown["since"] and shown["next_attempt_at"]
    else:
        assert shown["reason"] is None  # the client is at fault, and not this token
    # It is not tried at once.
    assert sidecar.api("token", whose, force="true").status in (status, 503)
    assert len(fake.token_requests) == 1
    assert spool_files(sidecar) == []
    lines = [line for line in sidecar.log_lines() if line["message"] == "a refresh has ended"]
    assert lines[-1]["outcome"] == word
    if answer.status != 200:
        assert lines[-1]["provider_status"] == answer.status
    if kind == "invalid_grant":
        assert lines[-1]["provider_error"] == REFUSED["error"]
        assert lines[-1]["provider_description"] == REFUSED["error_description"]


def test_a_client_at_fault_touches_no_token(sidecar, fake):  # T5
    fake.answer = Answer({"error": "invalid_client"}, 401)
    one, other = stored(sidecar), stored(sidecar)
    assert sidecar.api("token", one).status == 502
    assert sidecar.api("token", other).status == 502  # paused, without a call
    assert len(fake.token_requests) == 1
    assert {sidecar.api("status", whose).json["state"] for whose in (one, other)} == {"expired"}


def test_an_invalid_grant_after_a_lost_race_changes_nothing(sidecar, fake):  # T5
    """Somebody stored another grant while the provider was asked about the old one."""
    hold = threading.Event()
    fake.answer = Answer(REFUSED, 400, hold=hold)
    whose = stored(sidecar)
    replies = []
    reader = threading.Thread(target=lambda: replies.append(sidecar.api("token", whose)))
    reader.start()
    fake.wait_token_request()
    assert sidecar.api("status", whose).json["state"] == "refreshing"
    sidecar.store(whose, "theirs", refresh_token="their-refresh", expires_in=3600)
    hold.set()
    reader.join(20)
    assert replies[0].status == 200 and replies[0].json["access_token"] == "theirs"
    assert sidecar.connection(whose)["state"] == "active"


def test_a_valid_token_is_given_while_a_refresh_hangs(sidecar, fake):
    hold = threading.Event()
    fake.answer = Answer(TOKEN, hold=hold)
    whose = stored(sidecar, expires_in=100, expired=False, details=OLD)
    try:
        assert sidecar.api("token", whose, min_ttl="200").json["access_token"] == "old-access"
    finally:
        hold.set()
    wait_until(lambda: sidecar.grant(whose)[0] == "new-access", what="the commit")
    assert len(fake.token_requests) == 1


def test_without_a_refresh_token(sidecar, fake):
    valid = stored(sidecar, refresh=None, expires_in=30, expired=False)
    assert sidecar.api("token", valid, min_ttl="3600").json["access_token"] == "old-access"
    for whose, force in ((stored(sidecar, refresh=None), None), (valid, "true")):
        reply = sidecar.api("token", whose, force=force)
        assert (reply.status, reply.json["reason"]) == (409, "no_refresh_token")
    assert fake.token_requests == []


def test_an_answer_of_another_account_is_not_stored(sidecar, fake):
    claims = {"issuer": fake.issuer, "account_id": "subject-of-alice", "client_id": CLIENT_ID}
    whose = stored(sidecar, details=json.dumps(claims))
    fake.subject = "subject-of-mallory"
    fake.answer = lambda _: Answer(TOKEN | {"id_token": fake.make_id_token({})})
    reply = sidecar.api("token", whose)
    assert (reply.status, reply.json["reason"]) == (409, "needs_interaction")
    assert sidecar.grant(whose)[:2] == ("old-access", "old-refresh")
    assert spool_files(sidecar) == []
    fake.subject = "subject-of-alice"
    other = stored(sidecar, details=json.dumps(claims))
    assert sidecar.api("token", other).json["access_token"] == "new-access"


def test_a_lost_answer_is_asked_for_again_where_the_old_token_lives_on(sidecar, fake):
    fake.answers = [Answer(close=True)]
    fake.answer = Answer(TOKEN)
    whose = stored(sidecar, provider="graceful")
    assert sidecar.api("token", whose).json["access_token"] == "new-access"
    assert len(fake.token_requests) == 2


# oauth_fresh_access_token(), with the daemon behind it


def fresh(sidecar, whose, min_ttl="60 s", timeout="10 s"):
    return sidecar.sql(FRESH, [*whose, min_ttl, timeout], user="app")[0][0]


def test_plain_sql_gets_a_fresh_token(sidecar, fake):
    fake.answer = Answer(TOKEN, delay=0.2)
    whose = stored(sidecar)
    assert in_parallel(20, lambda: fresh(sidecar, whose)) == ["new-access"] * 20
    assert len(fake.token_requests) == 1


@pytest.mark.parametrize("answer, refresh, sqlstate, says", [
    (Answer(REFUSED, 400), "old-refresh", "OT019", "invalid_grant"),
    (None, None, "OT020", ""),
    (Answer("no", 500), "old-refresh", "OT022", "HTTP 500"),
    (Answer({"error": "invalid_client"}, 401), "old-refresh", "OT022", "invalid_client"),
], ids=["dead", "no refresh token", "transient", "client"])
def test_plain_sql_hears_of_a_failure_at_once(sidecar, fake, answer, refresh, sqlstate, says):
    fake.answer = answer
    whose = stored(sidecar, refresh=refresh)
    started = time.monotonic()
    with pytest.raises(psycopg.Error) as caught:
        fresh(sidecar, whose, timeout="60 s")
    assert caught.value.sqlstate == sqlstate
    assert says in f"{caught.value} {caught.value.diag.message_detail}"
    assert time.monotonic() - started < 30  # and not when the time is over


# The spool


def test_without_a_spool_nothing_is_sent(make_sidecar, fake):
    """The refresh is refused before the call: an answer could not be kept."""
    sidecar = make_sidecar({"fake": fake.settings()})
    fake.answer = Answer(TOKEN)
    whose = stored(sidecar)
    shutil.rmtree(sidecar.path / "spool")
    reply = sidecar.api("token", whose)
    assert (reply.status, reply.json["error"]) == (503, "unavailable")
    assert "spool" in reply.json["reason"]
    assert fake.token_requests == []
    assert outcomes(sidecar)["spool_unavailable"] == 1
    sidecar.wait_log("a refresh is refused.*spool")
    (sidecar.path / "spool").mkdir(mode=0o700)
    assert sidecar.api("token", whose).json["access_token"] == "new-access"


def test_a_spool_that_goes_while_the_daemon_runs(make_sidecar, fake):
    sidecar = make_sidecar({"fake": fake.settings()})
    fake.answer = Answer(TOKEN)
    assert sidecar.api("token", stored(sidecar)).status == 200
    whose = stored(sidecar)
    (sidecar.path / "spool").chmod(0o755)  # others may look into it
    reply = sidecar.api("token", whose)
    assert (reply.status, reply.json["error"]) == (503, "unavailable")
    assert len(fake.token_requests) == 1
    # The provider was not asked: it says nothing of the client, and this token waits for a moment.
    assert sidecar.sql("SELECT sum(failures) FROM oauth_tokens_internal.refresh_clients") in ([(None,)], [(0,)])
    assert sidecar.connection(whose)["reason"].startswith("not_sent: the spool does not work")
    (sidecar.path / "spool").chmod(0o700)
    wait_until(lambda: sidecar.api("token", whose).status == 200, timeout=30, what="the refresh")


def spooled(sidecar, whose, refresh="spooled-refresh", **more):
    """An attempt whose answer is in the spool, and nobody to commit it; its file's name."""
    fence, key = sidecar.sql("SELECT fence, spool_key FROM oauth_refresh_begin(%s, %s, %s, %s, lease => '1 ms')",
                             whose, user="sidecar")[0]
    cluster = sidecar.sql("SELECT id FROM oauth_tokens_internal.cluster()")[0][0]
    answer = {"access_token": "spooled-access", "refresh_token": refresh, "expires_at": int(time.time()) + 3600, **more}
    sealed = Fernet(key).encrypt(json.dumps(answer).encode()).decode()
    entry = {"version": 1, "cluster": cluster, "workspace_id": str(whose[0]), "provider": whose[1],
             "actor_type": whose[2], "actor_id": whose[3], "fence": str(fence), "sealed": sealed}
    return f"{fence}.spool", entry


def put(sidecar, name, entry):
    path = sidecar.path / "spool" / name
    path.write_text(entry if isinstance(entry, str) else json.dumps(entry, separators=(",", ":")) + "\n")
    path.chmod(0o600)


def test_answers_of_the_spool_are_handed_in_at_start(make_sidecar, fake):  # T4
    sidecar = make_sidecar({"fake": fake.settings()})
    sidecar.stop()
    whose = stored(sidecar)
    put(sidecar, *spooled(sidecar, whose))
    sidecar.start()
    wait_until(lambda: spool_files(sidecar) == [], what="the file to go")
    assert sidecar.grant(whose)[:2] == ("spooled-access", "spooled-refresh")
    assert sidecar.api("token", whose).json["access_token"] == "spooled-access"
    assert fake.token_requests == []
    assert outcomes(sidecar) == {"replayed": 1}


def test_files_that_do_not_open_are_kept_aside(make_sidecar, fake):
    sidecar = make_sidecar({"fake": fake.settings()})
    sidecar.stop()
    files = {}
    # What opens, and cannot be stored: OT006, OT007, 22023, OT018.
    unfit = {"empty token": {"access_token": ""}, "long token": {"access_token": "x" * 65537},
             "long refresh token": {"refresh_token": "x" * 65537}, "unknown detail": {"details": {"unheard_of": 1}},
             "no time": {"expires_at": 1e300}}
    for fault in ("damaged", "foreign key", "another cluster", "superseded", *unfit):
        whose = stored(sidecar)
        name, entry = spooled(sidecar, whose, **unfit.get(fault, {}))
        if fault == "damaged":
            entry = "{\"version\":1,"
        elif fault == "foreign key":
            entry["sealed"] = Fernet(base64.urlsafe_b64encode(os.urandom(32))).encrypt(b"{}").decode()
        elif fault == "another cluster":
            entry["cluster"] = "1234/5"
        elif fault == "superseded":
            sidecar.store(whose, "theirs", refresh_token="their-refresh", expires_in=3600)
        put(sidecar, name, entry)
        files[fault] = name
    sidecar.start()
    kept = sorted(f"{name}.aside" for fault, name in files.items() if fault != "superseded")
    wait_until(lambda: spool_files(sidecar) == kept, what="the files to be set aside")
    for fault, name in files.items():
        assert fault == "superseded" or f"{name} is set aside" in sidecar.log(), fault
    samples = metrics(sidecar.get("/metrics").text)
    assert samples["oauth_sidecar_spool_files", frozenset({("state", "aside")})] == len(kept) == 8
    assert samples["oauth_sidecar_spool_files", frozenset({("state", "waiting")})] == 0


def test_a_role_without_the_right_loses_nothing(make_sidecar, fake):
    """42501: the database refuses the commit; the answer waits in the spool for the right."""
    sidecar = make_sidecar({"fake": fake.settings()})
    hold = threading.Event()
    fake.answer = Answer(TOKEN | {"refresh_token": "new-refresh"}, hold=hold)
    whose = stored(sidecar)
    replies = []
    reader = threading.Thread(target=lambda: replies.append(sidecar.api("token", whose)))
    reader.start()
    fake.wait_token_request()
    sidecar.sql("REVOKE UPDATE ON oauth_tokens FROM sidecar")
    hold.set()
    reader.join(20)
    assert replies[0].status == 503
    assert len(spool_files(sidecar)) == 1
    waiting = "oauth_sidecar_spool_files", frozenset({("state", "waiting")})
    wait_until(lambda: metrics(sidecar.get("/metrics").text)[waiting] == 1, what="the gauge")
    sidecar.sql("SELECT oauth_tokens_grant('sidecar', 'sidecar')")
    wait_until(lambda: spool_files(sidecar) == [], timeout=30, what="the replay")
    assert sidecar.grant(whose)[:2] == ("new-access", "new-refresh")
    assert len(fake.token_requests) == 1


def test_a_deleted_token_stays_deleted(sidecar, fake):  # T6
    hold = threading.Event()
    fake.answer = Answer(TOKEN, hold=hold)
    whose = stored(sidecar)
    replies = []
    reader = threading.Thread(target=lambda: replies.append(sidecar.api("token", whose)))
    reader.start()
    fake.wait_token_request()
    sidecar.sql("SELECT oauth_delete(%s, %s, %s, %s)", whose, user="app")
    hold.set()
    reader.join(20)
    assert replies[0].status == 404
    assert sidecar.grant(whose) is None and spool_files(sidecar) == []


def test_a_refresh_outlives_who_asked_and_the_end_of_the_daemon(make_sidecar, fake):
    """SIGTERM while the provider is asked: the answer is stored before the process ends."""
    sidecar = make_sidecar({"fake": fake.settings()})
    fake.answer = Answer(TOKEN | {"refresh_token": "new-refresh"}, delay=1)
    whose = stored(sidecar)
    reader = threading.Thread(target=lambda: fresh(sidecar, whose))
    reader.start()
    fake.wait_token_request()
    assert sidecar.stop() == 0
    reader.join(20)
    assert sidecar.grant(whose)[:2] == ("new-access", "new-refresh")
