"""The fixed-length database: records under numbers, whose values are cut to a width.

Source: the Tokyo Tyrant protocol reference, sections 4 and 6.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile
from struct import Struct
from typing import Any

from kt_core.database import Database
from kt_core.database.environment import Write
from kt_core.database.record import original_key
from kt_core.server.tyrant.names import Name
from kt_core.server.tyrant.records import INTEGER, REAL, Arguments, Found, Records, first, limit

_ID = Struct(">Q")
_LARGEST = (1 << 63) - 1
_WIDTH, _SIZE = 255, 256 << 20  # bytes of a value and of the file, unless the name says otherwise
_FILE_HEAD = 256
_INTERVAL = re.compile(rb"\s*([\[(])([^,]*),([^\])]*)([\])])", re.DOTALL)


class Fixed(Records):
    """A database of that kind."""

    def __init__(self, name: Name, database: Database) -> None:
        super().__init__(name, database)
        self._width = max(name.number("width", 0), 0) or _WIDTH
        size = max(name.number("limsiz", 0), 0) or _SIZE
        self._most = (max(size, _FILE_HEAD) - _FILE_HEAD) // (self._width + _size_size(self._width))

    def read(self, txn: Write, key: bytes) -> bytes | None:
        at = self.place(txn, key)
        return super().read(txn, at) if at is not None else None

    def write(self, txn: Write, key: bytes, value: bytes) -> bool:
        number = self._meant(txn, key)
        return 0 < number <= self._most and super().write(txn, _ID.pack(number), value[: self._width])

    def remove(self, txn: Write, key: bytes) -> bool:
        at = self.place(txn, key)
        return at is not None and super().remove(txn, at)

    def expand(self, key: bytes, value: bytes) -> list[tuple[bytes, bytes]]:
        return [(b"%d" % _number(key), value)]

    def place(self, txn: Write, key: bytes) -> bytes | None:
        number = self._meant(txn, key) if key not in _NEW else 0
        return _ID.pack(number) if 0 < number <= _LARGEST else None

    def _meant(self, txn: Write, key: bytes) -> int:
        """Return the number that a key means; none below 1 is one."""
        return _NAMED[key](self._ends(txn)) if key in _NAMED else digits(key)

    def add_int(self, txn: Write, key: bytes, number: int) -> int | None:
        return super().add_int(txn, key, number) if self._width >= INTEGER.size else None

    def add_double(self, txn: Write, key: bytes, number: float) -> float | None:
        return super().add_double(txn, key, number) if self._width >= REAL.size else None

    def keys(self, txn: Write, prefix: bytes, limit: int) -> list[bytes]:
        """Return the keys in an interval, which is what takes the place of a prefix: ``[2,33]``, ``(min,5]``."""
        interval = _INTERVAL.match(prefix)
        if interval is None or limit == 0:
            return []
        opens, low, high, closes = interval.groups()
        start = self._meant(txn, low.strip()) + (opens == b"(")
        stop = self._meant(txn, high.strip()) - (closes == b")")
        return [key for key, _ in first(limit, self._between(txn, start, stop))]

    def out_list(self, txn: Write, arguments: Arguments) -> Found:
        for key in arguments:  # up to the first that is none
            if not self._may_be(txn, key):
                return None
            self.remove(txn, key)
        return []

    def get_list(self, txn: Write, arguments: Arguments) -> Found:
        return super().get_list(txn, arguments) if all(self._may_be(txn, key) for key in arguments) else None

    def _may_be(self, txn: Write, key: bytes) -> bool:
        """Tell whether there may be a record under a key."""
        at = self.place(txn, key)
        return at is not None and _number(at) <= self._most

    def call_range(self, txn: Write, arguments: Arguments) -> Found:
        start = self.place(txn, arguments[0]) if arguments else _ID.pack(1)
        if start is None:
            return []
        stop = _LARGEST
        if len(arguments) > 2 and arguments[2] not in _NAMED:
            stop = (digits(arguments[2]) or _LARGEST + 1) - 1
        return self.gather(first(limit(arguments, 1), self._between(txn, _number(start), stop)))

    def _between(self, txn: Write, start: int, stop: int) -> Iterator[tuple[bytes, bytes]]:
        if not 0 < start <= stop:
            return iter(())
        return takewhile(lambda item: int(item[0]) <= stop, self.items(txn, _ID.pack(start)))

    def _ends(self, txn: Write) -> tuple[int, int]:
        """Return the lowest and the highest number, both 0 if there is none."""
        at: Any = txn.cursor()
        if not at.first():
            return 0, 0
        lowest = _number(original_key(*at.item()))
        at.last()
        return lowest, _number(original_key(*at.item()))


# What a word means where the lowest and the highest number are these.
_NAMED = {
    b"min": lambda ends: ends[0],
    b"max": lambda ends: ends[1],
    b"prev": lambda ends: ends[0] - 1,
    b"next": lambda ends: ends[1] + 1,
}

# Those that a record can only be stored under.
_NEW = (b"prev", b"next")


def digits(key: bytes) -> int:
    """Return the number that a key's digits make, whatever stands between them; 0 for none."""
    return int(re.sub(rb"\D", b"", key)[:30] or b"0")


def _number(place: bytes) -> int:
    return int(_ID.unpack(place)[0])


def _size_size(width: int) -> int:
    return 1 if width <= 0xFF else 2 if width <= 0xFFFF else 4
