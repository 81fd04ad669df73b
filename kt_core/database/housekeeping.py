"""What keeps a database bounded: expired records reclaimed, old ones evicted, disk space promised in time.

Nobody scans the database. Each write spends a shared budget of bytes; the write that finds it
exhausted first does a bounded piece of work for all. It works in a transaction of its own, before the one that asked.

* *Expiry.* One of eight clock hands looks at the next 32 records and deletes the expired ones; where a
  quarter of them were, it goes on. The hands stand in the control file, so all processes turn the same ones.
* *Eviction.* Once the pages in use pass three quarters of the map, every hand takes a few records; of all
  these the least recently used go, until as much is free as was written since the last time. Eight hands,
  because neighbours in key order are often equally old, and one window would then hold only young records.
  The last quarter is never filled: LMDB copies pages before it changes them, and when its map is full even
  deleting fails.
* *Reservation.* A store to a mapped page that the file system cannot provide is SIGBUS, so the space is
  reserved (fallocate) ahead of LMDB's highest page: enough for all that can be written before the next look.
"""

from __future__ import annotations

import logging
import mmap
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import crc32

from kt_core.database.control import BUDGET, CEILING, EVICTIONS, EXPIRATIONS, HANDS, RESERVED, RETRY_AT, TURN
from kt_core.database.record import unpack_header
from kt_core.errors import Misconfigured, StoreFull

if TYPE_CHECKING:
    from kt_core.database.environment import Environment, View

logger = logging.getLogger("kt_core.database")

PAGE: Final = mmap.PAGESIZE
PUT_COST: Final = 2048
"""What a write spends of the budget besides its bytes: it also copies pages."""

_GRANT = 128 << 10
_AHEAD = 8 << 20  # bytes reserved ahead: 64 writes of 16 copied pages are half of it
_STEP = 4 << 20  # bytes by which a reservation grows
_EXPIRY_WINDOW = 32
_EVICTION_WINDOW = 8  # a hand's share of each sample
_VICTIMS = 8  # of each sample of HANDS * _EVICTION_WINDOW
_MOST_WINDOWS = 16
_RESEED_EVERY = 256  # turns after which one hand moves to where records are being written
_READER_CHECK_EVERY = 64
_ASK_AGAIN = 1000  # milliseconds between attempts to get more disk space
_LONG_AGO = -1.0  # what an expired record was last used


class Candidate(NamedTuple):
    """A record a hand has looked at; the oldest of a sample are the first to go."""

    used: float
    size: int
    database: int
    key: bytes


class RoomNeeded(Exception):
    """A transaction is about to write more than the budget allows: abort it, make room, and run it again."""

    def __init__(self, key: bytes = b"", size: int = 0, cost: int = 0) -> None:
        super().__init__(key, size, cost)
        self.key = key
        self.size = size
        self.cost = cost


class Housekeeper:
    """The housekeeping of one environment; every method is called with its lock held."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._map_size = environment.files.settings.map_size
        self.largest = self._map_size // 8
        """The largest record, in bytes: LMDB needs that much in one piece, besides the room to copy."""
        self._grant = min(_GRANT, self._map_size // 64)
        self.overdraft = -2 * self._grant
        """How far below zero a transaction may take the budget before it must raise `RoomNeeded`."""

    def run(self, txn: View, wanted: RoomNeeded) -> None:
        """Make room for what is about to be written near a stored key, and grant a budget that covers its cost.

        `StoreFull` if the record is too large for this database, or if there is no room and nothing may be evicted.
        """
        environment = self._environment
        words, need = environment.words, wanted.size
        if need > self.largest:
            raise StoreFull(
                f"the record has {need} bytes, and {environment.directory} takes records up to {self.largest} "
                f"(an eighth of its size): raise max_size"
            )
        turn = words[TURN] = words[TURN] + 1
        if turn <= 4 * HANDS or turn % _RESEED_EVERY == 0:
            environment.control.move_hand(turn % HANDS, 0, wanted.key)
        if turn % _READER_CHECK_EVERY == 0:
            environment.handle.reader_check()
            if not environment.files.are_current():
                environment.abandon()
        self.reserve(need)
        written = max(self._grant - words[BUDGET], need)
        self._expire(txn, turn % HANDS)
        excess = self._excess(txn, need)
        if excess > 0:
            if environment.evicts:
                self._evict(txn, written * 5 // 4 + excess // 4)
            elif self.sweep(txn) == 0 or self._excess(txn, need) > 0:
                raise StoreFull(
                    f"{environment.directory} is full, and evicts nothing: raise its max_size, or delete something"
                )
        words[BUDGET] = max(self._grant, wanted.cost)

    def make_room(self, txn: View, attempt: int) -> None:
        """Evict a part of the map at once, for a write that found no contiguous room: a sixteenth, then twice that."""
        self._evict(txn, self._map_size >> max(1, 4 - attempt))

    # -- space -----------------------------------------------------------------------------------------

    def used(self, txn: View) -> int:
        """Return the bytes of all pages that hold records."""
        pages = 0
        for dbi in (None, *self._environment.dbis):
            stat = txn.stat() if dbi is None else txn.stat(dbi)
            pages += stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
        return pages * PAGE

    def _excess(self, txn: View, need: int) -> int:
        ceiling = self._environment.words[CEILING] or self._map_size
        return self.used(txn) + need - ceiling * 3 // 4

    def reserve(self, need: int) -> None:
        """Reserve disk space for `need` bytes and for all that is written until the next time.

        Where the file system refuses, the database goes on within what it has; `StoreFull` if that is used up.
        """
        environment = self._environment
        if environment.durable:
            return  # its map is read-only: a full disk is an error of the commit, not a signal
        words = environment.words
        top = (environment.handle.info()["last_pgno"] + 1) * PAGE
        reserved = words[RESERVED]
        target = min(self._map_size, top + need + _AHEAD)
        if target <= reserved:
            return
        now = int(environment.clock() * 1000)
        if not words[CEILING] or now >= words[RETRY_AT]:
            size = min(self._map_size, (target + _STEP - 1) // _STEP * _STEP)
            try:
                environment.files.reserve(reserved, size - reserved)
            except OSError as error:
                if not reserved:
                    raise Misconfigured(
                        f"the file system of {environment.directory} has no room for {size} bytes ({error.strerror}): "
                        "free some, or name another directory"
                    ) from error
                if not words[CEILING]:
                    logger.warning(
                        "%s cannot grow beyond %d bytes: %s; old records are evicted instead",
                        environment.directory,
                        reserved,
                        error.strerror,
                    )
                words[CEILING] = reserved
                words[RETRY_AT] = now + _ASK_AGAIN
            else:
                words[RESERVED] = size
                words[CEILING] = 0
                return
        # Pages already used are written again before LMDB goes beyond its highest one; a sixteenth of the ceiling is
        # what the eviction below three quarters keeps free many times over, unless a stopped reader holds on to it.
        margin = reserved - top
        if margin < need + (reserved >> 4) and (need > _EXPIRY_WINDOW * PAGE or environment.has_old_reader()):
            raise StoreFull(f"the file system of {environment.directory} is full")

    # -- the clock hands -------------------------------------------------------------------------------

    def _expire(self, txn: View, hand: int) -> None:
        for _ in range(_MOST_WINDOWS):
            seen = self._look(txn, hand, _EXPIRY_WINDOW)
            expired = [candidate for candidate in seen if candidate.used == _LONG_AGO]
            self._delete(txn, expired)
            if len(expired) * 4 < len(seen) or not seen:
                return

    def _evict(self, txn: View, goal: int) -> None:
        freed = 0
        while freed < goal:
            sample = {
                candidate.key: candidate
                for hand in range(HANDS)
                for candidate in self._look(txn, hand, _EVICTION_WINDOW)
            }
            victims = sorted(sample.values())[:_VICTIMS]
            if not victims:
                return
            self._delete(txn, victims)
            freed += sum(victim.size for victim in victims)

    def _look(self, txn: View, hand: int, count: int) -> list[Candidate]:
        """Let a hand look at the next records and leave it after them; from the last it goes to the next database."""
        environment = self._environment
        stamps, mask = environment.control.stamps, environment.control.mask
        now = int(environment.clock() * 1000)
        database, start = environment.control.hand(hand)
        database %= len(environment.dbis)
        cursor = txn.cursor(environment.dbis[database])
        seen = []
        if cursor.set_range(start) if start else cursor.first():
            for key_view, raw in islice(cursor.iternext(), count):
                key = bytes(key_view)
                expiry, _ = unpack_header(raw)
                used = _LONG_AGO if expiry <= now else stamps[crc32(key) & mask]
                seen.append(Candidate(used, len(raw) + len(key), database, key))
        if len(seen) == count:
            environment.control.move_hand(hand, database, seen[-1].key + b"\0")
        else:
            environment.control.move_hand(hand, (database + 1) % len(environment.dbis), b"")
        return seen

    def _delete(self, txn: View, candidates: list[Candidate]) -> None:
        words = self._environment.words
        for candidate in candidates:
            txn.delete(candidate.key, db=self._environment.dbis[candidate.database])
            words[EXPIRATIONS if candidate.used == _LONG_AGO else EVICTIONS] += 1

    def sweep(self, txn: View) -> int:
        """Delete every expired record of every logical database; return how many there were."""
        now = int(self._environment.clock() * 1000)
        found = []
        for database, dbi in enumerate(self._environment.dbis):
            for key, raw in txn.cursor(dbi).iternext():
                if unpack_header(raw)[0] <= now:
                    found.append(Candidate(_LONG_AGO, 0, database, bytes(key)))
        self._delete(txn, found)
        return len(found)
