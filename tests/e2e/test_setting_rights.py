"""What clients may do to settings (E15) before the library is loaded, when PostgreSQL takes any value."""

import psycopg
import pytest
from support.harness import DATABASE, ClusterError
from support.tokens import get, identity, store

# What the administrator has set, and what a client asks for
VALUES = {
    "key_binding": ("bound", "shared"),
    "confirm_flows": ("on", "off"),
    "literal_secrets": ("reject", "allow"),
    "redact_also": ("f", "g"),
    "public_url": ("https://ours.example", "https://theirs.example"),
    "allow_without_preload": ("on", "off"),
    "key_file": ("", "/dev/null"),
    "key_command": ("", "true"),
}
WHOSE = identity("alice")


@pytest.fixture(scope="module", params=["session", False], ids=["session", "lazy"])
def cluster(request, module_cluster):
    cluster = module_cluster(preload=request.param, database=DATABASE)
    for role in ("app", "trusted"):
        cluster.rows(f"CREATE ROLE {role} LOGIN")
        cluster.rows(f"SELECT oauth_tokens_grant('{role}', 'writer'), oauth_tokens_grant('{role}', 'reader')")
    for name, (ours, _) in VALUES.items():
        if ours:
            cluster.rows(f"ALTER DATABASE {DATABASE} SET oauth_tokens.{name} = '{ours}'")
    with cluster.connect(autocommit=True) as session:
        store(session, WHOSE, "access")
    return cluster


def used(cluster, user, *settings):
    """The error, of connecting or of a call; None: there is none."""
    options = " ".join(f"-c oauth_tokens.{name}={value}" for name, value in settings)
    try:
        with cluster.connect(user=user, autocommit=True, options=options) as session:
            try:
                assert get(session, WHOSE) == ("access", None)
                return None
            except psycopg.Error as first:
                with session.transaction(), pytest.raises(psycopg.Error) as again:
                    get(session, WHOSE)
                assert str(again.value) == str(first)
                assert first.sqlstate in ("42501", "22023")
                return str(first)
    except psycopg.OperationalError as refused:
        return str(refused)


def test_all_of_them_are_here(cluster):
    with cluster.connect() as session:
        session.execute("LOAD 'oauth_tokens'")
        names = session.execute("SELECT name FROM pg_settings WHERE name LIKE 'oauth_tokens.%' AND context <> 'user'")
    assert {name for (name,) in names} == {f"oauth_tokens.{name}" for name in VALUES}


@pytest.mark.parametrize("name", VALUES)
def test_a_connection_that_sets_it(cluster, name):
    """It is refused, also with the same or an invalid value: only the default would be left."""
    for value in {VALUES[name][0], VALUES[name][1], "?"} - {""}:
        error = used(cluster, "app", (name, value))
        assert f'permission denied to set parameter "oauth_tokens.{name}"' in error
        assert "Connect without it" in error


def test_those_who_may(cluster):
    cluster.rows("GRANT SET ON PARAMETER oauth_tokens.key_binding TO trusted", db="postgres")
    for user in ("trusted", "postgres"):
        assert used(cluster, user, ("key_binding", "bound")) is None
        assert used(cluster, user, ("key_binding", "shared")) is None
    assert "key_binding" in used(cluster, "postgres", ("key_binding", "unbound"))


@pytest.mark.parametrize("how", ["SET", "SET LOCAL", "SET SESSION"])
def test_a_session_that_sets_it(cluster, how):
    """The administrator's value holds."""
    with cluster.connect(user="app") as session:
        for name, (_, theirs) in VALUES.items():
            try:
                with session.transaction():
                    session.execute(f"{how} oauth_tokens.{name} = '{theirs}'")
            except psycopg.Error as error:
                assert error.sqlstate in ("42501", "55P02")
        assert get(session, WHOSE) == ("access", None)
        for name, (ours, _) in VALUES.items():
            if not name.startswith("key_f") and not name.startswith("key_c"):
                assert session.execute(f"SHOW oauth_tokens.{name}").fetchone() == (ours,)


def test_nobody_keeps_it_for_later(cluster):
    with cluster.connect(user="app", autocommit=True) as session:
        for statement in ("ALTER ROLE app SET oauth_tokens.key_binding = shared",
                          "CREATE FUNCTION pg_temp.f() RETURNS int SET oauth_tokens.key_binding = shared"
                          " LANGUAGE sql AS 'SELECT 1'"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(statement)


def test_an_administrator_who_mistypes(cluster):
    """The default is not taken for it either."""
    cluster.rows("CREATE DATABASE mistyped", db="postgres")
    with cluster.connect("postgres", autocommit=True, options="-c session_preload_libraries=") as session:
        session.execute("ALTER DATABASE mistyped SET oauth_tokens.key_binding = bond")
    try:
        with cluster.connect("mistyped", autocommit=True) as session:
            session.execute("LOAD 'oauth_tokens'")
    except psycopg.Error as error:
        assert 'cannot be loaded with this value of "oauth_tokens.key_binding"' in str(error)
        assert "It comes from: database" in str(error)
    else:
        pytest.fail("it was loaded")
    cluster.rows("DROP DATABASE mistyped", db="postgres")


def test_a_server_whose_administrator_mistypes(make_cluster):
    """It does not start, and says why, instead of running with the default."""
    made = make_cluster(settings={"oauth_tokens.key_binding": "bond"}, start=False)
    with pytest.raises(ClusterError, match='cannot be loaded with this value of "oauth_tokens.key_binding"'):
        made.start()
