"""A service whose Alembic migrations own the table: what docs/adopting.md tells it to do, as printed."""

import re
import subprocess
import textwrap

import psycopg
import pytest
from support.harness import CHECKOUT, DATABASE, clean_environment
from support.tokens import identity, store

IMPORTS = """
from sqlalchemy import Column, DateTime, Enum, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.orm import declarative_base

Base = declarative_base()
"""

# As the service had it before it knew of us.
OLD_MODEL = """
class OAuthToken(Base):
    __tablename__ = "oauth_tokens"
    id = Column(UUID(as_uuid=True), primary_key=True)
    workspace_id = Column(UUID(as_uuid=True), nullable=False)
    actor_type = Column(Enum("user", "api_key", name="actor_type_enum"), nullable=False)
    actor_id = Column(Text, nullable=False)
    provider = Column(Text, nullable=False)
    scopes = Column(Text)
    encrypted_access_token = Column(Text, nullable=False)
    encrypted_refresh_token = Column(Text)
    access_token_expires_at = Column(DateTime(timezone=True))
    created_at = Column(DateTime(timezone=True), nullable=False)
    updated_at = Column(DateTime(timezone=True), nullable=False)
"""

OLD_FILTER = """
def include_name(name, kind, parents):
    return True
"""

OLD_DOWNGRADE = """
def downgrade():
    op.drop_table("oauth_tokens")
    op.execute("DROP TYPE actor_type_enum")
"""

ENV = """
from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from models import Base

{include_name}

with create_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=NullPool).connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata, include_name=include_name,
                      compare_type=True, compare_server_default=True, include_schemas={include_schemas})
    with context.begin_transaction():
        context.run_migrations()
"""

REVISION = """
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

revision, down_revision, branch_labels, depends_on = {revision!r}, {before!r}, None, None

def upgrade():
    {upgrade}

{downgrade}
"""

CREATE_TABLE = """op.create_table(
        "oauth_tokens",
        sa.Column("id", UUID(), primary_key=True),
        sa.Column("workspace_id", UUID(), nullable=False),
        sa.Column("actor_type", sa.Enum("user", "api_key", name="actor_type_enum"), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text()),
        sa.Column("encrypted_access_token", sa.Text(), nullable=False),
        sa.Column("encrypted_refresh_token", sa.Text()),
        sa.Column("access_token_expires_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False))"""


def page(words):
    """The Python block of docs/adopting.md with these words."""
    blocks = re.findall(r"```python\n(.*?)```", (CHECKOUT / "docs/adopting.md").read_text(), re.DOTALL)
    return next(block for block in blocks if words in block)


class Alembic:
    """A service's directory of migrations."""

    def __init__(self, directory, cluster):
        self.directory = directory
        (directory / "versions").mkdir()
        (directory / "alembic.ini").write_text(
            "[alembic]\nscript_location = %(here)s\nprepend_sys_path = .\nsqlalchemy.url ="
            f" postgresql+psycopg2://postgres@/{DATABASE}?host={cluster.socket_dir}&port={cluster.port}\n")
        (directory / "script.py.mako").write_text(
            'revision, down_revision = ${repr(up_revision)}, ${repr(down_revision)}\n'
            'def upgrade():\n    ${upgrades if upgrades else "pass"}\n'
            'def downgrade():\n    ${downgrades if downgrades else "pass"}\n')
        self.models(OLD_MODEL)
        self.env(OLD_FILTER)
        self.revision("ce6ac882b60d", None, "pass", "def downgrade():\n    pass\n")
        self.revision("bb51836389e7", "ce6ac882b60d", CREATE_TABLE, OLD_DOWNGRADE)

    def models(self, model):
        (self.directory / "models.py").write_text(IMPORTS + model)

    def env(self, include_name, include_schemas=False):
        (self.directory / "env.py").write_text(
            ENV.format(include_name=include_name, include_schemas=include_schemas))

    def revision(self, revision, before, upgrade, downgrade):
        (self.directory / "versions" / f"{revision}.py").write_text(
            REVISION.format(revision=revision, before=before, upgrade=upgrade, downgrade=downgrade))

    def run(self, *arguments):
        return subprocess.run(["/usr/bin/python3", "-m", "alembic", *arguments], cwd=self.directory,
                              env=clean_environment() | {"PYTHONDONTWRITEBYTECODE": "1"},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def succeed(self, *arguments):
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def autogenerate(self):
        """What the next revision would do."""
        before = set((self.directory / "versions").iterdir())
        self.succeed("revision", "--autogenerate", "-m", "next")
        (made,) = set((self.directory / "versions").iterdir()) - before
        body = re.search(r"def upgrade\(\):\n(.*?)def downgrade", made.read_text(), re.DOTALL).group(1)
        made.unlink()
        return textwrap.dedent(body).strip()


NOTHING = "# ### commands auto generated by Alembic - please adjust! ###\npass\n# ### end Alembic commands ###"


@pytest.fixture
def server(make_cluster):
    made = make_cluster()
    made.rows(f"CREATE DATABASE {DATABASE}", db="postgres")
    made.rows("CREATE EXTENSION oauth_tokens")
    return made


@pytest.fixture
def alembic(tmp_path, server):
    return Alembic(tmp_path, server)


def upgrade(server):
    """Calls oauth_tokens_upgrade(); the notices, each with detail and hint."""
    said = []
    with server.connect(autocommit=True) as connection:
        connection.add_notice_handler(
            lambda n: said.append("\n".join(filter(None, [n.message_primary, n.message_detail, n.message_hint]))))
        connection.execute("SELECT oauth_tokens_upgrade()")
    return said


@pytest.mark.parametrize("include_schemas", [False, True])
def test_autogenerate_after_adoption(server, alembic, include_schemas):
    alembic.succeed("upgrade", "head")
    notices = "\n".join(upgrade(server))
    alembic.env(OLD_FILTER, include_schemas)
    proposed = alembic.autogenerate()
    assert "drop_table('oauth_token_details'" in proposed
    for added in ("uq_oauth_tokens_identity", "idx_oauth_tokens_workspace_id", "idx_oauth_tokens_workspace_provider"):
        assert added in proposed
    assert proposed.count("server_default") == 3
    model = page("class OAuthToken(Base)")
    for line in re.findall(r"UniqueConstraint.*\)|Index.*\)|server_default=.*\)\)?", model):
        assert line.removesuffix(")") in notices
    alembic.models(model.replace("Column(DateTime", "Column(DateTime(timezone=True)"))
    alembic.env(page("def include_name"), include_schemas)
    assert alembic.autogenerate() == NOTHING
    server.rows("SELECT oauth_tokens_enable_background_refresh(), oauth_tokens_enable_row_security()")
    assert alembic.autogenerate() == NOTHING


def test_a_table_that_the_extension_made(server, alembic):
    alembic.succeed("upgrade", "ce6ac882b60d")
    assert "alembic stamp bb51836389e7" in "\n".join(upgrade(server))
    alembic.models(page("class OAuthToken(Base)"))
    alembic.env(page("def include_name"))
    assert "already exists" in alembic.run("upgrade", "head").stdout
    alembic.succeed("stamp", "bb51836389e7")
    alembic.succeed("upgrade", "head")
    assert alembic.autogenerate() == NOTHING
    with server.connect(autocommit=True) as connection:
        said = []
        connection.add_notice_handler(lambda n: said.append(n.message_hint or ""))
        connection.execute("SELECT oauth_tokens_downgrade()")
    assert "alembic stamp ce6ac882b60d" in "\n".join(said)
    server.rows("DROP TYPE actor_type_enum")  # which is never dropped with the table
    alembic.succeed("stamp", "ce6ac882b60d")
    alembic.succeed("upgrade", "head")


def test_down_and_up_again(server, alembic):
    alembic.succeed("upgrade", "head")
    upgrade(server)
    server.rows("CREATE ROLE app; CREATE ROLE \"Odd role\"; CREATE ROLE narrow; CREATE ROLE daemon; CREATE ROLE root SUPERUSER")
    grants = [("app", "reader"), ("app", "writer"), ('"Odd role"', "admin"), ("narrow", "access"), ("daemon", "sidecar"),
              ("root", "reader")]
    for role, capability in grants:
        server.rows("SELECT oauth_tokens_grant(%s, %s)", [role, capability])
    assert not [notice for notice in upgrade(server) if "capability" in notice]
    with server.connect(autocommit=True) as connection:
        store(connection, identity(), "before")

    failed = alembic.run("downgrade", "base")
    assert failed.returncode != 0 and "oauth_token_details" in failed.stdout
    alembic.revision("bb51836389e7", "ce6ac882b60d", CREATE_TABLE, page("DROP TABLE IF EXISTS oauth_token_details"))
    alembic.succeed("downgrade", "base")
    alembic.succeed("upgrade", "head")
    told = [notice for notice in upgrade(server) if "capability" in notice]
    assert told[0].startswith("role app has capability reader but no SELECT on oauth_tokens and no SELECT on oauth_token_details\n")
    assert "SELECT public.oauth_tokens_grant('app', 'reader')" in told[0]
    assert [re.match("role (.*) has capability (.*) but", notice).groups() for notice in told] == grants[:-1]

    # The doctor tells it later, too, and each of its hints is the statement to run.
    doctor = "SELECT detail, hint FROM oauth_doctor() WHERE item = 'capabilities' AND status = 'error'"
    assert [detail for detail, _ in server.rows(doctor)] == [notice.split("\n")[0] for notice in told]
    for _, hint in server.rows(doctor):
        server.rows(hint)
    assert server.rows(doctor) == [] and not [notice for notice in upgrade(server) if "capability" in notice]


WHO = "'11111111-1111-4111-8111-111111111111', 'google', 'user', 'alice'"


@pytest.mark.parametrize("capability, call", [
    ("reader", f"SELECT * FROM oauth_get({WHO})"),
    ("access", f"SELECT oauth_access_token({WHO})"),
    ("writer", f"SELECT oauth_store({WHO}, 'later')"),
    ("writer", f"SELECT oauth_store({WHO}, 'later', details => '{{}}')"),
    ("writer", f"SELECT oauth_delete({WHO})"),
    ("writer", f"SELECT oauth_move({WHO}, {WHO})"),
    ("writer", f"SELECT oauth_authorize_url({WHO})"),
    ("admin", "CALL oauth_rotate_keys()"),
])
def test_hint_at_the_capability(cluster, capability, call):
    """EXECUTE is there, and the rights on the table went with it."""
    role = '"Odd role"'
    with cluster.connect(autocommit=True) as connection:
        store(connection, identity(), "token")
        connection.execute(f"CREATE ROLE {role}; GRANT USAGE ON SCHEMA oauth_tokens_internal TO {role};"
                           f" GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public, oauth_tokens_internal TO {role}")
        try:
            connection.execute(f"SET ROLE {role}")
            with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
                connection.execute(call)
            hint = caught.value.diag.message_hint
            assert hint == f"As a superuser: SELECT oauth_tokens_grant('{role}', '{capability}')."
            connection.execute("RESET ROLE")
            connection.execute(re.search(r"SELECT .*\)", hint).group())
            connection.execute(f"SET ROLE {role}")
            try:
                connection.execute(call)
            except psycopg.Error as error:  # the link has no public URL
                assert error.sqlstate == "OT013"
        finally:
            connection.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")


def test_no_hint_for_what_is_not_ours(cluster):
    """A trigger's table, a policy: oauth_tokens_grant() would change nothing."""
    with cluster.connect(autocommit=True) as connection:
        connection.execute("""
            CREATE ROLE plain; SELECT oauth_tokens_grant('plain', 'writer');
            CREATE TABLE audit_of_oauth_tokens (id uuid);
            CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS
                'BEGIN INSERT INTO public.audit_of_oauth_tokens VALUES (NEW.id); RETURN NEW; END';
            CREATE TRIGGER audit BEFORE INSERT ON oauth_tokens FOR EACH ROW EXECUTE FUNCTION audit()""")
        connection.execute("SET ROLE plain")
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
            store(connection, identity("audited"), "token")
        assert caught.value.diag.message_hint is None
        connection.execute("RESET ROLE; DROP TRIGGER audit ON oauth_tokens;"
                           " ALTER TABLE oauth_tokens ENABLE ROW LEVEL SECURITY; SET ROLE plain")
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
            store(connection, identity("audited"), "token")
        assert caught.value.diag.message_hint is None
        connection.execute("RESET ROLE; ALTER TABLE oauth_tokens DISABLE ROW LEVEL SECURITY")
