"""One record fetched or stored: most of the traffic, and therefore without the general machinery.

What the requests of a turn of the event loop have in common is done once, by the same `Lane` that serves Kyoto
Tycoon's. The bytes are those of `kt_core.wire.tt_binary`; whatever is not the usual case is left to
`kt_core.server.tyrant.commands`.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from kt_core.database import NEVER
from kt_core.database.record import HEADER_SIZE, LONGEST_VERBATIM, pack_header
from kt_core.server.quick import Lane, Stored
from kt_core.server.served import ReadFailed
from kt_core.server.turn import Turn
from kt_core.server.tyrant.counters import GET, GET_MISS, PUT
from kt_core.server.tyrant.database import TyrantDatabase
from kt_core.server.tyrant.masks import Mask
from kt_core.server.tyrant.records import Records
from kt_core.wire import tt_messages as tt
from kt_core.wire.tt_binary import COMMANDS, encode_reply

_COMMAND: Final = {layout.kind: command for command, layout in COMMANDS.items()}
PUT_COMMAND: Final = _COMMAND[tt.Put]
GET_COMMAND: Final = _COMMAND[tt.Get]
STORED: Final = encode_reply(tt.Done())
NOT_FOUND: Final = encode_reply(tt.Failed())

_KEY: Final = Struct(">xxI")
_RECORD: Final = Struct(">xxII")
_FOUND: Final = Struct(">xI")
_unpack_key, _KEY_AT = _KEY.unpack_from, _KEY.size
_unpack_record, _RECORD_AT = _RECORD.unpack_from, _RECORD.size
_pack_found = _FOUND.pack


def lane(database: TyrantDatabase, turn: Turn, counters: list[int], mask: Mask) -> Lane | None:
    """Return the lane of a database, where its records are stored as they are and nothing is forbidden."""
    if type(database.records) is not Records or database.read_only or mask.names:
        return None

    def count(stores: int, gets: int, misses: int) -> None:
        counters[PUT] += stores
        counters[GET] += gets
        counters[GET_MISS] += misses

    return Lane(database.served, turn, count)


def get(lane: Lane, data: bytes) -> bytes | None:
    """Return the reply to a request for one value, if that is all that has arrived."""
    if len(data) < _KEY_AT:
        return None
    (size,) = _unpack_key(data)
    key = data[_KEY_AT:]
    if size != len(key) or size > LONGEST_VERBATIM or key < b"\1":
        return None
    try:
        raw = lane.read(key)
    except ReadFailed:
        return None
    lane.gets += 1
    if raw is None:
        lane.misses += 1
        return NOT_FOUND
    if lane.notes_uses:
        lane.note_use(key)
    head: bytes = _pack_found(len(raw) - HEADER_SIZE)
    return head + raw[HEADER_SIZE:]


def put(lane: Lane, data: bytes, stored: Stored) -> bool:
    """Have one record stored, if that is what has arrived, and `stored` told of it; tell whether it is."""
    if len(data) < _RECORD_AT:
        return False
    key_size, value_size = _unpack_record(data)
    middle = _RECORD_AT + key_size
    key = data[_RECORD_AT:middle]
    if middle + value_size != len(data) or key < b"\1" or key_size > LONGEST_VERBATIM:
        return False
    if not lane.open:
        lane.begin()
    lane.note_use(key)
    lane.rows.append((key, pack_header(NEVER, lane.now << 8) + data[middle:]))
    lane.askers.append(stored)
    return True
