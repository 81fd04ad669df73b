"""The update log: every change, in numbered files of a directory, from which others can make it again.

The time of a record is above that of the one before, so that whoever has followed up to a time can go on behind it.
Source: the Tokyo Tyrant protocol reference, section 9.2.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from kt_core.errors import Misconfigured, ProtocolError, StoreFull
from kt_core.wire import tt_messages as tt
from kt_core.wire.exchange import NeedData
from kt_core.wire.tt_log import Change, LogDecoder, LogRecord, encode_log_record
from kt_core.wire.tt_messages import Request

_SUFFIX: Final = ".ulog"
_CHUNK: Final = 1 << 16
LARGEST_SID: Final = 65535


class Origin(NamedTuple):
    """Where a change began, and the master it came from; 0 for none."""

    sid: int
    mid: int = 0


class UpdateLog:
    """The log that a server writes."""

    def __init__(self, directory: Path, limit: int, clock: Callable[[], float]) -> None:
        self.directory = directory
        self._limit = limit
        self._clock = clock
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._number = max(_numbers(directory), default=0)
            self._last = _last_time(directory, self._number)
            self._file = self._open(self._number or 1)
        except OSError as error:
            raise Misconfigured(f"-ulog {directory}: {error.strerror}; name a directory that can be written") from error
        self.changed: set[Callable[[], None]] = set()
        """Called when something was written."""

    def write(self, request: Request, done: bool, origin: Origin) -> None:
        """Write a change, unless it is none. `StoreFull` if it cannot be written; no part of it is then."""
        if isinstance(request, tt.PutNr):
            request = tt.Put(*request)
        if isinstance(request, tt.AddInt | tt.AddDouble) and request.number == 0:
            return
        self._last = max(int(self._clock() * 1e6), self._last + 1)
        self._append(encode_log_record(LogRecord(self._last, *origin, Change(request, done))))
        for tell in list(self.changed):
            tell()

    def _append(self, record: bytes) -> None:
        end = os.lseek(self._file, 0, os.SEEK_CUR)
        try:
            if end >= self._limit:
                full, self._file = self._file, self._open(self._number + 1)
                os.close(full)
                end = 0
            if os.write(self._file, record) < len(record):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            os.ftruncate(self._file, end)  # what follows half a record could not be read
            os.lseek(self._file, end, os.SEEK_SET)
            reason = f"{error.strerror}; the change is made, and not in it"
            raise StoreFull(f"the update log in {self.directory} cannot be written: {reason}") from error

    def close(self) -> None:
        """Write no more."""
        os.close(self._file)

    def _open(self, number: int) -> int:
        file = os.open(_path(self.directory, number), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.lseek(file, 0, os.SEEK_END)
        self._number = number
        return file


class Reader:
    """Reads a log from a time on, in microseconds since 1970, and goes on where it stopped."""

    def __init__(self, directory: Path, since: int) -> None:
        self._directory = directory
        self._since = since
        self._number = max(
            (number for number in _numbers(directory) if _first_time(directory, number) <= since), default=1
        )
        self._decoder = LogDecoder()
        self._at = 0

    def read(self) -> Iterator[LogRecord]:
        """Yield the records that are there by now and were not read before; `ProtocolError` where it is damaged."""
        while True:
            follows = _path(self._directory, self._number + 1).exists()  # then this one does not grow any more
            data = self._chunk()
            yield from self._decode(data)
            if not data and follows:
                self._number, self._at = self._number + 1, 0
            elif not data:
                return

    def _chunk(self) -> bytes:
        try:
            with _path(self._directory, self._number).open("rb") as file:
                file.seek(self._at)
                data = file.read(_CHUNK)
        except FileNotFoundError:
            return b""
        self._at += len(data)
        return data

    def _decode(self, data: bytes) -> Iterator[LogRecord]:
        while True:
            record = self._decoder.feed(data)
            if isinstance(record, NeedData):
                return
            data = b""
            if record.time >= self._since:
                yield record


def _path(directory: Path, number: int) -> Path:
    return directory / f"{number:08d}{_SUFFIX}"


def _numbers(directory: Path) -> list[int]:
    return [int(path.stem) for path in directory.glob(f"*{_SUFFIX}") if path.stem.isdigit()]


def _first_time(directory: Path, number: int) -> int:
    """Return the time of a file's first record; that of what comes next if it is empty."""
    record = next(_records(directory, number), None)
    return record.time if record is not None else sys.maxsize


def _last_time(directory: Path, number: int) -> int:
    """Return the time of a file's last record; 0 if it has none."""
    last = 0
    for record in _records(directory, number):
        last = record.time
    return last


def _records(directory: Path, number: int) -> Iterator[LogRecord]:
    """Yield the records of a file, as far as they can be read."""
    decoder = LogDecoder()
    try:
        with _path(directory, number).open("rb") as file:
            while data := file.read(_CHUNK):
                record = decoder.feed(data)
                while not isinstance(record, NeedData):
                    yield record
                    record = decoder.feed(b"")
    except (FileNotFoundError, ProtocolError):
        return
