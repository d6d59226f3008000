"""PgBouncer in transaction mode, with fewer connections to the server than clients have to it."""

import shutil
import subprocess

import psycopg
from support.harness import DATABASE, as_server, clean_environment, free_port, wait_until


class PgBouncer:
    """Before a cluster, where its clients are the role `user`: at a port of the loopback, and by a
    socket in the cluster's directory."""

    def __init__(self, cluster, user="postgres", **settings):
        program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin")
        assert program, "scripts/deps e2e installs pgbouncer"
        self.host, self.port = str(cluster.socket_dir), free_port()
        settings = {
            "listen_addr": "127.0.0.1", "listen_port": self.port, "unix_socket_dir": self.host,
            "auth_type": "any", "pool_mode": "transaction", "default_pool_size": 2, "max_client_conn": 50,
        } | settings
        lines = [f"{name} = {value}\n" for name, value in settings.items()]
        config = cluster.write_file(f"pgbouncer-{self.port}.ini", f"""
[databases]
{DATABASE} = host={cluster.socket_dir} port={cluster.port} user={user}
[pgbouncer]
{"".join(lines)}""")
        with open(cluster.path / "pgbouncer.log", "wb") as log:
            self.process = subprocess.Popen(as_server(program, config), cwd="/", env=clean_environment(),
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        socket = cluster.socket_dir / f".s.PGSQL.{self.port}"
        wait_until(lambda: socket.exists() or self.process.poll() is not None, what="pgbouncer's start")

    def connect(self, **kwargs):
        return psycopg.connect(host=self.host, port=self.port, dbname=DATABASE, user="postgres", **kwargs)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
