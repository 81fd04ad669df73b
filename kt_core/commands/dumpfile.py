"""The file format of dumps: records with their databases and expiries, checked block by block, written as a stream.

All integers are big-endian::

    file    "KTDUMP1\\n", a line of JSON about where it came from, blocks, the last of them empty
    block   u32 size of the records' bytes | u32 records | u32 CRC-32 of their bytes | u32 CRC-32 of these 12 bytes
            records
    record  u16 database | i64 expiry, in milliseconds since 1970, -1 for never | u32 key size | u32 value size
            key | value

A block has about 1 MiB, or one record that is larger. In the empty block, the first field is 0, and the second the
number of all records, modulo 2^32. A file without it was cut off: it is good up to its last whole block.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from struct import Struct, error
from typing import Any, BinaryIO, Final, NamedTuple
from zlib import crc32

from kt_core.commands.places.base import Row
from kt_core.database import NEVER
from kt_core.errors import Damaged

MAGIC: Final = b"KTDUMP1\n"
_BLOCK: Final = Struct(">III")
_CHECK: Final = Struct(">I")
_RECORD: Final = Struct(">HqII")
_BLOCK_SIZE: Final = 1 << 20
_LONGEST_HEAD: Final = 1 << 16
_NEVER: Final = -1


class Block(NamedTuple):
    """Records of a dump with their databases, and where in the file the next block begins."""

    rows: list[tuple[int, Row]]
    end: int


class Writer:
    """Writes a dump to a stream."""

    def __init__(self, stream: BinaryIO, written: int = 0) -> None:
        self._stream = stream
        self._parts: list[bytes] = []
        self._size = self._records = 0
        self.written = written
        """Records, those of a dump that is continued among them."""

    def begin(self, about: dict[str, Any]) -> None:
        """Write what stands before the blocks."""
        self._stream.write(MAGIC + json.dumps(about).encode() + b"\n")

    def write(self, database: int, rows: Iterable[Row]) -> None:
        """Write records."""
        for key, value, expiry in rows:
            head = _RECORD.pack(database, _NEVER if expiry == NEVER else expiry, len(key), len(value))
            self._parts += head, key, value
            self._size += len(head) + len(key) + len(value)
            self._records += 1
            if self._size >= _BLOCK_SIZE:
                self.flush()

    def flush(self) -> None:
        """Write out the block that is begun."""
        if self._records:
            self._write_block(b"".join(self._parts), self._records)
            self.written += self._records
            self._parts, self._size, self._records = [], 0, 0
            self._stream.flush()

    def end(self) -> None:
        """Write the empty block that tells a whole dump."""
        self.flush()
        self._write_block(b"", self.written & 0xFFFFFFFF)
        self._stream.flush()

    def _write_block(self, records: bytes, count: int) -> None:
        head = _BLOCK.pack(len(records), count, crc32(records))
        self._stream.write(head + _CHECK.pack(crc32(head)) + records)


class Reader:
    """Reads a dump from a stream, whose `MAGIC` has been read already; `Damaged` says where it is no dump."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        line = stream.readline(_LONGEST_HEAD)
        self.at = len(MAGIC) + len(line)
        """How many bytes have been read."""
        self.read = 0
        """Records of the blocks that are done with: whoever takes a block is done when it asks for the next."""
        self.whole = False
        """Whether the end was found."""
        try:
            self.about: dict[str, Any] = dict(json.loads(line))
            self.databases: list[int] = [int(number) for number in self.about["databases"]]
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            raise Damaged("the head of the dump is damaged") from None

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks up to the end, or to where the file was cut off, which leaves `whole` False."""
        while len(head := self._stream.read(_BLOCK.size + _CHECK.size)) == _BLOCK.size + _CHECK.size:
            size, count, check = _BLOCK.unpack_from(head)
            if crc32(head[: _BLOCK.size]) != _CHECK.unpack_from(head, _BLOCK.size)[0]:
                raise Damaged(f"the dump is damaged at byte {self.at:,}")
            if not size:
                self.whole = count == self.read & 0xFFFFFFFF
                if not self.whole:
                    raise Damaged(f"the dump says that it has {count:,} records, and it has {self.read:,}")
                return
            records = self._stream.read(size)
            if len(records) < size:
                return
            if crc32(records) != check:
                raise Damaged(f"the dump is damaged between byte {self.at:,} and {self.at + len(head) + size:,}")
            self.at += len(head) + size
            yield Block(_rows(records), self.at)
            self.read += count


def _rows(records: bytes) -> list[tuple[int, Row]]:
    found = []
    at = 0
    try:
        while at < len(records):
            database, expiry, key_size, value_size = _RECORD.unpack_from(records, at)
            at += _RECORD.size
            key = records[at : at + key_size]
            at += key_size + value_size
            found.append((database, Row(key, records[at - value_size : at], NEVER if expiry == _NEVER else expiry)))
    except error:
        at = -1
    if at != len(records):  # a checksum keeps out damage, not malice
        raise Damaged("a block of the dump does not end with its last record")
    return found
