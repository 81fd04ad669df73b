"""A player: it changes keys of its own, at random, and knows what the store may answer; it competes for shared ones."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from kt_cache.locks import Lock, LockError, LockOptions
from kt_cache.stores import KEEP, AsyncStore
from kt_core.errors import KTError, StoreFull
from tests.soak import model
from tests.soak.board import Board, Figure
from tests.soak.journal import Journal, Log
from tests.soak.model import UNANSWERED, Answer, Known, Lifetime, Promise, Unanswered
from tests.soak.values import SHARE, decode, encode

Clock = Callable[[], float]
Planned = tuple[int, str, float | None, list[int]]
"""A key by its number, the name of a change, a timeout and numbers: what a journal can hold."""

KEYS, COUNTERS = 96, 32
"""Keys of each player: those beyond the first 96 are counters."""
SHARED: Final = 3  # of each kind
_TIMEOUTS: Final = (None, None, None, 0.03, 0.2, 1.0, 3.0, 30.0)
_MANY: Final = 8
_LOCK: Final = LockOptions(timeout=5.0, blocking=False)

_CHANGES: dict[str, Callable[..., model.Change]] = {
    "get": lambda life: model.get,
    "exists": lambda life: model.exists,
    "delete": lambda life: model.delete,
    "pop": lambda life: model.pop,
    "put": lambda life, number: model.put(number, life),
    "put or drop": lambda life, number: model.put_or_drop(number, life),
    "add": lambda life, number: model.add(number, life),
    "replace": lambda life, number: model.replace(number, life),
    "touch": lambda life: model.touch(life),
    "swap": lambda life, old, number: model.swap(old, number, life),
    "swap and keep": lambda life, old, number: model.swap_and_keep(old, number),
    "increase": lambda life, delta: model.increase(delta),
}
_READING: Final = {"get", "exists"}


class Player:
    """One of the players of a soak, numbered; what it needs to know after its end is in `folder`.

    `linger` is for how many seconds a change that had no answer may still happen.
    """

    def __init__(
        self, store: AsyncStore, number: int, folder: Path, promise: Promise, linger: float, clock: Clock, seed: str
    ) -> None:
        self._store = store
        self._number = number
        self._promise = promise
        self._linger = linger
        self._clock = clock
        self._random = random.Random(f"{seed}/{number}")
        self._board = Board(folder / "board")
        self._journal = Journal(folder / f"player-{number}.state")
        self._shared = Log(folder / f"shared-{number}.log")
        self._faults = Log(folder / "faults.log")
        self._known = [Known(promise) for _ in range(KEYS + COUNTERS)]
        self._next = number * SHARE + 1
        self._sums: dict[int, int] = {}
        self._recall()

    # -- its own keys --------------------------------------------------------------------------------------

    def play(self) -> None:
        """Do one thing."""
        kind, *_ = self._random.choices(list(_MOVES), list(_MOVES.values()))
        kind(self)
        if self._journal.is_long:
            self._journal.save((self._known, self._next))

    def finish(self) -> None:
        """Look at every key once more, with all quiet."""
        for key in range(KEYS + COUNTERS):
            self._known[key].quiet_until = 0.0
            for _ in range(20):
                if self._try("get", [(key, "get", None, [])], partial(self._look, key)):
                    break
                time.sleep(0.1)
            else:
                self._tell("unreachable", "get", key, None)

    def _look(self, key: int) -> list[int | None]:
        return [self._read(key)]

    def _recall(self) -> None:
        """Know again what the player before this one knew; what it was about to do may have happened, or may yet."""
        state, lines = self._journal.load()
        if state is not None:
            self._known, self._next = state
        planned: list[Planned] = []
        began = 0.0
        for kind, *rest in lines:
            if kind == "will":
                began, planned = rest
                self._next = max([self._next, *(argument + 1 for *_, some in planned for argument in self._own(some))])
            elif kind == "did":
                ended, epoch, answers = rest
                self._learn(planned, answers, began, ended, epoch, told=True)
                planned = []
            elif kind == "refused":
                planned = []
            else:
                self._doubt(planned, began, *rest)
                planned = []
        if planned:  # noted, since the player after this one has to know, too
            self._interrupted(planned, began)

    def _own(self, arguments: list[int]) -> list[int]:
        return [each for each in arguments if each // SHARE == self._number]

    def _try(self, operation: str, planned: list[Planned], call: Callable[[], Sequence[Any]]) -> bool:
        """Do something to keys and check the answers, one for each; tell whether there were any."""
        changes = any(name not in _READING for _, name, *_ in planned)
        epoch, began = self._board.epoch, self._clock()
        if changes:
            self._journal.note("will", began, planned)
        self._board.count(self._number, Figure.OPERATIONS)
        try:
            answers = [None if answer is UNANSWERED else [answer] for answer in call()]
        except StoreFull:
            self._board.count(self._number, Figure.REFUSED)
            # Of one record nothing was changed; of many some may be stored.
            if changes and len(planned) == 1:
                self._journal.note("refused")
            elif changes:
                self._interrupted(planned, began)
            return False
        except KTError:
            self._board.count(self._number, Figure.UNANSWERED)
            if changes:
                self._interrupted(planned, began)
            return False
        ended = self._clock()
        if changes:
            self._journal.note("did", ended, epoch, answers)
        self._learn(planned, answers, began, ended, epoch, operation)
        return True

    def _learn(
        self,
        planned: list[Planned],
        answers: list[list[Answer] | None],
        began: float,
        ended: float,
        epoch: int,
        operation: str = "",
        told: bool = False,
    ) -> None:
        for (key, name, timeout, numbers), given in zip(planned, answers, strict=True):
            known = self._known[key]
            answer: Answer | Unanswered = UNANSWERED if given is None else given[0]
            if name == "put" and answer is False:
                name = "put or drop"
                self._board.count(self._number, Figure.REFUSED)
            before, forgotten = known.states, known.epoch != self._board.epoch
            if answer is None and all(state.number is not None for state in before):
                self._board.count(self._number, Figure.MISSING)
            change = _CHANGES[name](_life(timeout, began, ended), *numbers)
            verdict = known.answered(change, answer, began, ended, forgotten)
            known.epoch = epoch
            if verdict and not told:
                self._tell(
                    verdict, operation, key, [name, timeout, numbers, answer, sorted(map(str, before)), began, ended]
                )

    def _interrupted(self, planned: list[Planned], began: float) -> None:
        ended = self._clock()
        self._journal.note("may have", ended)
        self._doubt(planned, began, ended)

    def _doubt(self, planned: list[Planned], began: float, ended: float) -> None:
        until = ended + self._linger
        for key, name, timeout, numbers in planned:
            known = self._known[key]
            change = _CHANGES[name](_life(timeout, began, until), *numbers)
            known.unknown(change, began, until, known.epoch != self._board.epoch)
            known.quiet_until = until

    def _tell(self, verdict: str, operation: str, key: int | str, details: object) -> None:
        figure = Figure.LOST if verdict == "lost" else Figure.WRONG
        self._board.count(self._number, figure)
        self._faults.note(verdict, operation, self._number, key, details, time.time())

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
            free = [key for key in range(keys) if self._known[key].quiet_until <= now]
            if free:
                return self._random.sample(free, min(count, len(free)))
            time.sleep(0.05)

    def _fresh(self) -> int:
        self._next += 1
        return self._next

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
        key, number, timeout = self._pick()[0], self._fresh(), self._random.choice(_TIMEOUTS)
        name = "put" if method == "set" else method
        call = getattr(self._store, method)
        self._one(name, key, timeout, [number], lambda: call(self._name(key), self._value(key, number), timeout))

    def _set(self) -> None:
        self._store_one("set")

    def _add(self) -> None:
        self._store_one("add")

    def _replace(self) -> None:
        self._store_one("replace")

    def _set_many(self) -> None:
        keys, timeout = self._pick(_MANY), self._random.choice(_TIMEOUTS)
        numbers = {key: self._fresh() for key in keys}

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
        key, number, timeout = self._pick()[0], self._fresh(), self._random.choice(_TIMEOUTS)
        old = self._random.choice(sorted(state.number or 1 for state in self._known[key].states))
        keeps = self._random.random() < 0.3

        def call() -> bool:
            values = self._value(key, old), self._value(key, number)
            return self._store.compare_and_set(self._name(key), *values, KEEP if keeps else timeout)

        self._one("swap and keep" if keeps else "swap", key, timeout, [old, number], call)

    # -- what all players change ---------------------------------------------------------------------------

    def _share(self, kind: str, key: bytes, detail: int, call: Callable[[], Answer]) -> Answer | Unanswered:
        """Do something to a shared key, and note before and after it what the audit has to know."""
        self._board.count(self._number, Figure.OPERATIONS)
        self._shared.note(kind, key.decode(), detail)
        try:
            answer = call()
        except StoreFull:
            self._board.count(self._number, Figure.REFUSED)
            self._shared.note("refused", key.decode(), detail)
            return UNANSWERED
        except KTError:
            self._board.count(self._number, Figure.UNANSWERED)
            return UNANSWERED
        self._shared.note(f"{kind} answered", key.decode(), detail, answer)
        return answer

    def _sum(self) -> None:
        number, delta = self._random.randrange(SHARED), self._random.randrange(1, 5)
        key = b"sum:%d" % number
        total = self._share("sum", key, delta, lambda: self._store.incr(key, delta, initial=0))
        if isinstance(total, int):
            if total < self._sums.get(number, 0) + delta and not self._promise.loses:
                self._tell("lost", "incr", key.decode(), [total, self._sums[number], delta])
            self._sums[number] = total

    def _race(self) -> None:
        key = b"race:%d" % (time.time() * 4)
        number = self._fresh()
        self._share("race", key, number, lambda: self._store.add(key, encode(key, number), None))

    def _chain(self) -> None:
        key = b"chain:%d" % self._random.randrange(SHARED)
        try:
            before = self._store.get(key)
        except KTError:
            return
        old = decode(key, before) or 0
        if old < 0:
            self._tell("wrong", "get", key.decode(), repr(before)[:100])
            return
        number = (old // 1024 + 1) * 1024 + self._number
        self._share("chain", key, number, lambda: self._store.compare_and_set(key, before, encode(key, number), None))

    def _lock(self) -> None:
        key = b"lock:%d" % self._random.randrange(SHARED)
        lock = Lock(self._store, key, _LOCK)

        def call() -> Answer:
            return lock.token if lock.acquire() else None

        if self._share("lock", key, 0, call) and lock.token is not None:
            try:
                lock.release()
            except (KTError, LockError):
                return


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
    Player._sum: 6,
    Player._race: 1,
    Player._chain: 4,
    Player._lock: 2,
}


def _life(timeout: float | None, began: float, ended: float) -> Lifetime:
    return Lifetime() if timeout is None else Lifetime(began + timeout, ended + timeout)
