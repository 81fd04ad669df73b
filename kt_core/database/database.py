"""One logical database: every record operation of Kyoto Tycoon, on bytes, each atomic between all processes.

Keys and values are any bytes, the empty ones included. An `expiry` is absolute, in milliseconds since the epoch
(`NEVER` for none); a record is visible while the clock is below it. An expired record that has not been
reclaimed yet is invisible to every operation here but `count` and the `match_*` family, as on that server.
Semantics: Kyoto Tycoon protocol reference, sections 3 to 6.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from itertools import islice
from math import isfinite
from typing import Final
from zlib import crc32

import lmdb

from kt_core.database import matching
from kt_core.database.control import BUDGET, BYPASSED, EVICTIONS, HITS, MISSES, MODE
from kt_core.database.cursor import Cursor
from kt_core.database.datafile import PAGE
from kt_core.database.environment import Environment, Reading, Write
from kt_core.database.housekeeping import BULK_COST, PUT_COST, RoomNeeded
from kt_core.database.number import (
    INTEGER,
    INTEGER_MAX,
    INTEGER_MIN,
    add_double,
    decode_double,
    decode_integer,
    encode_double,
    wrap_integer,
)
from kt_core.database.options import LONGEST_KEY
from kt_core.database.record import (
    HEADER_SIZE,
    LONG_KEY,
    LONGEST_VERBATIM,
    NEVER,
    Record,
    encode,
    original_key,
    pack_header,
    stored_key,
    to_record,
    unpack_header,
    value_offset,
)
from kt_core.errors import CounterOverflow, InvalidInput

Item = tuple[bytes, bytes, int]
"""A key, a value and an expiry."""

_BULK = 128  # records a transaction: what housekeeping reserves ahead covers the pages that so many may copy
_BULK_BYTES = 64 << 10
_NEIGHBOURS = 1024


class Origin(Enum):
    """What an increment does besides adding to what is there: the words the protocol has for its `orig`."""

    TRY = "try"  # fail where there is no record
    SET = "set"  # put the number in place of whatever number is there


class Database:
    """A logical database of an environment; any number of them may stand for the same one."""

    def __init__(self, environment: Environment, index: int = 0) -> None:
        if not 0 <= index < len(environment.dbis):
            raise InvalidInput(f"there is no logical database {index}: the environment has {len(environment.dbis)}")
        self._environment = environment
        self._index = index
        self._write = environment.write

    @property
    def environment(self) -> Environment:
        """The environment that the database is part of."""
        return self._environment

    # -- reading: no lock, no waiting ------------------------------------------------------------------

    def get(self, key: bytes) -> bytes | None:
        """Return the value, or None."""
        reading = begin, dbis, counts, stamps, mask, words, clock = self._environment.reading
        stored = key if key >= b"\1" and len(key) <= LONGEST_VERBATIM else stored_key(key)
        try:
            # The transaction ends with the expression: a call less than to abort it.
            raw: bytes | None = begin(dbis[self._index]).get(stored)
        except lmdb.Error as error:
            if self._environment.reads_again(reading, error):
                return self.get(key)
            raw = None
        if raw is not None:
            expiry, flags = unpack_header(raw)
            now, mode = clock() * 1000, words[MODE]
            if expiry > now and not mode & BYPASSED:
                if mode:
                    stamps[crc32(stored) & mask] = now
                if not flags & LONG_KEY:
                    counts[HITS] += 1
                    return raw[HEADER_SIZE:]
                if original_key(stored, raw) == key:
                    counts[HITS] += 1
                    return raw[value_offset(raw) :]
        counts[MISSES] += 1
        return None

    def get_bulk(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the values of those keys that have one, as of one instant."""
        asked = keys if isinstance(keys, list | dict) else list(keys)
        while True:
            reading = self._environment.reading
            try:
                return self._get_bulk(asked, reading)
            except lmdb.Error as error:
                if not self._environment.reads_again(reading, error):
                    return {}

    def _get_bulk(self, keys: Collection[bytes], reading: Reading) -> dict[bytes, bytes]:
        begin, dbis, counts, stamps, mask, words, clock = reading
        txn = begin(dbis[self._index])
        read, unpack = txn.get, unpack_header
        mode = words[MODE]
        now = int(clock() * 1000) if not mode & BYPASSED else NEVER
        found: dict[bytes, bytes] = {}
        if keys and min(keys) >= b"\1" and max(map(len, keys)) <= LONGEST_VERBATIM:
            for key, raw in zip(keys, map(read, keys), strict=True):
                if raw is not None and unpack(raw)[0] > now:
                    found[key] = raw[HEADER_SIZE:]
        else:
            for key in keys:
                stored = stored_key(key)
                raw = self._visible(key, stored, read(stored), now)
                if raw is not None:
                    found[key] = raw[value_offset(raw) :]
        txn.abort()
        if mode:
            for key in found:
                stamps[crc32(stored_key(key)) & mask] = now
        counts[HITS] += len(found)
        counts[MISSES] += len(keys) - len(found)
        return found

    def get_record(self, key: bytes) -> Record | None:
        """Return the value with its expiry, or None."""
        environment = self._environment
        stored = stored_key(key)
        reading = environment.reading
        try:
            found: bytes | None = environment.begin(environment.dbis[self._index]).get(stored)
        except lmdb.Error as error:
            return self.get_record(key) if environment.reads_again(reading, error) else None
        raw = self._visible(key, stored, found, int(environment.clock() * 1000))
        return to_record(raw) if raw is not None and not environment.bypassed else None

    def check(self, key: bytes) -> tuple[int, int] | None:
        """Return the value's size in bytes and its expiry, or None."""
        record = self.get_record(key)
        return (len(record.value), record.expiry) if record is not None else None

    # -- writing one record ----------------------------------------------------------------------------

    def set(self, key: bytes, value: bytes, expiry: int = NEVER) -> None:
        """Store a value, whatever was there."""
        self._write(self._index, self._store, *self._prepare(key, value, expiry))

    def add(self, key: bytes, value: bytes, expiry: int = NEVER) -> bool:
        """Store a value where there is none; tell whether it was stored."""
        return self._write(self._index, self._add, key, value, expiry)

    def replace(self, key: bytes, value: bytes, expiry: int = NEVER) -> bool:
        """Store a value where there is one; tell whether it was stored."""
        return self._write(self._index, self._replace, key, value, expiry)

    def append(self, key: bytes, value: bytes, expiry: int = NEVER) -> None:
        """Store a value behind the one that is there, if any; the expiry is the new one."""
        self._write(self._index, self._append, key, value, expiry)

    def touch(self, key: bytes, expiry: int) -> bool:
        """Give a record another expiry; tell whether there is one."""
        return self._write(self._index, self._touch, key, expiry)

    def increment(
        self,
        key: bytes,
        number: int,
        origin: int | Origin = 0,
        expiry: int = NEVER,
        *,
        keep_expiry: bool = False,
        wrap: bool = True,
    ) -> int | None:
        """Add to an 8-byte counter and return the sum; None where `Origin.TRY` finds no record.

        An absent counter begins at `origin`. The expiry is the new one, or with `keep_expiry` the existing
        record's own. Adding 0 to a record only reads it. A sum beyond 64 bits wraps, as on the server, or with
        `wrap` false is refused with `CounterOverflow`. Another kind of record is refused with `NotACounter`.
        """
        return self._write(self._index, self._increment, key, number, origin, expiry, keep_expiry, wrap)

    def increment_double(
        self, key: bytes, number: float, origin: float | Origin = 0.0, expiry: int = NEVER
    ) -> float | None:
        """Add to a 16-byte double and return the sum; origin, expiry and errors as for `increment`."""
        return self._write(self._index, self._increment_double, key, number, origin, expiry)

    def cas(
        self, key: bytes, old: bytes | None, new: bytes | None, expiry: int = NEVER, *, keep_expiry: bool = False
    ) -> bool:
        """Put `new` in the place of `old`, where None stands for no record; tell whether `old` was there.

        With `keep_expiry` a replaced record keeps its own.
        """
        return self._write(self._index, self._cas, key, old, new, expiry, keep_expiry)

    def remove(self, key: bytes) -> bool:
        """Delete a record; tell whether there was one."""
        return self._write(self._index, self._remove, key)

    def seize(self, key: bytes) -> Record | None:
        """Delete a record and return what it held, or None."""
        return self._write(self._index, self._seize, key)

    # -- many records ----------------------------------------------------------------------------------

    def set_bulk(self, items: Iterable[Item], *, atomic: bool = False) -> int:
        """Store many records and return how many they were.

        Unless `atomic`, others may see some of them before the rest, and write in between.
        """
        now = int(self._environment.clock() * 1000)
        rows = []
        for item in items:
            stored, raw, now = self._prepare(*item)
            rows.append((stored, raw))
        if not atomic:
            return self._store_bulk(rows, now)
        self._write(self._index, self._store_rows, rows, now)
        return len(rows)

    def set_all(self, values: Mapping[bytes, bytes], expiry: int = NEVER) -> int:
        """Store many values that expire together; as `set_bulk`, and faster."""
        now = int(self._environment.clock() * 1000)
        if values and min(values) >= b"\1" and max(map(len, values)) <= LONGEST_VERBATIM:
            header = pack_header(expiry, now << 8)
            return self._store_bulk([(key, header + value) for key, value in values.items()], now)
        return self.set_bulk((key, value, expiry) for key, value in values.items())

    def _store_bulk(self, rows: list[tuple[bytes, bytes]], now: int) -> int:
        start = size = 0
        step = self._step()
        for position, (_, raw) in enumerate(rows):
            size += len(raw)
            if position - start == step or size > _BULK_BYTES:
                self._write(self._index, self._store_rows, rows[start:position], now)
                start, size = position, len(raw)
        self._write(self._index, self._store_rows, rows[start:], now)
        return len(rows)

    def remove_bulk(self, keys: Iterable[bytes], *, atomic: bool = False) -> int:
        """Delete many records and return how many of them there were."""
        every = list(keys)
        step = len(every) or 1 if atomic else self._step()
        return sum(
            self._write(self._index, self._remove_keys, every[start : start + step])
            for start in range(0, len(every), step)
        )

    def _step(self) -> int:
        return min(_BULK, self._environment.housekeeper.most_changes)

    def clear(self) -> None:
        """Delete every record of this logical database."""
        self._write(self._index, self._clear)

    def vacuum(self) -> int:
        """Delete the expired records of the whole environment now; return how many there were."""
        return self._environment.vacuum()

    def count_uses(self) -> None:
        """Note reads as uses from now on, even while eviction is far off."""
        self._environment.control.mark_culled()

    def cull(self, divisor: int) -> None:
        """Delete one in `divisor` of the records, the least recently used of each thousand neighbours.

        Reads are noted as uses since `count_uses` was called first.
        """
        if divisor < 1:
            raise InvalidInput(f"one in {divisor} records is no share: write at least 1")
        start: bytes | None = b""
        while start is not None:
            start = self._write(self._index, self._cull, start, divisor)

    # -- walking ---------------------------------------------------------------------------------------

    def scan(self, prefix: bytes = b"") -> Iterator[tuple[bytes, Record]]:
        """Yield key and record of every visible record with a prefix, in key order; as `keys`, no snapshot."""
        for key in self.keys(prefix):
            record = self.get_record(key)
            if record is not None:
                yield key, record

    def cursor(self) -> Cursor:
        """Return a cursor that stands nowhere yet."""
        return Cursor(self._environment, self._index, self._put)

    def keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        """Yield the key of every visible record in key order, reading in batches of short transactions."""
        now = int(self._environment.clock() * 1000)
        return (key for key, expiry in matching.walk(self._environment, self._index, prefix) if expiry > now)

    def match_prefix(self, prefix: bytes, limit: int = -1) -> list[bytes]:
        """Return keys that begin with the prefix, in key order; a negative limit means all."""
        return matching.match_prefix(self._environment, self._index, prefix, limit)

    def match_regex(self, pattern: bytes, limit: int = -1) -> list[bytes]:
        """Return keys in which a POSIX extended regular expression is found, in key order."""
        return matching.match_regex(self._environment, self._index, pattern, limit)

    def match_similar(self, origin: bytes, distance: int = 1, *, utf: bool = False, limit: int = -1) -> list[bytes]:
        """Return keys within a Levenshtein distance, the closest first; `utf` counts characters, not bytes."""
        return matching.match_similar(self._environment, self._index, origin, distance, utf, limit)

    # -- about it --------------------------------------------------------------------------------------

    def count(self) -> int:
        """Return the number of records, expired ones not yet reclaimed among them."""
        return self._stat()["entries"]

    def size(self) -> int:
        """Return the bytes of the pages that hold this database's records."""
        return self.status()["size"]

    def status(self) -> dict[str, int]:
        """Return `count`, `size` (bytes), and the shape of the tree: `depth` and its pages by kind."""
        stat = self._stat()
        pages = {name: stat[name] for name in ("branch_pages", "leaf_pages", "overflow_pages")}
        return {"count": stat["entries"], "size": sum(pages.values()) * PAGE, "depth": stat["depth"], **pages}

    def _stat(self) -> matching.Stat:
        with self._environment.view(self._index) as txn:
            return txn.stat(self._environment.dbis[self._index])

    # -- the operations inside a write transaction -------------------------------------------------------

    def _visible(self, key: bytes, stored: bytes, raw: bytes | None, now: int) -> bytes | None:
        """Return a record's bytes, if there is one under this very key and it has not expired."""
        if raw is None:
            return None
        expiry, flags = unpack_header(raw)
        if expiry <= now or (flags & LONG_KEY and original_key(stored, raw) != key):
            return None
        return raw

    def _read(self, txn: Write, key: bytes) -> Record | None:
        stored = stored_key(key)
        raw = self._visible(key, stored, txn.get(stored), int(self._environment.clock() * 1000))
        return to_record(raw) if raw is not None else None

    def _prepare(self, key: bytes, value: bytes, expiry: int) -> tuple[bytes, bytes, int]:
        """Return the stored key, the record's bytes and the time: all of a write that needs no transaction."""
        if len(key) > LONGEST_KEY:
            raise InvalidInput(f"the key has {len(key)} bytes: write one of up to {LONGEST_KEY}")
        now = int(self._environment.clock() * 1000)
        if key >= b"\1" and len(key) <= LONGEST_VERBATIM:
            return key, pack_header(expiry, now << 8) + value, now
        stored = stored_key(key)
        return stored, encode(key, stored, value, expiry, now), now

    def _put(self, txn: Write, key: bytes, value: bytes, expiry: int) -> None:
        self._store(txn, *self._prepare(key, value, expiry))

    def _store(self, txn: Write, stored: bytes, raw: bytes, now: int) -> None:
        environment = self._environment
        words, control = environment.words, environment.control
        cost = len(raw) + PUT_COST
        budget = words[BUDGET] - cost
        if budget < 0:
            raise RoomNeeded(len(raw), len(raw), cost)
        words[BUDGET] = budget
        txn.put(stored, raw)
        control.stamps[crc32(stored) & control.mask] = now

    def _delete(self, txn: Write, key: bytes) -> bool:
        return txn.delete(stored_key(key))

    def _add(self, txn: Write, key: bytes, value: bytes, expiry: int) -> bool:
        stored = stored_key(key)
        if self._visible(key, stored, txn.get(stored), int(self._environment.clock() * 1000)) is not None:
            return False
        self._put(txn, key, value, expiry)
        return True

    def _replace(self, txn: Write, key: bytes, value: bytes, expiry: int) -> bool:
        stored = stored_key(key)
        if self._visible(key, stored, txn.get(stored), int(self._environment.clock() * 1000)) is None:
            return False
        self._put(txn, key, value, expiry)
        return True

    def _append(self, txn: Write, key: bytes, value: bytes, expiry: int) -> None:
        record = self._read(txn, key)
        self._put(txn, key, record.value + value if record is not None else value, expiry)

    def _touch(self, txn: Write, key: bytes, expiry: int) -> bool:
        stored = stored_key(key)
        now = int(self._environment.clock() * 1000)
        raw = self._visible(key, stored, txn.get(stored), now)
        if raw is None:
            return False
        self._store(txn, stored, pack_header(expiry, now << 8 | raw[HEADER_SIZE - 1]) + raw[HEADER_SIZE:], now)
        return True

    def _increment(
        self,
        txn: Write,
        key: bytes,
        number: int,
        origin: int | Origin,
        expiry: int,
        keep_expiry: bool,
        wrap: bool,
    ) -> int | None:
        stored = stored_key(key)
        raw = self._visible(key, stored, txn.get(stored), int(self._environment.clock() * 1000))
        if raw is None:
            if origin is Origin.TRY:
                return None
            total = number if isinstance(origin, Origin) else origin + number
        else:
            current = decode_integer(raw[value_offset(raw) :])
            if number == 0 and origin is not Origin.SET:
                return current
            total = number if origin is Origin.SET else current + number
            if keep_expiry:
                expiry = unpack_header(raw)[0]
        if not INTEGER_MIN <= total <= INTEGER_MAX:
            if not wrap:
                raise CounterOverflow(f"the sum {total} does not fit the 64 bits of a counter")
            total = wrap_integer(total)
        self._put(txn, key, INTEGER.pack(total), expiry)
        return total

    def _increment_double(
        self, txn: Write, key: bytes, number: float, origin: float | Origin, expiry: int
    ) -> float | None:
        record = self._read(txn, key)
        if record is None:
            if origin is Origin.TRY:
                return None
            start = 0.0 if isinstance(origin, Origin) else origin
            value = add_double(encode_double(start), number)
        else:
            current = decode_double(record.value)
            if origin is Origin.SET:
                value = encode_double(number)
            else:
                if number == 0 or not isfinite(current):
                    return current
                value = add_double(record.value, number)
        self._put(txn, key, value, expiry)
        return decode_double(value)

    def _cas(
        self, txn: Write, key: bytes, old: bytes | None, new: bytes | None, expiry: int, keep_expiry: bool
    ) -> bool:
        record = self._read(txn, key)
        if (record.value if record is not None else None) != old:
            return False
        if new is not None:
            self._put(txn, key, new, record.expiry if keep_expiry and record is not None else expiry)
        elif old is not None:
            self._delete(txn, key)
        return True

    def _remove(self, txn: Write, key: bytes) -> bool:
        stored = stored_key(key)
        raw = self._visible(key, stored, txn.get(stored), int(self._environment.clock() * 1000))
        txn.delete(stored)  # an expired one is gone for good, too
        return raw is not None

    def _seize(self, txn: Write, key: bytes) -> Record | None:
        record = self._read(txn, key)
        if record is not None:
            self._delete(txn, key)
        return record

    def _store_rows(self, txn: Write, rows: list[tuple[bytes, bytes]], now: int) -> None:
        """Store many records by one call of LMDB."""
        control, words = self._environment.control, self._environment.words
        sizes = [len(raw) for _, raw in rows] or [0]
        size = sum(sizes)
        cost = size + len(rows) * BULK_COST
        budget = words[BUDGET] - cost
        if budget < 0:
            raise RoomNeeded(max(sizes), size, cost)
        words[BUDGET] = budget
        txn.cursor().putmulti(rows)
        stamps, mask = control.stamps, control.mask
        for stored, _ in rows:
            stamps[crc32(stored) & mask] = now

    def _remove_keys(self, txn: Write, keys: Sequence[bytes]) -> int:
        return sum([self._remove(txn, key) for key in keys])

    def _cull(self, txn: Write, start: bytes, divisor: int) -> bytes | None:
        control = self._environment.control
        cursor = txn.cursor()
        if not (cursor.set_range(start) if start else cursor.first()):
            return None
        neighbours = list(islice(cursor.iternext(values=False), _NEIGHBOURS))
        neighbours.sort(key=lambda key: control.stamps[crc32(key) & control.mask])
        following = bytes(cursor.key()) if len(neighbours) == _NEIGHBOURS and cursor.next() else None
        for key in neighbours[: len(neighbours) // divisor]:
            txn.delete(key)
        self._environment.words[EVICTIONS] += len(neighbours) // divisor
        return following

    def _clear(self, txn: Write) -> None:
        txn.drop(self._environment.dbis[self._index], delete=False)


__all__: Final = ["Database", "Item", "Origin"]
