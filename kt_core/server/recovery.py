"""What the last file of an update log holds after a fall, and what of it counts.

After the death of the process all that was written is there: the header says what counts, and of what is behind it, the
databases know what was made. After a failure of power any part may be missing that was not written to the disk; the
changes of durable databases are then in their tails (`kt_core.server.tail`), and are written again first.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from kt_core.errors import ProtocolError
from kt_core.wire.exchange import NeedData
from kt_core.wire.kt_log import (
    HEADER_SIZE,
    TIMED,
    EntryDecoder,
    LogHeader,
    Subscribe,
    decode_payload,
    encode_entry,
    to_frames,
)

if TYPE_CHECKING:
    from kt_core.server.tail import Piece

_PIECE: Final = 1 << 20
_NOTHING: Final = Subscribe((1 << 64) - 1, 0)
_DATABASES: Final = range(1 << 16)


class Remains:
    """The last file of a log, open to be read and written, with this number and this header."""

    def __init__(self, file: int, number: int, header: LogHeader) -> None:
        self._file = file
        self._number = number
        self.header = header
        """What is sure to count."""
        self._known = HEADER_SIZE, 0  # bytes that are a header and whole changes, and their last timestamp

    def restore(self, tail: Iterable[Piece]) -> int:
        """Write again what databases have of the end of the file, unless it belongs to another log.

        All of it was made. Return how many bytes are lost that were in between: of databases that are not durable.
        """
        pieces = sorted(piece for piece in tail if piece.start.number == self._number)
        if not pieces:
            return 0
        (_, start), sure, entries = pieces[0]
        begin, last = self.whole(start)
        first = _first(entries)
        if begin < sure or first <= last or _first(os.pread(self._file, _PIECE, start)) not in (0, first):
            return 0
        at = begin
        parts: list[bytes] = []
        for (_, offset), _, entries in pieces:
            # Between are large changes, which are on the disk, and behind them those of databases that are not durable.
            between = os.pread(self._file, offset - at, at)
            parts += between[: _whole(between)], entries
            at = offset + len(entries)
        restored = b"".join(parts)
        write(self._file, restored, begin)
        end = begin + len(restored)
        if end < at:  # what follows is where it was, and may be in the middle of a change by now
            os.ftruncate(self._file, end)
        if end < at or end > self.header.size:
            self.header = LogHeader(end, to_frames(pieces[-1].entries, _NOTHING).ts)
        return at - end

    def whole(self, bound: int = 1 << 62) -> tuple[int, int]:
        """Return how many bytes, of the first so many, are a header and whole changes, and their last timestamp."""
        (at, last), size = self._known, _PIECE
        with suppress(ProtocolError):
            while True:
                frames = to_frames(os.pread(self._file, min(size, bound - at), at), _NOTHING)
                if not frames.size and frames.wanted <= size:
                    break
                at, last, size = at + frames.size, frames.ts or last, max(_PIECE, frames.wanted)
        self._known = at, last
        return self._known

    def made(self, marks: Mapping[int, int | None]) -> tuple[int, int]:
        """Return where the changes that were made end, and their last timestamp."""
        end, last = self.header
        before = last
        for at, ts, database in self._uncounted():
            if ts <= before:  # of a transaction that failed before another one came to count
                break
            before = ts
            if ts <= (marks.get(database) or 0):
                end, last = at, ts
        return end, last

    def _uncounted(self) -> Iterator[tuple[int, int, int]]:
        """Yield where each change behind those that count ends, its timestamp, and its database."""
        at = self.header.size
        decoder = EntryDecoder()
        data = os.pread(self._file, max(os.fstat(self._file).st_size - at, 0), at)
        with suppress(ProtocolError):
            while not isinstance(entry := decoder.feed(data), NeedData):
                data = b""
                ts, payload = entry
                at += len(encode_entry(ts, payload))
                yield at, ts, decode_payload(payload, _DATABASES)[1].db


def _first(entries: bytes) -> int:
    """Return the timestamp of the first change, 0 if it is not whole."""
    return int(TIMED.unpack_from(entries)[1]) if _whole(entries) else 0


def _whole(entries: bytes) -> int:
    """Return how many bytes are whole changes."""
    with suppress(ProtocolError):
        return to_frames(entries, _NOTHING).size
    return 0


def write(file: int, data: bytes, at: int) -> None:
    """Write all of it."""
    written = os.pwrite(file, data, at)
    while written < len(data):  # on a disk that is almost full
        written += os.pwrite(file, data[written:], at + written)
