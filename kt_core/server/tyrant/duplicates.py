"""The B+ tree database on disk, where a key may have several values.

What asks for one value gets the first; the rest are seen by those functions and by the iterator that go through all.
The values under a key are one record, which is written anew with each of them: meant are some, not tens of thousands.
Source: the Tokyo Tyrant protocol reference, sections 2.2 and 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from kt_core.database import NEVER
from kt_core.database.environment import Write
from kt_core.server.tyrant.records import Arguments, Found, Records, succeeded

_SIZE = Struct(">I")
_MORE = b"more"  # values than keys


def join(values: Sequence[bytes]) -> bytes:
    """Return values as one, each behind its size in 4 bytes."""
    return b"".join([part for value in values for part in (_SIZE.pack(len(value)), value)])


def split(joined: bytes) -> list[bytes]:
    """Return the values that `join` has made one."""
    values: list[bytes] = []
    at = 0
    while at < len(joined):
        (size,) = _SIZE.unpack_from(joined, at)
        start = at + _SIZE.size
        at = start + size
        values.append(joined[start:at])
    return values


class Duplicates(Records):
    """A database of that kind."""

    def read(self, txn: Write, key: bytes) -> bytes | None:
        values = self._values(txn, key)
        return values[0] if values else None

    def write(self, txn: Write, key: bytes, value: bytes) -> bool:
        return self._replace(txn, key, [value, *self._values(txn, key)[1:]])

    def remove(self, txn: Write, key: bytes) -> bool:
        values = self._values(txn, key)
        return bool(values) and self._replace(txn, key, values[1:])

    def expand(self, key: bytes, value: bytes) -> list[tuple[bytes, bytes]]:
        return [(key, each) for each in split(value)]

    def count(self, txn: Write) -> int:
        return super().count(txn) + self.fact(txn, _MORE)

    def vanish(self, txn: Write) -> bool:
        self.set_fact(txn, _MORE, 0)
        return super().vanish(txn)

    def call_get(self, txn: Write, arguments: Arguments) -> Found:
        return (self._values(txn, arguments[0]) or None) if arguments else None

    def put_list(self, txn: Write, arguments: Arguments) -> Found:
        return self.store_all(arguments, lambda key, value: self._put_behind(txn, key, value))

    def out_list(self, txn: Write, arguments: Arguments) -> Found:
        for key in arguments:
            self._replace(txn, key, [])
        return []

    def get_list(self, txn: Write, arguments: Arguments) -> Found:
        return self.gather((key, value) for key in arguments for value in self._values(txn, key))

    def put_behind(self, txn: Write, arguments: Arguments) -> Found:
        """Store a value behind those that are there."""
        return succeeded(len(arguments) > 1 and self._put_behind(txn, *arguments[:2]))

    def put_before(self, txn: Write, arguments: Arguments) -> Found:
        """Store a value before those that are there."""
        if len(arguments) < 2:
            return None
        key, value = arguments[:2]
        return succeeded(self._replace(txn, key, [value, *self._values(txn, key)]))

    def _put_behind(self, txn: Write, key: bytes, value: bytes) -> bool:
        return self._replace(txn, key, [*self._values(txn, key), value])

    def _values(self, txn: Write, key: bytes) -> list[bytes]:
        record = self._operations.read(txn, key)
        return split(record.value) if record is not None else []

    def _replace(self, txn: Write, key: bytes, values: list[bytes]) -> bool:
        """Put values in the place of those under a key, and keep count of how many more than keys there are."""
        before = len(self._values(txn, key))
        if values:
            self._operations.put(txn, key, join(values), NEVER)
        else:
            self._operations.remove(txn, key)
        more = max(len(values) - 1, 0) - max(before - 1, 0)
        if more:
            self.set_fact(txn, _MORE, self.fact(txn, _MORE) + more)
        return True
