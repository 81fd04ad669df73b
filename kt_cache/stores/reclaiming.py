"""Expired records of a Tokyo Tyrant store are removed, by lists of keys: one for each minute that records expire in.

The server knows no expiry. So who gives a record one writes its key into the list of the minute, unless the record is
in the list of an earlier one: a record is always in the list of its own minute or of one before it. Lists are swept by
those who write, some keys at a time, a while after their minute is over: what has expired is removed, and what has not
is written into the list of its minute now. Several may sweep one list, and whoever begins after another one has died
begins anew: an edit that does nothing but remove an expired record may come twice.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Final

from kt_cache.stores.edits import HEADER, NEVER, Action, Edit, expiry_of
from kt_cache.stores.leases import OWN, Leases, Steps, fetch_head
from kt_core.tyrant import operations as ops
from kt_core.wire.exchange import Op

RECLAIM: Final = Edit(Action.NOTHING)
"""The edit that does nothing to a record, and removes an expired one."""

_MINUTE: Final = 60_000  # milliseconds
_LAG: Final = 2  # minutes until a list is swept: whoever thinks it is still that minute has written into it by then
_FORGOTTEN: Final = 10 * _MINUTE  # who expired so long ago is in no list any more, if he is still there
_SWEPT: Final = OWN + b"swept"  # the last minute whose list is done
_MINUTES: Final = 1440  # lists that are looked for at once
_KEYS: Final = 256  # that are looked at in one go
_PART: Final = 1 << 14  # bytes of a list that are fetched at once
_SIZE: Final = Struct(">I")


class Reclaimer:
    """Keeps the lists of one server, and sweeps them; `now` gives milliseconds since the epoch."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._next = 0
        self._progress = (b"", 0)  # the list that is being swept, and how many bytes of it are done

    def note(self, key: bytes, before: bytes | None, after: bytes) -> tuple[bytes, bytes] | None:
        """Return the list that a record's key is written into and how, if that is needed when it becomes another."""
        expiry, listed = expiry_of(after), -1
        if before is not None and len(before) >= HEADER.size:
            listed = expiry_of(before)
        if expiry == NEVER or self._now() - _FORGOTTEN < listed <= expiry:
            return None
        return _list(expiry // _MINUTE), _SIZE.pack(len(key)) + key

    def begin(self) -> Op[bool]:
        """Return what tells a new or an empty database which lists there are to come."""
        return ops.put_keep(_SWEPT, b"%d" % self._due())

    def sweep(self, leases: Leases) -> Steps[None]:
        """Sweep some of what is due, if anything has become so since the last time."""
        now = self._now()
        if now < self._next:
            return
        self._next = now + _MINUTE
        found = yield ops.mget([_SWEPT])
        if not found:
            yield self.begin()
            return
        swept, due = int(found[0][1]), self._due()
        minutes = range(swept + 1, min(due, swept + _MINUTES) + 1)
        if not minutes:
            return
        sizes = yield ops.together([ops.vsiz(_list(minute)) for minute in minutes])
        budget = _KEYS
        for minute, size in zip(minutes, sizes, strict=True):
            if size is not None:
                if not budget:
                    break
                name = _list(minute)
                begin = self._progress[1] if self._progress[0] == name else 0
                keys, end = yield from self._read(name, begin, budget)
                if keys:
                    yield from self._reclaim(leases, keys)
                budget -= len(keys)
                self._progress = (name, end)
                if end < size:
                    break
                yield ops.out(name)
            swept = minute
        if swept < due:
            self._next = now
        yield ops.put(_SWEPT, b"%d" % swept)

    def _read(self, name: bytes, begin: int, count: int) -> Steps[tuple[list[bytes], int]]:
        """Return keys of a list from a place on, and the place behind them."""
        keys: list[bytes] = []
        length = _PART
        while True:
            part = yield _part(name, begin, length)
            end = 0
            while len(keys) < count and end + _SIZE.size <= len(part):
                (size,) = _SIZE.unpack_from(part, end)
                if end + _SIZE.size + size > len(part):
                    break
                end += _SIZE.size + size
                keys.append(part[end - size : end])
            if keys or len(part) < length:  # then that is all of the list, whatever it ends in
                return keys, begin + (end if keys else len(part))
            length *= 16  # for the first key to have room

    def _reclaim(self, leases: Leases, keys: list[bytes]) -> Steps[None]:
        """Remove the expired ones of some records, and write the others into lists: also those that others edit."""
        yield from leases.try_edit(dict.fromkeys(keys, RECLAIM))
        heads = yield ops.together([fetch_head(key) for key in keys])
        left = {key: found for key, found in zip(keys, heads, strict=True) if found}
        notes = [self.note(key, None, max(found, HEADER.pack(self._now()))) for key, found in left.items()]
        if needed := [ops.put_cat(*note) for note in notes if note is not None]:
            yield ops.together(needed)

    def _due(self) -> int:
        return self._now() // _MINUTE - _LAG


def _list(minute: int) -> bytes:
    return OWN + b"expiry\0%d" % minute


def _part(name: bytes, begin: int, length: int) -> Op[bytes]:
    op = ops.misc(b"getpart", (name, b"%d" % begin, b"%d" % length))
    return op.then(lambda found: found[0] if found else b"")
