"""The calls that write to one database in a turn of the event loop, made in one transaction.

Most of what a short call costs is not its own: that of a transaction, of the room it needs, of waiting for the turn's
end. Calls made together share it. Where that does not go each is made alone, so that what fails fails alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Generic, TypeAlias, TypeVar

from kt_core.database.batch import Apart, Change
from kt_core.database.control import BUDGET
from kt_core.database.environment import Write
from kt_core.database.housekeeping import PUT_COST, RoomNeeded
from kt_core.server.scripting.visitors import RESERVE
from kt_core.server.served import ServedDatabase
from kt_core.server.turn import Turn

C = TypeVar("C")
Resolve: TypeAlias = "Callable[[Any], object]"
"""Takes the result of a call, or the `KTError` or `Unsuited` that it ended in."""

_MANY: Final = 64  # calls in one transaction, so that nobody waits long for it
_OTHER: Final = PUT_COST + 512  # bytes for which room is made ahead for each call but one, which may need `RESERVE`


class Together(Generic[C]):
    """The calls of the present turn; `make` makes one of them in a transaction on the database of a number."""

    def __init__(
        self, served: ServedDatabase, number: int, turn: Turn, make: Callable[[Write, int, C], object]
    ) -> None:
        self._served = served
        self._number = number
        self._turn = turn
        self._make = make
        self._calls: list[C] = []
        self._resolves: list[Resolve] = []

    def add(self, call: C, resolve: Resolve) -> None:
        """Have a call made at the end of this turn, and `resolve` called with what it came to."""
        if not self._calls:
            self._turn.call_at_end(self._end)
        self._calls.append(call)
        self._resolves.append(resolve)

    def _end(self) -> None:
        calls, self._calls, resolves, self._resolves = self._calls, [], self._resolves, []
        for start in range(0, len(calls), _MANY):
            self._change(calls[start : start + _MANY], resolves[start : start + _MANY])

    def _change(self, calls: Sequence[C], resolves: Sequence[Resolve]) -> None:
        size = RESERVE + _OTHER * (len(calls) - 1)
        change = Change(self._make_all, (calls, size), size)
        self._turn.add(self._served, change, partial(self._changed, calls, resolves))

    def _make_all(self, txn: Write, calls: Sequence[C], size: int) -> list[object]:
        if self._served.environment.words[BUDGET] < size:  # later it would be for nothing that the first ones were made
            raise RoomNeeded(0, size, size)
        make, number = self._make, self._number
        try:
            return [make(txn, number, call) for call in calls]
        except RoomNeeded as more:  # as much again would not do for all of them
            if len(calls) > 1:
                raise Apart from more
            raise

    def _changed(self, calls: Sequence[C], resolves: Sequence[Resolve], outcome: Any) -> None:
        if isinstance(outcome, list):
            for resolve, result in zip(resolves, outcome, strict=True):
                resolve(result)
        elif len(calls) == 1:
            resolves[0](outcome)
        else:
            for call, resolve in zip(calls, resolves, strict=True):
                self._change([call], [resolve])
