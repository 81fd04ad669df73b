"""One record fetched or stored, or one short call of a script: most of the traffic, without the general machinery.

That takes five times as long. What the requests of a turn of the event loop have in common is done once: a read
transaction, the time, and at the end of the turn one call of LMDB for all that is to be stored. The bytes are those of
`kt_core.wire.kt_binary`; whatever is not the usual case is left to `kt_core.server.binary`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from struct import Struct
from typing import Final, TypeAlias
from zlib import crc32

from kt_core.database.batch import Change
from kt_core.database.control import HITS, MISSES, MODE
from kt_core.database.record import HEADER_SIZE, LONGEST_VERBATIM, pack_header, unpack_header
from kt_core.errors import KTError
from kt_core.server.counters import GET, SET
from kt_core.server.served import ReadFailed, ServedDatabase
from kt_core.server.turn import Turn
from kt_core.wire.kt_binary import ONE_CALL, ONE_KEY, ONE_RECORD, GetReply, SetReply, encode_reply
from kt_core.wire.kt_items import Pair

Stored: TypeAlias = "Callable[[KTError | None], object]"
"""Told that a record is stored, or why it is not."""

STORED: Final = encode_reply(SetReply(1))

_NOTHING_FOUND: Final = encode_reply(GetReply(()))
_FOUND: Final = Struct(">BIHIIq")  # opcode, hits, database, sizes of key and value, expiry
_pack_found = _FOUND.pack
_unpack_key, _KEY_AT = ONE_KEY.unpack_from, ONE_KEY.size
_unpack_record, _RECORD_AT = ONE_RECORD.unpack_from, ONE_RECORD.size
_unpack_call, _NAME_AT = ONE_CALL.unpack_from, ONE_CALL.size
_unpack_pair: Final = Struct(">II").unpack_from
_FEW_PAIRS: Final = 16
_AT_ONCE: Final = 64  # records in one call of LMDB


class Lane:
    """What the requests to one database have in common in the present turn."""

    __slots__ = (
        "_control",
        "_count",
        "_served",
        "_turn",
        "askers",
        "expiries",
        "gets",
        "misses",
        "notes_uses",
        "now",
        "open",
        "read",
        "rows",
        "xt",
    )

    def __init__(self, served: ServedDatabase, turn: Turn, count: Callable[[int, int, int], None]) -> None:
        self._served = served
        self._turn = turn
        self._count = count
        self._control = served.environment.control
        self.xt = served.xt
        self.open = False
        self.now = 0
        """Of the turn, in milliseconds."""
        self.read: Callable[[bytes], bytes | None] = self._begin_to_read
        """Return the bytes of a record by its stored key."""
        self.notes_uses = False
        """Whether a record that is read is to be stamped."""
        self.expiries: dict[int, int] = {}
        """What an `xt` means in this turn."""
        self.gets = self.misses = 0
        self.rows: list[tuple[bytes, bytes]] = []
        self.askers: list[Stored] = []

    def begin(self) -> None:
        """Begin a turn."""
        self.open = True
        self._control = self._served.environment.control
        self.now = int(self._served.environment.clock() * 1000)
        self._turn.call_at_end(self._end)

    def expiry(self, xt: int) -> int:
        """Return the expiry in milliseconds that an `xt` means, and remember it."""
        expiry = self.expiries[xt] = self._served.expiry(xt)
        return expiry

    def note_use(self, key: bytes) -> None:
        """Stamp a record."""
        control = self._control
        control.stamps[crc32(key) & control.mask] = self.now

    def _begin_to_read(self, key: bytes) -> bytes | None:
        if not self.open:
            self.begin()
        environment = self._served.environment
        self.notes_uses = bool(environment.words[MODE])
        if environment.bypassed:
            return None
        self.read = environment.begin(environment.dbis[self._served.database.index]).get
        return self.read(key)

    def _end(self) -> None:
        self.open = False
        self.read = self._begin_to_read  # which ends the transaction
        if self.gets or self.rows:
            self._count(len(self.rows), self.gets, self.misses)
        if self.gets:
            counts = self._control.counts
            counts[HITS] += self.gets - self.misses
            counts[MISSES] += self.misses
            self.gets = self.misses = 0
        if self.rows:
            rows, self.rows, askers, self.askers = self.rows, [], self.askers, []
            for start in range(0, len(rows), _AT_ONCE):
                self._store(rows[start : start + _AT_ONCE], askers[start : start + _AT_ONCE])
        self.expiries.clear()

    def _store(self, rows: list[tuple[bytes, bytes]], askers: list[Stored]) -> None:
        change = Change(self._served.operations.store_rows, (rows,), sum([len(raw) for _, raw in rows]))
        self._turn.add(self._served, change, partial(self._stored, rows, askers))

    def _stored(self, rows: list[tuple[bytes, bytes]], askers: list[Stored], outcome: int | KTError) -> None:
        if not isinstance(outcome, KTError):
            for stored in askers:
                stored(None)
        elif len(rows) == 1:
            askers[0](outcome)
        else:  # for one of them there is no room
            for row, stored in zip(rows, askers, strict=True):
                self._store([row], [stored])


def lanes(databases: Sequence[ServedDatabase], turn: Turn, counters: list[int]) -> list[Lane]:
    """Return a lane for each database."""

    def count(stores: int, gets: int, misses: int) -> None:
        counters[SET] += stores
        counters[GET] += gets
        counters[GET + 1] += misses

    return [Lane(served, turn, count) for served in databases]


def get(lanes: list[Lane], data: bytes) -> bytes | None:
    """Return the reply to a request for one record, if that is all that has arrived."""
    if len(data) < _KEY_AT:
        return None
    _, _, count, number, key_size = _unpack_key(data)
    if count != 1 or _KEY_AT + key_size != len(data) or key_size > LONGEST_VERBATIM or number >= len(lanes):
        return None
    key = data[_KEY_AT:]
    if key < b"\1":
        return None
    lane = lanes[number]
    try:
        raw = lane.read(key)
    except ReadFailed:
        return None
    lane.gets += 1
    if raw is not None:
        expiry, _ = unpack_header(raw)
        if expiry > lane.now:
            if lane.notes_uses:
                lane.note_use(key)
            value: bytes = raw[HEADER_SIZE:]
            head: bytes = _pack_found(data[0], 1, number, key_size, len(value), lane.xt(expiry))
            return head + key + value
    lane.misses += 1
    return _NOTHING_FOUND


def put(lanes: list[Lane], data: bytes, stored: Stored) -> bool:
    """Have one record stored, if that is what has arrived, and `stored` told of it; tell whether it is."""
    if len(data) < _RECORD_AT:
        return False
    _, flags, count, number, key_size, value_size, xt = _unpack_record(data)
    middle = _RECORD_AT + key_size
    if count != 1 or flags & 1 or middle + value_size != len(data) or number >= len(lanes):
        return False
    key = data[_RECORD_AT:middle]
    if key < b"\1" or key_size > LONGEST_VERBATIM:
        return False
    lane = lanes[number]
    if not lane.open:
        lane.begin()
    expiry = lane.expiries.get(xt)
    if expiry is None:
        expiry = lane.expiry(xt)
    lane.note_use(key)
    lane.rows.append((key, pack_header(expiry, lane.now << 8) + data[middle:]))
    lane.askers.append(stored)
    return True


def call(data: bytes) -> tuple[bytes, list[Pair]] | None:
    """Return the procedure that is called, and the few pairs that it is given, if that is all that has arrived."""
    if len(data) < _NAME_AT:
        return None
    _, flags, name_size, count = _unpack_call(data)
    at = end = _NAME_AT + name_size
    if count > _FEW_PAIRS or flags & 1:
        return None
    pairs: list[Pair] = []
    for _ in range(count):
        start = at + 8
        if start > len(data):
            return None
        key_size, value_size = _unpack_pair(data, at)
        middle = start + key_size
        at = middle + value_size
        pairs.append((data[start:middle], data[middle:at]))
    return (data[_NAME_AT:end], pairs) if at == len(data) else None
