"""Keeps the answers of refresh.py until the database has them, in files of the daemon's form.

Needs the package `cryptography`, and a directory of this user alone (0700) that outlives the
container. The daemon's directory is another one. If the process dies before write() has returned,
the answer is lost.
"""

import json
import os
import pathlib
import sys

import psycopg
from cryptography.fernet import Fernet
from refresh import MAX_ANSWER, sealable


def private(path, flags):
    return os.open(path, flags, 0o600)


class Spool:
    def __init__(self, directory, database):
        self.directory = pathlib.Path(directory)
        self.cluster, = database.row("SELECT id FROM oauth_tokens_internal.cluster()", [])

    def reserve(self, fence):
        """Takes room on disk, before the provider is asked. Raises OSError."""
        with open(self.directory / f".{fence}.tmp", "xb", opener=private) as file:
            os.posix_fallocate(file.fileno(), 0, 2 * MAX_ANSWER)

    def write(self, identity, attempt, grant, sent):
        """Returns once the answer is safe on disk."""
        workspace_id, provider, actor_type, actor_id = map(str, identity)
        entry = {"version": 1, "cluster": self.cluster, "workspace_id": workspace_id, "provider": provider,
                 "actor_type": actor_type, "actor_id": actor_id, "fence": str(attempt.fence),
                 "sealed": Fernet(attempt.spool_key).encrypt(sealable(grant, sent).encode()).decode()}
        temporary = self.directory / f".{attempt.fence}.tmp"
        with open(temporary, "r+", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self.directory / f"{attempt.fence}.spool")
        self.sync()

    def remove(self, fence):
        for name in (f".{fence}.tmp", f"{fence}.spool"):
            (self.directory / name).unlink(missing_ok=True)

    def sync(self):
        directory = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(directory)
        os.close(directory)

    def replay(self, database):
        """At the start: what a process before could not store. A file that cannot be used is kept aside."""
        for path in self.directory.glob("*.spool"):
            try:
                entry = json.loads(path.read_text(encoding="utf-8"))
                if entry["cluster"] != self.cluster:
                    raise ValueError("it is of another cluster")
                fence = [entry[name] for name in ("workspace_id", "provider", "actor_type", "actor_id", "fence")]
                outcome, = database.row("SELECT oauth_refresh_replay(%s, %s, %s, %s, %s, %s)", [*fence, entry["sealed"]])
            except FileNotFoundError:
                continue  # another process was faster
            except (ValueError, LookupError, TypeError, psycopg.DatabaseError) as error:
                # It does not open, or what is in it cannot be stored. Of anything else the file is not at fault.
                if isinstance(error, psycopg.DatabaseError) and not (
                        error.sqlstate in ("OT018", "OT006", "OT007") or (error.sqlstate or "").startswith("22")):
                    raise
                print(f"{path} is kept aside: {error}", file=sys.stderr)
                path.rename(path.with_name(path.name + ".aside"))
            else:
                if outcome != "busy":
                    path.unlink(missing_ok=True)
