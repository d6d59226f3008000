"""Deleted grants are revoked at their provider, in the background; and nothing else is (T8, T14, T15)."""

import threading

import pytest
from support.fake_provider import CLIENT_ID, Answer
from support.harness import wait_until
from support.openid import CLIENT
from support.sidecar import MiniBrowser, fetch, someone



@pytest.fixture
def fake(make_provider):
    return make_provider()


@pytest.fixture
def sidecar(make_sidecar, fake, application):
    return make_sidecar({"fake": fake.settings(), "other": fake.settings()},
                        settings={"OAUTH_RETURN_TO": application.origin, "OAUTH_PROVIDER_TIMEOUT_SECONDS": 2})


def stored(sidecar, provider="fake", refresh_token="the refresh token", **details):
    whose = someone(provider)
    sidecar.sql("SELECT oauth_store(%s, %s, %s, %s, 'the access token', %s, details => %s)",
                [*whose, refresh_token, details and str(details).replace("'", '"') or None], user="app")
    return whose


def delete(sidecar, whose, **parameters):
    reply = sidecar.api("token", whose, method="DELETE", **parameters)
    assert reply.status == 200, reply.text
    return reply.json["deleted"], reply.json["revocation"]


def waiting(sidecar):
    return sidecar.count("oauth_tokens_internal.oauth_revocations")


def wait_worked_off(sidecar, timeout=20):
    wait_until(lambda: waiting(sidecar) == 0, timeout, what="the end of the revocations")


def outcomes(sidecar):
    return [line for line in sidecar.log_lines() if line["message"] == "a revocation has ended"]


def wait_outcomes(sidecar, count):
    wait_until(lambda: len(outcomes(sidecar)) >= count, 20, what=f"{count} revocations in the log")
    return outcomes(sidecar)


def metric(sidecar, name):
    lines = sidecar.get("/metrics", listener="api").text.splitlines()
    return {line.rsplit(" ", 1)[0].removeprefix(name): float(line.rsplit(" ", 1)[1])
            for line in lines if line.startswith(name) and not line.endswith("} 0")}


def nothing_is_revoked(sidecar, fake):
    """What was queued before this looks is gone by the time that another one is revoked."""
    marker = stored(sidecar, refresh_token="the marker")
    delete(sidecar, marker, revoke="always")
    wait_worked_off(sidecar)
    return [request.form["token"] for request in fake.seen("/revoke")] == ["the marker"]


def test_the_request(sidecar, fake):  # T8
    assert delete(sidecar, stored(sidecar)) == (True, "queued")
    wait_worked_off(sidecar)
    [request] = fake.seen("/revoke")
    assert request.method == "POST" and request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.form == {"token": "the refresh token", "token_type_hint": "refresh_token"}
    assert request.basic[0] == CLIENT_ID
    [line] = wait_outcomes(sidecar, 1)
    assert (line["provider"], line["outcome"], line["attempt"]) == ("fake", "revoked", 1)
    assert metric(sidecar, "oauth_sidecar_revocations_total") == {'{outcome="revoked",provider="fake"}': 1}
    wait_until(lambda: metric(sidecar, "oauth_sidecar_revocations_waiting") == {"": 0})
    assert "the refresh token" not in sidecar.log() and "the access token" not in sidecar.log()


def test_three_tries(sidecar, fake):  # T8
    fake.revocations += [Answer({"error": "temporarily_unavailable"}, 503), Answer(status=503)]
    delete(sidecar, stored(sidecar))
    wait_worked_off(sidecar)
    assert len(fake.seen("/revoke")) == 3
    lines = wait_outcomes(sidecar, 3)
    assert [(line["outcome"], line["attempt"]) for line in lines] == [("retry", 1), ("retry", 2), ("revoked", 3)]
    assert (lines[0]["provider_error"], lines[0]["provider_status"]) == ("temporarily_unavailable", 503)


@pytest.mark.parametrize("answer", [
    Answer({"error": "invalid_token"}, 400), Answer({"ok": False, "error": "token_revoked"}, 200), Answer({}, 204),
    Answer("<html>", 200),
], ids=lambda answer: f"{answer.status} {answer.body}")
def test_done(sidecar, fake, answer):  # T8
    fake.revocations.append(answer)
    delete(sidecar, stored(sidecar))
    wait_worked_off(sidecar)
    assert len(fake.seen("/revoke")) == 1
    [line] = wait_outcomes(sidecar, 1)
    assert line["outcome"] == "revoked" and "the refresh token" not in sidecar.log()


@pytest.mark.parametrize("answer", [
    Answer({"error": "invalid_request"}, 400), Answer("", 400), Answer({"error": "unknown_method"}, 200),
    Answer("no such token the refresh token", 400, content_type="text/plain"),
], ids=lambda answer: f"{answer.status} {answer.body}")
def test_refused(sidecar, fake, answer):  # T8: it ends, too, and not in silence
    fake.revocations.append(answer)
    delete(sidecar, stored(sidecar))
    wait_worked_off(sidecar)
    assert len(fake.seen("/revoke")) == 1
    [line] = wait_outcomes(sidecar, 1)
    assert (line["outcome"], line["level"]) == ("refused", "warning") and "the refresh token" not in sidecar.log()


@pytest.mark.parametrize("answer, words", [
    (Answer({"error": "invalid_client"}, 401), "client_secret"),
    (Answer({"ok": False, "error": "internal_error"}, 200), "not available"),
    (Answer(b'{"error":"invalid_client","error_description":"cl\xe9"}', 400), "client_secret"),
    (Answer({"error": "invalid_client"}, 400), "client_secret"),
    (Answer(status=429), "later"), (Answer(status=500), "not available"), (Answer(status=403), "refused"),
    (Answer(status=404), "refused"), (Answer(close=True), "broke off"), (Answer(delay=4), "in time"),
    (Answer(status=302, headers={"Location": "/elsewhere"}), "redirects"),
    (Answer(status=307, headers={"Location": "/elsewhere"}), "redirects"),
], ids=lambda value: value if isinstance(value, str) else f"{value.status} {value.body} {value.close} {value.delay}")
def test_tried_again(sidecar, fake, answer, words):  # T8
    fake.revocations.append(answer)
    delete(sidecar, stored(sidecar))
    wait_worked_off(sidecar)
    first, second = wait_outcomes(sidecar, 2)
    assert (first["outcome"], first["level"], second["outcome"]) == ("retry", "warning", "revoked")
    assert words in first["reason"] and len(fake.seen("/revoke")) == 2 and not fake.seen("/elsewhere")


def test_retry_after(sidecar, fake):  # T8
    fake.revocations.append(Answer(status=503, headers={"Retry-After": "7200"}))
    delete(sidecar, stored(sidecar))
    wait_outcomes(sidecar, 1)
    assert sidecar.sql("SELECT next_attempt_at > now() + interval '110 min', reason"
                       " FROM oauth_tokens_internal.oauth_revocations")[0][0] is True


def test_given_up_after_a_day(sidecar, fake):
    fake.revocations += [Answer({"error": "server_error"}, 500)] * 2
    delete(sidecar, stored(sidecar))
    wait_outcomes(sidecar, 1)
    sidecar.sql("UPDATE oauth_tokens_internal.oauth_revocations SET give_up_at = now(), next_attempt_at = now()")
    wait_worked_off(sidecar)
    assert [line["outcome"] for line in wait_outcomes(sidecar, 2)] == ["retry", "given_up"]


def test_a_delete_does_not_wait(sidecar, fake):  # T8
    """The provider answers only when the delete has been answered."""
    answered = threading.Event()
    fake.revocations.append(Answer(hold=answered))
    whose = stored(sidecar)
    assert delete(sidecar, whose) == (True, "queued")
    wait_until(lambda: fake.seen("/revoke"))
    assert sidecar.grant(whose) is None and delete(sidecar, whose) == (False, "skipped")
    answered.set()
    wait_worked_off(sidecar)
    assert len(fake.seen("/revoke")) == 1


def test_one_that_hangs_leaves_room(make_sidecar, make_provider):
    slow, quick = make_provider(), make_provider("quick")
    sidecar = make_sidecar({"fake": slow.settings(), "quick": quick.settings()})
    held = threading.Event()
    slow.revocations += [Answer(hold=held)] * 20
    people = [stored(sidecar) for _ in range(20)]
    sidecar.sql("SELECT oauth_delete(workspace_id, provider, actor_type, actor_id, revoke => true)"
                " FROM oauth_tokens WHERE actor_id = ANY (%s)", [[whose[3] for whose in people]])
    wait_until(lambda: len(slow.seen("/revoke")) == 4)
    assert metric(sidecar, "oauth_sidecar_revocations_waiting")[""] >= 4
    delete(sidecar, stored(sidecar, "quick"))
    wait_until(lambda: len(quick.seen("/revoke")) == 1)
    assert len(slow.seen("/revoke")) == 4
    held.set()
    wait_worked_off(sidecar)
    assert len(slow.seen("/revoke")) == 20


def test_a_copy(sidecar, fake):  # T14
    sidecar.sql("UPDATE oauth_tokens_internal.cluster SET id = '1/1'")
    delete(sidecar, stored(sidecar))
    line = sidecar.wait_log('"sqlstate":"OT017"')
    assert "until this database is adopted" in str(line) or "until this database is adopted" in sidecar.log()
    assert waiting(sidecar) == 1 and fake.seen("/revoke") == []
    sidecar.sql("SELECT oauth_tokens_adopt_cluster()")
    delete(sidecar, stored(sidecar, refresh_token="another"))  # which wakes the worker
    wait_worked_off(sidecar)
    assert len(fake.seen("/revoke")) == 2


def test_by_sql(sidecar, fake):
    whose = stored(sidecar)
    assert sidecar.sql("SELECT oauth_delete(%s, %s, %s, %s, revoke => true)", whose, user="app") == [(True,)]
    wait_worked_off(sidecar)
    assert [request.form["token"] for request in fake.seen("/revoke")] == ["the refresh token"]


def test_the_access_token_where_there_is_no_other(sidecar, fake):
    delete(sidecar, stored(sidecar, refresh_token=None))
    wait_worked_off(sidecar)
    fake.revocations.append(Answer({"error": "unsupported_token_type"}, 400))
    delete(sidecar, stored(sidecar))
    wait_worked_off(sidecar)
    assert [tuple(request.form.values()) for request in fake.seen("/revoke")] == [
        ("the access token", "access_token"), ("the refresh token", "refresh_token"),
        ("the access token", "access_token")]
    fake.revocations += [Answer({"error": "unsupported_token_type"}, 400)] * 2
    delete(sidecar, stored(sidecar))
    wait_worked_off(sidecar)
    assert [line["outcome"] for line in wait_outcomes(sidecar, 3)] == ["revoked", "revoked", "unsupported"]


def test_with_credentials_as_at_the_token_endpoint(make_sidecar, fake):
    sidecar = make_sidecar({"fake": fake.settings(token_auth="post"), "json": fake.settings(token_auth="none", body="json", client_secret=None)})
    delete(sidecar, stored(sidecar))
    wait_worked_off(sidecar)
    delete(sidecar, stored(sidecar, "json"))
    wait_worked_off(sidecar)
    first, second = fake.seen("/revoke")
    assert first.form["client_id"] == second.form["client_id"] == CLIENT_ID
    assert first.form["client_secret"] and "client_secret" not in second.form
    assert not first.basic and second.headers["content-type"] == "application/json"


def test_no_revocation_endpoint(make_sidecar, make_provider):
    fake, silent = make_provider(), make_provider("silent")
    silent.metadata_changes = {"revocation_endpoint": None}
    sidecar = make_sidecar({"fake": fake.settings(revocation_endpoint=None), "silent": silent.discovered(scopes="x")})
    assert delete(sidecar, stored(sidecar)) == (True, "unsupported")
    assert delete(sidecar, stored(sidecar), revoke="always") == (True, "unsupported")
    assert delete(sidecar, stored(sidecar), revoke="never") == (True, "skipped")
    assert delete(sidecar, someone()) == (False, "skipped") and waiting(sidecar) == 0
    # Nobody has asked for its metadata yet, and a delete waits for no provider.
    assert delete(sidecar, stored(sidecar, "silent")) == (True, "queued")
    wait_worked_off(sidecar)
    assert wait_outcomes(sidecar, 1)[0]["outcome"] == "unsupported"
    assert delete(sidecar, stored(sidecar, "silent")) == (True, "unsupported")
    assert fake.seen("/revoke") == silent.seen("/revoke") == []


@pytest.mark.parametrize("details, word", [
    ({"client_id": "another"}, "client"), ({"client_id": CLIENT_ID, "issuer": "https://another.example"}, "issuer"),
])
def test_a_grant_of_somebody_else(sidecar, fake, details, word):
    """Its token would go to whom it does not concern."""
    delete(sidecar, stored(sidecar, **details))
    [line] = wait_outcomes(sidecar, 1)
    assert line["outcome"] == "retry" and word in line["reason"] and fake.seen("/revoke") == []


def test_a_provider_that_is_not_configured(sidecar, fake):
    """Another sidecar may know it, for a day; then it is given up. It is in nobody's way."""
    sidecar.sql("SELECT oauth_delete(%s, %s, %s, %s, revoke => true)", stored(sidecar, "elsewhere"), user="app")
    delete(sidecar, stored(sidecar))
    wait_outcomes(sidecar, 1)
    assert len(fake.seen("/revoke")) == 1 and waiting(sidecar) == 1
    sidecar.sql("UPDATE oauth_tokens_internal.oauth_revocations SET created_at = now() - interval '25 h'")
    wait_worked_off(sidecar)
    line = wait_outcomes(sidecar, 2)[1]
    assert (line["provider"], line["outcome"]) == ("unknown", "given_up") and len(fake.seen("/revoke")) == 1


def test_without_its_key(sidecar, fake):
    """What no key opens is tried again, since a key may come back, and ends with its day."""
    sidecar.sql("UPDATE oauth_tokens SET encrypted_refresh_token = 'x', encrypted_access_token = 'y'"
                " WHERE actor_id = %s", [(whose := stored(sidecar))[3]])
    assert delete(sidecar, whose) == (True, "queued")
    [line] = wait_outcomes(sidecar, 1)
    assert line["outcome"] == "retry" and "opens neither token" in line["reason"] and fake.seen("/revoke") == []


def test_auto_leaves_a_shared_account_alone(sidecar, fake):
    account = {"account_id": "1", "client_id": CLIENT_ID}
    one, two = stored(sidecar, **account), stored(sidecar, "fake.work", "the other", **account)
    other = stored(sidecar, "other", "of another provider", **account)
    assert delete(sidecar, one) == (True, "skipped")
    assert delete(sidecar, two) == (True, "queued")
    assert delete(sidecar, other, revoke="auto") == (True, "queued")
    wait_worked_off(sidecar)
    assert sorted(request.form["token"] for request in fake.seen("/revoke")) == ["of another provider", "the other"]
    three, _ = stored(sidecar, **account), stored(sidecar, **account)
    assert delete(sidecar, three, revoke="always") == (True, "queued")
    wait_until(lambda: len(fake.seen("/revoke")) == 3)


def test_two_of_one_account_at_once(sidecar, fake):
    """Each sees the other one, and one of them is the last."""
    for _ in range(10):
        fake.reset()
        account = {"account_id": "1", "client_id": CLIENT_ID}
        pair = [stored(sidecar, **account) for _ in range(2)]
        answers = []
        threads = [threading.Thread(target=lambda whose=whose: answers.append(delete(sidecar, whose))) for whose in pair]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == [(True, "queued"), (True, "skipped")]
        wait_worked_off(sidecar)
        assert len(fake.seen("/revoke")) == 1


def test_connected_again_before_its_turn(sidecar, fake):
    """A revocation may end the new grant, too."""
    fake.revocations.append(Answer(status=503))
    account = {"account_id": "1", "client_id": CLIENT_ID}
    delete(sidecar, stored(sidecar, **account))
    wait_outcomes(sidecar, 1)
    stored(sidecar, **account)
    wait_worked_off(sidecar)
    assert [line["outcome"] for line in wait_outcomes(sidecar, 2)] == ["retry", "skipped"]
    assert len(fake.seen("/revoke")) == 1


@pytest.mark.parametrize("setting, revocation", [("never", "skipped"), ("always", "queued"), ("auto", "skipped")])
def test_the_providers_setting(make_sidecar, fake, setting, revocation):
    sidecar = make_sidecar({"fake": fake.settings(revoke=setting)})
    account = {"account_id": "1", "client_id": CLIENT_ID}
    one, _ = stored(sidecar, **account), stored(sidecar, **account)
    assert delete(sidecar, one) == (True, revocation)


@pytest.mark.parametrize("value", ["", "AUTO", "true", "yes", "auto "])
def test_bad_values(sidecar, value):
    whose = stored(sidecar)
    reply = sidecar.api("token", whose, method="DELETE", revoke=value)
    assert (reply.status, reply.json["error"], reply.json["parameter"]) == (400, "invalid_request", "revoke")
    assert sidecar.grant(whose)


def test_several_sidecars(make_sidecar, fake, sidecar):
    """Each grant is revoked once, and those of a sidecar that was killed are another's after a while."""
    two = make_sidecar({"fake": fake.settings()}, db=sidecar.db)
    for whose in [stored(sidecar, refresh_token=f"r{n}") for n in range(50)]:
        sidecar.sql("SELECT oauth_delete(%s, %s, %s, %s, revoke => true)", whose, user="app")
    wait_worked_off(sidecar)
    assert sorted(request.form["token"] for request in fake.seen("/revoke")) == sorted(f"r{n}" for n in range(50))
    fake.revocations.append(Answer(hold=threading.Event()))
    delete(sidecar, stored(sidecar, refresh_token="last"))
    wait_until(lambda: fake.seen("/revoke")[-1].form["token"] == "last")
    sidecar.kill()
    two.kill()
    sidecar.sql("UPDATE oauth_tokens_internal.oauth_revocations SET next_attempt_at = now()")
    two.start()
    wait_worked_off(two)


def test_with_a_real_provider(make_sidecar, make_openid, application):  # T8
    real = make_openid()
    sidecar = make_sidecar({"op": real.settings()}, settings={"OAUTH_RETURN_TO": application.origin})
    whose, browser = someone("op"), MiniBrowser()
    page = browser.submit(browser.open(sidecar.link(whose, return_to=application.origin)), login="alice")
    browser.submit(page)
    _, refresh, _ = sidecar.grant(whose)

    def redeem():
        body = f"grant_type=refresh_token&refresh_token={refresh}"
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": "Basic " + basic()}
        return fetch(f"{real.issuer}/token", "POST", headers, body)

    assert delete(sidecar, whose) == (True, "queued")
    wait_worked_off(sidecar)
    assert outcomes(sidecar)[0]["outcome"] == "revoked"
    wait_until(lambda: [line for line in real.lines if line.startswith("revoke 1 200")])
    assert (redeem().status, redeem().json["error"]) == (400, "invalid_grant")


def basic():
    import base64
    return base64.b64encode(f"{CLIENT['client_id']}:{CLIENT['client_secret']}".encode()).decode()


# What is never revoked


def connect(sidecar, whose, application, **link):
    return MiniBrowser().open(sidecar.link(whose, return_to=application.origin, **link))


def test_superseded(sidecar, fake, application):  # T15
    whose = someone()
    for subject in ("alice", "alice", "bob"):
        fake.subject = subject
        assert connect(sidecar, whose, application).query["oauth"] == "connected"
    sidecar.store(whose, "stored over it", refresh_token="another")
    sidecar.sql("SELECT oauth_move(%s, %s, %s, %s, %s, %s, %s, 'elsewhere')", [*whose, *whose[:3]], user="app")
    sidecar.sql("SELECT oauth_delete(%s, %s, %s, 'elsewhere')", whose[:3], user="app")
    assert waiting(sidecar) == 0 and nothing_is_revoked(sidecar, fake)


def test_unconfirmed(sidecar, fake, application):  # T15
    end = connect(sidecar, someone(), application, confirm=True)
    assert end.query["oauth"] == "confirm"
    for table in ("flow_confirmations", "flow_links"):
        sidecar.sql(f"UPDATE oauth_tokens_internal.{table} SET expires_at = now() - interval '1 s'"
                    + (", vanishes_at = now() - interval '1 s'" if table == "flow_links" else ""))
    sidecar.sql("SELECT oauth_tokens_internal.flow_purge()")
    assert sidecar.flow_rows() == (0, 0, 0) and nothing_is_revoked(sidecar, fake)


def test_abandoned(sidecar, fake, application):  # T15
    """Links that are not followed, refused, or whose tokens come too late to be stored."""
    sidecar.link(someone(), return_to=application.origin)
    fake.authorize = lambda parameters: {"error": "access_denied", "state": parameters["state"], "iss": parameters["iss"]}
    assert connect(sidecar, someone(), application).query["oauth"] == "failed"
    fake.authorize, whose = None, someone()
    late = threading.Event()
    fake.answers.append(Answer({"access_token": "a", "refresh_token": "late", "token_type": "Bearer"}, hold=late))
    thread = threading.Thread(target=lambda: connect(sidecar, whose, application))
    thread.start()
    fake.wait_token_request()
    sidecar.sql("DELETE FROM oauth_tokens_internal.flow_links")
    late.set()
    thread.join()
    assert sidecar.grant(whose) is None and nothing_is_revoked(sidecar, fake)


def test_deleted_by_others(sidecar, fake):  # T15
    sidecar.sql("DELETE FROM oauth_tokens WHERE actor_id = %s", [stored(sidecar)[3]])
    delete(sidecar, stored(sidecar), revoke="never")
    assert nothing_is_revoked(sidecar, fake)
