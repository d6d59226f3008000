"""What the processes of the auditor share besides the journal: whether to go on, counts, faults."""

import os
import time

COUNTS = ("commits", "rolled back", "failed changes", "dropped", "reads", "reads from Redis",
          "strict", "failed reads", "unknown")
SHOWN = 5  # faults; where there is one, there are many


class Control:
    """Made before the processes of a run begin. A count is the sum over them; each has a row."""

    def __init__(self, context, journal, processes):
        self._journal = journal
        self._faults = context.SimpleQueue()
        self._told = context.Value("i", 0)
        self._end = context.Value("b", False)
        self._chaos = context.Value("b", True)  # until calm() says so
        self._counts = [context.RawArray("q", len(COUNTS)) for _ in range(processes)]
        self._mine = self._counts[0]
        self._main = os.getpid()

    def work(self, worker, number):
        """In a process of its own, with that row of counts."""
        self._mine = self._counts[number]
        worker.run()

    def running(self):
        return not self._end.value and (os.getpid() == self._main or os.getppid() == self._main)

    def stop(self):
        self._end.value = True

    def is_chaos(self):
        return bool(self._chaos.value)

    def set_chaos(self, is_chaos):
        self._chaos.value = is_chaos

    @staticmethod
    def pause(seconds):
        time.sleep(seconds)

    def count(self, name, by=1):
        self._mine[COUNTS.index(name)] += by

    def counts(self):
        return {name: sum(row[index] for row in self._counts) for index, name in enumerate(COUNTS)}

    def judge(self, reader, kind, slot, state, began):
        """A read that began then, and has ended just now."""
        verdict = self._journal.judge(slot, state, began, time.monotonic())
        self.count(kind)
        self.count("strict", verdict.is_bound)
        self.count("unknown", not verdict.known)
        if verdict.fault:
            self.broken(f"{verdict.fault}\n  read of identity {slot} at {self._journal.moment(began)}"
                        f" by {reader}\n{verdict.history}")

    def broken(self, fault):
        with self._told.get_lock():
            self._told.value += 1
            if self._told.value <= SHOWN:
                self._faults.put(fault)

    @property
    def is_broken(self):
        return self._told.value > 0

    def faults(self):
        found = []
        while not self._faults.empty():
            found.append(self._faults.get())
        if self._told.value > SHOWN:
            found.append(f"and {self._told.value - SHOWN} more")
        return found
