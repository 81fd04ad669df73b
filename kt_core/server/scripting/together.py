"""The calls that write to one database in a turn of the event loop, made in one transaction.

Most of what a short call costs is not its own: that of a transaction, of the room it needs, of waiting for the turn's
end. Calls made together share it. Where that does not go each is made alone, so that what fails fails alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Generic, TypeAlias, TypeVar

from kt_core.database.batch import Change
from kt_core.database.environment import Write
from kt_core.database.housekeeping import PUT_COST
from kt_core.server.scripting.visitors import RESERVE
from kt_core.server.served import ServedDatabase
from kt_core.server.turn import Turn

C = TypeVar("C")
Make: TypeAlias = "Callable[[Write, int, Sequence[C], int], list[Any]]"
"""Makes calls in a transaction on the database of a number, where there is room for so many bytes."""
Resolve: TypeAlias = "Callable[[C, Any], object]"
"""Takes a call, and its result or the `KTError` or `Unsuited` that it ended in."""

_MANY: Final = 64  # calls in one transaction, so that nobody waits long for it
_OTHER: Final = PUT_COST + 512  # bytes for which room is made ahead for each call but one, which may need `RESERVE`


class Together(Generic[C]):
    """Has the calls of a turn to one database made together."""

    def __init__(self, served: ServedDatabase, number: int, turn: Turn, make: Make[C], resolve: Resolve[C]) -> None:
        self._served = served
        self._number = number
        self._turn = turn
        self._make = make
        self._resolve = resolve

    def add(self, calls: Sequence[C]) -> None:
        """Have calls made with all that this turn changes."""
        for start in range(0, len(calls), _MANY):
            self._change(calls[start : start + _MANY])

    def _change(self, calls: Sequence[C]) -> None:
        size = RESERVE + _OTHER * (len(calls) - 1)
        change = Change(self._make, (self._number, calls, size), size)
        self._turn.add(self._served, change, partial(self._changed, calls))

    def _changed(self, calls: Sequence[C], outcome: Any) -> None:
        if isinstance(outcome, list):
            for call, result in zip(calls, outcome, strict=True):
                self._resolve(call, result)
        elif len(calls) == 1:
            self._resolve(calls[0], outcome)
        else:
            for call in calls:
                self._change([call])
