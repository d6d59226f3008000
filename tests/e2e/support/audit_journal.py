"""What became of each identity, as its writers know it, and which token a reader may get.

The journal lies in memory that writers and readers, processes of their own, share. An identity has
one writer at a time, who holds its lock from before the change until he knows what came of it, so
its versions have an order. A state is what a token says of itself: whose it was made for, and the
how-manieth version of that one.

A read may return what a version says that

- may have been committed, and had been begun before the read was over, and
- is not older than the last one that the read had to know of: that one was committed, and either
  its invalidations were seen to be gone from the database before the read began (the strict rule: nothing
  here is a matter of time), or the heartbeat's life had passed since (the bound).
"""

import contextlib
import re
import time
from dataclasses import dataclass

from support.sidecar import WORKSPACE

ABSENT = 0
# A heartbeat is believed for 5 s; the rest is for clocks of milliseconds.
BOUND = 5.1

KEPT = 4096  # versions of an identity, several times as many as it has in the longest read
_FIELDS = BEGAN, ENDED, DROPPED, STATE, OUTCOME = range(5)
PENDING, COMMITTED, POSSIBLE, ROLLED_BACK = range(4)
_NAMES = {PENDING: "under way", COMMITTED: "committed", POSSIBLE: "perhaps", ROLLED_BACK: "rolled back"}
NOT_YET = float("inf")

_PER_SLOT = 10**9


def identities(count):
    """Some with characters that keys are made with."""
    return [(WORKSPACE, "fake", "user", f"auditor:{slot}" + "%" * (slot % 2)) for slot in range(count)]


def token_of(state):
    return f"auditor.{state // _PER_SLOT}.{state % _PER_SLOT}"


def state_of(token):
    if token is None:
        return ABSENT
    found = re.fullmatch(r"auditor\.(\d+)\.(\d+)", token)
    return int(found[1]) * _PER_SLOT + int(found[2]) if found else -1


def described(state):
    return "none" if state == ABSENT else f"{state // _PER_SLOT}/{state % _PER_SLOT}"


@dataclass
class Verdict:
    """`is_bound` where any older version would have been found out by the strict rule; `fault` is
    what is wrong, or None, and `history` where it begins in that identity's; `known` is False where
    the journal does not reach back so far."""

    is_bound: bool = False
    fault: str = None
    history: str = None
    known: bool = True


class Journal:
    """For the identities of identities(count); `context` is that of the processes."""

    def __init__(self, context, count):
        self.whose = identities(count)
        self.slots = range(count)
        self.writing = [context.Lock() for _ in self.slots]
        self._looking = [context.Lock() for _ in self.slots]
        self._counts = context.RawArray("q", count)
        self._table = [context.RawArray("d", KEPT * len(_FIELDS)) for _ in self.slots]
        self._zero = time.monotonic()
        for slot in self.slots:
            self._append(slot, ABSENT, COMMITTED, 0.0, 0.0)

    # Writers

    @contextlib.contextmanager
    def owned(self, slots):
        """Nobody else writes these meanwhile."""
        with contextlib.ExitStack() as stack:
            for slot in sorted(slots):
                stack.enter_context(self.writing[slot])
            yield

    def new_state(self, slot):
        """What a token says that becomes this one's next version."""
        return slot * _PER_SLOT + self._counts[slot]

    def begin(self, slot, state):
        """Before the first statement of a change; its version."""
        with self._looking[slot]:
            return self._append(slot, state, PENDING, NOT_YET, NOT_YET)

    def end(self, slot, version, outcome):
        """After the answer to the COMMIT, or the ROLLBACK."""
        with self._looking[slot]:
            self._set(slot, version, OUTCOME, outcome)
            self._set(slot, version, ENDED, time.monotonic())

    def resolve(self, slot, state):
        """The database says this, to the writer of this one, after he or the server lost an answer
        or the server lost a commit that was not flushed. What is wrong with it, or None."""
        now = time.monotonic()
        with self._looking[slot]:
            last = self._counts[slot] - 1
            if self._get(slot, last, STATE) == state:
                if self._get(slot, last, OUTCOME) != COMMITTED:
                    self._set(slot, last, ENDED, now)
                self._set(slot, last, OUTCOME, COMMITTED)
                return None
            version = last
            while self._get(slot, version, OUTCOME) != COMMITTED:
                if self._get(slot, version, OUTCOME) == PENDING:
                    self._set(slot, version, OUTCOME, POSSIBLE)
                version -= 1
                if self._get(slot, version, STATE) == state and \
                        self._get(slot, version, OUTCOME) != ROLLED_BACK:
                    # No invalidations tell of this change: it is one by time only.
                    self._append(slot, state, COMMITTED, now, -1.0)
                    return None
        return f"the database has {described(state)}, which cannot be\n{self.history(slot)}"

    def last_committed(self, slot):
        """The last version that was."""
        with self._looking[slot]:
            version = self._counts[slot] - 1
            while self._get(slot, version, OUTCOME) != COMMITTED:
                version -= 1
            return version

    def drop(self, slot, version, since):
        """Its invalidations are gone. Such as begun before `since` may have lost theirs another way."""
        with self._looking[slot]:
            if self._get(slot, version, DROPPED) == NOT_YET and self._get(slot, version, BEGAN) > since:
                self._set(slot, version, DROPPED, time.monotonic())
                return True
        return False

    # Readers

    def judge(self, slot, state, began, ended):
        """A read of that identity returned `state`, between those moments."""
        with self._looking[slot]:
            version = self._counts[slot] - 1
            oldest = max(0, self._counts[slot] - KEPT)
            while version >= oldest:
                outcome = self._get(slot, version, OUTCOME)
                dropped = 0 <= self._get(slot, version, DROPPED) < began
                if outcome != ROLLED_BACK and self._get(slot, version, STATE) == state and \
                        self._get(slot, version, BEGAN) < ended:
                    return Verdict(is_bound=outcome == COMMITTED and dropped)
                if outcome == COMMITTED and (dropped or self._get(slot, version, ENDED) + BOUND < began):
                    break
                version -= 1
            else:
                return Verdict(known=False)
            held = [one for one in self._versions(slot) if self._get(slot, one, STATE) == state]
            begin = max((one for one in held if one < version), default=version)
            return Verdict(fault=self._fault(slot, state, held, version, began, dropped),
                           history=self.history(slot, begin, ended))

    def _fault(self, slot, state, held, newer, began, dropped):
        if state < 0 or state and (state // _PER_SLOT not in self.slots):
            return "a token that nobody has stored"
        if not held:
            return f"a token of another identity: {described(state)}"
        if all(self._get(slot, version, OUTCOME) == ROLLED_BACK for version in held):
            return f"a token that was rolled back: {described(state)}"
        if dropped:
            rule = f"whose invalidations were gone {(began - self._get(slot, newer, DROPPED)) * 1000:.1f} ms"
        else:
            rule = f"which was committed {began - self._get(slot, newer, ENDED):.3f} s"
        return (f"stale: {described(state)} was replaced by {described(self._get(slot, newer, STATE))},"
                f" {rule} before this read began")

    def history(self, slot, begin=None, until=NOT_YET):
        """For a person to read: some versions from `begin` on, and the last before a moment."""
        versions = [one for one in self._versions(slot) if self._get(slot, one, BEGAN) < until]
        first = [] if begin is None else [version for version in versions if version >= begin][:5]
        last = [version for version in versions[-10:] if not first or version > first[-1]]
        lines = [self._line(slot, version) for version in first + last]
        if first and last and last[0] != first[-1] + 1:
            lines.insert(len(first), "             ...")
        return "\n".join([f"  identity {slot}: state, began, ended, invalidations gone (s), outcome", *lines])

    def _line(self, slot, version):
        times = [self._get(slot, version, field) for field in (BEGAN, ENDED, DROPPED)]
        return (f"    {described(self._get(slot, version, STATE)):>12}"
                + "".join(f" {self.moment(one) if 0 < one < NOT_YET else '-':>9}" for one in times)
                + f"  {_NAMES[int(self._get(slot, version, OUTCOME))]}")

    def moment(self, when):
        return f"{when - self._zero:.4f}"

    # The table

    def _versions(self, slot):
        return range(max(0, self._counts[slot] - KEPT), self._counts[slot])

    def _get(self, slot, version, field):
        value = self._table[slot][version % KEPT * len(_FIELDS) + field]
        return int(value) if field in (STATE, OUTCOME) else value

    def _set(self, slot, version, field, value):
        self._table[slot][version % KEPT * len(_FIELDS) + field] = value

    def _append(self, slot, state, outcome, ended, dropped):
        version = self._counts[slot]
        for field, value in zip(_FIELDS, (time.monotonic(), ended, dropped, state, outcome)):
            self._set(slot, version, field, value)
        self._counts[slot] = version + 1
        return version
