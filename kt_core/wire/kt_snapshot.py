"""The file that holds all records of a database as of one instant.

It has a header, and then the records one behind the other. Those of a database whose records may expire have five bytes
before the value: the absolute second after which they do. Source: the Kyoto Tycoon protocol reference, section 9.6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import Struct
from typing import Final, NamedTuple, TypeAlias

from kt_core.errors import ProtocolError
from kt_core.wire.exchange import REQUEST_LIMITS
from kt_core.wire.kt_binary import XT_MAX
from kt_core.wire.varnum import encode_varnum, read_varnum

_HEADER: Final = Struct(">6sIQQQ")
_MAGIC: Final = b"KTSS\n\0"
_RECORD: Final = b"\xcc"
_XT_SIZE: Final = 5
_PIECE: Final = 1 << 20
_HEAD: Final = 1 + 2 * 10  # the most bytes before the key

Read: TypeAlias = "Callable[[int], bytes]"
"""Gives up to so many of the next bytes, and fewer at the end only."""


class Snapshot(NamedTuple):
    """What the header tells: when it was made, in nanoseconds since the epoch, how many records, and their bytes."""

    ts: int
    records: int
    size: int


HEADER_SIZE: Final = _HEADER.size


def encode_header(snapshot: Snapshot) -> bytes:
    """Return the bytes that the file begins with."""
    return _HEADER.pack(_MAGIC, 0, *snapshot)  # the 0 is for records that are not compressed


def encode_record(key: bytes, value: bytes, xt: int | None) -> bytes:
    """Return the bytes of a record; None for an expiry is of a database whose records never do."""
    stamp = xt.to_bytes(_XT_SIZE, "big") if xt is not None else b""
    sizes = encode_varnum(len(key)) + encode_varnum(len(stamp) + len(value))
    return b"".join((_RECORD, sizes, key, stamp, value))


def read_header(read: Read) -> Snapshot:
    """Return what the header tells; `ProtocolError` if that is none, or one of compressed records."""
    data = read(HEADER_SIZE)
    if len(data) < HEADER_SIZE or not data.startswith(_MAGIC):
        raise ProtocolError("it is no snapshot")
    _, check, *fields = _HEADER.unpack(data)
    if check:
        raise ProtocolError("its records are compressed: have it written without -bgsc")
    return Snapshot(*fields)


def read_records(read: Read, *, expires: bool) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield key, value and expiry of each record behind the header; `ProtocolError` where one is damaged."""
    data, at = b"", 0
    xt_size = _XT_SIZE if expires else 0
    while True:
        if len(data) - at < _HEAD:
            data, at = data[at:] + read(_PIECE), 0
            if not data:
                return
        if data[at : at + 1] != _RECORD:
            raise ProtocolError("a record does not begin as it must")
        key_size, middle = read_varnum(data, at + 1)
        value_size, start = read_varnum(data, middle)
        if key_size > REQUEST_LIMITS.key or not xt_size <= value_size <= REQUEST_LIMITS.value + xt_size:
            raise ProtocolError(f"a record of a key of {key_size} bytes and a value of {value_size}")
        end = start + key_size + value_size
        if end > len(data):
            missing = end - len(data)
            data += read(max(missing, _PIECE))
            if end > len(data):
                raise ProtocolError("it ends amid a record")
        at = start + key_size
        xt = int.from_bytes(data[at : at + xt_size], "big") if expires else XT_MAX
        yield data[start:at], data[at + xt_size : end], xt
        at = end
