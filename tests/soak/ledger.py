"""What a player knows of its own keys; written down before and after each change, so that the one after it knows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.soak import model
from tests.soak.board import Board, Figure
from tests.soak.journal import Journal
from tests.soak.model import UNANSWERED, Answer, Known, Lifetime, Promise, Unanswered
from tests.soak.values import SHARE

Planned = tuple[int, str, float | None, list[int]]
"""A key by its number, the name of a change, a timeout and numbers: what a journal can hold."""
Tell = Callable[[str, int, object], None]
"""Is told a verdict, the key, and the facts."""

CHANGES: Final[dict[str, Callable[..., model.Change]]] = {
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


class Ledger:
    """What is known of each of a player's `keys`; one attempt at a time is begun, and comes to one of three ends.

    `linger` is for how many seconds a change that had no answer may still happen.
    """

    def __init__(
        self, folder: Path, number: int, keys: int, promise: Promise, linger: float, clock: Callable[[], float]
    ) -> None:
        self.known = [Known(promise) for _ in range(keys)]
        self._number = number
        self._linger = linger
        self._clock = clock
        self._board = Board(folder / "board")
        self._journal = Journal(folder / f"player-{number}.state")
        self._next = number * SHARE + 1
        self._planned: list[Planned] = []
        self._began = 0.0
        self._epoch = 0
        self._recall()

    def fresh(self) -> int:
        """Return a number that none of the values had."""
        self._next += 1
        return self._next

    def begin(self, planned: list[Planned]) -> None:
        """Note what is about to be done."""
        self._planned, self._epoch, self._began = planned, self._board.epoch, self._clock()
        if self._changes:
            self._journal.note("will", self._began, planned)

    @property
    def _changes(self) -> bool:
        return any(name not in _READING for _, name, *_ in self._planned)

    def answered(self, answers: list[list[Answer] | None], tell: Tell) -> None:
        """Take in the answers, one in a list for each of what was planned, or None; `tell` what is wrong with them."""
        ended = self._clock()
        if self._changes:
            self._journal.note("did", ended, self._epoch, answers)
        self._learn(answers, ended, tell)
        if self._journal.is_long:
            self._journal.save((self.known, self._next))

    def refused(self) -> None:
        """Take in that there was no room: of one record nothing was changed; of many some may be stored."""
        if len(self._planned) > 1:
            self.interrupted()
        elif self._changes:
            self._journal.note("refused")

    def interrupted(self) -> None:
        """Take in that what was planned may have happened, or may happen yet."""
        if self._changes:
            ended = self._clock()
            self._journal.note("may have", ended)
            self._doubt(ended)

    def _recall(self) -> None:
        """Know again what the player before this one knew; what it was about to do may have happened, or may yet."""
        state, lines = self._journal.load()
        if state is not None:
            self.known, self._next = state
        for kind, *rest in lines:
            if kind == "will":
                self._began, self._planned = rest
                self._next = max([self._next, *(own + 1 for *_, some in self._planned for own in self._own(some))])
                continue
            if kind == "did":
                ended, self._epoch, answers = rest
                self._learn(answers, ended)
            elif kind == "may have":
                self._doubt(*rest)
            self._planned = []
        if self._planned:  # noted, since the player after this one has to know, too
            self.interrupted()

    def _own(self, numbers: list[int]) -> list[int]:
        return [each for each in numbers if each // SHARE == self._number]

    def _learn(self, answers: list[Any], ended: float, tell: Tell | None = None) -> None:
        for (key, name, timeout, numbers), given in zip(self._planned, answers, strict=True):
            known = self.known[key]
            answer: Answer | Unanswered = UNANSWERED if given is None else given[0]
            if name == "put" and answer is False:
                name = "put or drop"
            before, forgotten = known.states, known.epoch != self._board.epoch
            change = CHANGES[name](_life(timeout, self._began, ended), *numbers)
            verdict = known.answered(change, answer, self._began, ended, forgotten)
            known.epoch = self._epoch
            if tell is None:
                continue
            if verdict:
                tell(verdict, key, [name, timeout, numbers, answer, sorted(map(str, before)), self._began, ended])
            if name == "put or drop":
                self._board.count(self._number, Figure.REFUSED)
            if answer is None and all(state.number is not None for state in before):
                self._board.count(self._number, Figure.MISSING)

    def _doubt(self, ended: float) -> None:
        until = ended + self._linger
        for key, name, timeout, numbers in self._planned:
            known = self.known[key]
            change = CHANGES[name](_life(timeout, self._began, until), *numbers)
            known.unknown(change, self._began, until, known.epoch != self._board.epoch)
            known.quiet_until = until


def _life(timeout: float | None, began: float, ended: float) -> Lifetime:
    return Lifetime() if timeout is None else Lifetime(began + timeout, ended + timeout)
