"""A cursor over one logical database that stands on a key, not inside a transaction.

Each operation begins a transaction of its own and seeks the key again. So a cursor that nobody moves holds no
pages and survives every change around it. It has a direction, that of its last move: a removal by the cursor itself, a
`step`, and the search for a record that has not expired go that way. Where somebody else has removed the record
under it, it stands on the next greater one. Rules: Kyoto Tycoon protocol reference, sections 3.5 and 6.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from kt_core.database.environment import Environment, Write
from kt_core.database.operations import Operations
from kt_core.database.record import NEVER, Record, original_key, stored_key, to_record, unpack_header
from kt_core.database.writer import Writer


class Entry(NamedTuple):
    """A key and its record."""

    key: bytes
    record: Record


class Place(NamedTuple):
    """What a cursor found, and the stored key on which it is to stand afterwards; None for nowhere."""

    entry: Entry | None
    position: bytes | None


_NOWHERE = Place(None, None)


class Cursor:
    """A position in key order; unpositioned until the first jump, and again past either end.

    The reading methods return None at the end.
    """

    def __init__(self, writer: Writer, environment: Environment, index: int, operations: Operations) -> None:
        self._write = writer.write
        self._environment = environment
        self._index = index
        self._operations = operations
        self._position: bytes | None = None  # a stored key
        self._backward = False

    # -- moving ----------------------------------------------------------------------------------------

    def jump(self, key: bytes | None = None) -> bool:
        """Stand on the first record, or the first whose key is not below the given one; tell whether there is one."""
        return self._move(False, lambda at: at.set_range(stored_key(key)) if key else at.first())

    def jump_to(self, key: bytes) -> bool:
        """Stand on the record with this very key; tell whether there is one."""
        return self._move(False, lambda at: at.set_key(stored_key(key)))

    def jump_back(self, key: bytes | None = None) -> bool:
        """Stand on the last record, or the last whose key is not above the given one."""
        if key is None:
            return self._move(True, lambda at: at.last())
        stored = stored_key(key)
        return self._move(True, lambda at: at.set_key(stored) or _before(at, stored))

    def step(self) -> bool:
        """Go to the record after the one it stands on; past the last one the cursor stands nowhere."""
        position = self._position
        return position is not None and self._move(False, lambda at: at.set_range(position) and at.next())

    def step_back(self) -> bool:
        """Go to the record before; before the first one the cursor stands nowhere."""
        position = self._position
        return position is not None and self._move(True, lambda at: _before(at, position))

    def _move(self, backward: bool, seek: Callable[[Any], bool]) -> bool:
        self._backward = backward
        with self._environment.view(self._index) as txn:
            at = txn.cursor()
            self._position = bytes(at.key()) if seek(at) else None
            return self._position is not None

    # -- the record under it ---------------------------------------------------------------------------

    def get(self, *, step: bool = False) -> Entry | None:
        """Return key and record, and with `step` go on in the cursor's direction."""
        with self._environment.view(self._index) as txn:
            at = txn.cursor()
            place = _NOWHERE if self._environment.bypassed else self._find(at)
            if step and place.entry is not None:
                place = place._replace(position=self._beyond(at))
        return self.stand(place)

    def get_key(self, *, step: bool = False) -> bytes | None:
        """Return the key."""
        entry = self.get(step=step)
        return entry.key if entry is not None else None

    def get_value(self, *, step: bool = False) -> bytes | None:
        """Return the value."""
        entry = self.get(step=step)
        return entry.record.value if entry is not None else None

    def set_value(self, value: bytes, expiry: int = NEVER, *, step: bool = False) -> bool:
        """Store another value under the key; tell whether the cursor stood on a record."""
        return self.stand(self._write(self._index, self.put_value, value, expiry, step)) is not None

    def remove(self) -> bool:
        """Delete the record and go on in the cursor's direction; tell whether there was one."""
        return self.seize() is not None

    def seize(self) -> Entry | None:
        """Delete the record, return what it was, and go on in the cursor's direction."""
        return self.stand(self._write(self._index, self.take))

    # -- the same in a transaction that others share; the cursor moves only when `stand` is told ----------

    def put_value(self, txn: Write, value: bytes, expiry: int, step: bool) -> Place:
        """Do what `set_value` does; return the old record."""
        at = txn.cursor()
        entry, position = self._find(at)
        if entry is not None:
            if step:
                position = self._beyond(at)
            self._operations.put(txn, entry.key, value, expiry)
        return Place(entry, position)

    def take(self, txn: Write) -> Place:
        """Do what `seize` does."""
        at = txn.cursor()
        entry, position = self._find(at)
        if entry is not None:
            position = self._beyond(at)
            self._operations.delete(txn, entry.key)
        return Place(entry, position)

    def stand(self, place: Place) -> Entry | None:
        """Stand where one of them says, and return what it found."""
        self._position = place.position
        return place.entry

    # -- positions -------------------------------------------------------------------------------------

    def _find(self, at: Any) -> Place:
        """Find the visible record at the position, or the nearest beyond it."""
        if self._position is None:
            return _NOWHERE
        now = int(self._environment.clock() * 1000)
        found = at.set_range(self._position)
        while found:
            stored, raw = bytes(at.key()), at.value()
            if unpack_header(raw)[0] > now:
                return Place(Entry(original_key(stored, raw), to_record(raw)), stored)
            found = at.prev() if self._backward else at.next()
        return _NOWHERE

    def _beyond(self, at: Any) -> bytes | None:
        return bytes(at.key()) if (at.prev() if self._backward else at.next()) else None


def _before(at: Any, stored: bytes) -> bool:
    return bool(at.prev() if at.set_range(stored) else at.last())
