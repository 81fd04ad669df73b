"""The Store contract on a Kyoto Tycoon server: each operation as one exchange, or as a flow of several.

The server keeps an expiry in whole seconds and shows a record until that second is over; a timeout of seconds is
rounded up, so that a record lives that long and up to one second longer. What the server cannot do in one exchange
is tried until nobody was faster. Source: the Kyoto Tycoon protocol reference, sections 1 to 6.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Final, TypeVar

from kt_cache.stores.base import Entry, Keep, Stats, Value
from kt_cache.stores.forms import COUNTERS, overflow, parts, refuse_nan, to_bytes, to_value
from kt_core.errors import CounterOverflow, KTError, NotACounter, ServerError
from kt_core.kyoto import operations as ops
from kt_core.number import INTEGER, INTEGER_MAX, INTEGER_MIN, decode_integer
from kt_core.wire.exchange import Flow, Op
from kt_core.wire.kt_binary import NEVER_XT, XT_MAX

T = TypeVar("T")
S = TypeVar("S")

# The sum of two of these is a counter, and not the smallest one: the server goes round without a word, and answers
# with the smallest number as if it had failed.
_HALF: Final = range(INTEGER_MIN // 2 + 1, INTEGER_MAX // 2 + 1)

_FIRST_BATCH = 8  # keys of a walk; the next ones double, since an answer behind the last key takes as long as one
_MATCHES = 10_000  # keys that are removed at once: the server sends them in one reply
_ORDERED = {b"17", b"33", b"49", b"65"}  # the types of database that keep their keys in order
_TOGETHER = 64  # calls that are sent at once
_SORTED = 256  # bytes of a key that the order is sure to go by: the bundled server's does not by all of a long one

# Each walk has a cursor of its own: one left behind by an accident would go on in its own database.
_cursors = count(1)


class Exchanges:
    """The operations of the contract on one logical database; `clock` gives seconds since the epoch."""

    def __init__(self, database: int, clock: Callable[[], float]) -> None:
        self._db = database
        self._clock = clock

    # -- many records, or one ----------------------------------------------------------------------------

    def get(self, key: bytes) -> Op[Value | None]:
        return ops.get(self._db, key, _found)

    def get_with_ttl(self, key: bytes) -> Op[tuple[Value, float] | None]:
        return ops.get(self._db, key, lambda found: found and (to_value(found.value), self._seconds(found.xt)))

    def get_many(self, keys: Iterable[bytes]) -> Op[dict[bytes, Value]]:
        return ops.fetch(self._db, list(keys), _values)

    def set(self, key: bytes, value: Value, timeout: float | None) -> Op[bool]:
        xt = _relative(timeout)
        if not xt:
            return self.delete(key).then(lambda deleted: True)
        return ops.put(self._db, key, to_bytes(value), xt).then(lambda stored: self._stored(stored, 1, True))

    def set_many(self, items: Mapping[bytes, Value], timeout: float | None) -> Op[list[bytes]]:
        xt = _relative(timeout)
        if not xt:
            return self.delete_many(items).then(lambda count: [])
        records = [(self._db, key, to_bytes(value), xt) for key, value in items.items()]
        return ops.set_bulk(records).then(lambda stored: self._stored(stored, len(records), []))

    def _stored(self, stored: int, given: int, result: T) -> T:
        if stored < given:  # the server passes over what it has no database for
            raise ServerError(400, f"no such database: the server has none of the number {self._db}")
        return result

    def delete(self, key: bytes) -> Op[bool]:
        return self.delete_many([key]).then(bool)

    def delete_many(self, keys: Iterable[bytes]) -> Op[int]:
        return ops.remove_bulk([(self._db, key) for key in keys])

    def pop(self, key: bytes) -> Op[Value | None]:
        return ops.seize(self._db, key).then(_found)

    # -- where there is a record, or none ----------------------------------------------------------------

    def add(self, key: bytes, value: Value, timeout: float | None) -> Op[bool]:
        xt = _relative(timeout)
        if not xt:
            return ops.check(self._db, key).then(lambda found: found is None)
        return ops.add(self._db, key, to_bytes(value), xt)

    def replace(self, key: bytes, value: Value, timeout: float | None) -> Op[bool]:
        xt = _relative(timeout)
        return ops.replace(self._db, key, to_bytes(value), xt) if xt else self.delete(key)

    def exists(self, key: bytes) -> Op[bool]:
        return ops.check(self._db, key).then(lambda found: found is not None)

    def compare_and_set(
        self, key: bytes, old: Value | None, new: Value | None, timeout: float | Keep | None
    ) -> Flow[bool]:
        before = None if old is None else to_bytes(old)
        after = None if new is None else to_bytes(new)
        if isinstance(timeout, Keep):
            return self._put_and_keep(key, before, after)
        xt = _relative(timeout)
        return _once(ops.cas(self._db, key, before, after if xt else None, xt or NEVER_XT))

    def _put_and_keep(self, key: bytes, before: bytes | None, after: bytes | None) -> Flow[bool]:
        xt = NEVER_XT
        if before is not None and after is not None:
            found = yield ops.get(self._db, key)
            if found is None or found.value != before:
                return False
            xt = -found.xt
        return (yield ops.cas(self._db, key, before, after, xt))  # type: ignore[no-any-return]

    # -- expiry ------------------------------------------------------------------------------------------

    def touch(self, key: bytes, timeout: float | None) -> Flow[bool]:
        xt = _relative(timeout)
        return self._touch(key, xt) if xt else _once(self.delete(key))

    def expire_at(self, key: bytes, when: float) -> Flow[bool]:
        refuse_nan(when)
        if when <= self._clock():
            return _once(self.delete(key))
        return self._touch(key, -int(when) if when < XT_MAX else NEVER_XT)

    def _touch(self, key: bytes, xt: int) -> Flow[bool]:
        while found := (yield ops.get(self._db, key)):
            if (yield ops.cas(self._db, key, found.value, found.value, xt)):
                return True
        return False

    def touch_many(self, keys: Iterable[bytes], timeout: float | None) -> Flow[list[bytes]]:
        xt = _relative(timeout)
        touched: list[bytes] = []
        for part in parts(keys, _TOGETHER):
            if xt:
                found = yield ops.get_bulk([(self._db, key) for key in part])
                touches = [ops.cas(self._db, key, value, value, xt) for _, key, value, _ in found]
                done = (yield ops.together(touches)) if touches else []
                for (_, key, _, _), is_done in zip(found, done, strict=True):
                    if is_done or (yield from self._touch(key, xt)):
                        touched.append(key)
            else:
                gone = yield ops.together([ops.seize(self._db, key) for key in part])
                touched += [key for key, record in zip(part, gone, strict=True) if record is not None]
        return touched

    def ttl(self, key: bytes) -> Op[float | None]:
        return ops.check(self._db, key).then(self._left)

    def ttl_many(self, keys: Iterable[bytes]) -> Flow[dict[bytes, float]]:
        seconds: dict[bytes, float] = {}
        for part in parts(keys, _TOGETHER):
            every = yield ops.together([self.ttl(key) for key in part])
            seconds |= {key: left for key, left in zip(part, every, strict=True) if left is not None}
        return seconds

    def _left(self, found: tuple[int, int] | None) -> float | None:
        return None if found is None else self._seconds(found[1])

    def _seconds(self, xt: int) -> float:
        """Return whole seconds, 1 in the last of them: never more than was set, and set anew it comes to the same."""
        return math.inf if xt >= XT_MAX else float(max(xt - int(self._clock()), 1))

    # -- counters ----------------------------------------------------------------------------------------

    def incr(self, key: bytes, delta: int, initial: int | None, timeout: float | None) -> Flow[int | None]:
        return self._incr(key, delta, initial, _relative(timeout))

    def _incr(self, key: bytes, delta: int, initial: int | None, xt: int) -> Flow[int | None]:
        while True:
            found = yield ops.get(self._db, key)
            if found is None:
                if initial is None:
                    return None
                total = _sum(initial, delta)
                if not xt or (yield ops.add(self._db, key, INTEGER.pack(total), xt)):
                    return total
                continue
            current = decode_integer(found.value)
            total = _sum(current, delta)
            if not delta:
                return total
            if current in _HALF and delta in _HALF:
                result = yield ops.increment(self._db, key, delta, "try", -found.xt)
                if result is None:
                    continue
                return (yield from self._sound(key, delta, result, found.xt))
            if (yield ops.cas(self._db, key, found.value, INTEGER.pack(total), -found.xt)):
                return total

    def _sound(self, key: bytes, delta: int, result: int, xt: int) -> Flow[int]:
        """Return the result of an increment, or undo it where others had taken the counter so far that it wrapped."""
        if result - delta in COUNTERS:
            return result
        yield ops.increment(self._db, key, -delta, "try", -xt)
        raise overflow(result)

    def incr_many(
        self, deltas: Mapping[bytes, int], initial: int | None, timeout: float | None
    ) -> Flow[dict[bytes, int | KTError]]:
        xt = _relative(timeout)
        sums: dict[bytes, int | KTError] = {}
        for part in parts(deltas, _TOGETHER):
            found = yield ops.get_bulk([(self._db, key) for key in part])
            plain = {
                key: record_xt
                for _, key, value, record_xt in found
                if len(value) == INTEGER.size and decode_integer(value) in _HALF and deltas[key] in _HALF
            }
            calls = [ops.increment(self._db, key, deltas[key], "try", -plain[key]) for key in plain]
            results = dict(zip(plain, (yield ops.together(calls)) if calls else [], strict=True))
            for key in part:
                result, delta = results.get(key), deltas[key]
                try:
                    if result is None:
                        result = yield from self._incr(key, delta, initial, xt)
                    else:
                        result = yield from self._sound(key, delta, result, plain[key])
                except (NotACounter, CounterOverflow) as error:
                    sums[key] = error
                else:
                    if result is not None:
                        sums[key] = result
        return sums

    # -- all records -------------------------------------------------------------------------------------

    def walk(self, prefix: bytes, found: list[bytes]) -> Flow[None]:
        """Append the keys with the prefix to a list, which may be emptied between any two exchanges."""
        cursor, batch = next(_cursors), _FIRST_BATCH
        ordered = bool(prefix) and (yield ops.status(self._db).then(_is_ordered))
        start = prefix[:_SORTED] if ordered else b""
        there = yield ops.cursor_jump(cursor, self._db, start or None)
        while there:
            keys = yield ops.scan_keys(cursor, batch)
            found += [key for key in keys if key.startswith(prefix)]
            there = len(keys) == batch and keys[-1].startswith(start)
            batch = min(2 * batch, ops.SCAN_BATCH)
        yield ops.cursor_delete(cursor)

    def walk_entries(self, prefix: bytes, found: list[Entry]) -> Flow[None]:
        """As `walk`, with sizes and expiries: the server is asked for those without the values."""
        keys: list[bytes] = []
        walk = self.walk(prefix, keys)
        reply = None
        seen: set[bytes] = set()  # the original server's cache puts what was asked for at the end, to be met again
        while True:
            try:
                op = walk.send(reply)
            except StopIteration:
                return
            for part in parts((key for key in keys if key not in seen), _TOGETHER):
                seen.update(part)
                every = yield ops.together([ops.check(self._db, key) for key in part])
                found += [
                    Entry(key, record[0], self._seconds(record[1]), None)
                    for key, record in zip(part, every, strict=True)
                    if record is not None
                ]
            keys.clear()
            reply = yield op

    def keys(self, prefix: bytes) -> Flow[list[bytes]]:
        found: list[bytes] = []
        yield from self.walk(prefix, found)
        return found

    def clear(self) -> Op[None]:
        return ops.clear(self._db).then(lambda done: None)

    def vacuum(self) -> Op[None]:
        return ops.vacuum(self._db).then(lambda done: None)

    def clear_prefix(self, prefix: bytes) -> Flow[int]:
        removed, keys = 0, [b""] * _MATCHES
        while len(keys) == _MATCHES:
            keys = yield ops.match_prefix(self._db, prefix, _MATCHES)
            removed += yield self.delete_many(keys)
        return removed

    def cull(self, limit: int, divisor: int) -> Flow[None]:
        """Which records go is left to chance: the server knows nothing about their use."""
        if (yield self._count()) < limit:
            return
        yield ops.vacuum(self._db)  # expired records count, too
        if (yield self._count()) < limit:
            return
        if not divisor:
            yield self.clear()
            return
        keys = yield ops.match_prefix(self._db, b"")
        yield self.delete_many(keys[::divisor][: len(keys) // divisor])

    def _count(self) -> Op[int]:
        return ops.status(self._db).then(lambda status: _number(status, b"count"))

    def ping(self) -> Op[bool]:
        return ops.check(self._db, b"").then(lambda found: True)

    def stats(self, location: str) -> Flow[Stats]:
        status = yield ops.status(self._db)
        report = yield ops.report()
        reads, misses = _number(report, b"cnt_get"), _number(report, b"cnt_get_misses")
        return Stats(
            store="kt",
            location=location,
            entries=_number(status, b"count"),
            size=_number(status, b"size"),
            max_size=max(_number(status, b"capsiz"), _number(status, b"ktcapsiz"), 0),
            hits=reads - misses,
            misses=misses,
            evictions=None,
            expirations=None,
            processes=1,
        )


def _once(op: Op[T]) -> Flow[T]:
    return (yield op)  # type: ignore[no-any-return]


# -- values ------------------------------------------------------------------------------------------------


def _found(found: ops.Found | None) -> Value | None:
    return None if found is None else to_value(found.value)


def _values(found: dict[bytes, bytes]) -> dict[bytes, Value]:
    return {key: to_value(value) for key, value in found.items()}


def _sum(number: int, delta: int) -> int:
    if number + delta not in COUNTERS:
        raise overflow(number + delta)
    return number + delta


# -- expiries ----------------------------------------------------------------------------------------------


def _relative(timeout: float | None) -> int:
    """Return the expiry that a timeout asks for, in whole seconds from now; 0 for a timeout that is over."""
    if timeout is None:
        return NEVER_XT
    if timeout <= 0:
        return 0
    refuse_nan(timeout)
    return math.ceil(timeout) if timeout < XT_MAX else NEVER_XT


# -- what a server says ------------------------------------------------------------------------------------


def _is_ordered(status: Mapping[bytes, bytes]) -> bool:
    return status.get(b"type") in _ORDERED and status.get(b"rcomp", b"lexical") == b"lexical"


def _number(values: Mapping[bytes, bytes], name: bytes) -> int:
    return int(values.get(name, b"0"))
