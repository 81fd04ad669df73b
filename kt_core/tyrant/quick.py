"""What most of the traffic is, without the general machinery: one record fetched or stored.

The bytes are those of `kt_core.wire.tt_binary`, which also has the last word on whatever is not the usual case.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Final, TypeVar

from kt_core.wire import tt_messages as tt
from kt_core.wire.exchange import REQUEST_LIMITS, NeedData, Op, QuickDecoder
from kt_core.wire.tt_binary import ReplyDecoder, encode_request

T = TypeVar("T")

_GET: Final = Struct(">2sI")  # command, size of the key
_PUT: Final = Struct(">2sII")  # command, sizes of key and value
_SIZE: Final = Struct(">I")
_VALUE_AT: Final = 5  # behind the status and the size
_DONE, _FAILED = b"\0", b"\1"


def get(key: bytes, finish: Callable[[bytes | None], T]) -> Op[T]:
    """Fetch a value; the result is what `finish` makes of it, or of None."""
    size = len(key)
    if size > REQUEST_LIMITS.key:
        encode_request(tt.Get(key))
    return Op(_GET.pack(b"\xc8\x30", size) + key, _ValueDecoder(), True, finish)


def put(key: bytes, value: bytes) -> Op[bool]:
    """Store a record; tell whether it was stored."""
    size, value_size = len(key), len(value)
    if size > REQUEST_LIMITS.key or value_size > REQUEST_LIMITS.value:
        encode_request(tt.Put(key, value))
    return Op(_PUT.pack(b"\xc8\x10", size, value_size) + key + value, _DoneDecoder(), True, _same)


def _same(stored: bool) -> bool:
    return stored


class _Decoder(QuickDecoder):
    _general_of = ReplyDecoder


class _ValueDecoder(_Decoder):
    def feed(self, data: bytes, /) -> bytes | NeedData | None:
        if self._general is None:
            if data == _FAILED:
                return None
            if len(data) >= _VALUE_AT and not data[0] and _SIZE.unpack_from(data, 1)[0] == len(data) - _VALUE_AT:
                return data[_VALUE_AT:]
        reply = self._feed(tt.Value, data)
        if isinstance(reply, NeedData):
            return reply
        return None if isinstance(reply, tt.Failed) else reply.value


class _DoneDecoder(_Decoder):
    def feed(self, data: bytes, /) -> bool | NeedData:
        if self._general is None and data == _DONE:
            return True
        reply = self._feed(tt.Done, data)
        return reply if isinstance(reply, NeedData) else isinstance(reply, tt.Done)
