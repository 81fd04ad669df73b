"""Files of tab-separated values, as ``ktremotemgr import`` reads them: a record a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO

from kt_core.commands.places.base import Row
from kt_core.errors import InvalidInput
from kt_core.terminal import quoted


def read_tsv(begin: bytes, stream: BinaryIO) -> Iterator[tuple[bytes, bytes | None]]:
    """Yield keys and values, None for a key alone; `begin` has been read of the stream already."""
    first = (begin + stream.readline()).removesuffix(b"\n").split(b"\n")
    for number, line in enumerate(chain(first if first != [b""] else [], stream), 1):
        key, *values = line.removesuffix(b"\n").split(b"\t")
        if len(values) > 1:
            raise InvalidInput(
                f"line {number} has {len(values) + 1} fields: write a key, a tab and a value, or a key to remove"
            )
        yield key, values[0] if values else None


def write_tsv(stream: BinaryIO, batches: Iterable[list[Row]]) -> int:
    """Write records without their expiry; return how many."""
    written = 0
    for rows in batches:
        for row in rows:
            if b"\t" in row.key + row.value or b"\n" in row.key + row.value:
                raise InvalidInput(f"the record of {quoted(row.key)} has a tab or a line in it: leave out --tsv")
            stream.write(b"%b\t%b\n" % (row.key, row.value))
        written += len(rows)
    stream.flush()
    return written
