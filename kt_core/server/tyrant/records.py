"""What a database of Tokyo Tyrant does with its records, and how each kind of it is laid out in the embedded one.

=================  =================================  =====================================================
kind               the key there                      the value there
=================  =================================  =====================================================
``*`` ``+`` .tch   the key                            the value
.tcb               the key                            all values under the key, each behind its size
.tcf               the number in 8 bytes, big-endian  the value, cut to the width
.tct               the key                            the columns, each name and each value behind its size
=================  =================================  =====================================================

Every kind keeps its keys in order, which those of the original's hash databases that clients see are not. A second
logical database holds facts about the first: how many values more than keys there are, the last unique number, the
indices that were asked for. An operation is given a transaction first, since it is run for many clients in one.
Source: the Tokyo Tyrant protocol reference, sections 2, 3 and 6.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice, takewhile
from struct import Struct
from typing import Any, Final, TypeAlias

from kt_core.database import NEVER, Database
from kt_core.database.environment import Write
from kt_core.database.housekeeping import BULK_COST, PUT_COST, RoomNeeded
from kt_core.database.posix import compile_posix
from kt_core.database.record import HEADER_SIZE, original_key, pack_header, stored_key, stored_prefix, value_offset
from kt_core.errors import InvalidInput
from kt_core.server.tyrant.names import Name
from kt_core.wire.numbers import parse_integer

Found: TypeAlias = "list[bytes] | None"
"""What a function gives back; None if it failed."""
Arguments: TypeAlias = Sequence[bytes]

INTEGER: Final = Struct("=i")  # in the order of the machine, as the original has them; `stat` tells which
REAL: Final = Struct("=d")


class Records:
    """A hash or tree database: one value under each key."""

    def __init__(self, name: Name, database: Database) -> None:
        self.name = name
        self.most = sys.maxsize
        """The most bytes of records in one result."""
        self._operations = database.operations
        self._environment = database.environment

    # -- what the kinds differ in --------------------------------------------------------------------------

    def read(self, txn: Write, key: bytes) -> bytes | None:
        """Return the value under a key, the first one if there are several."""
        record = self._operations.read(txn, key)
        return record.value if record is not None else None

    def write(self, txn: Write, key: bytes, value: bytes) -> bool:
        """Store the value under a key; False if there can be no such record."""
        self._operations.put(txn, key, value, NEVER)
        return True

    def remove(self, txn: Write, key: bytes) -> bool:
        """Remove the value under a key, the first one if there are several; tell whether there was one."""
        return self._operations.remove(txn, key)

    def size(self, txn: Write, key: bytes) -> int | None:
        """Return the bytes of the value under a key, as clients are told."""
        value = self.read(txn, key)
        return len(value) if value is not None else None

    def expand(self, key: bytes, value: bytes) -> list[tuple[bytes, bytes]]:
        """Return the records that are one in the embedded database, as clients see them."""
        return [(key, value)]

    def place(self, txn: Write, key: bytes) -> bytes | None:
        """Return what a key is in the embedded database; None if it is no key."""
        return key

    def count(self, txn: Write) -> int:
        """Return the number of records."""
        return int(txn.stat(self._environment.dbis[0])["entries"])

    # -- one record ----------------------------------------------------------------------------------------

    def put_keep(self, txn: Write, key: bytes, value: bytes) -> bool:
        """Store a value where there is none."""
        return self.read(txn, key) is None and self.write(txn, key, value)

    def put_cat(self, txn: Write, key: bytes, value: bytes) -> bool:
        """Store a value behind the one that is there, if any."""
        return self.write(txn, key, (self.read(txn, key) or b"") + value)

    def put_shl(self, txn: Write, key: bytes, value: bytes, width: int) -> bool:
        """Append, and keep the last `width` bytes; what is new is stored whole."""
        old = self.read(txn, key)
        if old is not None:
            value = (old + value)[-width:] if width else b""
        return self.write(txn, key, value)

    def add_int(self, txn: Write, key: bytes, number: int) -> int | None:
        """Add to a counter of 4 bytes and return the sum; None if the record is no such counter."""
        value = self.read(txn, key)
        if value is not None:
            if len(value) != INTEGER.size:
                return None
            number += INTEGER.unpack(value)[0]
        number = (number + (1 << 31)) % (1 << 32) - (1 << 31)
        return number if self.write(txn, key, INTEGER.pack(number)) else None

    def add_double(self, txn: Write, key: bytes, number: float) -> float | None:
        """Add to a double of 8 bytes and return the sum; None if the record is no such double."""
        value = self.read(txn, key)
        if value is not None:
            if len(value) != REAL.size:
                return None
            number += REAL.unpack(value)[0]
        return number if self.write(txn, key, REAL.pack(number)) else None

    def vanish(self, txn: Write) -> bool:
        """Remove every record."""
        self._operations.clear(txn)
        return True

    # -- walking -------------------------------------------------------------------------------------------

    def stored(self, txn: Write, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values as the embedded database has them, from a key on."""
        return self._from(txn, stored_key(start) if start else b"")

    def _from(self, txn: Write, place: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values as the embedded database has them, from the stored form of a key on."""
        at: Any = txn.cursor()
        if at.set_range(place) if place else at.first():
            for stored, raw in at.iternext():
                yield original_key(stored, raw), raw[value_offset(raw) :]

    def items(self, txn: Write, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values as clients see them, from a key of the embedded database on."""
        return chain.from_iterable(self.expand(key, value) for key, value in self.stored(txn, start))

    def keys(self, txn: Write, prefix: bytes, limit: int) -> list[bytes]:
        """Return the keys that begin with a prefix, `limit` of them; all if that is negative."""
        head = stored_prefix(prefix)
        near = takewhile(lambda key: stored_key(key).startswith(head), (key for key, _ in self._from(txn, head)))
        return list(first(limit, (key for key in near if key.startswith(prefix))))

    # -- functions -----------------------------------------------------------------------------------------

    def call_put(self, txn: Write, arguments: Arguments) -> Found:
        return succeeded(len(arguments) > 1 and self.write(txn, *arguments[:2]))

    def call_put_keep(self, txn: Write, arguments: Arguments) -> Found:
        return succeeded(len(arguments) > 1 and self.put_keep(txn, *arguments[:2]))

    def call_put_cat(self, txn: Write, arguments: Arguments) -> Found:
        return succeeded(len(arguments) > 1 and self.put_cat(txn, *arguments[:2]))

    def call_out(self, txn: Write, arguments: Arguments) -> Found:
        return succeeded(bool(arguments) and self.remove(txn, arguments[0]))

    def call_get(self, txn: Write, arguments: Arguments) -> Found:
        value = self.read(txn, arguments[0]) if arguments else None
        return [value] if value is not None else None

    def call_part(self, txn: Write, arguments: Arguments) -> Found:
        """Return some bytes of a value: from an offset on, up to a length."""
        value = self.read(txn, arguments[0]) if arguments else None
        start, length = max(number(arguments, 1, 0), 0), number(arguments, 2, -1)
        if value is None or start >= len(value):
            return None
        return [value[start : start + length] if length >= 0 else value[start:]]

    def put_list(self, txn: Write, arguments: Arguments) -> Found:
        """Store keys and values that take turns, up to the first that cannot be."""
        return self.store_all(arguments, lambda key, value: self.write(txn, key, value))

    def store_all(self, arguments: Arguments, store: Callable[[bytes, bytes], bool]) -> Found:
        """Store keys and values that take turns, each by `store`, up to the first that cannot be."""
        records = list(pairs(arguments))
        try:
            return succeeded(all(store(key, value) for key, value in records))
        except RoomNeeded as wanted:
            # For all of them at once: what was made for one is lost with the transaction.
            size = sum(map(len, arguments)) + wanted.size
            cost = max(size + len(records) * (PUT_COST + BULK_COST), wanted.cost * len(records))
            raise RoomNeeded(wanted.largest, size, cost) from wanted

    def out_list(self, txn: Write, arguments: Arguments) -> Found:
        """Remove all that is under the keys."""
        for key in arguments:
            self.remove(txn, key)
        return []

    def get_list(self, txn: Write, arguments: Arguments) -> Found:
        """Return those of the keys that there are, each with its value."""
        found = [(key, self.read(txn, key)) for key in arguments]
        return self.gather((key, value) for key, value in found if value is not None)

    def call_range(self, txn: Write, arguments: Arguments) -> Found:
        """Return records from a key on, up to a number of them and to another key, which is not among them."""
        found = self.items(txn, arguments[0] if arguments else b"")
        if len(arguments) > 2:
            stop = arguments[2]
            found = takewhile(lambda item: item[0] < stop, found)
        return self.gather(first(limit(arguments, 1), found))

    def match(self, txn: Write, arguments: Arguments) -> Found:
        """Return the records in whose keys an expression is found."""
        search = expression(arguments[0]) if arguments else None
        if search is None:
            return None
        return self.gather(first(limit(arguments, 1), (item for item in self.items(txn) if search(item[0]))))

    def gather(self, items: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
        """Return keys and values in turns; `InvalidInput` if they are more than can be held."""
        found: list[bytes] = []
        room = self.most
        for key, value in items:
            room -= len(key) + len(value)
            if room < 0:
                raise InvalidInput("the records are more than can be held at once: ask for fewer")
            found += (key, value)
        return found

    # -- facts ---------------------------------------------------------------------------------------------

    def fact(self, txn: Write, name: bytes) -> int:
        """Return a number that is remembered beside the records; 0 at first."""
        raw = txn.get(name, db=self._environment.dbis[1])
        return int(raw[HEADER_SIZE:]) if raw is not None else 0

    def set_fact(self, txn: Write, name: bytes, number: int) -> None:
        """Remember a number."""
        txn.put(name, pack_header(NEVER, 0) + b"%d" % number, db=self._environment.dbis[1])


def succeeded(done: bool) -> Found:
    """Return what a function without results gives back."""
    return [] if done else None


def pairs(arguments: Arguments) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values that take turns; a last key without a value is none."""
    return zip(arguments[::2], arguments[1::2], strict=False)


def number(arguments: Arguments, index: int, default: int) -> int:
    """Return the number in an argument; the default if there is no such argument."""
    return parse_integer(arguments[index]) if len(arguments) > index else default


def limit(arguments: Arguments, index: int) -> int:
    """Return how many results an argument asks for, negative for all: which is what 0 means there."""
    return number(arguments, index, -1) or -1


def first(most: int, found: Iterable[Any]) -> Iterable[Any]:
    """Return up to so many of what is found; all if that is negative."""
    return found if most < 0 else islice(found, most)


def expression(pattern: bytes) -> Callable[[bytes], object] | None:
    """Return what tells whether a POSIX expression is found; None if it is none.

    A ``*`` before it ignores case. Of a text only what comes before a NUL is looked at, as C does.
    """
    folds = pattern.startswith(b"*")
    try:
        compiled = compile_posix(pattern[folds:])
    except InvalidInput:
        return None
    search = re.compile(compiled.pattern, compiled.flags | re.IGNORECASE).search if folds else compiled.search
    return lambda text: search(text.partition(b"\0")[0])
