"""The auditor of the cache (auditor.py): a minute of it, and that it would see what it looks for."""

import multiprocessing
import os
import subprocess
import time

import pytest
from support.audit_journal import ABSENT, BOUND, COMMITTED, POSSIBLE, ROLLED_BACK, Journal, state_of, token_of
from support.harness import CHECKOUT, KEY
from support.sidecar import binary

HANGS = 400  # seconds that a run never takes


CHECK = b"if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end"  # of the script that fills


def without_leases():
    """A copy of the daemon that fills without leases: its script has spaces in place of the check."""
    program = binary().read_bytes()
    assert program.count(CHECK) == 1
    weakened = CHECKOUT / "build/oauth-sidecar-without-leases"
    weakened.write_bytes(program.replace(CHECK, b" " * len(CHECK)))
    weakened.chmod(0o755)
    return weakened


def audit(*arguments, **environment):
    """The auditor in a process of its own; its exit status and what it printed."""
    done = subprocess.run(
        ["setpriv", "--pdeathsig=INT", "--", "/usr/bin/python3", "-m", "support.auditor", *arguments],
        cwd=CHECKOUT / "tests/e2e", env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=HANGS,
    )
    print(done.stdout)
    assert KEY not in done.stdout and "gAAAA" not in done.stdout
    return done.returncode, done.stdout


def test_no_read_is_stale():  # C1, C3
    assert audit("--seconds", "60")[0] == 0


def test_it_finds_out_fills_without_leases():  # C1
    status, output = audit("--seconds", "60", "--calm", SIDECAR_BINARY=str(without_leases()))
    assert status == 1
    assert "BROKEN stale: " in output and "whose invalidations were gone" in output


@pytest.fixture
def journal():
    """Of identity 0 the first version was replaced, of identity 1 it was not."""
    journal = Journal(multiprocessing, 2)
    for slot in journal.slots:
        write(journal, slot)
    write(journal, 0)
    return journal


def write(journal, slot, outcome=COMMITTED, state=None):
    state = journal.new_state(slot) if state is None else state
    version = journal.begin(slot, state)
    if outcome is not None:
        journal.end(slot, version, outcome)
    return state


def state(slot, version):
    return state_of(f"auditor.{slot}.{version}")


def fault(journal, slot, of, after=0.0):
    now = time.monotonic()
    return journal.judge(slot, of, now + after, now + after).fault


def test_the_journal_knows_what_a_read_may_return(journal):
    assert token_of(state(0, 2)) == "auditor.0.2"
    for late in (0, BOUND + 0.1):
        assert fault(journal, 0, state(0, 2), late) is None
    # The replaced one, as long as nothing says that the read has to know.
    assert fault(journal, 0, state(0, 1)) is None
    assert "stale" in fault(journal, 0, state(0, 1), BOUND + 0.1)
    assert "stale" in fault(journal, 0, ABSENT, BOUND + 0.1)
    journal.drop(0, 2, since=0)
    time.sleep(0.001)
    assert "stale" in fault(journal, 0, state(0, 1))
    assert fault(journal, 0, state(0, 2)) is None
    # What cannot have come from there at all.
    assert "another identity" in fault(journal, 0, state(1, 1))
    assert "nobody" in fault(journal, 0, state_of("something else"))
    assert "rolled back" in fault(journal, 0, write(journal, 0, ROLLED_BACK))


def test_the_journal_leaves_open_what_nobody_knows(journal):
    under_way = write(journal, 0, None)
    for late in (0, BOUND + 0.1):
        assert fault(journal, 0, under_way, late) is None
        assert fault(journal, 0, state(0, 2), late) is None
    perhaps = write(journal, 0, POSSIBLE)
    assert fault(journal, 0, perhaps, BOUND + 0.1) is None
    assert fault(journal, 0, state(0, 2), BOUND + 0.1) is None
    # The database tells that neither was committed: by time only, it has lost invalidations as well.
    assert journal.resolve(0, state(0, 2)) is None
    assert fault(journal, 0, perhaps) is None
    assert not journal.drop(0, journal.last_committed(0), since=0)
    assert "stale" in fault(journal, 0, perhaps, BOUND + 0.1)
    assert "cannot be" in journal.resolve(0, under_way)
    # Of a change that began under another registration, invalidations tell nothing.
    write(journal, 1)
    assert not journal.drop(1, 2, since=time.monotonic())
