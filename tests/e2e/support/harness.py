"""Private PostgreSQL clusters for the end-to-end tests.

Every cluster runs the binaries of the private tree that scripts/tree makes, in
a directory of its own in memory or in /tmp, reached by a Unix socket there and by
no TCP port. It ends with the test process, however that ends.

PostgreSQL refuses to run as root, so root lends it the user `postgres`; the
tests themselves, and the client programs they call, stay what they are.
"""

import atexit
import contextlib
import functools
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass

import psycopg

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
SERVER_USER = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
KEY = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="  # of the Fernet specification
DATABASE = "app"

SETTINGS = {
    "fsync": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "listen_addresses": "",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}

TIMEOUT = 60  # seconds that a server may take to start or to stop


class ClusterError(Exception):
    """A server program failed; the text holds the end of its log."""


def wait_until(predicate, timeout=10, interval=0.05, what="the condition"):
    """Polls until `predicate` returns something true, and returns that."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come true within {timeout} s")
        time.sleep(interval)


def all_of(make, end):
    """For a fixture: a function that makes things, all of which `end` ends afterwards."""
    made = []

    def one(*args, **kwargs):
        made.append(make(*args, **kwargs))
        return made[-1]

    yield one
    for thing in made:
        end(thing)


def clean_environment():
    """Ours without what would lead a client to somebody else's server or key, and
    with messages in English."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "OAUTH_")) or name == "PG_CONFIG"
    }
    return ours | {"LC_ALL": "C.UTF-8"}


@functools.cache
def server_bin():
    """The private tree's binaries, with the extension built and installed."""
    if "TREE_BIN" in os.environ:
        return pathlib.Path(os.environ["TREE_BIN"])
    tree = subprocess.run([CHECKOUT / "scripts/tree"], stdout=subprocess.PIPE, text=True)
    if tree.returncode != 0:
        raise ClusterError("scripts/tree failed; its message stands above")
    return pathlib.Path(tree.stdout.strip())


@functools.cache
def client_bin():
    config = os.environ.get("PG_CONFIG", "pg_config")
    output = subprocess.run([config, "--bindir"], stdout=subprocess.PIPE, text=True, check=True)
    return pathlib.Path(output.stdout.strip())


def as_server(*command):
    """The command line that runs `command` as the server's user; if we die, it
    gets SIGQUIT, which makes a server stop at once."""
    line = ["setpriv", "--pdeathsig=QUIT"]
    if os.geteuid() == 0:
        group = pwd.getpwnam(SERVER_USER).pw_gid
        line += [f"--reuid={SERVER_USER}", f"--regid={group}", "--init-groups"]
    return [*line, "--", *map(str, command)]


def run_as_server(*command):
    done = subprocess.run(
        as_server(*command),
        cwd="/",
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        raise ClusterError(f"{command[0]} failed:\n{done.stdout}")
    return done.stdout


def _memory_or_disk():
    """Memory, where there is enough of it and programs in it may run: databases are made and removed
    by the hundred, 300 files each."""
    with contextlib.suppress(OSError):
        memory = os.statvfs("/dev/shm")
        available = re.search(r"MemAvailable: +(\d+) kB", pathlib.Path("/proc/meminfo").read_text())
        room = min(memory.f_bavail * memory.f_frsize, int(available[1]) * 1024)
        if room >= 6 << 30 and not memory.f_flag & os.ST_NOEXEC:
            return "/dev/shm"
    return "/tmp"


@functools.cache
def base_directory():
    """Holds all clusters of this process; goes away with it."""
    # Not pytest's own: its path is too long for sockets, and closed to others.
    base = pathlib.Path(tempfile.mkdtemp(prefix="ot-", dir=_memory_or_disk()))
    base.chmod(0o711)
    if not os.environ.get("KEEP"):
        atexit.register(shutil.rmtree, base, ignore_errors=True)
    return base


def new_directory(name):
    """A directory that only the server's user (and root) may enter."""
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=base_directory()))
    if os.geteuid() == 0:
        shutil.chown(path, SERVER_USER)
    return path


@functools.cache
def template():
    """A data directory as initdb leaves it, to copy instead of running it again."""
    return _initdb(new_directory("template") / "data", [])


def _initdb(datadir, args):
    run_as_server(
        server_bin() / "initdb",
        f"--pgdata={datadir}",
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--no-sync",
        *args,
    )
    return datadir


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Bench:
    """What pgbench printed, and its numbers."""

    output: str
    tps: float
    transactions: int
    failed: int


class Cluster:
    """One server. `path` is a directory of its own, made if not given.

    `key` goes into its environment, unless it is None; `env` adds to that, and
    `settings` to its configuration. `preload` is True for
    shared_preload_libraries, "session" for session_preload_libraries, or False, with
    which functions take secrets all the same.
    `server_args` go on the server's command line.
    """

    def __init__(self, path=None, key=KEY, settings=None, env=None, preload=True, initdb_args=(),
                 server_args=()):
        self.path = pathlib.Path(path) if path else new_directory("c")
        self.datadir = self.path / "data"
        self.socket_dir = self.path
        self.logfile = self.path / "server.log"
        self.port = free_port()
        self.key = key
        self.settings = dict(settings or {})
        self.env = dict(env or {})
        self.preload = preload
        self.initdb_args = list(initdb_args)
        self.server_args = list(server_args)
        self.process = None

    # The server

    @property
    def pid(self):
        return self.process.pid

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def start(self, timeout=TIMEOUT):
        """Starts it, and returns when it accepts connections (or read-only ones)."""
        if not self.datadir.exists():
            self._make_data()
        self._configure()
        environment = clean_environment() | self.env
        if self.key is not None:
            environment["OAUTH_ENCRYPTION_KEY"] = self.key
        with open(self.logfile, "ab") as log:
            self.process = subprocess.Popen(
                as_server(server_bin() / "postgres", "-D", self.datadir, *self.server_args),
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        atexit.register(self._end)

        def ready():
            if not self.running:
                raise ClusterError(f"the server did not start:\n{self.log()[-2000:]}")
            with contextlib.suppress(FileNotFoundError):
                lines = (self.datadir / "postmaster.pid").read_text().splitlines()
                return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

        wait_until(ready, timeout, what="the server's start")
        return self

    def stop(self, mode="fast"):
        """Stops it: `smart`, `fast` or `immediate`. Returns its exit status."""
        if not self.running:
            return None
        signals = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
        self.process.send_signal(signals[mode])
        return self.process.wait(TIMEOUT)

    def restart(self, mode="fast"):
        self.stop(mode)
        return self.start()

    def kill(self):
        """SIGKILL to the postmaster; returns when its children have followed."""
        # Stopped, it makes no more of them: it may be just about to recover from a crash.
        self.process.send_signal(signal.SIGSTOP)
        wait_until(self._is_stopped, TIMEOUT, interval=0.001, what="the postmaster to stop")
        children = _children(self.pid)
        self.process.kill()
        self.process.wait(TIMEOUT)
        # Who waits for an LWLock of a backend that was killed hears nothing of the postmaster's end.
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: not _alive(children), 10)
        for child in _alive(children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        wait_until(lambda: not _alive(children), TIMEOUT, what="the end of the backends")

    def _is_stopped(self):
        stat = pathlib.Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
        return stat.rsplit(")", 1)[1].split()[0] == "T"

    def reload(self):
        """Rewrites the configuration from `settings` and has the server read it.
        New sessions have it then, and open ones take it up before a next statement."""
        loaded = self.value("SELECT pg_conf_load_time()", db="postgres")
        self._configure()
        self.process.send_signal(signal.SIGHUP)
        wait_until(
            lambda: self.value("SELECT pg_conf_load_time()", db="postgres") > loaded,
            what="the reload",
        )

    def write_file(self, name, content, mode=0o600):
        """Writes a file of the server's user beside the data directory; its path."""
        path = self.path / name
        new = path.with_name(name + ".new")
        new.write_bytes(content.encode() if isinstance(content, str) else content)
        new.chmod(mode)
        if os.geteuid() == 0:
            shutil.chown(new, SERVER_USER)
        return new.replace(path)

    def wait_ready(self, timeout=TIMEOUT):
        """Waits until it accepts connections again, as after a crash of a backend."""

        def connects():
            with contextlib.suppress(psycopg.OperationalError):
                return self.rows("SELECT 1", db="postgres")

        wait_until(connects, timeout, what="the server's recovery")

    def promote(self):
        run_as_server(server_bin() / "pg_ctl", f"--pgdata={self.datadir}", "--wait", "promote")

    def _make_data(self):
        if self.initdb_args:
            _initdb(self.datadir, self.initdb_args)
        else:
            run_as_server("cp", "-a", "--reflink=auto", template(), self.datadir)

    def _configure(self):
        settings = SETTINGS | ({} if self.preload else {"oauth_tokens.allow_without_preload": "on"}) | self.settings
        settings["port"] = self.port
        settings["unix_socket_directories"] = self.socket_dir
        if self.preload:
            kind = "session" if self.preload == "session" else "shared"
            name = f"{kind}_preload_libraries"
            others = [other for other in [settings.get(name)] if other]
            settings[name] = ",".join(["oauth_tokens", *others])
        lines = [
            "{} = '{}'\n".format(name, str(value).replace("'", "''"))
            for name, value in settings.items()
        ]
        # What initdb wrote stays in force where we say nothing.
        original = self.datadir / "postgresql.conf"
        ours = self.datadir / "test.conf"
        ours.write_text("".join(lines))
        if "include 'test.conf'" not in original.read_text():
            with open(original, "a", encoding="utf-8") as config:
                config.write("include 'test.conf'\n")
        # Files that root made must not stay closed to the server.
        if os.geteuid() == 0:
            shutil.chown(ours, SERVER_USER)

    def _end(self):
        if self.running:
            self.stop("immediate")

    def remove(self):
        """Stops it and removes all of it."""
        self._end()
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.path, ignore_errors=True)

    # Its log

    def log(self, since=None):
        """All that it logged, to whatever file, from a log_position() on."""
        return b"".join(
            file.read_bytes()[(since or {}).get(file, 0):] for file in self._logfiles()
        ).decode(errors="replace")

    def log_position(self):
        return {file: file.stat().st_size for file in self._logfiles()}

    def _logfiles(self):
        files = [self.logfile, *sorted((self.datadir / "log").glob("*"))]
        return [file for file in files if file.exists()]

    def wait_log(self, regex, timeout=10, since=None):
        """Waits for a match of `regex` in the log, and returns the match."""
        return wait_until(
            lambda: re.search(regex, self.log(since), re.MULTILINE),
            timeout,
            what=f"the log line /{regex}/",
        )

    # Its clients

    def client(self, program, *args, check=True, text=True, input=None, env=None):
        """Runs one of PostgreSQL's client programs against this server."""
        done = subprocess.run(
            [str(client_bin() / program), *map(str, args)],
            env=clean_environment()
            | {"PGHOST": str(self.socket_dir), "PGPORT": str(self.port), "PGUSER": "postgres"}
            | (env or {}),
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=text,
        )
        if check and done.returncode != 0:
            raise ClusterError(f"{program} exited with {done.returncode}:\n{done.stderr}")
        return done

    def psql(self, sql, db=DATABASE, user="postgres", check=True, options=()):
        """Runs SQL and psql commands; stdout has rows as psql -At prints them."""
        return self.client(
            "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", db, "-U", user, *options,
            input=sql, check=check,
        )

    def connect(self, db=DATABASE, user="postgres", **kwargs):
        """A psycopg connection."""
        return psycopg.connect(
            host=str(self.socket_dir), port=self.port, dbname=db, user=user, **kwargs
        )

    def rows(self, sql, params=None, db=DATABASE, user="postgres"):
        """The rows of one statement, which is committed."""
        with self.connect(db, user, autocommit=True) as connection:
            cursor = connection.execute(sql, params)
            return cursor.fetchall() if cursor.description else []

    def value(self, sql, params=None, db=DATABASE, user="postgres"):
        """The first column of the first row of one statement."""
        return self.rows(sql, params, db, user)[0][0]

    def fresh_database(self, name, schema=None, migrate=True):
        """Makes a database anew, with the extension (in `schema`, if given) and,
        unless told otherwise, migrated. Returns its name."""
        self.rows(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', db="postgres")
        self.rows(f'CREATE DATABASE "{name}"', db="postgres")
        if schema:
            self.rows(f'CREATE SCHEMA IF NOT EXISTS "{schema}"', db=name)
        self.rows("CREATE EXTENSION oauth_tokens" + (f' SCHEMA "{schema}"' if schema else ""), db=name)
        if migrate:
            prefix = f'"{schema}".' if schema else ""
            self.rows(f"SELECT {prefix}oauth_tokens_upgrade()", db=name)
        return name

    def dump(self, *args, db=DATABASE):
        """pg_dump's output: text, or bytes where `args` ask for -Fc."""
        custom = any(str(arg) in ("-Fc", "--format=custom") for arg in args)
        return self.client("pg_dump", "-d", db, *args, text=not custom).stdout

    def restore(self, dump, *args, db=DATABASE, check=True):
        """Restores what dump() returned, in one transaction."""
        if isinstance(dump, bytes):
            return self.client("pg_restore", "-1", "-e", "-d", db, *args,
                               input=dump, text=False, check=check)
        return self.client("psql", "-Xq1", "-v", "ON_ERROR_STOP=1", "-d", db, *args,
                           input=dump, check=check)

    def run_pgbench(self, script, clients=1, seconds=None, transactions=None, db=DATABASE,
                    user="postgres", protocol="prepared", options=(), check=True):
        """Runs a pgbench script for so many seconds, or transactions per client."""
        length = ["-T", seconds] if seconds else ["-t", transactions or 10]
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
            file.write(script)
            file.flush()
            done = self.client(
                "pgbench", "-n", "-f", file.name, "-c", clients, "-j", min(clients, 2),
                "-M", protocol, *length, *options, db,
                env={"PGUSER": user}, check=check,
            )

        def number(regex, default=0):
            found = re.search(regex, done.stdout)
            return float(found[1]) if found else default

        return Bench(
            output=done.stdout + done.stderr,
            tps=number(r"tps = ([0-9.]+)"),
            transactions=int(number(r"transactions actually processed: ([0-9]+)")),
            failed=int(number(r"failed transactions: ([0-9]+)")),
        )

    # Its standbys

    def standby(self, name="standby", **kwargs):
        """A hot standby that streams from here, started and caught up; `kwargs`
        are those of Cluster, with our own key and settings if not given."""
        kwargs = {"key": self.key, "settings": self.settings, "env": self.env,
                  "preload": self.preload} | kwargs
        standby = Cluster(new_directory(name), **kwargs)
        run_as_server(
            client_bin() / "pg_basebackup", "-D", standby.datadir, "-R", "-X", "stream",
            "-c", "fast", "--no-sync", "-h", self.socket_dir, "-p", self.port, "-U", "postgres",
        )
        standby.start()
        self.wait_for(standby)
        return standby

    def wait_for(self, standby, timeout=30):
        """Waits until the standby has replayed all that was written here."""
        self.rows("SELECT pg_current_xact_id()", db="postgres")  # its commit flushes all before
        position = self.value("SELECT pg_current_wal_flush_lsn()::text", db="postgres")
        wait_until(
            lambda: standby.value(
                "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [position], db="postgres"
            ),
            timeout,
            what="the standby's replay",
        )


def _children(pid):
    """The processes whose parent is `pid`, and when they were born: a pid may soon be another's."""
    found = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                found[int(stat.parent.name)] = fields[19]
    return found


def _alive(births):
    """Those of the processes, each given with its time of birth, that have not ended."""
    return [pid for pid, birth in births.items() if _birth_of(pid) == birth]


def _birth_of(pid):
    with contextlib.suppress(OSError):
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        return stat.rpartition(")")[2].split()[19]
    return None
