"""Many changes for many askers in one transaction, so that they share its cost; each has an outcome of its own.

One transaction costs more than what most changes do inside it. Whoever serves many askers collects what they want
changed and has it done here, together where that goes and each alone where not: what fails fails alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kt_core.database.control import BUDGET
from kt_core.database.environment import Environment, Write
from kt_core.database.housekeeping import BULK_COST, PUT_COST, RoomNeeded
from kt_core.database.operations import Operations
from kt_core.database.writer import Writer
from kt_core.errors import KTError

_BYTES = 128 << 10  # in one transaction


class Change(NamedTuple):
    """A method of `Operations` that is to be run with these arguments; it adds up to `size` bytes to the database."""

    operation: Callable[..., Any]
    arguments: tuple[Any, ...]
    size: int


class Apart(Exception):
    """The change does not go together with others; raised where it is alone, it is its outcome. None was made."""


class Batch:
    """Makes changes to one logical database, up to `most` of them in one transaction."""

    def __init__(self, writer: Writer, environment: Environment, index: int, operations: Operations, most: int) -> None:
        self._writer = writer
        self._environment = environment
        self._index = index
        self._operations = operations
        self._most = most

    def make(self, changes: Sequence[Change]) -> list[Any]:
        """Make changes in their order; return the result of each, or the `KTError` it ended in."""
        outcomes: list[Any] = []
        while len(outcomes) < len(changes):
            outcomes += self._make(self._next(changes, len(outcomes)))
        return outcomes

    def _next(self, changes: Sequence[Change], start: int) -> Sequence[Change]:
        size = changes[start].size
        end = start + 1
        for change in changes[end : start + self._most]:
            size += change.size
            if size > _BYTES:
                break
            end += 1
        return changes[start:end]

    def _make(self, changes: Sequence[Change]) -> list[Any]:
        write = self._writer.write
        if len(changes) > 1:
            try:
                return write(self._index, self._together, changes)
            except (Apart, KTError):
                pass
        outcomes: list[Any] = []
        for operation, arguments, _ in changes:
            try:
                outcomes.append(write(self._index, operation, *arguments))
            except (KTError, Apart) as error:
                outcomes.append(error)
        return outcomes

    def _together(self, txn: Write, changes: Sequence[Change]) -> list[Any]:
        store = self._operations.store
        rows = [change.arguments for change in changes if change.operation == store]
        if len(rows) == len(changes):
            self._operations.store_rows(txn, rows)  # one call of LMDB for all
            return [None] * len(rows)
        # Room for all of them is made before the first: afterwards it would be lost with the transaction.
        size = sum([change.size for change in changes])
        cost = size + len(changes) * (PUT_COST + BULK_COST)
        if self._environment.words[BUDGET] < cost:
            raise RoomNeeded(max([change.size for change in changes]), size, cost)
        outcomes: list[Any] = []
        for operation, arguments, _ in changes:
            try:
                outcomes.append(operation(txn, *arguments))
            except RoomNeeded as more:  # than was announced: an append to a long record, say
                raise Apart from more
            except KTError as error:
                outcomes.append(error)
        return outcomes
