"""The part of a player that competes with the others for shared keys: it writes down what the audit has to know."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kt_cache.locks import Lock, LockError, LockOptions
from kt_cache.stores import AsyncStore
from kt_core.errors import KTError, StoreFull
from tests.soak.board import Board, Figure
from tests.soak.journal import Log
from tests.soak.model import UNANSWERED, Answer, Promise, Unanswered
from tests.soak.values import decode, encode
from tests.soak.verdicts import Verdicts

_SHARED: Final = 3  # of each kind
_LOCK: Final = LockOptions(timeout=5.0, blocking=False)


class Rival:
    """Adds to sums, races for records that only one can add, appends to chains, takes locks."""

    def __init__(self, store: AsyncStore, number: int, folder: Path, promise: Promise, dice: random.Random) -> None:
        self._store = store
        self._number = number
        self._promise = promise
        self._random = dice
        self._board = Board(folder / "board")
        self._log = Log(folder / f"shared-{number}.log")
        self._verdicts = Verdicts(folder, number)
        self._sums: dict[int, int] = {}

    def play(self, fresh: int) -> None:
        """Do one thing, with a number that none of the values had."""
        kind, *_ = self._random.choices(list(_KINDS), list(_KINDS.values()))
        kind(self, fresh)

    def _share(self, kind: str, key: bytes, detail: int, call: Callable[[], Answer]) -> Answer | Unanswered:
        """Do something to a shared key, and note before and after it what the audit has to know."""
        self._board.count(self._number, Figure.OPERATIONS)
        self._log.note(kind, key.decode(), detail)
        try:
            answer = call()
        except StoreFull:
            self._board.count(self._number, Figure.REFUSED)
            self._log.note("refused", key.decode(), detail)
            return UNANSWERED
        except KTError as error:
            self._board.count_failure(self._number, error)
            return UNANSWERED
        self._log.note(f"{kind} answered", key.decode(), detail, answer)
        return answer

    def _sum(self, _: int) -> None:
        number, delta = self._random.randrange(_SHARED), self._random.randrange(1, 5)
        key = b"sum:%d" % number
        total = self._share("sum", key, delta, lambda: self._store.incr(key, delta, initial=0))
        if isinstance(total, int):
            if total < self._sums.get(number, 0) + delta and not self._promise.loses:
                self._verdicts.tell("incr", "lost", key.decode(), [total, self._sums[number], delta])
            self._sums[number] = total

    def _race(self, fresh: int) -> None:
        key = b"race:%d" % (time.time() * 4)
        self._share("race", key, fresh, lambda: self._store.add(key, encode(key, fresh), None))

    def _chain(self, _: int) -> None:
        key = b"chain:%d" % self._random.randrange(_SHARED)
        try:
            before = self._store.get(key)
        except KTError:
            return
        old = decode(key, before) or 0
        if old < 0:
            self._verdicts.tell("get", "wrong", key.decode(), repr(before)[:100])
            return
        number = (old // 1024 + 1) * 1024 + self._number
        self._share("chain", key, number, lambda: self._store.compare_and_set(key, before, encode(key, number), None))

    def _lock(self, _: int) -> None:
        key = b"lock:%d" % self._random.randrange(_SHARED)
        lock = Lock(self._store, key, _LOCK)

        def call() -> Answer:
            return lock.token if lock.acquire() else None

        if self._share("lock", key, 0, call) and lock.token is not None:
            try:
                lock.release()
            except (KTError, LockError):
                return


_KINDS: Final[dict[Callable[[Rival, int], None], int]] = {
    Rival._sum: 6,
    Rival._race: 1,
    Rival._chain: 4,
    Rival._lock: 2,
}
