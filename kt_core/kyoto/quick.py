"""What most of the traffic is, without the general machinery: one record fetched or stored, many fetched.

The bytes are those of `kt_core.wire.kt_binary`, which also has the last word on whatever is not the usual case. One
record takes a third of the time that it takes there, many take two thirds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from struct import Struct, error
from typing import Any, Final, NamedTuple, TypeVar, overload

from kt_core.errors import ServerError
from kt_core.text import decode_text
from kt_core.wire.exchange import REQUEST_LIMITS, NeedData, Op, QuickDecoder
from kt_core.wire.kt_binary import (
    GET_BULK,
    NEVER_XT,
    ONE_KEY,
    ONE_RECORD,
    SET_BULK,
    ErrorReply,
    GetBulk,
    GetReply,
    ReplyDecoder,
    SetBulk,
    SetReply,
    encode_request,
)

T = TypeVar("T")

_HEAD: Final = Struct(">BI")  # opcode, count
_MANY: Final = Struct(">BII")  # opcode, flags, count
_KEY: Final = Struct(">HI")  # database, size of the key
_FOUND: Final = Struct(">BIHIIq")  # opcode, hits, database, sizes of key and value, expiry
_SIZES: Final = Struct(">2xII8x")  # of a record's key and value, behind its database and before its expiry
_NOTHING_FOUND: Final = b"\xba\0\0\0\0"
_STORED: Final = b"\xb8\0\0\0\1"

# A request that is no longer has no part that is too long.
_UNQUESTIONED: Final = min(REQUEST_LIMITS.key, REQUEST_LIMITS.value)


class Found(NamedTuple):
    """A record that was found: its value, and the absolute second of its expiry (`XT_MAX` for never)."""

    value: bytes
    xt: int


@overload
def get(db: int, key: bytes) -> Op[Found | None]: ...


@overload
def get(db: int, key: bytes, finish: Callable[[Found | None], T]) -> Op[T]: ...


def get(db: int, key: bytes, finish: Callable[[Found | None], Any] = lambda found: found) -> Op[Any]:
    """Fetch one record; the result is what `finish` makes of it."""
    try:
        payload = ONE_KEY.pack(GET_BULK, 0, 1, db, len(key)) + key
    except error:
        payload = b""
    if not 0 < len(payload) <= _UNQUESTIONED:
        payload = encode_request(GetBulk(((db, key),)))
    return Op(payload, _FoundDecoder(), True, finish)


def fetch(db: int, keys: Sequence[bytes], finish: Callable[[dict[bytes, bytes]], T]) -> Op[T]:
    """Fetch the values of many records; the result is what `finish` makes of those found."""
    return Op(_encode_keys(db, keys), _ManyDecoder(), True, finish)


def fetch_texts(db: int, keys: Sequence[bytes]) -> Op[dict[str | bytes, str | bytes]]:
    """Fetch many records whose keys and values are UTF-8; those that are not come as bytes."""
    return Op(_encode_keys(db, keys), _TextsDecoder(), True, lambda found: found)


def _encode_keys(db: int, keys: Sequence[bytes]) -> bytes:
    try:
        head = _heads(db)
        payload = _MANY.pack(GET_BULK, 0, len(keys)) + b"".join([head[len(key)] + key for key in keys])
    except (error, IndexError):
        payload = b""
    if not 0 < len(payload) <= _UNQUESTIONED:
        payload = encode_request(GetBulk([(db, key) for key in keys]))
    return payload


@cache
def _heads(db: int) -> list[bytes]:
    """Return what comes before a key of each usual length."""
    return [_KEY.pack(db, size) for size in range(256)]


def put(db: int, key: bytes, value: bytes, xt: int = NEVER_XT, *, no_reply: bool = False) -> Op[int]:
    """Store one record; return how many were stored, or with `no_reply` nothing, unheard."""
    try:
        payload = ONE_RECORD.pack(SET_BULK, no_reply, 1, db, len(key), len(value), xt) + key + value
    except error:
        payload = b""
    if not 0 < len(payload) <= _UNQUESTIONED:
        payload = encode_request(SetBulk(((db, key, value, xt),), no_reply))
    return Op(payload, None if no_reply else _StoredDecoder(), True, _hits)


def _hits(hits: int | None) -> int:
    return hits or 0


def refused() -> ServerError:
    """Return the error of a request that the server has refused."""
    return ServerError(500, "the server refused the request; the binary protocol has no words for why")


class _Decoder(QuickDecoder):
    _general_of = ReplyDecoder

    def _feed(self, kind: type[Any], data: bytes) -> Any:
        reply = super()._feed(kind, data)
        if isinstance(reply, ErrorReply):
            raise refused()  # here already: the server closes the connection, too
        return reply


class _FoundDecoder(_Decoder):
    def feed(self, data: bytes, /) -> Found | NeedData | None:
        if self._general is None:
            if data == _NOTHING_FOUND:
                return None
            if len(data) >= _FOUND.size:
                opcode, count, _, key_size, value_size, xt = _FOUND.unpack_from(data)
                start = _FOUND.size + key_size
                if opcode == GET_BULK and count == 1 and len(data) == start + value_size:
                    return Found(data[start:], xt)
        reply = self._feed(GetReply, data)
        if isinstance(reply, NeedData):
            return reply
        for _, _, value, xt in reply.records:
            return Found(value, xt)
        return None


class _StoredDecoder(_Decoder):
    def feed(self, data: bytes, /) -> int | NeedData:
        if self._general is None and data == _STORED:
            return 1
        reply = self._feed(SetReply, data)
        return reply if isinstance(reply, NeedData) else reply.hits


class _ManyDecoder(_Decoder):
    def feed(self, data: bytes, /) -> dict[bytes, bytes] | NeedData:
        if self._general is None and (found := _scan(data)) is not None:
            return found
        reply = self._feed(GetReply, data)
        return reply if isinstance(reply, NeedData) else {key: value for _, key, value, _ in reply.records}


class _TextsDecoder(_Decoder):
    def feed(self, data: bytes, /) -> dict[str | bytes, str | bytes] | NeedData:
        if self._general is None and (found := _scan_texts(data)) is not None:
            return found
        reply = self._feed(GetReply, data)
        if isinstance(reply, NeedData):
            return reply
        return {decode_text(key): decode_text(value) for _, key, value, _ in reply.records}


# A scan returns the values in a reply, by their keys; None if the reply is not whole, or not the usual one. The two
# differ in what they decode alone: decoding what the other one has found takes half as long again.


def _scan(data: bytes) -> dict[bytes, bytes] | None:
    try:
        opcode, count = _HEAD.unpack_from(data)
        unpack, fixed, at = _SIZES.unpack_from, _SIZES.size, _HEAD.size
        found = {}
        for _ in range(count):
            key_size, value_size = unpack(data, at)
            start = at + fixed
            middle = start + key_size
            at = middle + value_size
            found[data[start:middle]] = data[middle:at]
    except error:
        return None
    return found if opcode == GET_BULK and at == len(data) else None


def _scan_texts(data: bytes) -> dict[str | bytes, str | bytes] | None:
    try:
        opcode, count = _HEAD.unpack_from(data)
        unpack, fixed, at = _SIZES.unpack_from, _SIZES.size, _HEAD.size
        found: dict[str | bytes, str | bytes] = {}
        for _ in range(count):
            key_size, value_size = unpack(data, at)
            start = at + fixed
            middle = start + key_size
            at = middle + value_size
            found[data[start:middle].decode()] = data[middle:at].decode()
    except (error, UnicodeDecodeError):
        return None
    return found if opcode == GET_BULK and at == len(data) else None
