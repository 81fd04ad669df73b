"""A player: it changes keys of its own, at random, and knows what the store may answer; now and then it competes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from kt_cache.stores import KEEP, AsyncStore
from kt_core.errors import KTError, StoreFull
from tests.soak.board import Board, Figure
from tests.soak.ledger import Ledger, Planned
from tests.soak.model import UNANSWERED, Promise, Unanswered
from tests.soak.rival import Rival
from tests.soak.values import decode, encode
from tests.soak.verdicts import Verdicts

Clock = Callable[[], float]

KEYS, COUNTERS = 96, 32
"""Keys of each player: those beyond the first 96 are counters."""
_TIMEOUTS: Final = (None, None, None, 0.03, 0.2, 1.0, 3.0, 30.0)
_MANY: Final = 8


class Player:
    """One of the players of a soak, numbered; what it needs to know after its end is in `folder`.

    `linger` is for how many seconds a change that had no answer may still happen.
    """

    def __init__(
        self, store: AsyncStore, number: int, folder: Path, promise: Promise, linger: float, clock: Clock, seed: str
    ) -> None:
        self._store = store
        self._number = number
        self._clock = clock
        self._random = random.Random(f"{seed}/{number}")
        self._board = Board(folder / "board")
        self._verdicts = Verdicts(folder, number)
        self._ledger = Ledger(folder, number, KEYS + COUNTERS, promise, linger, clock)
        self._rival = Rival(store, number, folder, promise, self._random)

    def play(self) -> None:
        """Do one thing."""
        kind, *_ = self._random.choices(list(_MOVES), list(_MOVES.values()))
        kind(self)

    def finish(self) -> None:
        """Look at every key once more, with all quiet."""
        for key in range(KEYS + COUNTERS):
            self._ledger.known[key].quiet_until = 0.0
            for _ in range(20):
                if self._try("get", [(key, "get", None, [])], partial(self._look, key)):
                    break
                time.sleep(0.1)
            else:
                self._verdicts.tell("get", "unreachable", key, None)

    def _look(self, key: int) -> list[int | None]:
        return [self._read(key)]

    def _try(self, operation: str, planned: list[Planned], call: Callable[[], Sequence[Any]]) -> bool:
        """Do something to keys and check the answers, one for each; tell whether there were any."""
        self._ledger.begin(planned)
        self._board.count(self._number, Figure.OPERATIONS)
        try:
            answers = [None if answer is UNANSWERED else [answer] for answer in call()]
        except StoreFull:
            self._board.count(self._number, Figure.REFUSED)
            self._ledger.refused()
            return False
        except KTError as error:
            self._board.count_failure(self._number, error)
            self._ledger.interrupted()
            return False
        self._ledger.answered(answers, partial(self._verdicts.tell, operation))
        return True

    def _name(self, key: int) -> bytes:
        return b"own:%d:%d" % (self._number, key)

    def _value(self, key: int, number: int) -> bytes | int:
        return number if key >= KEYS else encode(self._name(key), number)

    def _number_of(self, key: int, value: bytes | int | None) -> int | None:
        if value is not None and isinstance(value, int) is not (key >= KEYS):
            return -1
        return decode(self._name(key), value)

    def _read(self, key: int) -> int | None:
        return self._number_of(key, self._store.get(self._name(key)))

    def _pick(self, count: int = 1, keys: int = KEYS + COUNTERS) -> list[int]:
        """Return some keys that may be used now; one is always there, or time passes."""
        while True:
            now = self._clock()
            free = [key for key in range(keys) if self._ledger.known[key].quiet_until <= now]
            if free:
                return self._random.sample(free, min(count, len(free)))
            time.sleep(0.05)

    def _one(
        self, operation: str, key: int, timeout: float | None, numbers: list[int], call: Callable[[], Any]
    ) -> None:
        self._try(operation, [(key, operation, timeout, numbers)], lambda: [call()])

    def _get(self) -> None:
        key, *_ = self._pick()
        self._one("get", key, None, [], lambda: self._read(key))

    def _exists(self) -> None:
        key, *_ = self._pick()
        self._one("exists", key, None, [], lambda: self._store.exists(self._name(key)))

    def _get_many(self) -> None:
        keys = self._pick(_MANY)

        def call() -> list[int | None]:
            found = self._store.get_many([self._name(key) for key in keys])
            return [self._number_of(key, found.get(self._name(key))) for key in keys]

        self._try("get_many", [(key, "get", None, []) for key in keys], call)

    def _store_one(self, method: str) -> None:
        key, number, timeout = self._pick()[0], self._ledger.fresh(), self._random.choice(_TIMEOUTS)
        name = "put" if method == "set" else method
        store = getattr(self._store, method)

        def call() -> bool:
            stored: bool = store(self._name(key), self._value(key, number), timeout)
            if method == "add" and not stored and self._takes_nothing():
                raise StoreFull("nothing is added while a stopped process holds on to the pages")
            return stored

        self._one(name, key, timeout, [number], call)

    def _takes_nothing(self) -> bool:
        environment = getattr(self._store, "_environment", None)
        return environment is not None and environment.bypassed

    def _set(self) -> None:
        self._store_one("set")

    def _add(self) -> None:
        self._store_one("add")

    def _replace(self) -> None:
        self._store_one("replace")

    def _set_many(self) -> None:
        keys, timeout = self._pick(_MANY), self._random.choice(_TIMEOUTS)
        numbers = {key: self._ledger.fresh() for key in keys}

        def call() -> list[bool]:
            items = {self._name(key): self._value(key, number) for key, number in numbers.items()}
            failed = self._store.set_many(items, timeout)
            return [self._name(key) not in failed for key in keys]

        self._try("set_many", [(key, "put", timeout, [numbers[key]]) for key in keys], call)

    def _delete(self) -> None:
        key, *_ = self._pick()
        self._one("delete", key, None, [], lambda: self._store.delete(self._name(key)))

    def _delete_many(self) -> None:
        keys = self._pick(3)

        def call() -> list[Unanswered]:
            self._store.delete_many([self._name(key) for key in keys])
            return [UNANSWERED] * len(keys)

        self._try("delete_many", [(key, "delete", None, []) for key in keys], call)

    def _pop(self) -> None:
        key, *_ = self._pick()
        self._one("pop", key, None, [], lambda: self._number_of(key, self._store.pop(self._name(key))))

    def _touch(self) -> None:
        key, timeout = self._pick()[0], self._random.choice(_TIMEOUTS)
        self._one("touch", key, timeout, [], lambda: self._store.touch(self._name(key), timeout))

    def _incr(self) -> None:
        key, delta = self._random.choice(self._pick(COUNTERS) or [0]), self._random.randrange(1, 5)
        if key >= KEYS:
            self._one("increase", key, None, [delta], lambda: self._store.incr(self._name(key), delta))

    def _swap(self) -> None:
        key, number, timeout = self._pick()[0], self._ledger.fresh(), self._random.choice(_TIMEOUTS)
        old = self._random.choice(sorted(state.number or 1 for state in self._ledger.known[key].states))
        keeps = self._random.random() < 0.3

        def call() -> bool:
            values = self._value(key, old), self._value(key, number)
            return self._store.compare_and_set(self._name(key), *values, KEEP if keeps else timeout)

        self._one("swap and keep" if keeps else "swap", key, timeout, [old, number], call)

    def _compete(self) -> None:
        self._rival.play(self._ledger.fresh())


_MOVES: Final[dict[Callable[[Player], None], int]] = {
    Player._get: 30,
    Player._set: 20,
    Player._get_many: 5,
    Player._set_many: 3,
    Player._add: 6,
    Player._replace: 5,
    Player._delete: 4,
    Player._delete_many: 1,
    Player._pop: 3,
    Player._touch: 5,
    Player._exists: 4,
    Player._incr: 6,
    Player._swap: 6,
    Player._compete: 13,
}
