"""The Store contract on a Tokyo Tyrant server: what each operation sends.

The server knows no expiry, compares nothing and counts in 32 bits. So a record says itself when it expires
(`kt_cache.stores.edits`), whoever reads it looks, and every change is an edit of records whose leases one has
(`kt_cache.stores.leases`): reading is one round trip, changing two. Expired records are removed by and by
(`kt_cache.stores.reclaiming`). Source: the Tokyo Tyrant protocol reference, sections 2 to 4 and 11.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from kt_cache.stores.base import Entry, Keep, Stats, Value
from kt_cache.stores.edits import (
    HEADER,
    LAST,
    NEVER,
    Action,
    Edit,
    Seen,
    State,
    expiry_of,
    is_over,
    to_delta,
)
from kt_cache.stores.forms import COUNTERS, overflow, parts, refuse_nan, to_bytes, to_integer, to_value
from kt_cache.stores.leases import OWN, Leases, Steps, fetch_head
from kt_cache.stores.reclaiming import RECLAIM, Reclaimer
from kt_cache.stores.script import Script
from kt_core.errors import KTError, Misconfigured, NotACounter
from kt_core.number import INTEGER
from kt_core.tyrant import operations as ops
from kt_core.tyrant.scan import Scan
from kt_core.wire.exchange import Flow, Op

_DELETE: Final = Edit(Action.DELETE)
_TOGETHER: Final = 256  # requests that are sent at once
_RANGE: Final = 64  # records of a walk: their values come along
_SORTED: Final = 256  # bytes of a key that the order is sure to go by: the bundled server's ends there for long ones

# Whether the keys of each type of database have an order.
_ORDERED: Final = {b"on-memory hash": False, b"on-memory tree": True, b"hash": False, b"B+ tree": True}


class Operations:
    """The operations of the contract on one server; `clock` gives seconds since the epoch.

    `timeout` is what one exchange may take, in seconds.
    """

    def __init__(self, location: str, timeout: float, clock: Callable[[], float]) -> None:
        self._location = location
        self._clock = clock
        self._reclaimer = Reclaimer(self._now)
        self._leases = Leases(timeout, self._now, self._reclaimer.note)
        self._script = Script(self._now, self._leases.token)
        self.is_ordered: bool | None = None
        """Whether the keys have an order; None until `introduce` has asked."""

    def introduce(self) -> Flow[None]:
        """Find out what kind of database it is; `Misconfigured` for one that this store cannot use."""
        said, *_ = yield ops.together([ops.stat(), self._reclaimer.begin(), self._script.ask()])
        kind = said.get(b"type", b"")
        if kind not in _ORDERED:
            raise Misconfigured(
                f"the server at {self._location} has a database of the type {kind.decode(errors='replace')!r}, which "
                "cannot be a cache: start it with '*', '+', a file that ends in .tch or one that ends in .tcb"
            )
        self.is_ordered = _ORDERED[kind]

    # -- reading -----------------------------------------------------------------------------------------

    def get(self, key: bytes) -> Op[Value | None]:
        return ops.get(key).then(self._value)

    def get_with_ttl(self, key: bytes) -> Op[tuple[Value, float] | None]:
        def found(record: bytes | None) -> tuple[Value, float] | None:
            value = self._value(record)
            return None if value is None or record is None else (value, self._seconds(record))

        return ops.get(key).then(found)

    def get_many(self, keys: Iterable[bytes]) -> Op[dict[bytes, Value]]:
        def found(records: Sequence[tuple[bytes, bytes]]) -> dict[bytes, Value]:
            now = self._now()
            return {key: to_value(record[HEADER.size :]) for key, record in records if not is_over(record, now)}

        return ops.mget(list(keys)).then(found)

    def exists(self, key: bytes) -> Op[bool]:
        return self.ttl(key).then(lambda left: left is not None)

    def ttl(self, key: bytes) -> Op[float | None]:
        return fetch_head(key).then(self._left)

    def ttl_many(self, keys: Iterable[bytes]) -> Steps[dict[bytes, float]]:
        seconds: dict[bytes, float] = {}
        for part in parts(keys, _TOGETHER):
            every = yield ops.together([self.ttl(key) for key in part])
            seconds |= {key: left for key, left in zip(part, every, strict=True) if left is not None}
        return seconds

    def _value(self, record: bytes | None) -> Value | None:
        return None if record is None or is_over(record, self._now()) else to_value(record[HEADER.size :])

    def _left(self, head: bytes | None) -> float | None:
        return None if head is None or is_over(head, self._now()) else self._seconds(head)

    def _seconds(self, record: bytes) -> float:
        expiry = expiry_of(record)
        return math.inf if expiry >= LAST else max(expiry / 1000 - self._clock(), 0.001)

    # -- changing ----------------------------------------------------------------------------------------

    def _edit(self, edits: Mapping[bytes, Edit]) -> Steps[dict[bytes, Seen]]:
        seen = yield from self._script.edit(edits)
        if len(seen) < len(edits):
            seen |= yield from self._leases.edit({key: edit for key, edit in edits.items() if key not in seen})
        yield from self._reclaimer.sweep(self._leases)
        return seen

    def _edit_one(self, key: bytes, edit: Edit) -> Steps[Seen]:
        return (yield from self._edit({key: edit}))[key]

    def _there(self, key: bytes, edit: Edit) -> Steps[bool]:
        return (yield from self._edit_one(key, edit)).state is State.THERE

    def set(self, key: bytes, value: Value, timeout: float | None) -> Steps[bool]:
        yield from self._edit_one(key, _store(value, self._expiry(timeout)))
        return True

    def set_many(self, items: Mapping[bytes, Value], timeout: float | None) -> Steps[list[bytes]]:
        expiry = self._expiry(timeout)
        yield from self._edit({key: _store(value, expiry) for key, value in items.items()})
        return []

    def add(self, key: bytes, value: Value, timeout: float | None) -> Steps[bool]:
        edit = Edit(Action.NOTHING, absent=_record(to_bytes(value), self._expiry(timeout)))
        return (yield from self._edit_one(key, edit)).state is State.ABSENT

    def replace(self, key: bytes, value: Value, timeout: float | None) -> Steps[bool]:
        return self._there(key, _store(value, self._expiry(timeout))._replace(absent=None))

    def delete(self, key: bytes) -> Steps[bool]:
        return self._there(key, _DELETE)

    def delete_many(self, keys: Iterable[bytes]) -> Steps[int]:
        seen = yield from self._edit(dict.fromkeys(keys, _DELETE))
        return sum(each.state is State.THERE for each in seen.values())

    def pop(self, key: bytes) -> Steps[Value | None]:
        seen = yield from self._edit_one(key, _DELETE._replace(tells=True))
        return to_value(seen.payload) if seen.state is State.THERE else None

    def touch(self, key: bytes, timeout: float | None) -> Steps[bool]:
        return self._there(key, _touch(self._expiry(timeout)))

    def touch_many(self, keys: Iterable[bytes], timeout: float | None) -> Steps[list[bytes]]:
        seen = yield from self._edit(dict.fromkeys(keys, _touch(self._expiry(timeout))))
        return [key for key, each in seen.items() if each.state is State.THERE]

    def expire_at(self, key: bytes, when: float) -> Steps[bool]:
        refuse_nan(when)
        if when <= self._clock():
            return self.delete(key)
        return self._there(key, _touch(int(when * 1000) if when * 1000 < LAST else NEVER))

    def compare_and_set(
        self, key: bytes, old: Value | None, new: Value | None, timeout: float | Keep | None
    ) -> Steps[bool]:
        expiry = None if isinstance(timeout, Keep) else self._expiry(timeout)
        payload = b"" if new is None else to_bytes(new)
        deletes = new is None or expiry == 0
        if old is None:
            made = None if deletes else _record(payload, NEVER if expiry is None else expiry)
            return (yield from self._edit_one(key, Edit(Action.NOTHING, absent=made))).state is State.ABSENT
        action = Action.DELETE if deletes else Action.STORE
        edit = Edit(action, payload, expiry or None, expected=to_bytes(old))
        return (yield from self._there(key, edit))

    def incr(self, key: bytes, delta: int, initial: int | None, timeout: float | None) -> Steps[int | None]:
        sums = yield from self.incr_many({key: delta}, initial, timeout)
        total = sums.get(key)
        if isinstance(total, KTError):
            raise total
        return total

    def incr_many(
        self, deltas: Mapping[bytes, int], initial: int | None, timeout: float | None
    ) -> Steps[dict[bytes, int | KTError]]:
        expiry = self._expiry(timeout)
        seen = yield from self._edit({key: _add(delta, initial, expiry) for key, delta in deltas.items()})
        sums: dict[bytes, int | KTError] = {}
        for key, each in seen.items():
            begins = initial if each.state is State.ABSENT else each.payload
            if begins is not None:
                sums[key] = _sum(begins, deltas[key])
        return sums

    # -- all records -------------------------------------------------------------------------------------

    def walk(self, prefix: bytes, found: list[Entry]) -> Steps[None]:
        """Append what is known of the records with the prefix to a list, which may be emptied between any two steps."""
        if not self.is_ordered:
            keys = yield ops.fwm_keys(prefix)
            for part in parts(_ours(keys), _TOGETHER):
                asked = [op for key in part for op in (fetch_head(key), ops.vsiz(key))]
                answers = iter((yield ops.together(asked)))
                self._append(zip(part, answers, answers, strict=True), found)
            return
        begin = prefix[:_SORTED]
        scan = Scan("", begin, _RANGE)
        while records := (yield scan.next()):
            theirs = {key: record for key, record in records if key.startswith(prefix) and not key.startswith(OWN)}
            self._append(((key, record[: HEADER.size], len(record)) for key, record in theirs.items()), found)
            if not records[-1][0].startswith(begin):
                return

    def _append(self, heads: Iterable[tuple[bytes, bytes | None, int | None]], found: list[Entry]) -> None:
        for key, head, size in heads:
            left = self._left(head)
            if left is not None and size is not None:
                found.append(Entry(key, size - HEADER.size, left, None))

    def keys(self, prefix: bytes) -> Steps[list[bytes]]:
        found: list[bytes] = []
        for part in parts(_ours((yield ops.fwm_keys(prefix))), _TOGETHER):
            lives = yield ops.together([self.ttl(key) for key in part])
            found += [key for key, left in zip(part, lives, strict=True) if left is not None]
        return found

    def clear(self) -> Steps[None]:
        yield ops.together([ops.vanish(), self._reclaimer.begin()])

    def clear_prefix(self, prefix: bytes) -> Steps[int]:
        return (yield from self.delete_many(_ours((yield ops.fwm_keys(prefix)))))

    def vacuum(self) -> Steps[None]:
        keys = yield ops.fwm_keys(b"")
        for part in parts(_ours(keys), _TOGETHER):
            lives = yield ops.together([self.ttl(key) for key in part])
            over = [key for key, left in zip(part, lives, strict=True) if left is None]
            yield from self._leases.edit(dict.fromkeys(over, RECLAIM))

    def cull(self, limit: int, divisor: int) -> Steps[None]:
        """Which records go is left to chance: the server knows nothing about their use."""
        if (yield ops.rnum()) < limit or (yield self._count()) < limit:  # looking for our own records takes long
            return
        yield from self.vacuum()  # expired records count, too
        keys = _ours((yield ops.fwm_keys(b"")))
        if len(keys) < limit:
            return
        if not divisor:
            yield from self.clear()
            return
        yield from self.delete_many(keys[::divisor][: len(keys) // divisor])

    def _count(self) -> Op[int]:
        own = ops.fwm_keys(OWN).then(len)
        return ops.together([ops.rnum(), own]).then(lambda counts: max(counts[0] - counts[1], 0))

    def ping(self) -> Op[bool]:
        return ops.rnum().then(lambda count: True)

    def stats(self) -> Steps[Stats]:
        entries = yield self._count()
        said = yield ops.stat()
        reads, misses = int(said.get(b"cnt_get", 0)), int(said.get(b"cnt_get_miss", 0))
        return Stats(
            store="tt",
            location=self._location,
            entries=entries,
            size=int(said.get(b"size", 0)),
            max_size=0,
            hits=reads - misses,
            misses=misses,
            evictions=None,
            expirations=None,
            processes=1,
        )

    # -- times -------------------------------------------------------------------------------------------

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _expiry(self, timeout: float | None) -> int:
        """Return the expiry that a timeout asks for; 0 for a timeout that is over."""
        if timeout is None:
            return NEVER
        refuse_nan(timeout)
        if timeout <= 0:
            return 0
        expiry = self._now() + math.ceil(timeout * 1000) if timeout < LAST / 1000 else NEVER
        return expiry if expiry < LAST else NEVER


# -- edits -------------------------------------------------------------------------------------------------


def _record(payload: bytes, expiry: int) -> bytes | None:
    return HEADER.pack(expiry) + payload if expiry else None


def _store(value: Value, expiry: int) -> Edit:
    payload = to_bytes(value)
    return Edit(Action.STORE, payload, expiry, absent=_record(payload, expiry)) if expiry else _DELETE


def _touch(expiry: int) -> Edit:
    return Edit(Action.TOUCH, expiry=expiry) if expiry else _DELETE


def _add(delta: int, initial: int | None, expiry: int) -> Edit:
    begins = initial is not None and initial + delta in COUNTERS
    made = _record(INTEGER.pack(initial + delta), expiry) if initial is not None and begins else None
    return Edit(Action.ADD, to_delta(delta), absent=made, tells=True)


def _sum(begins: int | bytes, delta: int) -> int | KTError:
    """Return the sum of a number or a payload and a delta, or why there is none."""
    if isinstance(begins, bytes):
        if len(begins) != INTEGER.size:
            return NotACounter(f"the record holds {len(begins)} bytes, not the {INTEGER.size} of a counter")
        begins = to_integer(begins)
    total = begins + delta
    return total if total in COUNTERS else overflow(total)


# -- keys --------------------------------------------------------------------------------------------------


def _ours(keys: Iterable[bytes]) -> list[bytes]:
    return [key for key in keys if not key.startswith(OWN)]
