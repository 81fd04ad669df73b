"""Work on a store that checks each answer against what it may be, as a program that runs beside a test.

    python -m tests.aerospike.workload URL THREADS

Each thread has records of its own, of which it knows everything: whatever a write that failed may have done, or not.
Each line of input is a phase: after `run` every thread does `_COUNT` operations, of which none may fail; after
`survive` they go on, with failures, until the next line, and then until each has done so many without one. The answer
to either is a line of JSON: how often which error was met. A wrong answer ends the program.
"""

from __future__ import annotations

import json
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final
from uuid import uuid4

from kt_cache.options import Options
from kt_cache.stores import open_store
from kt_cache.stores.base import Store, Value
from kt_core.errors import ConnectionFailed, KTError, Timeout

_KEYS: Final = 8
_COUNT: Final = 200


class Worker:
    """A thread's records, each with the values that it may have; None is for no record.

    A write that failed may be done at any time until the outage is over, by a node that was only slow.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._random = random.Random(uuid4().int)
        self._known: dict[bytes, set[Value | None]] = {uuid4().bytes: {None} for _ in range(_KEYS)}
        self._late: dict[bytes, set[Value | None]] = {key: set() for key in self._known}
        self._counter = uuid4().bytes
        self._sums = {0}
        self._late_counts = 0
        self._operations: list[Callable[[], None]] = [
            self._get,
            self._get_many,
            self._set,
            self._set_many,
            self._add,
            self._delete,
            self._swap,
            self._count,
        ]

    def run(self) -> Counter[str]:
        """Do operations that do not fail."""
        self._late = {key: set() for key in self._known}
        self._late_counts = 0
        for _ in range(_COUNT):
            self._random.choice(self._operations)()
        return Counter()

    def survive(self, over: threading.Event) -> Counter[str]:
        """Do operations until it is over and enough of them in a row did not fail."""
        errors: Counter[str] = Counter()
        in_a_row = 0
        while in_a_row < _COUNT:
            try:
                self._random.choice(self._operations)()
                in_a_row += over.is_set()
            except (ConnectionFailed, Timeout) as error:
                errors[type(error).__name__] += 1
                in_a_row = 0
        return errors

    def _key(self) -> bytes:
        return self._random.choice(list(self._known))

    def _new(self) -> bytes:
        return self._random.randbytes(self._random.choice([1, 100, 5000]))

    def _saw(self, key: bytes, *values: Value | None) -> None:
        """Note what a record has, unless a late write changes it."""
        self._known[key] = {*values} | self._late[key]

    @contextmanager
    def _writing(self, values: Mapping[bytes, Value | None]) -> Iterator[None]:
        """Note what records may have if writing these values fails."""
        try:
            yield
        except KTError:
            for key, value in values.items():
                self._late[key].add(value)
                self._known[key].add(value)
            raise

    def _check(self, key: bytes, value: Value | None) -> None:
        assert value in self._known[key], f"{key!r} is {value!r}, which is none of {self._known[key]!r}"
        self._saw(key, value)

    def _get(self) -> None:
        key = self._key()
        self._check(key, self._store.get(key))

    def _get_many(self) -> None:
        found = self._store.get_many(self._known)
        for key in self._known:
            self._check(key, found.get(key))

    def _set(self) -> None:
        key, value = self._key(), self._new()
        with self._writing({key: value}):
            assert self._store.set(key, value, 1000)
        self._saw(key, value)

    def _set_many(self) -> None:
        values = {key: self._new() for key in self._random.sample(list(self._known), 4)}
        with self._writing(values):
            assert self._store.set_many(values, 1000) == []
        for key, value in values.items():
            self._saw(key, value)

    def _add(self) -> None:
        key, value = self._key(), self._new()
        with self._writing({key: value}):
            added = self._store.add(key, value, 1000)
        known = self._known[key]
        assert None in known if added else known != {None}
        self._saw(key, *({value} if added else known - {None}))

    def _delete(self) -> None:
        key = self._key()
        with self._writing({key: None}):
            deleted = self._store.delete(key)
        known = self._known[key]
        assert known != {None} if deleted else None in known
        self._saw(key, None)

    def _swap(self) -> None:
        key, value = self._key(), self._new()
        old = self._random.choice(list(self._known[key]))
        with self._writing({key: value}):
            swapped = self._store.compare_and_set(key, old, value, 1000)
        known = self._known[key]
        assert swapped or known != {old}
        self._saw(key, *({value} if swapped else known - {old}))

    def _count(self) -> None:
        expected = {each + 1 for each in self._sums}
        try:
            total = self._store.incr(self._counter, 1, initial=0, timeout=1000)
        except KTError:
            self._sums |= expected
            self._late_counts += 1
            raise
        assert total in expected, f"counted to {total}, which is none of {expected}"
        self._sums = {total + late for late in range(self._late_counts + 1)}


def main(url: str, threads: int) -> None:
    """Work in phases."""
    store = open_store(Options.parse(url, {}, default_name="cache"))
    workers = [Worker(store) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        for line in sys.stdin:
            over = threading.Event()
            if line == "run\n":
                done = [pool.submit(worker.run) for worker in workers]
            else:
                done = [pool.submit(worker.survive, over) for worker in workers]
                sys.stdin.readline()
                over.set()
            errors = sum((each.result() for each in done), Counter())
            sys.stdout.write(json.dumps(errors) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
