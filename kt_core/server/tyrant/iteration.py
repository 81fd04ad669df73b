"""The iterator of a database: one for all clients, whether they move it by a command, a function or a script.

It stands on a record, not inside a transaction: whatever happens to the records around it, it goes on with the next
one that is there. Source: the Tokyo Tyrant protocol reference, section 6.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from kt_core.database.environment import Write
from kt_core.server.tyrant.names import KINDS, TyrantKind
from kt_core.server.tyrant.records import Records


class _Place(NamedTuple):
    """A key of the embedded database, and which of the records under it."""

    key: bytes
    number: int


class Iteration:
    """An iterator that stands nowhere yet."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._kind: TyrantKind = records.name.kind
        self._next: _Place | None = None

    def begin(self, txn: Write) -> bool:
        """Stand on the first record; tell whether there is one."""
        self._next = next((_Place(key, 0) for key, _ in self._records.stored(txn)), None)
        return self._next is not None

    def begin_at(self, txn: Write, key: bytes) -> bool:
        """Stand on the record of a key, or where there is an order on the next one; tell whether that is a success."""
        place = self._records.place(txn, key)
        found = next(self._records.stored(txn, place), None) if place is not None else None
        if not self._kind.ordered:
            if found is None or found[0] != key:
                return self._kind.in_memory
        elif found is None and self._kind is KINDS["tcf"]:
            return False
        self._next = _Place(found[0], 0) if found is not None else None
        return found is not None or self._kind.in_memory

    def end(self) -> None:
        """Stand nowhere."""
        self._next = None

    def step(self, txn: Write) -> tuple[bytes, bytes] | None:
        """Return the record it stands on, or the next one that is there, and go on; None at the end."""
        if self._next is None:
            return None
        ahead = self._ahead(txn, self._next)
        found = next(ahead, None)
        self._next = next(ahead, (None, None))[0]
        return found[1] if found is not None else None

    def _ahead(self, txn: Write, place: _Place) -> Iterator[tuple[_Place, tuple[bytes, bytes]]]:
        places = chain.from_iterable(
            ((_Place(key, number), item) for number, item in enumerate(self._records.expand(key, value)))
            for key, value in self._records.stored(txn, place.key)
        )
        return ((at, item) for at, item in places if at >= place)
