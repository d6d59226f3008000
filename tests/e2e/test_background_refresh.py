"""Refreshes that nobody asks for (docs/design/refresh.md, "Ahead of time"): in SQL, and by daemons that share them."""

import contextlib
import time

import pytest
from support.fake_provider import Answer
from support.harness import wait_until
from support.sidecar import metrics, prepare_database, someone
from support.tokens import WORKSPACE

TOKEN = {"access_token": "new-access", "token_type": "Bearer", "expires_in": 36000}
RATE = 40
DUE = "SELECT actor_id FROM oauth_tokens_internal.refresh_due(100)"


@pytest.fixture(scope="module")
def providers(fake):
    return {"fake": fake.settings(refresh_ahead=600, refreshes_per_second=RATE), "off": fake.settings()}


@pytest.fixture(scope="module")
def sidecar(module_sidecar, providers):
    return module_sidecar(providers)


@pytest.fixture(autouse=True)
def clean(sidecar):
    sidecar.sql("SELECT oauth_tokens_disable_background_refresh()")
    for table in ("oauth_tokens", "oauth_token_details", "oauth_tokens_internal.refresh_states",
                  "oauth_tokens_internal.refresh_attempts", "oauth_tokens_internal.refresh_clients"):
        sidecar.sql(f"DELETE FROM {table}")
    yield
    sidecar.sql("SELECT oauth_tokens_disable_background_refresh()")


def fill(sidecar, count, provider="fake"):
    """Tokens that expired, one after the other, in the last hour; the refresh token says which."""
    sidecar.sql(
        "SELECT oauth_store(%s, %s, 'user', n::text, 'old-access', 'refresh-' || n, details => '{\"lifetime\": 3600}')"
        " FROM generate_series(1, %s) n", [WORKSPACE, provider, count])
    sidecar.sql("UPDATE oauth_tokens SET access_token_expires_at = now() AT TIME ZONE 'UTC'"
                " - interval '1 h' + actor_id::int * interval '1 s' WHERE provider = %s", [provider])


def left(sidecar, provider="fake"):
    return sidecar.sql("SELECT count(*) FROM oauth_tokens WHERE provider = %s"
                       " AND access_token_expires_at < now() AT TIME ZONE 'UTC' + interval '1 h'", [provider])[0][0]


def spent(fake):
    return [request.form["refresh_token"] for request in fake.token_requests]


@contextlib.contextmanager
def looked(sidecar):
    """Waits at the end until a daemon has looked for what is due since the begin."""
    began = sidecar.sql("SELECT clock_timestamp()")[0][0]
    yield
    wait_until(lambda: sidecar.sql(
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%%refresh_due%%' AND query_start > %s AND state = 'idle'"
        " AND usename = 'sidecar' AND datname = current_database()", [began]), 30, interval=0.01, what="a look")


def test_three_daemons_share_the_work(sidecar, fake, make_sidecar, providers):  # T2
    fake.answer = lambda _: Answer(TOKEN | {"refresh_token": f"next-{time.monotonic_ns()}"}, delay=0.05)
    count = 8 * RATE
    fill(sidecar, count)
    fill(sidecar, 3, "off")
    with looked(sidecar):
        others = [make_sidecar(providers, db=sidecar.db) for _ in range(2)]
    assert fake.token_requests == []  # before the owner wants it
    sidecar.sql("SELECT oauth_tokens_enable_background_refresh()")
    started = time.monotonic()
    wait_until(lambda: left(sidecar) == 0, timeout=120, what="all tokens to be refreshed")
    took = time.monotonic() - started
    assert sorted(spent(fake)) == sorted(f"refresh-{n}" for n in range(1, count + 1))  # none twice
    # A second's worth is saved up at first; no machine is too slow for this.
    assert took >= count / RATE - 2
    # Soonest expiry first: those under way overtake each other by no more than there are of them.
    order = [int(token.removeprefix("refresh-")) for token in spent(fake)]
    assert max(abs(at - n) for at, n in enumerate(order, 1)) <= 3 * 25
    made = [sum(value for (name, labels), value in metrics(each.get("/metrics").text).items()
                if name == "oauth_sidecar_refreshes_total" and ("provider", "fake") in labels) for each in [sidecar, *others]]
    assert sum(made) == count
    assert left(sidecar, "off") == 3
    assert all("old-access" not in each.log() and "refresh-1" not in each.log() for each in [sidecar, *others])


def test_why_nothing_is_refreshed_is_told(sidecar, make_sidecar, providers):
    """By --check and at the start: the indexes are missing, the database is a copy."""
    def told(wanted, **blocks):
        daemon = make_sidecar(blocks or providers, start=False, db=sidecar.db)
        done = daemon.run("--check")
        assert done.returncode == (copy in wanted), done.stdout
        warnings = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("warning  refresh ")]
        assert [next((word for word in line if word.startswith("oauth_tokens_")), None) for line in warnings] == wanted, done.stdout
        daemon.start()
        wait_until(lambda: '"ready"' in daemon.log(), what="the daemon to be ready")
        wait_until(lambda: daemon.log().count('"tokens are not refreshed"') == len(wanted) or not wanted, what="its warnings")
        assert all(word in daemon.log() for word in wanted)

    indexes, copy = "oauth_tokens_enable_background_refresh()", "oauth_tokens_adopt_cluster()"
    told([indexes])
    told([], off=providers["off"])
    sidecar.sql("UPDATE oauth_tokens_internal.cluster SET id = '1/1'")
    told([copy, indexes])
    sidecar.sql("SELECT oauth_tokens_enable_background_refresh()")
    told([copy])
    sidecar.sql("SELECT oauth_tokens_adopt_cluster()")
    told([])


def test_a_wrong_client_secret_ends_no_grant(sidecar, fake):  # T5
    fake.answer = Answer({"error": "invalid_client"}, status=401)
    fill(sidecar, 200)
    sidecar.sql("SELECT oauth_tokens_enable_background_refresh()")
    wait_until(lambda: sidecar.sql("SELECT count(*) FROM oauth_tokens_internal.refresh_clients WHERE paused_until > now()")[0][0] == 1,
               timeout=30, what="the client to be paused")
    for _ in range(3):
        with looked(sidecar):
            pass
    assert len(fake.token_requests) <= 25 + 1  # those that were under way when the first answer came
    assert sidecar.sql("SELECT count(*) FROM oauth_tokens_internal.refresh_states WHERE kind IS NOT NULL")[0][0] == 0
    assert {row[0] for row in sidecar.sql("SELECT DISTINCT state FROM oauth_connections WHERE provider = 'fake'")} == {"expired"}
    reader = someone("fake")
    sidecar.store(reader, "a-valid-token", expires_in=3600)
    assert sidecar.api("token", reader).json["access_token"] == "a-valid-token"
    # The secret is set right: the first one that tries finds out, and the others follow.
    fake.answer = Answer(TOKEN)
    sidecar.sql("UPDATE oauth_tokens_internal.refresh_clients SET paused_until = now()")
    wait_until(lambda: left(sidecar) <= 1, timeout=60, what="all tokens to be refreshed")


def test_gauges_by_provider(sidecar, fake):
    """What is due, how old it is, for how long a client is paused, what is in doubt; counted at the start."""
    def gauges(provider):
        samples = metrics(sidecar.get("/metrics").text)
        names = ("refresh_backlog", "refresh_oldest_due_seconds", "refresh_paused_seconds", "refreshes_in_doubt")
        return [samples.get((f"oauth_sidecar_{name}", frozenset({("provider", provider)}))) for name in names]

    def restart():
        sidecar.stop()
        sidecar.start()
        wait_until(lambda: None not in gauges("off"), what="the first count")

    # One of a provider that is never refreshed ahead, whose answer got lost.
    lost = someone("off")
    sidecar.store(lost, "old-access", refresh_token="spent", expires_in=0)
    sidecar.sql("SELECT oauth_refresh_fail(%s, %s, %s, %s, b.fence, 'no_answer') FROM oauth_refresh_begin(%s, %s, %s, %s) b", [*lost, *lost])
    sidecar.sql("INSERT INTO oauth_tokens_internal.refresh_clients (provider, client_id, paused_until, updated_at)"
                " VALUES ('fake', '', now() + interval '1 h', now()), ('off', 'c', now() + interval '2 h', now())")
    fill(sidecar, 3)
    sidecar.sql("SELECT oauth_tokens_enable_background_refresh()")
    restart()
    due, oldest, paused, in_doubt = gauges("fake")
    assert (due, in_doubt) == (3, 0) and 3000 < oldest < 7200 and 0 < paused <= 3600
    due, oldest, paused, in_doubt = gauges("off")
    assert (due, oldest, in_doubt) == (0, 0, 1) and 3600 < paused <= 7200
    assert fake.token_requests == []
    # The user has connected it again; the clients are well.
    sidecar.store(lost, "new-access", refresh_token="another", expires_in=3600)
    sidecar.sql("DELETE FROM oauth_tokens_internal.refresh_clients")
    fake.answer = Answer(TOKEN)
    wait_until(lambda: left(sidecar) == 0, timeout=30, what="all tokens to be refreshed")
    restart()
    assert gauges("fake") == gauges("off") == [0, 0, 0, 0]


def test_readers_go_on_during_a_backlog(sidecar, fake):
    fake.answer = Answer(TOKEN, delay=0.2)
    fill(sidecar, 3000)
    reader = someone("fake")
    sidecar.store(reader, "a-valid-token", expires_in=36000)
    sidecar.sql("SELECT oauth_tokens_enable_background_refresh()")
    fake.wait_token_request()
    before = left(sidecar)
    for _ in range(50):
        assert sidecar.api("token", reader).json["access_token"] == "a-valid-token"
    whose = (WORKSPACE, "fake", "user", "3000")  # the last one in order is refreshed as soon as somebody asks
    assert sidecar.api("token", whose).json["access_token"] == "new-access"
    assert before > 0 and left(sidecar) > 0


def test_a_daemon_stops_at_once(make_sidecar, sidecar, fake, providers):
    fake.answer = Answer(TOKEN, delay=0.1)
    fill(sidecar, 2000)
    other = make_sidecar(providers, db=sidecar.db)
    sidecar.sql("SELECT oauth_tokens_enable_background_refresh()")
    fake.wait_token_request(count=RATE)
    assert other.stop() == 0
    assert left(sidecar) > 1000
    assert sidecar.sql("SELECT count(*) FROM oauth_tokens_internal.refresh_states WHERE kind = 'no_answer'")[0][0] == 0


def test_a_low_rate_is_reached(make_sidecar, sidecar, fake):
    """Looks go on though some find the rate used up: by those for idle times it would take more than a minute."""
    fake.answer = Answer(TOKEN)
    sidecar.stop()
    slow = make_sidecar({"slow": fake.settings(refresh_ahead=600, refreshes_per_second=3)}, db=sidecar.db)
    fill(slow, 36, "slow")
    slow.sql("SELECT oauth_tokens_enable_background_refresh()")
    wait_until(lambda: left(slow, "slow") == 0, timeout=45, what="all tokens to be refreshed")
    sidecar.start()


def test_only_one_session_looks(sidecar):
    db = prepare_database(sidecar.cluster, "looks")
    with sidecar.cluster.connect(db=db) as one, sidecar.cluster.connect(db=db) as other:
        one.execute("""SELECT oauth_tokens_internal.publish_refresh_rules('{"fake": {"refresh_ahead": 600}}')""")
        one.execute("SELECT oauth_tokens_enable_background_refresh(), oauth_store(gen_random_uuid(), 'fake', 'user', 'x', 'a', 'r', expires_in => 0)")
        one.commit()
        assert len(one.execute(DUE).fetchall()) == 1
        assert other.execute(DUE).fetchall() == []
        other.rollback()
        one.rollback()
        assert len(other.execute(DUE).fetchall()) == 1


def test_locked_rows_hold_up_nobody(sidecar):
    """Whose refresh would wait for another transaction; not for the sake of a foreign key."""
    db = prepare_database(sidecar.cluster, "locks")
    with sidecar.cluster.connect(db=db) as locker, sidecar.cluster.connect(db=db) as changer, sidecar.cluster.connect(db=db, autocommit=True) as looker:
        looker.execute("""SELECT oauth_tokens_internal.publish_refresh_rules('{"fake": {"refresh_ahead": 600, "refreshes_per_second": 20}}')""")
        looker.execute("SELECT oauth_tokens_enable_background_refresh()")
        looker.execute("SELECT oauth_store(gen_random_uuid(), 'fake', 'user', n::text, 'a', 'r') FROM generate_series(1, 60) n")
        looker.execute("UPDATE oauth_tokens SET access_token_expires_at = now() AT TIME ZONE 'UTC' + actor_id::int * interval '1 s', updated_at = '2020-01-01'")
        locker.execute("SELECT FROM oauth_tokens WHERE actor_id::int <= 20 FOR SHARE")
        locker.execute("SELECT FROM oauth_tokens WHERE actor_id::int > 40 FOR KEY SHARE")
        changer.execute("SELECT FROM oauth_tokens WHERE actor_id::int <= 10 FOR KEY SHARE")  # with the other, a multixact
        changer.execute("UPDATE oauth_tokens SET scopes = 'x' WHERE actor_id::int BETWEEN 21 AND 30")
        found = [int(actor) for actor, in looker.execute(DUE)]
        assert found == [*range(31, 51)]
        looker.execute("UPDATE oauth_tokens SET access_token_expires_at = now() + interval '1 day' WHERE actor_id = ANY (%s)",
                       [[str(actor) for actor in found]])
        locker.rollback()
        changer.rollback()
        looker.execute("UPDATE oauth_tokens_internal.refresh_clients SET credit = 20")
        assert {int(actor) for _ in range(4) for actor, in looker.execute(DUE)} & {1, 25}
