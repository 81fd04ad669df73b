"""How one record is laid out in LMDB: its key, and the header before its value.

A record is a 16-byte header and the value. The header holds the expiry (absolute milliseconds,
`NEVER` for none) and the time it was stored (absolute milliseconds) with eight flag bits below it.

LMDB refuses empty keys and keys over 511 bytes; both are legal here, so a key is *stored* in one of three forms:

* as it is, when it has 1 to 510 bytes and does not begin with NUL;
* with one NUL before it, when it is empty or begins with NUL (order is kept: NUL sorts first);
* cut to its first 479 bytes, followed by its 32-byte BLAKE2b digest, when it is longer: 511 bytes, a length
  no other form has. The whole key then stands between header and value, so that it can be listed and
  compared. Order is exact up to those first 479 bytes.
"""

from __future__ import annotations

from hashlib import blake2b
from struct import Struct
from typing import NamedTuple

NEVER = (1 << 63) - 1
"""The expiry, in milliseconds, of a record that never expires."""

HEADER = Struct(">QQ")
HEADER_SIZE = HEADER.size
pack_header = HEADER.pack
unpack_header = HEADER.unpack_from

LONG_KEY = 1
"""Flag: the record begins with its whole key, because the stored key holds only part of it."""

LONGEST_VERBATIM = 510
_LONG_STORED = 511
_PREFIX = 479
_KEY_SIZE = Struct(">I")


class Record(NamedTuple):
    """A visible record: its value, and its expiry in absolute milliseconds (`NEVER` for none)."""

    value: bytes
    expiry: int


def stored_key(key: bytes) -> bytes:
    """Return the form under which LMDB keeps this key.

    Callers on a hot path ask `is_verbatim` first, in line.
    """
    if key[:1] in (b"", b"\0"):
        key = b"\0" + key
    if len(key) > LONGEST_VERBATIM:
        return key[:_PREFIX] + blake2b(key, digest_size=_LONG_STORED - _PREFIX).digest()
    return key


def stored_prefix(prefix: bytes) -> bytes:
    """Return what every stored form of a key with this prefix begins with (a shorter one if need be)."""
    if prefix[:1] == b"\0":
        prefix = b"\0" + prefix
    return prefix[:_PREFIX]


def encode(key: bytes, stored: bytes, value: bytes, expiry: int, now: int) -> bytes:
    """Return the record's bytes; `now` and `expiry` in absolute milliseconds."""
    if len(stored) == _LONG_STORED:
        return pack_header(expiry, now << 8 | LONG_KEY) + _KEY_SIZE.pack(len(key)) + key + value
    return pack_header(expiry, now << 8) + value


def value_offset(raw: bytes | memoryview) -> int:
    """Return where the value begins in a record's bytes."""
    if raw[15] & LONG_KEY:
        return HEADER_SIZE + _KEY_SIZE.size + int(_KEY_SIZE.unpack_from(raw, HEADER_SIZE)[0])
    return HEADER_SIZE


def original_key(stored: bytes | memoryview, raw: bytes | memoryview) -> bytes:
    """Return the key a record was stored under."""
    if raw[15] & LONG_KEY:
        start = HEADER_SIZE + _KEY_SIZE.size
        return bytes(raw[start : value_offset(raw)])
    key = bytes(stored)
    return key[1:] if key[:1] == b"\0" else key


def to_record(raw: bytes | memoryview) -> Record:
    """Return the value and expiry in a record's bytes."""
    return Record(bytes(raw[value_offset(raw) :]), unpack_header(raw)[0])
