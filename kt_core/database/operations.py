"""What each operation does inside its write transaction: the other half of `kt_core.database.database`.

A method here is run by `Environment.write`, alone among all processes. It may run twice, when there was no room
at first, so it changes nothing but the transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import islice
from math import isfinite
from zlib import crc32

from kt_core.database.control import BUDGET, EVICTIONS
from kt_core.database.environment import Environment, Write
from kt_core.database.housekeeping import BULK_COST, PUT_COST, RoomNeeded
from kt_core.database.options import LONGEST_KEY
from kt_core.database.record import (
    HEADER_SIZE,
    LONG_KEY,
    LONGEST_VERBATIM,
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
from kt_core.number import (
    INTEGER,
    INTEGER_MAX,
    INTEGER_MIN,
    add_double,
    decode_double,
    decode_integer,
    encode_double,
    wrap_integer,
)

_NEIGHBOURS = 1024


class Origin(Enum):
    """What an increment does besides adding to what is there: the words the protocol has for its `orig`."""

    TRY = "try"  # fail where there is no record
    SET = "set"  # put the number in place of whatever number is there


class Operations:
    """The operations on one logical database, each given the transaction first."""

    def __init__(self, environment: Environment, index: int) -> None:
        self._environment = environment
        self._index = index

    def visible(self, key: bytes, stored: bytes, raw: bytes | None, now: int) -> bytes | None:
        """Return a record's bytes, if there is one under this very key and it has not expired."""
        if raw is None:
            return None
        expiry, flags = unpack_header(raw)
        if expiry <= now or (flags & LONG_KEY and original_key(stored, raw) != key):
            return None
        return raw

    def read(self, txn: Write, key: bytes) -> Record | None:
        stored = stored_key(key)
        raw = self.visible(key, stored, txn.get(stored), int(self._environment.clock() * 1000))
        return to_record(raw) if raw is not None else None

    def prepare(self, key: bytes, value: bytes, expiry: int) -> tuple[bytes, bytes]:
        """Return the stored key and the record's bytes, and note its use: all of a write that needs no transaction."""
        if len(key) > LONGEST_KEY:
            raise InvalidInput(f"the key has {len(key)} bytes: write one of up to {LONGEST_KEY}")
        now = int(self._environment.clock() * 1000)
        control = self._environment.control
        if key >= b"\1" and len(key) <= LONGEST_VERBATIM:
            control.stamps[crc32(key) & control.mask] = now
            return key, pack_header(expiry, now << 8) + value
        stored = stored_key(key)
        control.stamps[crc32(stored) & control.mask] = now
        return stored, encode(key, stored, value, expiry, now)

    def prepare_all(self, items: Iterable[tuple[bytes, bytes, int]]) -> list[tuple[bytes, bytes]]:
        """Return what `prepare` does for each key, value and expiry; sooner than that would be done one by one."""
        now = int(self._environment.clock() * 1000)
        stamps, mask, stored_at = self._environment.control.stamps, self._environment.control.mask, now << 8
        rows: list[tuple[bytes, bytes]] = []
        for key, value, expiry in items:
            if key >= b"\1" and len(key) <= LONGEST_VERBATIM:
                stamps[crc32(key) & mask] = now
                rows.append((key, pack_header(expiry, stored_at) + value))
            else:
                rows.append(self.prepare(key, value, expiry))
        return rows

    def put(self, txn: Write, key: bytes, value: bytes, expiry: int) -> None:
        self.store(txn, *self.prepare(key, value, expiry))

    def store(self, txn: Write, stored: bytes, raw: bytes) -> None:
        """Store a record's bytes, if the budget allows."""
        words = self._environment.words
        cost = len(raw) + PUT_COST
        budget = words[BUDGET] - cost
        if budget < 0:
            raise RoomNeeded(len(raw), len(raw), cost)
        words[BUDGET] = budget
        txn.put(stored, raw)

    def delete(self, txn: Write, key: bytes) -> bool:
        return txn.delete(stored_key(key))

    def add(self, txn: Write, key: bytes, value: bytes, expiry: int) -> bool:
        stored = stored_key(key)
        if self.visible(key, stored, txn.get(stored), int(self._environment.clock() * 1000)) is not None:
            return False
        self.put(txn, key, value, expiry)
        return True

    def replace(self, txn: Write, key: bytes, value: bytes, expiry: int) -> bool:
        stored = stored_key(key)
        if self.visible(key, stored, txn.get(stored), int(self._environment.clock() * 1000)) is None:
            return False
        self.put(txn, key, value, expiry)
        return True

    def append(self, txn: Write, key: bytes, value: bytes, expiry: int) -> None:
        record = self.read(txn, key)
        self.put(txn, key, record.value + value if record is not None else value, expiry)

    def touch(self, txn: Write, key: bytes, expiry: int) -> bool:
        stored = key if key >= b"\1" and len(key) <= LONGEST_VERBATIM else stored_key(key)
        now = int(self._environment.clock() * 1000)
        raw = self.visible(key, stored, txn.get(stored), now)
        if raw is None:
            return False
        self.store(txn, stored, pack_header(expiry, now << 8 | raw[HEADER_SIZE - 1]) + raw[HEADER_SIZE:])
        control = self._environment.control
        control.stamps[crc32(stored) & control.mask] = now
        return True

    def increment(
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
        raw = self.visible(key, stored, txn.get(stored), int(self._environment.clock() * 1000))
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
        self.put(txn, key, INTEGER.pack(total), expiry)
        return total

    def increment_double(
        self, txn: Write, key: bytes, number: float, origin: float | Origin, expiry: int
    ) -> float | None:
        record = self.read(txn, key)
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
        self.put(txn, key, value, expiry)
        return decode_double(value)

    def cas(self, txn: Write, key: bytes, old: bytes | None, new: bytes | None, expiry: int, keep_expiry: bool) -> bool:
        record = self.read(txn, key)
        if (record.value if record is not None else None) != old:
            return False
        if new is not None:
            self.put(txn, key, new, record.expiry if keep_expiry and record is not None else expiry)
        elif old is not None:
            self.delete(txn, key)
        return True

    def remove(self, txn: Write, key: bytes) -> bool:
        stored = stored_key(key)
        raw = self.visible(key, stored, txn.get(stored), int(self._environment.clock() * 1000))
        txn.delete(stored)  # an expired one is gone for good, too
        return raw is not None

    def seize(self, txn: Write, key: bytes) -> Record | None:
        record = self.read(txn, key)
        if record is not None:
            self.delete(txn, key)
        return record

    def store_rows(self, txn: Write, rows: list[tuple[bytes, bytes]]) -> int:
        """Store many records by one call of LMDB; return how many."""
        words = self._environment.words
        sizes = [len(raw) for _, raw in rows] or [0]
        size = sum(sizes)
        cost = size + len(rows) * BULK_COST
        budget = words[BUDGET] - cost
        if budget < 0:
            raise RoomNeeded(max(sizes), size, cost)
        words[BUDGET] = budget
        txn.cursor().putmulti(rows)
        return len(rows)

    def remove_keys(self, txn: Write, keys: Sequence[bytes]) -> int:
        return sum([self.remove(txn, key) for key in keys])

    def cull(self, txn: Write, start: bytes, divisor: int) -> bytes | None:
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

    def trim(self, txn: Write, start: bytes, excess: int) -> bytes:
        """Delete up to `excess` of the next neighbours, the least recently used; return where to go on."""
        control = self._environment.control
        cursor = txn.cursor()
        if not (start and cursor.set_range(start)):
            cursor.first()
        neighbours = list(islice(cursor.iternext(values=False), _NEIGHBOURS))
        following = bytes(cursor.key()) if len(neighbours) == _NEIGHBOURS and cursor.next() else b""
        neighbours.sort(key=lambda key: control.stamps[crc32(key) & control.mask])
        old = neighbours[: min(excess, max(len(neighbours) // 16, 1))]
        for key in old:
            txn.delete(key)
        self._environment.words[EVICTIONS] += len(old)
        return following

    def clear(self, txn: Write) -> None:
        txn.drop(self._environment.dbis[self._index], delete=False)
