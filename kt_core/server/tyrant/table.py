"""The table database: rows of named columns, with numbers for those that come without a key.

Source: the Tokyo Tyrant protocol reference, sections 2.3 and 5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Final

from kt_core.database.environment import Write
from kt_core.server.tyrant.duplicates import join, split
from kt_core.server.tyrant.numbers import decimal, parse_real
from kt_core.server.tyrant.records import Arguments, Found, Records, pairs, succeeded

_NUMBER = b"_num"
_UNIQUE = b"unique"
_INDEX = b"index:"
_KEEP, _OPTIMIZE, _VOID, _UNKNOWN = 1 << 24, 9998, 9999, 9
_INTEGER_LIMIT = 1 << 31

# What indices are called. They are remembered and change nothing: a search looks at every row.
INDICES: Final[Mapping[bytes, int]] = {
    **dict.fromkeys((b"LEX", b"LEXICAL", b"STR"), 0),
    **dict.fromkeys((b"DEC", b"DECIMAL", b"NUM"), 1),
    **dict.fromkeys((b"TOK", b"TOKEN"), 2),
    **dict.fromkeys((b"QGR", b"QGRAM", b"FTS"), 3),
    **dict.fromkeys((b"OPT", b"OPTIMIZE"), _OPTIMIZE),
    **dict.fromkeys((b"VOID", b"NULL"), _VOID),
}

Row = dict[bytes, bytes]


def unpack_row(stored: bytes) -> Row:
    """Return the columns that are stored as one value."""
    return dict(pairs(split(stored)))


def pack_row(row: Row) -> bytes:
    """Return columns as they are stored."""
    return join(list(chain.from_iterable(row.items())))


def flatten(row: Row) -> bytes:
    """Return columns as clients see them in one: names and values with NUL between."""
    return b"\0".join(chain.from_iterable(row.items()))


def unflatten(value: bytes) -> Row | None:
    """Return the columns that are meant; None if one has no name."""
    words = value.split(b"\0")
    row = dict(pairs(words))
    return row if b"" not in row else None


class Table(Records):
    """A database of that kind."""

    def row(self, txn: Write, key: bytes) -> Row | None:
        """Return the columns of a row."""
        stored = super().read(txn, key)
        return unpack_row(stored) if stored is not None else None

    def put_row(self, txn: Write, key: bytes, row: Row | None) -> bool:
        """Store a row; without a key it gets the next number."""
        if row is None:
            return False
        return super().write(txn, key or self._new_key(txn), pack_row(row))

    def rows(self, txn: Write) -> Iterator[tuple[bytes, Row]]:
        """Yield all keys and rows."""
        return ((key, unpack_row(stored)) for key, stored in self.stored(txn))

    def read(self, txn: Write, key: bytes) -> bytes | None:
        row = self.row(txn, key)
        return flatten(row) if row is not None else None

    def write(self, txn: Write, key: bytes, value: bytes) -> bool:
        return self.put_row(txn, key, unflatten(value))

    def size(self, txn: Write, key: bytes) -> int | None:
        size = super().size(txn, key)
        return size + 1 if size else size  # the original counts a NUL at the end

    def expand(self, key: bytes, value: bytes) -> list[tuple[bytes, bytes]]:
        return [(key, flatten(unpack_row(value)))]

    def put_cat(self, txn: Write, key: bytes, value: bytes) -> bool:
        return self._add_columns(txn, key, unflatten(value))

    def add_int(self, txn: Write, key: bytes, number: int) -> int | None:
        total = self._add_number(txn, key, number)
        return int(total) if -_INTEGER_LIMIT <= total < _INTEGER_LIMIT else None

    def add_double(self, txn: Write, key: bytes, number: float) -> float | None:
        return self._add_number(txn, key, number)

    def _add_number(self, txn: Write, key: bytes, number: float) -> float:
        row = self.row(txn, key) or {}
        number += parse_real(row.get(_NUMBER, b""))
        row[_NUMBER] = decimal(number)
        self.put_row(txn, key, row)
        return number

    def _add_columns(self, txn: Write, key: bytes, row: Row | None) -> bool:
        if row is None:
            return False
        old = self.row(txn, key) or {}
        return self.put_row(txn, key, {**old, **row, **old})  # the old ones keep value and place

    def _new_key(self, txn: Write) -> bytes:
        number = self.fact(txn, _UNIQUE) + 1
        self.set_fact(txn, _UNIQUE, number)
        return b"%d" % number

    # -- functions -----------------------------------------------------------------------------------------

    def call_put(self, txn: Write, arguments: Arguments) -> Found:
        key, row = _named(arguments)
        return succeeded(bool(key) and self.put_row(txn, key, row))

    def call_put_keep(self, txn: Write, arguments: Arguments) -> Found:
        key, row = _named(arguments)
        return succeeded(bool(key) and self.row(txn, key) is None and self.put_row(txn, key, row))

    def call_put_cat(self, txn: Write, arguments: Arguments) -> Found:
        key, row = _named(arguments)
        return succeeded(bool(key) and self._add_columns(txn, key, row))

    def call_get(self, txn: Write, arguments: Arguments) -> Found:
        row = self.row(txn, arguments[0]) if arguments else None
        return self.gather(row.items()) if row is not None else None

    def vanish(self, txn: Write) -> bool:
        self.set_fact(txn, _UNIQUE, 0)
        return super().vanish(txn)

    def new_key(self, txn: Write, arguments: Arguments) -> Found:
        """Return a number that no row has had."""
        return [self._new_key(txn)]

    def set_index(self, txn: Write, arguments: Arguments) -> Found:
        """Remember indices, or forget them."""
        done = [self._set_index(txn, column, kind) for column, kind in pairs(arguments)]
        return succeeded(False not in done)

    def _set_index(self, txn: Write, column: bytes, text: bytes) -> bool:
        kind = INDICES.get(text.upper(), int(text) if text.isdigit() and len(text) < 10 else _UNKNOWN)
        if kind == _UNKNOWN:
            return False
        exists = bool(self.fact(txn, _INDEX + column))
        if exists and kind & _KEEP:
            return False
        kind &= ~_KEEP
        if kind != _OPTIMIZE:
            self.set_fact(txn, _INDEX + column, kind in (0, 1, 2, 3))
        return exists if kind in (_OPTIMIZE, _VOID) else kind in (0, 1, 2, 3)


def _named(arguments: Arguments) -> tuple[bytes, Row | None]:
    """Return the key and the columns that the arguments of a function are; None for columns if one has no name."""
    if not arguments:
        return b"", None
    row = dict(pairs(arguments[1:]))
    return arguments[0], row if b"" not in row else None
