"""The update log: every change, in numbered files of a directory, for those that follow this server.

A change is written before it is committed, and counts once it is: until then it lies behind what the file's header says
is there, and what comes instead is written over it. So nobody is told of a change that this server did not make; and
what it made, but did not come to count because it was killed, is found again by what the database itself remembers of
its last change (`UpdateLog.recover`). The log itself rarely waits for the disk: see `kt_core.server.tail`. Source: the
Kyoto Tycoon protocol reference, sections 9.2 and 9.5.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from errno import EIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from kt_core.errors import Misconfigured, ProtocolError, StoreFull
from kt_core.server.recovery import Remains, write
from kt_core.wire.exchange import NeedData
from kt_core.wire.kt_log import (
    FILE,
    HEADER_SIZE,
    EntryDecoder,
    LogHeader,
    decode_header,
    encode_header,
)

if TYPE_CHECKING:
    from kt_core.server.tail import Piece

logger = logging.getLogger("kt_core.server")

LARGEST_SID: Final = 65535
_SUFFIX: Final = ".ulog"
_PIECE: Final = 1 << 20
_RECENT: Final = 4 << 20  # bytes of changes that are kept in memory for those that are close behind
_CHUNK_COST: Final = 512  # bytes of memory besides
_TOLD_BEFORE: Final = 1_000_000_000  # nanoseconds: for so long the original may keep a change to itself
_AHEAD: Final = 10_000_000_000  # nanoseconds that the clocks of two servers may be apart


class Position(NamedTuple):
    """A place between two changes: the number of a file, and the bytes of it that come before."""

    number: int
    offset: int


@dataclass(slots=True)
class Chunk:
    """The changes of one transaction: where they end, their first timestamp and their last, and where they began."""

    end: Position
    entries: bytes
    first: int
    last: int
    sid: int | None
    """None if not all of them began at the same server."""
    frames: bytes = b""
    """The same as a stream has them, once they were asked for."""


class LogFile(NamedTuple):
    """A file of the log: its path, and what its header says."""

    path: Path
    header: LogHeader


class UpdateLog:
    """The log that a server writes, one transaction at a time: `lock` is held from the first byte to the commit."""

    def __init__(
        self,
        directory: Path,
        sid: int,
        *,
        limit: int,
        clock: Callable[[], float],
        synchronize: Callable[[int], None] = os.fdatasync,
    ) -> None:
        self.directory = directory
        self.sid = sid
        self.lock = threading.Lock()
        self.changed: Callable[[], object] = lambda: None
        """Called when something was committed, in whatever thread that was."""
        self.recent: dict[Position, Chunk] = {}
        """The last changes, by where they begin."""
        self._limit = limit
        self._clock = clock
        self._synchronize = synchronize
        self._matters = False  # whether there were changes that must not be lost
        self._failed = False  # to write them to the disk
        self.sure = HEADER_SIZE
        """Bytes of the last file that count and are on the disk for certain."""
        self.is_settled = True
        """Whether nothing that was withdrawn can come back after a failure of power, where something else is to be."""
        self._pending: Chunk | None = None
        self._kept = 0  # bytes in `recent`
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._directory = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise Misconfigured(f"-ulog {directory}: {error.strerror}; name a directory that can be written") from error
        try:
            fcntl.flock(self._directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
            *earlier, self._number = self.numbers() or [1]
            self._file = os.open(self.path(self._number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            os.close(self._directory)
            if isinstance(error, BlockingIOError):
                raise Misconfigured(f"-ulog {directory}: another server writes there; name another one") from error
            raise Misconfigured(f"-ulog {directory}: {error.strerror}; name a directory that can be written") from error
        self._header = self._read_header()
        self.last = self._header.ts
        """The greatest timestamp that was given out."""
        self.told = self._header.ts
        """The timestamp of the last change that counts."""
        self.end = Position(self._number, self._header.size)
        """Where the changes that count end."""
        self._before = max([file.header.ts for file in self._files(earlier)], default=0)

    # -- beginning and ending ----------------------------------------------------------------------------

    def _read_header(self) -> LogHeader:
        """Return what the last file's header says, or that there is nothing if it was never written."""
        data = os.pread(self._file, HEADER_SIZE, 0)
        if not data.strip(b"\0") or (data[0] == FILE and len(data) < HEADER_SIZE):
            return LogHeader(HEADER_SIZE, 0)
        try:
            return decode_header(data)
        except ProtocolError as error:
            self.close()
            raise Misconfigured(f"{self.path(self._number)} is no update log ({error}): move it away") from error

    def recover(self, marks: Mapping[int, int | None], tail: Iterable[Piece] = ()) -> None:
        """Find out where the log ends, before it is written: `marks` are what the databases know of themselves.

        That is, by the number of each, the timestamp of its last change, or None if it knows of none. Whatever is
        behind the last change that a database knows of, and does not count, was never made. What the databases have of
        the log's `tail` is written again, and is on the disk afterwards.
        """
        try:
            self._recover(marks, tail)
        except OSError as error:
            raise Misconfigured(f"-ulog {self.directory}: {error.strerror}; make some room there") from error

    def _recover(self, marks: Mapping[int, int | None], tail: Iterable[Piece]) -> None:
        remains = Remains(self._file, self._number, self._header)
        lost = remains.restore(tail)
        size, last = remains.whole()
        lost += max(remains.header.size - size, 0)
        if lost:
            logger.error("%s is torn: %d bytes are lost", self.path(self._number), lost)
        else:
            size, last = remains.made(marks)
        last = max(last, self._before)
        known = max([mark for mark in marks.values() if mark is not None], default=0)
        if known > last:
            logger.error(
                "the update log in %s ends before the last change of a database: who follows this server lacks what "
                "came between, and is to begin anew with a copy",
                self.directory,
            )
        for number in [number for number, mark in marks.items() if mark is None and last]:
            logger.warning(
                "database %d has nothing to do with the changes in %s: who follows this server keeps what it has; "
                "`clear` empties it there, too",
                number,
                self.directory,
            )
        self.told, self.last = last, max(last, known, self._header.ts)
        self.end = Position(self._number, size)
        os.ftruncate(self._file, size)
        write(self._file, encode_header(LogHeader(size, last)), 0)
        self._synchronize(self._file)
        self.sure = size

    def close(self) -> None:
        """Write no more."""
        os.close(self._file)
        os.close(self._directory)

    # -- writing ---------------------------------------------------------------------------------------------

    def stamp(self, count: int) -> int:
        """Return the first of so many timestamps that follow each other; hold the lock."""
        now = int(self._clock() * 1000) * 1_000_000
        first = max(now, self.last + 1)
        self.last = first + count - 1
        return first

    def append(self, entries: bytes, first: int, sid: int | None, *, durable: bool) -> Position:
        """Write the changes of a transaction that is about to be committed, in place of those of one that was not.

        They begin with the timestamp `first`, and at the server `sid`, or None for several. Return where they begin in
        the log. `StoreFull` if that cannot be.
        """
        try:
            if self.end.offset >= self._limit and self._number == self.end.number:
                self._rotate()
            start = self._start
            write(self._file, entries, start.offset)
        except OSError as error:
            raise self._failure(error) from error
        self._matters |= durable
        end = Position(start.number, start.offset + len(entries))
        self._pending = Chunk(end, entries, first, self.last, sid)
        return start

    def flush(self) -> None:
        """Write everything to the disk, and return when it is there; hold the lock. `StoreFull` if that fails.

        Nobody knows what is there then, and it is no use to try again: it fails until the server is started anew, which
        writes it again.
        """
        try:
            if self._failed:
                raise OSError(EIO, "the disk failed before; start the server again")
            self._failed = True
            self._synchronize(self._file)
            self._failed = False
        except OSError as error:
            raise self._failure(error) from error
        self.is_settled = True
        self.sure = self._start.offset

    def _failure(self, error: OSError) -> StoreFull:
        return StoreFull(f"the update log in {self.directory} cannot be written: {error.strerror}")

    @property
    def _start(self) -> Position:
        return self.end if self.end.number == self._number else Position(self._number, HEADER_SIZE)

    def _rotate(self) -> None:
        if self._matters:
            self.flush()  # tails are of the last file
        number = self._number + 1
        file = os.open(self.path(number), os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(file, encode_header(LogHeader(HEADER_SIZE, self.told)), 0)
            os.fsync(self._directory)
        except BaseException:
            os.close(file)
            self.path(number).unlink()
            raise
        self._file, old, self._number = file, self._file, number
        self.sure = HEADER_SIZE
        os.close(old)

    def commit(self) -> None:
        """Have what was appended count: its transaction is committed."""
        chunk, self._pending = self._pending, None
        if chunk is None:
            return
        start = self._start
        try:
            write(self._file, encode_header(LogHeader(chunk.end.offset, chunk.last)), 0)
        except OSError as error:  # it is made good at the next change, or by what the database knows
            logger.error("the update log in %s cannot be written: %s", self.directory, error)
        self.recent[start] = chunk
        self._kept += len(chunk.entries) + _CHUNK_COST
        while self._kept > _RECENT:
            self._kept -= len(self.recent.pop(next(iter(self.recent))).entries) + _CHUNK_COST
        self.told = chunk.last
        self.end = chunk.end
        self.changed()

    def withdraw(self) -> None:
        """Forget what was appended: its transaction has failed."""
        self.is_settled &= self._pending is None
        self._pending = None
        with suppress(OSError):  # what is left there does not count
            os.ftruncate(self._file, self._start.offset)

    def synchronize(self) -> None:
        """Write everything to the disk, and return when it is there."""
        with self.lock:
            file = os.dup(self._file)
        try:
            self._synchronize(file)
        finally:
            os.close(file)

    def horizon(self) -> int:
        """Return a timestamp up to which everything is told, and above which all later ones will be."""
        if not self.lock.acquire(blocking=False):
            return self.told  # a transaction with lower ones than the present one may be under way
        try:
            self.last = max(self.last, int(self._clock() * 1000) * 1_000_000 - _TOLD_BEFORE)
            return self.last
        finally:
            self.lock.release()

    def exceed(self, ts: int) -> None:
        """Have all later timestamps be above one that a subscriber got elsewhere, unless it is of the far future."""
        if ts <= int(self._clock() * 1e9) + _AHEAD:
            with self.lock:
                self.last = max(self.last, ts)

    # -- files -------------------------------------------------------------------------------------------------

    def path(self, number: int) -> Path:
        """Return the path of a file."""
        return self.directory / f"{number:010d}{_SUFFIX}"

    def numbers(self) -> list[int]:
        """Return the numbers of the files that are there, in their order."""
        return sorted(int(path.stem) for path in self.directory.glob(f"{'[0-9]' * 10}{_SUFFIX}"))

    def header(self, number: int) -> LogHeader:
        """Return what a file holds that counts; OSError or `ProtocolError` if it cannot be read."""
        end = self.end
        if number == end.number:
            return LogHeader(end.offset, self.told)
        with self.path(number).open("rb") as file:
            return decode_header(file.read(HEADER_SIZE))

    def files(self) -> list[LogFile]:
        """Return the files that are there, in their order."""
        return self._files(self.numbers())

    def _files(self, numbers: Iterable[int]) -> list[LogFile]:
        found: list[LogFile] = []
        for number in numbers:
            with suppress(OSError, ProtocolError):
                found.append(LogFile(self.path(number), self.header(number)))
        return found

    def oldest(self) -> int:
        """Return the timestamp of the first change that is left; 0 if none was ever removed."""
        number = self.numbers()[0]
        if number == 1:
            return 0
        with self.path(number).open("rb") as file:
            entry = EntryDecoder().feed(file.read(_PIECE)[HEADER_SIZE:])
        return 0 if isinstance(entry, NeedData) else entry[0]

    def remove(self, ts: int) -> None:
        """Remove the files that hold nothing above a timestamp, but never the last one."""
        for path, header in self.files()[:-1]:
            if header.ts <= ts:
                path.unlink(missing_ok=True)
