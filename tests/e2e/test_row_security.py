"""oauth_tokens_enable_row_security(): behind PgBouncer, with the daemon, in dumps, and without the library."""

import re
import threading
import uuid

import psycopg
import pytest
from support.cached import count, fill, hits, wait_dropped
from support.fake_provider import Answer
from support.harness import CHECKOUT, DATABASE, wait_until
from support.pgbouncer import PgBouncer
from support.sidecar import MiniBrowser, prepare_database
from support.tokens import get, store

A, B = (uuid.UUID(digit * 8 + "-1111-4111-8111-" + digit * 12) for digit in "ab")
SET = "SELECT set_config('oauth_tokens.workspace_id', %s, %s)"


def whose(workspace, actor="alice", provider="google"):
    return (workspace, provider, "user", actor)


def block(page, words):
    """The code of a page that has these words."""
    text = (CHECKOUT / "docs" / page).read_text()
    return next(code for code in re.findall(r"```\w+\n(.*?)```", text, re.DOTALL) if words in code)


def make_role(cluster, name, *capabilities, db=DATABASE):
    if not cluster.rows("SELECT 1 FROM pg_roles WHERE rolname = %s", [name], db="postgres"):
        cluster.rows(f"CREATE ROLE {name} LOGIN", db="postgres")
    for capability in capabilities:
        cluster.rows("SELECT oauth_tokens_grant(%s, %s)", [name, capability], db=db)


@pytest.fixture
def tenants(db):
    """A token of alice's in two workspaces, and the role `web` for both."""
    make_role(db, "web", "writer", "reader")
    with db.connect(autocommit=True) as connection:
        for workspace, token in (A, "of a"), (B, "of b"):
            store(connection, whose(workspace), token, "refresh " + token)
        connection.execute("SELECT oauth_tokens_enable_row_security()")
    return db


def test_pgbouncer_in_transaction_mode(tenants):  # E5
    """What docs/clients.md prints, by two tenants in turn in fewer connections; and what it warns of."""
    bouncer = PgBouncer(tenants, user="web")
    ask = "SELECT oauth_access_token(%s, 'google', 'user', %s)"
    servers, wrong = set(), []

    def work(connection, in_workspace, workspace, other, expected):
        for number in range(40):
            got = [
                in_workspace(connection, workspace, ask, [workspace, "alice"]),
                in_workspace(connection, workspace, ask, [other, "alice"]),
                connection.execute(ask, [workspace, "alice"]).fetchall(),  # without a workspace
                in_workspace(connection, workspace, "SELECT access_token FROM oauth_connections c, LATERAL"
                             " oauth_get(c.workspace_id, c.provider, c.actor_type, c.actor_id)", []),
            ]
            if got != [[(expected,)], [(None,)], [(None,)], [(expected,)]]:
                wrong.append((number, got))
            servers.add(connection.execute("SELECT pg_backend_pid()").fetchone())

    connections = [bouncer.connect(autocommit=True, prepare_threshold=None) for _ in range(6)]
    try:
        page = {"connection": connections[0], "workspace": A, "user": "alice"}
        exec(block("clients.md", "def in_workspace"), page)
        assert page["rows"] == [("of a",)]
        threads = [threading.Thread(target=work, args=(connection, page["in_workspace"], *turn))
                   for connection, turn in zip(connections, [(A, B, "of a"), (B, A, "of b")] * 3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == [] and 1 <= len(servers) <= 2
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            store(connections[1], whose(A), "without a workspace")
        # Why SET LOCAL: the server's connection keeps what SET says, for its next client.
        for connection in connections:
            connection.execute(SET, [str(A), False])
        assert connections[1].execute(ask, [A, "alice"]).fetchall() == [("of a",)]
    finally:
        for connection in connections:
            connection.close()
        bouncer.stop()


def test_plans_of_roles_that_take_turns(make_cluster):  # E18
    """Each has its plan made anew, and by the index, however few the rows are just now."""
    cluster = make_cluster(database=DATABASE, settings={"shared_preload_libraries": "oauth_tokens,auto_explain",
                                                        "auto_explain.log_min_duration": 0,
                                                        "auto_explain.log_nested_statements": "on"})
    plans = []
    with cluster.connect(autocommit=True) as connection:
        for role in "one", "two":
            make_role(cluster, role, "reader")
        store(connection, whose(A), "of a")
        connection.execute("SELECT oauth_tokens_enable_row_security()")
        connection.execute("ANALYZE oauth_tokens")
        connection.execute(SET, [str(A), False])
        connection.execute("SET client_min_messages = log")
        connection.add_notice_handler(lambda notice: plans.append(notice.message_primary))
        for role in "one", "two", "one":
            connection.execute(f"SET ROLE {role}")
            assert get(connection, whose(A)) == ("of a", None)
    plans = [plan for plan in plans if "on oauth_tokens" in plan]
    assert len(plans) == 3 and all("using idx_oauth_tokens_workspace_provider_actor" in plan for plan in plans), plans


def test_a_tenant_that_runs_sql(tenants):
    """What docs/security.md prints: the setting cannot lead out of the role's own workspace."""
    make_role(tenants, "tenant_a", "reader")
    page = block("security.md", "tenant_a_alone").replace("11111111-1111-4111-8111-111111111111", str(A))
    tenants.rows(page)
    with tenants.connect(user="tenant_a", autocommit=True) as connection:
        assert get(connection, whose(A)) == ("of a", "refresh of a")
        connection.execute(SET, [str(B), False])
        assert get(connection, whose(A)) is None and get(connection, whose(B)) is None
        assert connection.execute("SELECT count(*) FROM oauth_tokens").fetchone() == (0,)
    tenants.rows("ALTER ROLE tenant_a RESET ALL")


@pytest.mark.parametrize("preload", [True, False])
def test_a_setting_that_is_no_workspace(make_cluster, preload):
    """Refused, or fails closed where the library was not there to refuse it."""
    cluster = make_cluster(preload=preload, database=DATABASE)
    make_role(cluster, "web", "reader")
    with cluster.connect(autocommit=True) as connection:
        store(connection, whose(A), "of a")
        connection.execute("SELECT oauth_tokens_enable_row_security()")
    for value in "all", "%", str(A) + " OR true":
        with cluster.connect(user="web", autocommit=True) as connection:
            try:
                connection.execute(SET, [value, False])
                is_refused = False
            except psycopg.errors.InvalidParameterValue:
                is_refused = True
            assert is_refused == preload
            for statement in "SELECT 1 FROM oauth_tokens", f"SELECT 1 FROM oauth_get('{A}', 'google', 'user', 'alice')":
                try:
                    assert connection.execute(statement).fetchall() == []
                except psycopg.errors.InvalidTextRepresentation:
                    assert not preload
    # Set before the library is there, and still so after it has come in the same transaction.
    with cluster.connect(user="web") as connection:
        connection.execute(SET, [str(A), True])
        assert connection.execute("SELECT count(*) FROM oauth_tokens").fetchone() == (1,)
        assert get(connection, whose(A)) == ("of a", None)
        connection.commit()
        assert get(connection, whose(A)) is None
    # A default that nobody could check is no workspace, and no reason to refuse the session.
    cluster.rows(f"ALTER ROLE web SET oauth_tokens.workspace_id = '{A}'")
    with cluster.connect(user="web") as connection:
        assert get(connection, whose(A)) == ("of a", None)


def test_dump_and_restore(tenants):  # E6
    """In one transaction, with policies and flags; as a role that policies bind, it fails."""
    make_role(tenants, "daemon", "sidecar")
    make_role(tenants, "owner_of_rows", "admin")
    tenants.rows("ALTER TABLE oauth_tokens OWNER TO owner_of_rows; ALTER TABLE oauth_token_details OWNER TO owner_of_rows")
    look = ("SELECT polname::text, polroles::regrole[]::text, pg_get_expr(polqual, polrelid), relrowsecurity, relforcerowsecurity"
            " FROM pg_policy p JOIN pg_class c ON c.oid = polrelid ORDER BY 1")
    before = tenants.rows(look)
    assert ["oauth_tokens_sidecar", "oauth_tokens_workspace"] == [row[0] for row in before if row[0].startswith("oauth_tokens")]
    done = tenants.client("pg_dump", "-d", DATABASE, "-U", "owner_of_rows", "-t", "oauth_tokens", check=False)
    assert done.returncode != 0 and "row-level security" in done.stderr
    tenants.rows("DROP DATABASE IF EXISTS target", db="postgres")
    tenants.rows("CREATE DATABASE target TEMPLATE template0", db="postgres")
    tenants.restore(tenants.dump(), db="target")
    assert tenants.rows(look, db="target") == before
    assert tenants.rows("SELECT oauth_tokens_current()", db="target") == [("bb51836389e7 (head)",)]
    with tenants.connect("target", user="daemon", autocommit=True) as connection:
        assert get(connection, whose(A)) == ("of a", "refresh of a") and get(connection, whose(B)) is not None
    with tenants.connect("target", user="owner_of_rows") as connection:
        assert connection.execute("SELECT count(*) FROM oauth_tokens").fetchone() == (0,)
        connection.execute(SET, [str(B), True])
        assert get(connection, whose(A)) is None and get(connection, whose(B)) == ("of b", "refresh of b")
    tenants.rows("SELECT oauth_tokens_enable_row_security()", db="target", user="owner_of_rows")
    assert tenants.rows(look, db="target") == before
    tenants.rows("DROP DATABASE target", db="postgres")


def test_granted_while_it_is_being_enabled(db):
    """A role that gets the capability at that moment is among those that see all, whoever is first."""
    make_role(db, "early")
    make_role(db, "late")
    grant, enable = "SELECT oauth_tokens_grant(%s, 'sidecar')", "SELECT oauth_tokens_enable_row_security()"
    for first, second in ((grant, ["early"]), (enable, None)), ((enable, None), (grant, ["late"])):
        with db.connect() as one, db.connect(autocommit=True) as other:
            one.execute(*first)
            thread = threading.Thread(target=lambda: other.execute(*second))
            thread.start()
            wait_until(lambda: db.rows("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'",
                                       [other.info.backend_pid]), what="the second to wait")
            one.commit()
            thread.join()
        role = (first[1] or second[1])[0]
        assert role in db.rows("SELECT polroles::regrole[]::text FROM pg_policy WHERE polname = 'oauth_tokens_sidecar'")[0][0]
        db.rows("SELECT oauth_tokens_disable_row_security()")


@pytest.mark.parametrize("statement", [
    "SELECT oauth_tokens_internal.row_security_applies()",
    "SELECT count(*) FROM oauth_token_details",
    "SELECT count(*) FROM oauth_tokens_internal.visible_refresh_states",
])
def test_asked_while_it_ends(tenants, statement):
    """Who waits for its end goes on without it; so do the sessions of all others."""
    make_role(tenants, "asking", "sidecar", "admin")
    with tenants.connect(autocommit=True) as connection:
        connection.execute("SELECT FROM oauth_refresh_begin(%s, %s, %s, %s, force => true)", whose(A))
        connection.execute("INSERT INTO oauth_token_details (workspace_id, provider, actor_type, actor_id, token_id, connected_at)"
                           " SELECT workspace_id, provider, actor_type, actor_id, id, now() FROM oauth_tokens ON CONFLICT DO NOTHING")
    with tenants.connect() as ends, tenants.connect(user="asking", autocommit=True) as asks:
        asks.execute(SET, [str(A), False])
        asks.execute(statement)
        ends.execute("ALTER TABLE oauth_tokens DISABLE ROW LEVEL SECURITY")
        thread = threading.Thread(target=lambda: asks.execute(statement))
        thread.start()
        wait_until(lambda: tenants.rows("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'",
                                        [asks.info.backend_pid]), what="the question to wait")
        ends.commit()
        thread.join()
        asks.execute(statement)
        ends.execute("SELECT 1")


@pytest.mark.parametrize("change", ["enable", "disable"])
def test_beside_a_transaction(tenants, change):
    """One that has read a token, and stores one while the change waits for it, goes on."""
    if change == "enable":
        tenants.rows("SELECT oauth_tokens_disable_row_security()")
    with tenants.connect() as application, tenants.connect(autocommit=True) as changes:
        application.execute("SELECT account_label FROM oauth_token_details")
        assert get(application, whose(A))[0] == "of a"
        thread = threading.Thread(target=lambda: changes.execute(f"SELECT oauth_tokens_{change}_row_security()"))
        thread.start()
        wait_until(lambda: tenants.rows("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'",
                                        [changes.info.backend_pid]), what="the change to wait")
        store(application, whose(A), "newer")
        application.commit()
        thread.join()
        assert changes.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert tenants.rows("SELECT relrowsecurity FROM pg_class WHERE oid = 'oauth_tokens'::regclass") == [(change == "enable",)]
    assert tenants.rows("SELECT oauth_access_token(%s, %s, %s, %s)", whose(A)) == [("newer",)]


# The daemon


@pytest.fixture
def guarded(flow_cluster, fake, redis, make_cached, make_sidecar):
    """A daemon with a cache whose database has row security; `app` is an application for all tenants."""
    providers = {"fake": fake.settings(refresh_ahead=600)}
    name = prepare_database(flow_cluster, "rows_of_tenants")
    flow_cluster.rows("SELECT oauth_tokens_enable_background_refresh(), oauth_tokens_enable_row_security()", db=name)
    made = make_cached(redis, providers, db=name)
    yield made
    made.kill()
    flow_cluster.rows(f"DROP DATABASE {name} WITH (FORCE)", db="postgres")


def test_the_daemon_sees_every_workspace(guarded, fake, client):  # E19
    """Connects accounts, reads, caches, refreshes and revokes them, for tenants held to their own."""
    sidecar = guarded
    with sidecar.cluster.connect(sidecar.db, "app", autocommit=True) as connection:
        for workspace, other in (A, B), (B, A):
            mine = whose(workspace, provider="fake")
            ask = "SELECT oauth_authorize_url(%s, %s, %s, %s)"
            connection.execute(SET, [str(other), False])
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(ask, mine)
            connection.execute(SET, [str(workspace), False])
            assert MiniBrowser().open(connection.execute(ask, mine).fetchone()[0]).query["oauth"] == "connected"
            token = get(connection, mine)[0]
            assert get(connection, whose(other, provider="fake")) is None
            assert fill(sidecar, client, mine) == token
            before = hits(sidecar)
            assert sidecar.api("token", mine).json["access_token"] == token and hits(sidecar) == before + 1
            # A tenant's store evicts; a tenant's call has the daemon refresh.
            connection.execute("SELECT oauth_store(%s, %s, %s, %s, 'old', 'to refresh', expires_in => 1000)", mine)
            wait_dropped(client, mine)
            fake.answer = Answer({"access_token": f"fresh {workspace}", "token_type": "Bearer", "expires_in": 3000})
            fresh = "SELECT oauth_fresh_access_token(%s, %s, %s, %s, min_ttl => '30 min')"
            assert connection.execute(fresh, whose(other, "nobody", "fake")).fetchone() == (None,)
            assert connection.execute(fresh, mine).fetchone() == (f"fresh {workspace}",)
            # Ahead of time, for whom nobody asks.
            connection.execute("SELECT oauth_store(%s, %s, %s, %s, 'old', 'ahead', expires_in => 300, details => '{\"lifetime\": 3600}')",
                               whose(workspace, "quiet", "fake"))
            wait_until(lambda: get(connection, whose(workspace, "quiet", "fake"))[0] == f"fresh {workspace}", 30,
                       what="a refresh ahead of time")
            fake.reset()
            assert sidecar.api("token", mine, method="DELETE").json == {"deleted": True, "revocation": "queued"}
            connection.execute("SELECT oauth_delete(%s, %s, %s, %s, revoke => true)", whose(workspace, "quiet", "fake"))
            wait_until(lambda: sidecar.count("oauth_tokens_internal.oauth_revocations") == 0, 20, what="the revocations")
    assert "42501" not in sidecar.log() and "row security" not in sidecar.log()
    assert "row security" not in sidecar.run("--check").stdout


def test_the_daemon_says_that_rows_are_hidden(guarded):
    """--check tells a role that lost its place among those that see all, or that another policy restricts."""
    guarded.sql("DROP POLICY oauth_tokens_sidecar ON oauth_tokens")
    done = guarded.run("--check")
    assert done.returncode == 1 and "row-level security policy" in done.stdout
    guarded.sql("SELECT oauth_tokens_grant('sidecar', 'sidecar')")
    done = guarded.run("--check")
    assert done.returncode == 0 and "row security" not in done.stdout
    guarded.sql("CREATE POLICY no_pilots ON oauth_tokens AS RESTRICTIVE USING (provider <> 'pilot')")
    done = guarded.run("--check")
    assert done.returncode == 0 and "row security applies to this role" in done.stdout
