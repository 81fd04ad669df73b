"""Bytes of Aerospike's protocol as the server sees them: frames, messages, the rows of a batch.

The numbers are those of the client's `as_command.h`; all integers are big-endian, those of partitions aside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from struct import Struct
from typing import Any, NamedTuple

VERSION = 2
INFO, ADMIN, MESSAGE = 1, 2, 3
"""The types of frames."""

SECURITY_NOT_SUPPORTED = 51
MAX_FRAME = 128 << 20
"""Bytes; a frame beyond closes the connection, as the real server does."""

_PROTO = Struct(">BBHI")  # version, type, 48 bits of length
_HEADER = Struct(">BBBBBBIIIHH")
_SIZE = Struct(">I")
_OP = Struct(">IBBBB")
_BATCH = Struct(">IB")
_ROW = Struct(">I20sB")


class Info1(IntFlag):
    """The first byte of flags: reading."""

    READ, ALL_BINS, SHORT_QUERY, BATCH = 1, 2, 4, 8
    NO_BIN_DATA, MODE_AP_ALL, COMPRESS = 0x20, 0x40, 0x80


class Info2(IntFlag):
    """The second byte of flags: writing."""

    WRITE, DELETE, GENERATION, GENERATION_GREATER = 1, 2, 4, 8
    DURABLE_DELETE, CREATE_ONLY, ALL_OPS = 0x10, 0x20, 0x80


class Info3(IntFlag):
    """The third byte of flags: writing, and the end of an answer."""

    LAST, COMMIT_MASTER, PARTITION_DONE, UPDATE_ONLY = 1, 2, 4, 8
    CREATE_OR_REPLACE, REPLACE_ONLY = 0x10, 0x20


class Field(IntEnum):
    """Types of a message's fields."""

    NAMESPACE, SET, KEY, DIGEST = 0, 1, 2, 4
    TASK_ID, SOCKET_TIMEOUT, RECORDS_PER_SECOND = 7, 9, 10
    PARTITIONS, DIGESTS, MAX_RECORDS = 11, 12, 13
    INDEX_RANGE, UDF_PACKAGE, QUERY_BINS, BATCH, FILTER = 22, 30, 40, 41, 43


class Code(IntEnum):
    """Codes of an operation on a bin, as they are on the wire."""

    READ, WRITE, CDT_READ, CDT_MODIFY, INCR = 1, 2, 3, 4, 5
    EXPRESSION_READ, EXPRESSION_MODIFY, APPEND, PREPEND, TOUCH = 7, 8, 9, 10, 11
    BIT_READ, BIT_MODIFY, DELETE, HLL_READ, HLL_MODIFY = 12, 13, 14, 15, 16


class Result(IntEnum):
    """Result codes."""

    OK, SERVER, NOT_FOUND, GENERATION, PARAMETER, EXISTS = 0, 1, 2, 3, 4, 5
    TIMEOUT, UNAVAILABLE, BIN_TYPE, TOO_BIG = 9, 11, 12, 13
    OVERLOAD, KEY_MISMATCH, NAMESPACE, BIN_NAME, FORBIDDEN = 18, 19, 20, 21, 22
    ENTERPRISE, FILTERED_OUT, UDF, GEOJSON = 25, 27, 100, 160


class Particle(NamedTuple):
    """A bin's value, opaque but for its type."""

    type: int
    value: bytes


NOTHING = Particle(0, b"")
"""Written, it removes a bin."""


class Op(NamedTuple):
    """An operation on a bin, or its result."""

    code: int
    name: bytes = b""
    particle: Particle = NOTHING


@dataclass
class Message:
    """A request or an answer.

    `ttl` is seconds in a request and an absolute expiry in an answer; `index` is the timeout in milliseconds in a
    request and the number of the row in an answer to a batch.
    """

    info1: int = 0
    info2: int = 0
    info3: int = 0
    info4: int = 0
    result: int = 0
    generation: int = 0
    ttl: int = 0
    index: int = 0
    fields: dict[int, bytes] = field(default_factory=dict)
    ops: Sequence[Op] = ()

    def encode(self) -> bytes:
        """Return the bytes of a message, without a frame."""
        head = _HEADER.pack(
            _HEADER.size,
            self.info1,
            self.info2,
            self.info3,
            self.info4,
            self.result,
            self.generation,
            self.ttl,
            self.index,
            len(self.fields),
            len(self.ops),
        )
        fields = [_SIZE.pack(1 + len(data)) + bytes((kind,)) + data for kind, data in self.fields.items()]
        ops = [
            _OP.pack(4 + len(name) + len(value), code, particle, 0, len(name)) + name + value
            for code, name, (particle, value) in self.ops
        ]
        return b"".join((head, *fields, *ops))


def decode_message(body: bytes) -> Message:
    """Return the message in a frame's body; ValueError where it is none."""
    reader = _Reader(body)
    size, *numbers, n_fields, n_ops = reader.unpack(_HEADER)
    if size != _HEADER.size:
        raise ValueError(f"a header of {size} bytes")
    message = Message(*numbers)
    message.fields = reader.fields(n_fields)
    message.ops = reader.ops(n_ops)
    reader.end()
    return message


def frame(kind: int, body: bytes) -> bytes:
    """Return a body with the header of its frame."""
    return _PROTO.pack(VERSION, kind, len(body) >> 32, len(body) & 0xFFFFFFFF) + body


def frame_messages(messages: Iterable[Message]) -> bytes:
    """Return one frame with all messages."""
    return frame(MESSAGE, b"".join(message.encode() for message in messages))


PROTO_SIZE = _PROTO.size


def decode_proto(head: bytes) -> tuple[int, int]:
    """Return a frame's type and the length of its body; ValueError where it is none."""
    version, kind, high, low = _PROTO.unpack(head)
    length = high << 32 | low
    if version != VERSION or kind not in (INFO, ADMIN, MESSAGE, 4) or length > MAX_FRAME:
        raise ValueError(f"version {version}, type {kind}, {length} bytes")
    return kind, length


def decode_batch(message: Message) -> Iterator[Message]:
    """Yield a batch's rows, each as the message that would be sent for its record alone."""
    reader = _Reader(message.fields[Field.BATCH])
    shared = {kind: data for kind, data in message.fields.items() if kind == Field.FILTER}
    count, _ = reader.unpack(_BATCH)
    row = Message()
    for _ in range(count):
        index, digest, kind = reader.unpack(_ROW)
        if not kind & 1:
            row = reader.row(kind)
        yield Message(
            info1=row.info1,
            info2=row.info2,
            info3=row.info3,
            generation=row.generation,
            ttl=row.ttl,
            index=index,
            fields={**shared, **row.fields, Field.DIGEST: digest},
            ops=row.ops,
        )
    reader.end()


class _Reader:
    """A place in some bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        piece = self._data[self._at : self._at + count]
        if count < 0 or len(piece) < count:
            raise ValueError(f"{count} bytes wanted at {self._at} of {len(self._data)}")
        self._at += count
        return piece

    def unpack(self, struct: Struct) -> tuple[Any, ...]:
        return struct.unpack(self.take(struct.size))

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def fields(self, count: int) -> dict[int, bytes]:
        found = {}
        for _ in range(count):
            size = self.number(4)
            kind = self.number(1)
            found[kind] = self.take(size - 1)
        return found

    def ops(self, count: int) -> list[Op]:
        found = []
        for _ in range(count):
            size, code, particle, _, length = self.unpack(_OP)
            found.append(Op(code, self.take(length), Particle(particle, self.take(size - 4 - length))))
        return found

    def row(self, kind: int) -> Message:
        """Return what a row and those repeating it have in common; bits of its kind say which parts follow."""
        row = Message()
        if kind & 2:
            row.info1, row.info2, row.info3 = self.take(3)
        if kind & 16:
            self.take(1)
        if kind & 4:
            row.generation = self.number(2)
        if kind & 8:
            row.ttl = self.number(4)
        n_fields, n_ops = self.number(2), self.number(2)
        row.fields = self.fields(n_fields)
        row.ops = self.ops(n_ops)
        return row

    def end(self) -> None:
        if self._at != len(self._data):
            raise ValueError(f"{len(self._data) - self._at} bytes too many")
