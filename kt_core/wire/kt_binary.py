"""The binary protocol of Kyoto Tycoon: its messages, and the bytes of requests and replies in both directions.

Source: the Kyoto Tycoon protocol reference, section 1. All integers are big-endian. A request decoder gives
whole messages: where the original server applies the first records of a request whose end is malformed, ours
applies none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from struct import Struct, error
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar

from kt_core.errors import InvalidInput, ProtocolError
from kt_core.wire.exchange import NEED_DATA, REPLY_LIMITS, REQUEST_LIMITS, Buffer, Limits, NeedData, TooLarge
from kt_core.wire.kt_items import (
    Items,
    Key,
    Pair,
    Record,
    Scan,
    pack_keys,
    pack_pairs,
    pack_records,
    scan_keys,
    scan_pairs,
    scan_records,
)

# The expiry of a record in a request that shall never expire, and in the reply that says it never does.
NEVER_XT: Final = (1 << 63) - 1
XT_MAX: Final = (1 << 40) - 1


class SetBulk(NamedTuple):
    """Store records."""

    records: Sequence[Record]
    no_reply: bool = False


class RemoveBulk(NamedTuple):
    """Remove records."""

    keys: Sequence[Key]
    no_reply: bool = False


class GetBulk(NamedTuple):
    """Ask for records."""

    keys: Sequence[Key]


class PlayScript(NamedTuple):
    """Call a procedure of the server's script."""

    name: bytes
    records: Sequence[Pair]
    no_reply: bool = False


class SetReply(NamedTuple):
    """How many records were stored."""

    hits: int


class RemoveReply(NamedTuple):
    """How many records were removed."""

    hits: int


class GetReply(NamedTuple):
    """The records found, in the order asked for."""

    records: Sequence[Record]


class ScriptReply(NamedTuple):
    """What a script gave back."""

    records: Sequence[Pair]


class ErrorReply(NamedTuple):
    """The request failed; the protocol has no words for why."""


Request: TypeAlias = SetBulk | RemoveBulk | GetBulk | PlayScript
Reply: TypeAlias = SetReply | RemoveReply | GetReply | ScriptReply | ErrorReply
R = TypeVar("R", bound=Reply)

SET_BULK: Final = 0xB8
GET_BULK: Final = 0xBA
PLAY_SCRIPT: Final = 0xB4
_REMOVE_BULK, _ERROR = 0xB9, 0xBF
_NO_REPLY = 1

_REQUEST = Struct(">BII")  # opcode, flags, count
ONE_CALL = Struct(">BIII")  # opcode, flags, size of the name, count
REPLY = Struct(">BI")  # opcode, hits or count
ONE_PAIR = Struct(">BIII")  # opcode, count, sizes of name and value
ONE_KEY = Struct(">BIIHI")
ONE_RECORD = Struct(">BIIHIIq")


# --- Encoding


def encode_request(message: Request, limits: Limits = REQUEST_LIMITS) -> bytes:
    """Return the bytes of a request; `InvalidInput` if no server would take it."""
    try:
        payload = _ENCODE_REQUEST[type(message)](message)
    except error as problem:
        raise InvalidInput(f"a database index has 16 bits, a size 32, an expiry 64: {problem}") from problem
    if len(payload) > limits.key or len(payload) > limits.value:  # only then can a part of it be
        _check_sizes(message, limits)
    return payload


def encode_reply(message: Reply) -> bytes:
    """Return the bytes of a reply."""
    return _ENCODE_REPLY[type(message)](message)


def _encode_set_bulk(message: SetBulk) -> bytes:
    records, no_reply = message
    if len(records) == 1:  # the most frequent request: the loop takes half as long again
        ((db, key, value, xt),) = records
        return ONE_RECORD.pack(SET_BULK, no_reply, 1, db, len(key), len(value), xt) + key + value
    return pack_records(_REQUEST.pack(SET_BULK, no_reply, len(records)), records)


def _encode_remove_bulk(message: RemoveBulk) -> bytes:
    return _with_keys(_REMOVE_BULK, message.no_reply, message.keys)


def _encode_get_bulk(message: GetBulk) -> bytes:
    return _with_keys(GET_BULK, 0, message.keys)


def _encode_play_script(message: PlayScript) -> bytes:
    name, records, no_reply = message
    head = ONE_CALL.pack(PLAY_SCRIPT, no_reply, len(name), len(records))
    return pack_pairs(head + name, records)


def _with_keys(opcode: int, flags: int, keys: Sequence[Key]) -> bytes:
    if len(keys) == 1:
        ((db, key),) = keys
        return ONE_KEY.pack(opcode, flags, 1, db, len(key)) + key
    return pack_keys(_REQUEST.pack(opcode, flags, len(keys)), keys)


_ENCODE_REQUEST: dict[type, Callable[[Any], bytes]] = {
    SetBulk: _encode_set_bulk,
    RemoveBulk: _encode_remove_bulk,
    GetBulk: _encode_get_bulk,
    PlayScript: _encode_play_script,
}
_ENCODE_REPLY: dict[type, Callable[[Any], bytes]] = {
    SetReply: lambda reply: REPLY.pack(SET_BULK, reply.hits),
    RemoveReply: lambda reply: REPLY.pack(_REMOVE_BULK, reply.hits),
    GetReply: lambda reply: pack_records(REPLY.pack(GET_BULK, len(reply.records)), reply.records),
    ScriptReply: lambda reply: pack_pairs(REPLY.pack(PLAY_SCRIPT, len(reply.records)), reply.records),
    ErrorReply: lambda reply: bytes((_ERROR,)),
}


def _check_sizes(message: Request, limits: Limits) -> None:
    values: list[bytes] = []
    if isinstance(message, SetBulk):
        keys = [key for _, key, _, _ in message.records]
        values = [value for _, _, value, _ in message.records]
    elif isinstance(message, PlayScript):
        keys = [message.name, *(key for key, _ in message.records)]
        values = [value for _, value in message.records]
    else:
        keys = [key for _, key in message.keys]
    key_size, value_size = max(map(len, keys), default=0), max(map(len, values), default=0)
    if key_size > limits.key or value_size > limits.value:
        raise InvalidInput(f"a key of {key_size} bytes, a value of {value_size}: no server takes them")


# --- Decoding

_REQUESTS: dict[int, tuple[type, Struct, Scan]] = {
    PLAY_SCRIPT: (PlayScript, ONE_CALL, scan_pairs),
    SET_BULK: (SetBulk, _REQUEST, scan_records),
    _REMOVE_BULK: (RemoveBulk, _REQUEST, scan_keys),
    GET_BULK: (GetBulk, _REQUEST, scan_keys),
}
_REPLIES: dict[type, tuple[int, Scan | None]] = {
    ScriptReply: (PLAY_SCRIPT, scan_pairs),
    SetReply: (SET_BULK, None),
    RemoveReply: (_REMOVE_BULK, None),
    GetReply: (GET_BULK, scan_records),
}


class RequestDecoder:
    """Decodes requests, one after the other.

    `TooLarge` is to be answered by an `ErrorReply` before the connection is closed; after any other
    `ProtocolError` it is closed without a word, as the original server does.
    """

    closing = False

    def __init__(self, limits: Limits = REQUEST_LIMITS, buffer: Buffer | None = None) -> None:
        self._limits = limits
        self._buffer = Buffer() if buffer is None else buffer
        self._items: Items | None = None
        self._silent = False  # where what is too large is not answered either
        self._make: Callable[[list[Any]], Request] = GetBulk

    @property
    def rest(self) -> bytes:
        return self._buffer.rest

    def feed(self, data: bytes) -> Request | NeedData:
        buffer = self._buffer
        if not buffer.add(data):
            return NEED_DATA
        try:
            items = self._items or self._begin()
            if items is None or not items.read(buffer):
                return NEED_DATA
        except TooLarge as problem:
            if self._silent:
                raise ProtocolError(str(problem)) from None
            raise
        self._items = None
        buffer.release()
        return self._make(items.found)

    def _begin(self) -> Items | None:
        """Read what comes before the items, once all of it has arrived."""
        data, at = self._buffer.data, self._buffer.at
        if at == len(data):
            self._buffer.want(1)
            return None
        opcode = data[at]
        if opcode not in _REQUESTS:
            raise ProtocolError(f"0x{opcode:02x} begins no request")
        kind, head, scan = _REQUESTS[opcode]
        start = at + head.size
        if start > len(data):
            self._buffer.want(head.size)
            return None
        _, flags, *sizes, count = head.unpack_from(data, at)
        self._silent = no_reply = bool(flags & _NO_REPLY)
        if kind is PlayScript:
            self._silent = True
            stop = start + sizes[0]
            if sizes[0] > self._limits.key:
                raise ProtocolError(f"a name of {sizes[0]} bytes; the limit is {self._limits.key}")
            if stop > len(data):
                self._buffer.want(stop - at)
                return None
            self._make = partial(PlayScript, data[start:stop], no_reply=no_reply)
            start = stop
        elif kind is GetBulk:  # always answered
            self._silent = False
            self._make = GetBulk
        else:
            self._make = partial(kind, no_reply=no_reply)
        self._buffer.at = start
        self._items = Items(scan, count, self._limits)
        return self._items


class ReplyDecoder(Generic[R]):
    """Decodes the replies to one kind of request."""

    def __init__(self, kind: type[R], limits: Limits = REPLY_LIMITS, buffer: Buffer | None = None) -> None:
        self.closing = False
        self._make: Callable[[Any], R] = kind
        self._opcode, self._scan = _REPLIES[kind]
        self._limits = limits
        self._buffer = Buffer() if buffer is None else buffer
        self._items: Items | None = None

    @property
    def rest(self) -> bytes:
        return self._buffer.rest

    def feed(self, data: bytes) -> R | ErrorReply | NeedData:
        buffer = self._buffer
        if not buffer.add(data):
            return NEED_DATA
        if self._items is None:
            data, at = buffer.data, buffer.at
            if at == len(data):
                return buffer.want(1)
            opcode = data[at]
            if opcode == _ERROR:
                buffer.at = at + 1
                self.closing = self._opcode != PLAY_SCRIPT  # the server outlives a failed script only
                return ErrorReply()
            if opcode != self._opcode:
                raise ProtocolError(f"0x{opcode:02x} begins the reply where 0x{self._opcode:02x} must")
            if at + REPLY.size > len(data):
                return buffer.want(REPLY.size)
            _, count = REPLY.unpack_from(data, at)
            buffer.at = at + REPLY.size
            if self._scan is None:
                return self._make(count)
            self._items = Items(self._scan, count, self._limits)
        if not self._items.read(buffer):
            return NEED_DATA
        found, self._items = self._items.found, None
        return self._make(found)
