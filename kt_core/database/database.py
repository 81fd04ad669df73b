"""One logical database: every record operation of Kyoto Tycoon, on bytes, each atomic between all processes.

Keys and values are any bytes, the empty ones included. An `expiry` is absolute, in milliseconds since the epoch
(`NEVER` for none); a record is visible while the clock is below it. An expired record that has not been
reclaimed yet is invisible to every operation here but `count` and the `match_*` family, as on that server.
Semantics: Kyoto Tycoon protocol reference, sections 3 to 6.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

import lmdb

from kt_core.database import matching
from kt_core.database.batch import Batch, Change
from kt_core.database.control import BYPASSED, HITS, MISSES, MODE
from kt_core.database.datafile import PAGE
from kt_core.database.environment import Environment, Reading
from kt_core.database.operations import Operations, Origin
from kt_core.database.record import (
    HEADER_SIZE,
    LONG_KEY,
    LONGEST_VERBATIM,
    NEVER,
    Record,
    original_key,
    pack_header,
    stored_key,
    to_record,
    unpack_header,
    value_offset,
)
from kt_core.database.writer import Journal, Writer
from kt_core.errors import InvalidInput

if TYPE_CHECKING:
    from kt_core.database.cursor import Cursor

Item = tuple[bytes, bytes, int]
"""A key, a value and an expiry."""

_BULK = 128  # records a transaction: what housekeeping reserves ahead covers the pages that so many may copy
_BULK_BYTES = 64 << 10


class Trace(NamedTuple):
    """A visible record but for its value: the value's bytes, the expiry, and the last use, in absolute milliseconds.

    `used` is None where uses are not noted.
    """

    key: bytes
    size: int
    expiry: int
    used: float | None


class Database:
    """A logical database of an environment; any number of them may stand for the same one."""

    def __init__(self, environment: Environment, index: int = 0, journal: Journal | None = None) -> None:
        if not 0 <= index < len(environment.dbis):
            raise InvalidInput(f"there is no logical database {index}: the environment has {len(environment.dbis)}")
        self._environment = environment
        self._index = index
        self._writer: Writer = environment if journal is None else journal
        self._write = self._writer.write
        self._inside = Operations(environment, index) if journal is None else journal.operations
        self._trimmed = b""  # where the next look for old records goes on

    @property
    def environment(self) -> Environment:
        """The environment that the database is part of."""
        return self._environment

    @property
    def index(self) -> int:
        """The number of the logical database."""
        return self._index

    @property
    def operations(self) -> Operations:
        """What `change_all` can be asked to do."""
        return self._inside

    # -- reading: no lock, no waiting ------------------------------------------------------------------

    def get(self, key: bytes) -> bytes | None:
        """Return the value, or None."""
        found = self.find(key)
        return found[0] if found is not None else None

    def find(self, key: bytes) -> tuple[bytes, int] | None:
        """Return value and expiry, or None: what `get` and `get_record` are made of."""
        reading = begin, dbis, counts, stamps, mask, words, clock = self._environment.reading
        stored = key if key >= b"\1" and len(key) <= LONGEST_VERBATIM else stored_key(key)
        try:
            # The transaction ends with the expression: a call less than to abort it.
            raw: bytes | None = begin(dbis[self._index]).get(stored)
        except lmdb.Error as error:
            if self._environment.reads_again(reading, error):
                return self.find(key)
            raw = None
        if raw is not None:
            expiry, flags = unpack_header(raw)
            now, mode = clock() * 1000, words[MODE]
            if expiry > now and not mode & BYPASSED:
                if mode:
                    stamps[crc32(stored) & mask] = now
                if not flags & LONG_KEY:
                    counts[HITS] += 1
                    return raw[HEADER_SIZE:], expiry
                if original_key(stored, raw) == key:
                    counts[HITS] += 1
                    return raw[value_offset(raw) :], expiry
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
                raw = self._inside.visible(key, stored, read(stored), now)
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
        found = self.find(key)
        return Record(*found) if found is not None else None

    def find_all(self, keys: Sequence[bytes], room: int = sys.maxsize) -> list[tuple[bytes, int] | None]:
        """Return for each key its value and expiry, or None, as of one instant.

        `InvalidInput` if they have more than `room` bytes together: a key named a thousand times is fetched as often.
        """
        environment = self._environment
        while True:
            reading = environment.reading
            try:
                return self._find_all(keys, reading, room)
            except lmdb.Error as error:
                if not environment.reads_again(reading, error):
                    return [None] * len(keys)

    def _find_all(self, keys: Sequence[bytes], reading: Reading, room: int) -> list[tuple[bytes, int] | None]:
        begin, dbis, counts, stamps, mask, words, clock = reading
        mode = words[MODE]
        now = int(clock() * 1000) if not mode & BYPASSED else NEVER
        read, visible = begin(dbis[self._index]).get, self._inside.visible
        raws: Iterable[bytes | None]
        if keys and min(keys) >= b"\1" and max(map(len, keys)) <= LONGEST_VERBATIM:
            raws = map(read, keys)
        else:
            stored_keys = map(stored_key, keys)
            raws = (visible(key, stored, read(stored), now) for key, stored in zip(keys, stored_keys, strict=True))
        found: list[tuple[bytes, int] | None] = []
        for key, raw in zip(keys, raws, strict=True):
            if raw is not None:
                expiry, flags = unpack_header(raw)
                if expiry > now:
                    room -= len(raw)
                    if room < 0:
                        raise InvalidInput("the records are more than can be held at once: ask for fewer")
                    if mode:
                        stamps[crc32(stored_key(key)) & mask] = now
                    found.append((raw[HEADER_SIZE if not flags & LONG_KEY else value_offset(raw) :], expiry))
                    continue
            found.append(None)
        misses = found.count(None)
        counts[HITS] += len(found) - misses
        counts[MISSES] += misses
        return found

    def check(self, key: bytes) -> tuple[int, int] | None:
        """Return the value's size in bytes and its expiry, or None; it counts as no read."""
        record = self._look_at(key)
        return (len(record.value), record.expiry) if record is not None else None

    def _look_at(self, key: bytes) -> Record | None:
        environment = self._environment
        stored = stored_key(key)
        reading = environment.reading
        try:
            found: bytes | None = environment.begin(environment.dbis[self._index]).get(stored)
        except lmdb.Error as error:
            return self._look_at(key) if environment.reads_again(reading, error) else None
        raw = self._inside.visible(key, stored, found, int(environment.clock() * 1000))
        return to_record(raw) if raw is not None and not environment.bypassed else None

    # -- writing one record ----------------------------------------------------------------------------

    def set(self, key: bytes, value: bytes, expiry: int = NEVER) -> None:
        """Store a value, whatever was there."""
        self._write(self._index, self._inside.store, *self._inside.prepare(key, value, expiry))

    def add(self, key: bytes, value: bytes, expiry: int = NEVER) -> bool:
        """Store a value where there is none; tell whether it was stored."""
        return self._write(self._index, self._inside.add, key, value, expiry)

    def replace(self, key: bytes, value: bytes, expiry: int = NEVER) -> bool:
        """Store a value where there is one; tell whether it was stored."""
        return self._write(self._index, self._inside.replace, key, value, expiry)

    def append(self, key: bytes, value: bytes, expiry: int = NEVER) -> None:
        """Store a value behind the one that is there, if any; the expiry is the new one."""
        self._write(self._index, self._inside.append, key, value, expiry)

    def touch(self, key: bytes, expiry: int) -> bool:
        """Give a record another expiry; tell whether there is one."""
        return self._write(self._index, self._inside.touch, key, expiry)

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
        return self._write(self._index, self._inside.increment, key, number, origin, expiry, keep_expiry, wrap)

    def increment_double(
        self, key: bytes, number: float, origin: float | Origin = 0.0, expiry: int = NEVER
    ) -> float | None:
        """Add to a 16-byte double and return the sum; origin, expiry and errors as for `increment`."""
        return self._write(self._index, self._inside.increment_double, key, number, origin, expiry)

    def cas(
        self, key: bytes, old: bytes | None, new: bytes | None, expiry: int = NEVER, *, keep_expiry: bool = False
    ) -> bool:
        """Put `new` in the place of `old`, where None stands for no record; tell whether `old` was there.

        With `keep_expiry` a replaced record keeps its own.
        """
        return self._write(self._index, self._inside.cas, key, old, new, expiry, keep_expiry)

    def remove(self, key: bytes) -> bool:
        """Delete a record; tell whether there was one."""
        return self._write(self._index, self._inside.remove, key)

    def seize(self, key: bytes) -> Record | None:
        """Delete a record and return what it held, or None."""
        return self._write(self._index, self._inside.seize, key)

    # -- many records ----------------------------------------------------------------------------------

    def set_bulk(self, items: Iterable[Item], *, atomic: bool = False) -> int:
        """Store many records and return how many they were.

        Unless `atomic`, others may see some of them before the rest, and write in between.
        """
        rows = self._inside.prepare_all(items)
        if not atomic:
            return self._store_bulk(rows)
        self._write(self._index, self._inside.store_rows, rows)
        return len(rows)

    def set_all(self, values: Mapping[bytes, bytes], expiry: int = NEVER) -> int:
        """Store many values that expire together; as `set_bulk`, and faster."""
        now = int(self._environment.clock() * 1000)
        if values and min(values) >= b"\1" and max(map(len, values)) <= LONGEST_VERBATIM:
            header = pack_header(expiry, now << 8)
            stamps, mask = self._environment.control.stamps, self._environment.control.mask
            for key in values:
                stamps[crc32(key) & mask] = now
            return self._store_bulk([(key, header + value) for key, value in values.items()])
        return self.set_bulk((key, value, expiry) for key, value in values.items())

    def _store_bulk(self, rows: list[tuple[bytes, bytes]]) -> int:
        start = size = 0
        step = self._step()
        for position, (_, raw) in enumerate(rows):
            size += len(raw)
            if position - start == step or size > _BULK_BYTES:
                self._write(self._index, self._inside.store_rows, rows[start:position])
                start, size = position, len(raw)
        self._write(self._index, self._inside.store_rows, rows[start:])
        return len(rows)

    def remove_bulk(self, keys: Iterable[bytes], *, atomic: bool = False) -> int:
        """Delete many records and return how many of them there were."""
        every = list(keys)
        step = len(every) or 1 if atomic else self._step()
        return sum(
            self._write(self._index, self._inside.remove_keys, every[start : start + step])
            for start in range(0, len(every), step)
        )

    def change_all(self, changes: Sequence[Change]) -> list[Any]:
        """Make the changes of many askers, in their order and in as few transactions as will do.

        Return the result of each, or the `KTError` it ended in.
        """
        return Batch(self._writer, self._environment, self._index, self._inside, self._step()).make(changes)

    def _step(self) -> int:
        return min(_BULK, self._environment.housekeeper.most_changes)

    def clear(self) -> None:
        """Delete every record of this logical database."""
        self._write(self._index, self._inside.clear)

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
            start = self._write(self._index, self._inside.cull, start, divisor)

    def trim(self, limit: int) -> None:
        """Where there are more than `limit` records, delete as many, the least recently used of some neighbours.

        It takes a sixteenth more than the limit before it does, as the limit of a cache on the server does.
        """
        excess = self.count() - limit
        while excess > limit // 16:
            self._trimmed = self._write(self._index, self._inside.trim, self._trimmed, excess)
            excess = self.count() - limit

    # -- walking ---------------------------------------------------------------------------------------

    def scan(self, prefix: bytes = b"") -> Iterator[tuple[bytes, Record]]:
        """Yield key and record of every visible record with a prefix, in key order; as `keys`, no snapshot."""
        for key in self.keys(prefix):
            record = self._look_at(key)
            if record is not None:
                yield key, record

    def cursor(self) -> Cursor:
        """Return a cursor that stands nowhere yet."""
        from kt_core.database.cursor import Cursor  # only a server's clients have cursors

        return Cursor(self._writer, self._environment, self._index, self._inside)

    def keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        """Yield the key of every visible record in key order, reading in batches of short transactions."""
        now = int(self._environment.clock() * 1000)
        return matching.keys(self._environment, self._index, prefix, now)

    def traces(self, prefix: bytes = b"") -> Iterator[Trace]:
        """Yield the trace of every visible record with a prefix, in key order; as `keys`, no snapshot."""
        control = self._environment.control
        stamps, mask = control.stamps, control.mask
        now = int(self._environment.clock() * 1000)

        def note(key: bytes, stored: bytes, raw: memoryview) -> Trace:
            expiry, written = unpack_header(raw)
            used = max(stamps[crc32(stored) & mask], written >> 8) if mask else None
            return Trace(key, len(raw) - value_offset(raw), expiry, used)

        return (one for one in matching.visit(self._environment, self._index, prefix, note) if one.expiry > now)

    def walk(self, prefix: bytes = b"") -> Iterator[bytes]:
        """Yield what `match_prefix` finds, as it is found."""
        return (key for key, _ in matching.walk(self._environment, self._index, prefix))

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
