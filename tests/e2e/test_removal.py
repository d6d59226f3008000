"""How docs/install.md removes everything, as printed."""

import re

import psycopg
import pytest
from support.harness import CHECKOUT, DATABASE
from support.tokens import identity, store

DATABASES = {DATABASE: None, "other": "vault"}  # and the extension's schema


def statements():
    removing = (CHECKOUT / "docs/install.md").read_text("utf-8").split("\n## Removing\n")[1]
    block = re.search(r"```sql\n(.*?)```", removing, re.DOTALL).group(1)
    drop_role = re.search(r"`(DROP ROLE .*?)`", removing).group(1)
    return re.split(r";\s*", re.sub(r"--.*", "", block).strip().removesuffix(";")), drop_role


def test_removing_as_printed(make_cluster):
    server = make_cluster()
    server.rows("CREATE ROLE app LOGIN; CREATE ROLE sidecar LOGIN", db="postgres")
    for database, schema in DATABASES.items():
        server.fresh_database(database, schema=schema)
        prefix = f"{schema or 'public'}."
        with server.connect(db=database, autocommit=True) as connection:
            connection.execute(f"SET search_path = {schema or 'public'}")
            for role, capability in [("app", "reader"), ("app", "writer"), ("sidecar", "sidecar")]:
                connection.execute(f"SELECT {prefix}oauth_tokens_grant(%s, %s)", [role, capability])
            store(connection, identity(), "token")
    removal, drop_role = statements()
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        server.rows(drop_role, db="postgres")
    for database, schema in DATABASES.items():
        with server.connect(db=database, autocommit=True) as connection:
            connection.execute(f"SET search_path = {schema or 'public'}")
            for statement in removal:
                connection.execute(statement)
            assert connection.execute("SELECT to_regclass('oauth_tokens'), to_regclass('oauth_token_details')").fetchone() == (None, None)
    server.rows(drop_role, db="postgres")
    server.preload = False
    server.restart()
    assert server.rows("SELECT 1") == [(1,)]


def test_the_tables_may_stay(make_cluster):
    """Without the downgrade: no role is held, and no token lost."""
    server = make_cluster()
    server.fresh_database(DATABASE)
    server.rows("CREATE ROLE app; CREATE ROLE sidecar; SELECT oauth_tokens_grant('app', 'admin')")
    with server.connect(autocommit=True) as connection:
        store(connection, identity(), "token")
    removal, drop_role = statements()
    for statement in removal:
        if "downgrade" not in statement:
            server.rows(statement)
    server.rows(drop_role)
    assert server.value("SELECT count(*) FROM oauth_tokens") == 1
