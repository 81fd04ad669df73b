"""A cursor over one logical database that stands on a key, not inside a transaction.

Each operation begins a transaction of its own and seeks the key again. So a cursor that nobody moves holds no
pages, survives every change around it, and when its record is removed stands on the next one. Rules: Kyoto
Tycoon protocol reference, sections 3.5 and 6.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from kt_core.database.environment import Environment, Write
from kt_core.database.record import NEVER, Record, original_key, stored_key, to_record, unpack_header


class Entry(NamedTuple):
    """A key and its record."""

    key: bytes
    record: Record


class Cursor:
    """A position in key order; unpositioned until the first jump, and again past either end.

    The reading methods return None at the end; they skip expired records in the direction of the last move.
    """

    def __init__(
        self,
        environment: Environment,
        index: int,
        put: Callable[[Write, bytes, bytes, int], None],
    ) -> None:
        self._environment = environment
        self._index = index
        self._put = put
        self._position: bytes | None = None  # a stored key
        self._backward = False

    # -- moving ----------------------------------------------------------------------------------------

    def jump(self, key: bytes | None = None) -> bool:
        """Stand on the first record, or the first whose key is not below the given one; tell whether there is one."""
        return self._move(False, lambda at: at.set_range(stored_key(key)) if key else at.first())

    def jump_back(self, key: bytes | None = None) -> bool:
        """Stand on the last record, or the last whose key is not above the given one."""
        if key is None:
            return self._move(True, lambda at: at.last())
        stored = stored_key(key)
        return self._move(True, lambda at: at.set_key(stored) or _before(at, stored))

    def step(self) -> bool:
        """Go to the next record; past the last one the cursor stands nowhere."""
        position = self._position
        if position is None:
            return False
        return self._move(False, lambda at: _after(at, position))

    def step_back(self) -> bool:
        """Go to the record before; before the first one the cursor stands nowhere."""
        position = self._position
        if position is None:
            return False
        return self._move(True, lambda at: _before(at, position))

    # -- the record under it ---------------------------------------------------------------------------

    def get(self, *, step: bool = False) -> Entry | None:
        """Return key and record, and with `step` go on to the next."""
        with self._environment.view(self._index) as txn:
            at = txn.cursor()
            entry = None if self._environment.bypassed else self._settle(at)
            if step and entry is not None:
                self._position = bytes(at.key()) if at.next() else None
                self._backward = False
            return entry

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
        done = self._environment.write(self._index, self._set_value, value, expiry)
        if done and step:
            self.step()
        return done

    def remove(self) -> bool:
        """Delete the record and stand on the next one; tell whether there was one."""
        return self.seize() is not None

    def seize(self) -> Entry | None:
        """Delete the record, return what it was, and stand on the next one."""
        return self._environment.write(self._index, self._seize)

    def _set_value(self, txn: Write, value: bytes, expiry: int) -> bool:
        entry = self._settle(txn.cursor())
        if entry is not None:
            self._put(txn, entry.key, value, expiry)
        return entry is not None

    def _seize(self, txn: Write) -> Entry | None:
        entry = self._settle(txn.cursor())
        if entry is not None:
            txn.delete(stored_key(entry.key))
        return entry

    # -- positions -------------------------------------------------------------------------------------

    def _move(self, backward: bool, seek: Callable[[Any], bool]) -> bool:
        with self._environment.view(self._index) as txn:
            at = txn.cursor()
            self._position = bytes(at.key()) if seek(at) else None
            self._backward = backward
            return self._position is not None

    def _settle(self, at: Any) -> Entry | None:
        """Find the visible record at the position, or the nearest beyond it, and stand there."""
        if self._position is None:
            return None
        now = int(self._environment.clock() * 1000)
        found = at.set_range(self._position)
        while found:
            stored, raw = bytes(at.key()), at.value()
            if unpack_header(raw)[0] > now:
                self._position = stored
                return Entry(original_key(stored, raw), to_record(raw))
            found = at.prev() if self._backward else at.next()
        self._position = None
        return None


def _after(at: Any, stored: bytes) -> bool:
    if not at.set_range(stored):
        return False
    return bool(at.next()) if bytes(at.key()) == stored else True


def _before(at: Any, stored: bytes) -> bool:
    return bool(at.prev() if at.set_range(stored) else at.last())
