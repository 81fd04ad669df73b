"""The changes in Kyoto Tycoon's update log: as they lie in its files, and as a master streams them to whoever follows.

A change tells the whole record that came of it, never how it came about: an increment is a `Set` of the sum. Changes
are told apart by their timestamps, nanoseconds since 1970 as the master's clock has them, which only ever grow in one
log. Who follows sends a `Subscribe` and reads with a `StreamDecoder`::

    send(encode_subscribe(Subscribe(ts=position, sid=2)))
    Subscribed()                                or ErrorReply(): the server keeps no update log, and closes
    LogRecord(ts, sid, Set(db, key, value, xt)) a change
    Progress(ts)                                changes up to there were left out, for they began at this subscriber
    Heartbeat(ts)                               nothing is left to be told: send(ACK), or the master stops and closes

Nothing else is answered by `ACK`. To go on later, subscribe from the greatest `ts` seen, of whichever message: the
master sends what is above it. Source: the Kyoto Tycoon protocol reference, section 9. All integers are big-endian.
"""

from __future__ import annotations

from collections.abc import Container
from functools import lru_cache
from struct import Struct, error
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

from kt_core.errors import InvalidInput, ProtocolError
from kt_core.wire.exchange import NEED_DATA, REQUEST_LIMITS, Buffer, Limits, NeedData, TooLarge
from kt_core.wire.kt_binary import XT_MAX, ErrorReply
from kt_core.wire.varnum import encode_varnum, read_varnum


class Set(NamedTuple):
    """A record was stored: `xt` is its expiry, an absolute second (`XT_MAX` for never).

    None stands for the expiry in a database that was opened with ``ktopts=p``, which keeps none.
    """

    db: int
    key: bytes
    value: bytes
    xt: int | None


class Remove(NamedTuple):
    """A key was removed, whether or not there was a record."""

    db: int
    key: bytes


class Clear(NamedTuple):
    """All records of a database were removed."""

    db: int


Change: TypeAlias = Set | Remove | Clear


class LogRecord(NamedTuple):
    """A change: its timestamp, and the server where it began."""

    ts: int
    sid: int
    change: Change


class Progress(NamedTuple):
    """Changes up to this timestamp were left out."""

    ts: int


class Heartbeat(NamedTuple):
    """All was told up to this timestamp; to be answered by `ACK`."""

    ts: int


class Subscribe(NamedTuple):
    """Ask for the changes after a timestamp (0 for all that are left), but those that began at the server `sid`.

    With `only`, just those that began there are asked for.
    """

    ts: int
    sid: int
    only: bool = False


class Subscribed(NamedTuple):
    """Changes follow."""


class Frames(NamedTuple):
    """What a subscriber is sent of some changes in a file, and how far they were whole."""

    data: bytes
    size: int
    """Bytes of the changes that were whole."""
    wanted: int
    """Bytes of the first that was not; 0 if they ended with a whole one, or too few were there to tell."""
    ts: int
    """Of the last change that was whole; 0 if there was none."""
    passed: int
    """How many the subscriber did not ask for."""


class LogHeader(NamedTuple):
    """What a file begins with: how many bytes of it count, and the greatest timestamp in them."""

    size: int
    ts: int


Message: TypeAlias = LogRecord | Progress | Heartbeat
M = TypeVar("M")

REPLICATE: Final = 0xB1
"""The first byte of a `Subscribe`."""
ACK: Final = bytes((REPLICATE,))
HEADER_SIZE: Final = 17
"""Bytes in a `LogHeader`."""
FILE: Final = 0xA0
"""The first byte of a file."""
ENTRY: Final = 0xA1
ENTRY_END: Final = b"\xa2"
TIMED: Final = Struct(">BQI")
"""Before every change: `ENTRY` in a file, `REPLICATE` in a stream, then its timestamp, and the size of its payload.

In a file `ENTRY_END` follows the payload.
"""

_HEARTBEAT, _ERROR = 0xB0, 0xBF
_SET, _REMOVE, _CLEAR = 0xA1, 0xA2, 0xA5
_ONLY = 1

_SUBSCRIBE = Struct(">BIQH")  # opcode, flags, timestamp, server
_HEADER = Struct(">BQQ")  # magic, size, timestamp
_TIME = Struct(">BQ")  # opcode, timestamp
ORIGIN = Struct(">HHB")  # server, database, operation
_XT = Struct(">BI")
_XT_SIZE = _XT.size
_NEVER: Final = b"\xff" * _XT_SIZE


# --- Payloads


def encode_payload(sid: int, change: Change) -> bytes:
    """Return what a file and a stream hold alike of a change; `InvalidInput` for a number that does not fit."""
    try:
        if isinstance(change, Set):
            db, key, value, xt = change
            before = stamp(xt)
            return b"".join((encode_set_head(sid, db, len(key), len(before) + len(value)), key, before, value))
        if isinstance(change, Remove):
            return ORIGIN.pack(sid, change.db, _REMOVE) + encode_varnum(len(change.key)) + change.key
        return ORIGIN.pack(sid, change.db, _CLEAR)
    except error as problem:
        raise InvalidInput(f"servers and databases have 16 bits, an expiry 40: {problem}") from problem


def encode_set_head(sid: int, db: int, key_size: int, value_size: int) -> bytes:
    """Return what a payload has before key, `stamp` and value, the last two of which have `value_size` together."""
    return ORIGIN.pack(sid, db, _SET) + encode_varnum(key_size) + encode_varnum(value_size)


def decode_payload(payload: bytes, plain: Container[int] = ()) -> tuple[int, Change]:
    """Return the server where a change began, and the change; `plain` are the databases that keep no expiry."""
    if len(payload) < ORIGIN.size:
        raise ProtocolError(f"a change of {len(payload)} bytes is too short to be one")
    sid, db, operation = ORIGIN.unpack_from(payload)
    at = ORIGIN.size
    if operation == _SET:
        key_size, at = read_varnum(payload, at)
        value_size, at = read_varnum(payload, at)
        start = at + key_size
        _check_size(payload, start + value_size)
        if db in plain:
            return sid, Set(db, payload[at:start], payload[start:], None)
        if value_size < _XT_SIZE:
            raise ProtocolError(
                f"a value of {value_size} bytes in database {db} holds no expiry: a database that was opened with "
                "ktopts=p on one side must be opened so on the other, too"
            )
        high, low = _XT.unpack_from(payload, start)
        return sid, Set(db, payload[at:start], payload[start + _XT_SIZE :], high << 32 | low)
    if operation == _REMOVE:
        key_size, at = read_varnum(payload, at)
        _check_size(payload, at + key_size)
        return sid, Remove(db, payload[at:])
    if operation == _CLEAR:
        _check_size(payload, at)
        return sid, Clear(db)
    raise ProtocolError(f"0x{operation:02x} is no change that a log tells")


def _check_size(payload: bytes, size: int) -> None:
    if len(payload) != size:
        raise ProtocolError(f"a change has {len(payload)} bytes where {size} must be")


# --- Encoding


def encode_subscribe(request: Subscribe) -> bytes:
    """Return the bytes of a subscription; `InvalidInput` for a number that does not fit."""
    try:
        return _SUBSCRIBE.pack(REPLICATE, _ONLY if request.only else 0, request.ts, request.sid)
    except error as problem:
        raise InvalidInput(f"the number of a server has 16 bits, a timestamp 64: {problem}") from problem


def encode_answer(message: Subscribed | ErrorReply) -> bytes:
    """Return the byte that answers a subscription."""
    return bytes((REPLICATE if isinstance(message, Subscribed) else _ERROR,))


def encode_message(message: Message) -> bytes:
    """Return the bytes of a message in a stream; `InvalidInput` for a number that does not fit."""
    if isinstance(message, LogRecord):
        return encode_frame(message.ts, encode_payload(message.sid, message.change))
    if isinstance(message, Progress):
        return encode_frame(message.ts, b"")
    return _packed(_TIME, _HEARTBEAT, message.ts)


def encode_frame(ts: int, payload: bytes) -> bytes:
    """Return the bytes in a stream of a change that is a payload already."""
    return _packed(TIMED, REPLICATE, ts, len(payload)) + payload


def encode_entry(ts: int, payload: bytes) -> bytes:
    """Return the bytes in a file of a change that is a payload already."""
    return b"%b%b%b" % (_packed(TIMED, ENTRY, ts, len(payload)), payload, ENTRY_END)


@lru_cache(4096)
def stamp(xt: int | None) -> bytes:
    """Return what stands before a value that expires then, nothing for None."""
    return _NEVER if xt == XT_MAX else b"" if xt is None else _XT.pack(xt >> 32, xt & 0xFFFFFFFF)


def encode_header(header: LogHeader) -> bytes:
    """Return the bytes that a file begins with."""
    return _packed(_HEADER, FILE, *header)


def _packed(layout: Struct, *fields: int) -> bytes:
    try:
        return layout.pack(*fields)
    except error as problem:
        raise InvalidInput(f"a timestamp has 64 bits, a size 32: {problem}") from problem


def to_frames(entries: bytes, request: Subscribe) -> Frames:
    """Return what a subscriber is sent of changes in a file, up to the first that is cut or wrong.

    `ProtocolError` if that is the very first one, and it is wrong.
    """
    unpack, fixed = TIMED.unpack_from, TIMED.size
    since, sid, only = request
    at, end = 0, len(entries)
    wanted = last = passed = 0
    frames: list[bytes] = []
    while at + fixed <= end:
        opcode, ts, size = unpack(entries, at)
        start = at + fixed
        stop = start + size
        right = opcode == ENTRY and size >= ORIGIN.size
        if right and stop >= end:
            wanted = stop + 1 - at
            break
        if not right or entries[stop] != ENTRY_END[0]:
            if at:
                break
            raise ProtocolError("a change in a file does not begin, or does not end, as it must")
        if ts > since:
            if ((entries[start] << 8 | entries[start + 1]) == sid) is only:
                frames.append(ACK + entries[at + 1 : stop])
            else:
                passed += 1
        last = ts
        at = stop + 1
    return Frames(b"".join(frames), at, wanted, last, passed)


# --- Decoding


def decode_header(data: bytes) -> LogHeader:
    """Return what a file's first `HEADER_SIZE` bytes say; `ProtocolError` if it is no update log."""
    if len(data) < HEADER_SIZE or data[0] != FILE:
        raise ProtocolError("a file of an update log begins with 0xa0, its size and its last timestamp")
    _, size, ts = _HEADER.unpack_from(data)
    if size < HEADER_SIZE:
        raise ProtocolError(f"a file of an update log cannot have {size} bytes")
    return LogHeader(size, ts)


class _Decoder(Generic[M]):
    """Decodes messages, one after the other."""

    closing = False

    def __init__(self, limits: Limits = REQUEST_LIMITS, buffer: Buffer | None = None) -> None:
        self._limits = limits
        self._buffer = Buffer() if buffer is None else buffer

    @property
    def rest(self) -> bytes:
        """The bytes behind the message, untouched."""
        return self._buffer.rest

    def feed(self, data: bytes) -> M | NeedData:
        """Take received bytes and return the next message, or `NEED_DATA`; `b""` asks for a pipelined one."""
        buffer = self._buffer
        if not buffer.add(data):
            return NEED_DATA
        if buffer.at == len(buffer.data):
            return buffer.want(1)
        message = self._read(buffer, buffer.data[buffer.at])
        if message is not NEED_DATA:
            buffer.release()
        return message

    def _read(self, buffer: Buffer, opcode: int) -> M | NeedData:
        raise NotImplementedError

    def _timed(self, buffer: Buffer, end: bytes = b"") -> tuple[int, bytes] | None:
        """Return a timestamp and the payload behind it, once all of it and of `end` has arrived."""
        data, at = buffer.data, buffer.at
        start = at + TIMED.size
        if start > len(data):
            buffer.want(TIMED.size)
            return None
        _, ts, size = TIMED.unpack_from(data, at)
        if size > self._limits.message:
            raise TooLarge(f"a change of {size} bytes; the limit is {self._limits.message}")
        stop = start + size
        if stop + len(end) > len(data):
            buffer.want(stop + len(end) - at)
            return None
        if data[stop : stop + len(end)] != end:
            raise ProtocolError("a change in a file does not end as it must")
        buffer.at = stop + len(end)
        return ts, data[start:stop]


class SubscribeDecoder(_Decoder[Subscribe]):
    """Decodes the subscription that a connection may begin with; behind it come bytes of `ACK`."""

    def _read(self, buffer: Buffer, opcode: int) -> Subscribe | NeedData:
        if opcode != REPLICATE:
            raise ProtocolError(f"0x{opcode:02x} begins no subscription")
        if buffer.at + _SUBSCRIBE.size > len(buffer.data):
            return buffer.want(_SUBSCRIBE.size)
        _, flags, ts, sid = _SUBSCRIBE.unpack_from(buffer.data, buffer.at)
        buffer.at += _SUBSCRIBE.size
        return Subscribe(ts, sid, bool(flags & _ONLY))


class StreamDecoder(_Decoder[Subscribed | ErrorReply | Message]):
    """Decodes what a master sends: the answer to the subscription, then one message after the other.

    `plain` are the databases that were opened with ``ktopts=p``, whose values are not preceded by an expiry.
    """

    def __init__(
        self, limits: Limits = REQUEST_LIMITS, buffer: Buffer | None = None, *, plain: Container[int] = ()
    ) -> None:
        super().__init__(limits, buffer)
        self._plain = plain
        self._subscribed = False

    def _read(self, buffer: Buffer, opcode: int) -> Subscribed | ErrorReply | Message | NeedData:
        if not self._subscribed:
            return self._answer(buffer, opcode)
        if opcode == REPLICATE:
            found = self._timed(buffer)
            if found is None:
                return NEED_DATA
            ts, payload = found
            return LogRecord(ts, *decode_payload(payload, self._plain)) if payload else Progress(ts)
        if opcode != _HEARTBEAT:
            raise ProtocolError(f"0x{opcode:02x} begins no message of a master")
        if buffer.at + _TIME.size > len(buffer.data):
            return buffer.want(_TIME.size)
        _, ts = _TIME.unpack_from(buffer.data, buffer.at)
        buffer.at += _TIME.size
        return Heartbeat(ts)

    def _answer(self, buffer: Buffer, opcode: int) -> Subscribed | ErrorReply:
        if opcode not in (REPLICATE, _ERROR):
            raise ProtocolError(f"0x{opcode:02x} answers no subscription")
        buffer.at += 1
        if opcode == _ERROR:
            self.closing = True
            return ErrorReply()
        self._subscribed = True
        return Subscribed()


class EntryDecoder(_Decoder[tuple[int, bytes]]):
    """Decodes the changes behind the header of a file, each as its timestamp and its payload."""

    def _read(self, buffer: Buffer, opcode: int) -> tuple[int, bytes] | NeedData:
        if opcode != ENTRY:
            raise ProtocolError(f"0x{opcode:02x} begins no change in a file")
        return self._timed(buffer, ENTRY_END) or NEED_DATA
