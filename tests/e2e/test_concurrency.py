"""Many clients on few identities: a pair is always one writer's."""

import threading

from support.harness import DATABASE, wait_until

WORKSPACE = "'11111111-1111-4111-8111-111111111111'"
WHOSE = f"{WORKSPACE}, 'google', 'user', (:i)::text"

STORE = f"""
\\set i random(1, 5)
\\set v random(1, 1000000000)
SELECT oauth_store({WHOSE}, 'access-' || :client_id || '-' || :v, 'refresh-' || :client_id || '-' || :v,
    scopes => 'scope-' || :client_id || '-' || :v);
"""

# In division by zero, what must not be: pgbench ends with an error.
CHECK = f"""
\\set i random(1, 5)
SELECT 1 / (CASE WHEN substr(access_token, 8) = substr(refresh_token, 9)
            AND substr(access_token, 8) = substr(scopes, 7) AND updated_at IS NOT NULL
            THEN 1 ELSE 0 END)
FROM oauth_get({WHOSE});
"""

CHURN = f"""
\\set i random(1, 5)
\\set v random(1, 1000000000)
SELECT oauth_delete({WHOSE});
SELECT oauth_store({WHOSE}, 'access-x' || :v, 'refresh-x' || :v, scopes => 'scope-x' || :v,
    details => '{{"account_label": "x"}}');
"""


def run(cluster, **scripts):
    """Runs them side by side; each must end without an error."""
    results = {}

    def bench(name, script, clients):
        results[name] = cluster.run_pgbench(script, clients=clients, seconds=4, check=False)

    threads = [threading.Thread(target=bench, args=(name, *args)) for name, args in scripts.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, result in results.items():
        assert "ERROR" not in result.output and "aborted" not in result.output, result.output
        assert result.failed == 0 and result.transactions > 200, f"{name}: {result.output}"


TORN = """
    SELECT access_token, refresh_token, scopes, updated_at FROM oauth_tokens_decrypted
    WHERE substr(access_token, 8) <> substr(refresh_token, 9)
       OR substr(access_token, 8) <> substr(scopes, 7) OR updated_at IS NULL
"""


def test_pairs_stay_together(cluster):  # T7
    cluster.fresh_database(DATABASE)
    cluster.rows("ALTER TABLE oauth_tokens ADD CHECK (updated_at >= created_at)")
    run(cluster, store=(STORE, 8), check=(CHECK, 4))
    assert cluster.rows(TORN) == []
    assert cluster.value("SELECT count(*) FROM oauth_tokens") == 5


def test_check_can_fail(cluster):
    """The reader of the test above sees a pair that is torn."""
    cluster.fresh_database(DATABASE)
    for i in range(1, 6):
        cluster.rows(f"SELECT oauth_store({WORKSPACE}, 'google', 'user', '{i}', 'access-0-1', 'refresh-0-2',"
                     " scopes => 'scope-0-1')")
    bench = cluster.run_pgbench(CHECK, transactions=1, check=False)
    assert "division by zero" in bench.output
    assert len(cluster.rows(TORN)) == 5


def test_beside_deletes_and_ddl(cluster):  # T7
    """Rows come and go, and an index is built anew: no error, no torn pair."""
    cluster.fresh_database(DATABASE)
    done = threading.Event()

    def reindex():
        with cluster.connect(autocommit=True) as connection:
            while not done.is_set():
                # Not CONCURRENTLY: PostgreSQL's own ON CONFLICT may fail beside that.
                connection.execute("REINDEX TABLE oauth_tokens")
                connection.execute("VACUUM oauth_tokens")
                connection.execute("ANALYZE oauth_tokens")

    thread = threading.Thread(target=reindex)
    thread.start()
    try:
        run(cluster, churn=(CHURN, 4), store=(STORE, 4), check=(CHECK, 4))
    finally:
        done.set()
        thread.join()
    assert cluster.rows(TORN) == []


def test_repeatable_read_sees_one_state(cluster):  # T7
    """Both functions answer from the transaction's snapshot."""
    cluster.fresh_database(DATABASE)
    whose = f"{WORKSPACE}, 'google', 'user', 'a'"
    cluster.rows(f"SELECT oauth_store({whose}, 'one', 'one')")
    with cluster.connect() as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        get = f"SELECT access_token, oauth_access_token({whose}) FROM oauth_get({whose})"
        assert reader.execute(get).fetchone() == ("one", "one")
        cluster.rows(f"SELECT oauth_store({whose}, 'two', 'two')")
        assert reader.execute(get).fetchone() == ("one", "one")
        reader.commit()
        assert reader.execute(get).fetchone() == ("two", "two")


def test_a_query_sees_its_own_snapshot(cluster):
    """As any STABLE function: a statement that stores does not read its own result."""
    cluster.fresh_database(DATABASE)
    whose = f"{WORKSPACE}, 'google', 'user', 'a'"
    cluster.rows(f"SELECT oauth_store({whose}, 'one')")
    assert cluster.rows(
        f"WITH s AS MATERIALIZED (SELECT oauth_store({whose}, 'two') AS id)"
        f" SELECT oauth_access_token({whose}) FROM s"
    ) == [("one",)]
    assert cluster.value(f"SELECT oauth_access_token({whose})") == "two"


def test_a_delete_that_does_not_see_the_row_yet(cluster):  # E28
    """A trigger can keep a row, but is not blamed for what the snapshot does not show."""
    cluster.fresh_database(DATABASE)
    cluster.rows("CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$")
    cluster.rows("CREATE TRIGGER pass BEFORE DELETE ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION pass()")
    whose = f"{WORKSPACE}, 'google', 'user', 'alice'"
    with cluster.connect() as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert reader.execute("SELECT count(*) FROM oauth_tokens").fetchone() == (0,)
        cluster.rows(f"SELECT oauth_store({whose}, 'access')")
        assert reader.execute(f"SELECT oauth_delete({whose})").fetchone() == (False,)
    assert cluster.value(f"SELECT oauth_delete({whose})") is True


def test_a_delete_that_meets_a_token_of_another(cluster):  # E28
    """A trigger is not blamed, either, if the row that is there is not the one of before."""
    cluster.fresh_database(DATABASE)
    cluster.rows("CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$")
    cluster.rows("CREATE TRIGGER pass BEFORE DELETE ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION pass()")
    whose = f"{WORKSPACE}, 'google', 'user', 'alice'"
    cluster.rows(f"SELECT oauth_store({whose}, 'access')")
    results = []
    with cluster.connect() as one, cluster.connect(autocommit=True) as other:
        one.execute(f"SELECT oauth_delete({whose})")
        one.execute(f"SELECT oauth_store({whose}, 'new')")
        pid = other.execute("SELECT pg_backend_pid()").fetchone()[0]
        delete = f"SELECT oauth_delete({whose})"
        thread = threading.Thread(target=lambda: results.extend(other.execute(delete).fetchall()))
        thread.start()
        wait_until(lambda: cluster.value(f"SELECT cardinality(pg_blocking_pids({pid}))") == 1)
        one.commit()
        thread.join()
    assert results == [(False,)]
    assert cluster.value(f"SELECT oauth_access_token({whose})") == "new"
