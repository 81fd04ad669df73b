"""The control file: what all processes of one database share outside LMDB, mapped into each of them.

LMDB's own file holds the records. This one holds what must be read or written without a transaction:

=========  =====================================================================================
page 0     who wrote the files and with what settings (`Settings`); read once, at open
page 1     64 words of 8 bytes; all but the statistics are written under the write lock
page 2     the clock hand: the key at which the next sweep for expired records goes on
page 3-4   128 processes, 64 bytes each: process id and its own counts, so none is lost to a race
the rest   access stamps: 8 bytes (a double, milliseconds) for each slot; a key's slot is its CRC-32
=========  =====================================================================================

A reader stamps its record with one 8-byte store, so reads never become writes. Everything past page 0 is a
hint: whatever stands there after a crash, no record is wrong.
"""

from __future__ import annotations

import mmap
import os
import sys
from struct import Struct
from typing import Final, NamedTuple

PAGE: Final = 4096
FORMAT: Final = 1
BEING_MADE: Final = 0  # the format of files that no process has finished making
PROCESSES: Final = 128
MAX_READERS: Final = 1024
LOCK_FILE_SIZE: Final = PAGE + MAX_READERS * 64  # LMDB: a header below one page, then 64 bytes a reader

_MAGIC = b"kt-cache control"
_HEADER = Struct(">16sIQQ8s8s36s")
_HAND = Struct(">HH")
_WORDS_AT, _HAND_AT, _PROCESSES_AT, _STAMPS_AT = PAGE, 2 * PAGE, 3 * PAGE, 5 * PAGE
_PROCESS_WORDS = 8
_BYTES_PER_STAMP_SLOT = 256


# The shared words, by index. Plain numbers: an index into a memoryview is on every hot path, and an
# enumeration's member costs there several times the store itself.
BUDGET: Final = 0  # bytes that may be written before housekeeping runs again
WRITER: Final = 1  # while a write transaction is open: the process id of its owner
RESERVED: Final = 3  # bytes at the head of the data file that the file system has promised
CEILING: Final = 4  # bytes the file system would not go beyond when last asked; 0 while it never refused
TURN: Final = 5  # housekeeping runs so far
EVICTIONS: Final = 6
EXPIRATIONS: Final = 7
GONE_HITS: Final = 8  # counts of processes that have ended
GONE_MISSES: Final = 9
RETRY_AT: Final = 10  # milliseconds: when leaving the bypass, or asking for space, is next tried
# Marks, bytes of one word, so that setting one never undoes another. Any of them has reads stamp what they use:
# eviction is near, records are culled by number, or nothing is taken. Every read looks at it, so it shares no cache
# line with what every write changes.
MODE: Final = 32
# From here on to the last the words are for whoever made the database; one cache line, 40 to 47, has none of ours.
FREE: Final = 40

_PRESSED_AT, _BYPASSED_AT, _CULLED_AT = 0, 1, 2
BYPASSED: Final = int.from_bytes(bytes((0, 1, 0, 0, 0, 0, 0, 0)), sys.byteorder)
"""In `MODE`: the map is full and nothing may be written; reads miss, writes are refused."""

# The words of each process.
PID: Final = 0
HITS: Final = 1
MISSES: Final = 2


class Settings(NamedTuple):
    """What the files were made with, as page 0 tells it; sizes in bytes."""

    map_size: int
    slots: int
    durability: str
    eviction: str
    boot: str
    format: int = FORMAT

    @classmethod
    def for_size(cls, max_size: int, durability: str, eviction: str, boot: str) -> Settings:
        """Divide `max_size` between the map, this file and LMDB's lock file, so that they stay within it together."""
        slots = 1
        if eviction != "none":
            slots = 1 << max(8, (max_size // _BYTES_PER_STAMP_SLOT).bit_length() - 1)
        map_size = (max_size - _file_size(slots) - LOCK_FILE_SIZE) // mmap.PAGESIZE * mmap.PAGESIZE
        return cls(map_size, slots, durability, eviction, boot)

    def encode(self) -> bytes:
        """Return page 0."""
        texts = (text.encode().ljust(8) for text in (self.durability, self.eviction))
        return _HEADER.pack(_MAGIC, self.format, self.map_size, self.slots, *texts, self.boot.encode().ljust(36))

    @classmethod
    def decode(cls, page: bytes) -> Settings | None:
        """Return what page 0 says, or None if it is not a control file's."""
        if len(page) < _HEADER.size or not page.startswith(_MAGIC):
            return None
        _, version, map_size, slots, durability, eviction, boot = _HEADER.unpack_from(page)
        durability, eviction, boot = (text.decode("ascii", "replace").strip() for text in (durability, eviction, boot))
        return cls(map_size, slots, durability, eviction, boot, format=version)

    @property
    def max_size(self) -> int:
        """A `max_size` that `for_size` divides into these very sizes."""
        smallest = self.map_size + self.file_size + LOCK_FILE_SIZE
        for size in (smallest, smallest + mmap.PAGESIZE - 1):
            if Settings.for_size(size, self.durability, self.eviction, self.boot).slots == self.slots:
                return size
        return smallest

    @property
    def file_size(self) -> int:
        """The size of the control file."""
        return _file_size(self.slots)


def _file_size(slots: int) -> int:
    return _STAMPS_AT + (slots * 8 + PAGE - 1) // PAGE * PAGE


class Control:
    """One process's mapping of the control file.

    `words`, `counts` and `stamps` are typed views into it, indexed on the hot path without a call.
    """

    def __init__(self, descriptor: int, settings: Settings) -> None:
        self.settings = settings
        self._map = mmap.mmap(descriptor, settings.file_size)
        view = memoryview(self._map)
        self.words = view[_WORDS_AT:_HAND_AT].cast("q")
        self._marks = view[_WORDS_AT + MODE * 8 : _WORDS_AT + MODE * 8 + 8]
        self._hand = view[_HAND_AT:_PROCESSES_AT]
        self._processes = view[_PROCESSES_AT:_STAMPS_AT].cast("q")
        self.stamps = view[_STAMPS_AT : _STAMPS_AT + settings.slots * 8].cast("d")
        self.mask = settings.slots - 1
        self.counts = self._process(PROCESSES - 1)

    def declare(self, version: int) -> None:
        """Note in page 0 that the files are complete (`FORMAT`), or to be made anew at the next open (`BEING_MADE`)."""
        page = self.settings._replace(format=version).encode()
        self._map[: len(page)] = page

    def mark_pressed(self, pressed: bool) -> None:
        """Say whether eviction is near."""
        self._marks[_PRESSED_AT] = pressed

    def mark_culled(self) -> None:
        """Say that records are culled by number, so that reads stamp what they use however much room there is."""
        self._marks[_CULLED_AT] = True

    def mark_bypassed(self, bypassed: bool) -> None:
        """Say whether the database takes nothing."""
        self._marks[_BYPASSED_AT] = bypassed

    def _process(self, index: int) -> memoryview:
        return self._processes[index * _PROCESS_WORDS : (index + 1) * _PROCESS_WORDS]

    def join(self) -> None:
        """Take a place among the counting processes, that of one that has ended if need be.

        Call it with the write lock held. When all places are taken the last one is shared, and its counts
        are then as good as unguarded sums are.
        """
        for index in range(PROCESSES - 1):
            process = self._process(index)
            if process[PID] == os.getpid():
                self.counts = process
                return
            if process[PID] and _is_running(process[PID]):
                continue
            self.words[GONE_HITS] += process[HITS]
            self.words[GONE_MISSES] += process[MISSES]
            process[HITS] = process[MISSES] = 0
            process[PID] = os.getpid()
            self.counts = process
            return

    def total(self, count: int) -> int:
        """Return the sum of a count over all processes, ended ones included."""
        gone = GONE_HITS if count == HITS else GONE_MISSES
        return int(self.words[gone]) + sum(self._process(index)[count] for index in range(PROCESSES))

    def processes(self) -> int:
        """Return how many running processes have the database open."""
        pids = {self._process(index)[PID] for index in range(PROCESSES)} - {0}
        return sum(map(_is_running, pids))

    @property
    def hand(self) -> tuple[int, bytes]:
        """Where the sweep for expired records goes on: the logical database and the stored key."""
        database, size = _HAND.unpack_from(self._hand)
        return database, bytes(self._hand[_HAND.size : _HAND.size + size])

    @hand.setter
    def hand(self, place: tuple[int, bytes]) -> None:
        database, key = place
        self._hand[: _HAND.size + len(key)] = _HAND.pack(database, len(key)) + key

    def close(self) -> None:
        """Unmap the file."""
        for view in (self.words, self.counts, self._marks, self._hand, self._processes, self.stamps):
            view.release()
        self._map.close()
        # Whoever writes to a closed database notes the use before it learns that.
        self.stamps, self.mask = memoryview(bytearray(8)).cast("d"), 0


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
