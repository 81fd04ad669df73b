"""What keeps a database bounded: expired records reclaimed, old ones evicted, disk space promised in time.

Nobody scans the database. Each write spends a shared budget of bytes; the write that finds it
exhausted first does a bounded piece of work for all. It works in a transaction of its own, before the one that asked.

* *Expiry.* A clock hand looks at the next 64 records and deletes the expired ones; where a quarter of them
  were, it goes on. It stands in the control file, so all processes turn the same one.
* *Eviction.* Once the pages in use pass three quarters of the map, samples of 16 records are drawn into a pool of
  the 64 least recently used that were seen, and the first six of it go; again, until as much is free as was
  written since the last time. A sample comes from two random pages: neighbours in key order are often equally
  old, and hands that go through the keys in order all end up where the keys are dense, and young. The last
  quarter is never filled: LMDB copies pages before it changes them, and when its map is full even deleting fails.
* *Reservation.* A store to a mapped page that the file system cannot provide is SIGBUS, so the space is
  reserved (fallocate) ahead of LMDB's highest page: enough for all that can be written before the next look.
"""

from __future__ import annotations

import logging
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import crc32

from kt_core.database.control import BUDGET, CEILING, EVICTIONS, EXPIRATIONS, RESERVED, RETRY_AT, TURN
from kt_core.database.datafile import PAGE
from kt_core.database.record import unpack_header
from kt_core.errors import Misconfigured, StoreFull

if TYPE_CHECKING:
    from kt_core.database.environment import Environment, View

logger = logging.getLogger("kt_core.database")

PUT_COST: Final = 2048
"""What a write spends of the budget besides its bytes: it also copies pages."""
BULK_COST: Final = 512
"""The same for each record of a bulk, which share pages."""

_GRANT = 512 << 10
_AHEAD = 8 << 20  # bytes reserved ahead: 64 writes of 16 copied pages are half of it
_STEP = 4 << 20  # bytes by which a reservation grows
_WINDOW = 64
_NEIGHBOURS = 8  # records looked at from each place that is drawn
_SAMPLE = 16
_DRAWS = 16  # places drawn at most for a sample: not every page that is drawn is a leaf
_VICTIMS = 6  # of each sample
_POOL = 64
_MOST_WINDOWS = 16
_READER_CHECK_EVERY = 64
_OLD_READER = 100  # transactions
_ASK_AGAIN = 1000  # milliseconds between attempts to get more disk space
_LONG_AGO = -1.0  # what an expired record was last used


class Candidate(NamedTuple):
    """A record a hand has looked at; the oldest of a sample are the first to go."""

    used: float
    size: int
    database: int
    key: bytes


class RoomNeeded(Exception):
    """A transaction is about to write `size` bytes, `largest` in one record, and the budget does not suffice.

    The environment aborts it, lets the housekeeper run, and then runs it again.
    """

    def __init__(self, largest: int, size: int, cost: int) -> None:
        super().__init__(largest, size, cost)
        self.largest = largest
        self.size = size
        self.cost = cost


class Housekeeper:
    """The housekeeping of one environment; every method is called with its lock held."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._map_size = environment.files.settings.map_size
        self.largest = self._map_size // 16
        """The largest record, in bytes: LMDB needs as many pages in one piece, and finds them between small records."""
        self.databases = 0
        """How many logical databases there were when the pages were last counted, in any process."""
        self._random = Random()  # noqa: S311 - no secret
        self._pool: list[Candidate] = []
        self.most_changes = max(_VICTIMS, self._map_size // PAGE // 64)
        """How many records one transaction should change at most.

        Each may cost a copy of its page, and what is freed by one transaction serves only the one after the next.
        """
        self._grant = min(_GRANT, self._map_size // 64)

    def run(self, txn: View, wanted: RoomNeeded) -> int:
        """Look after expired records and disk space, and grant a budget that covers what is about to be written.

        Return how many bytes are to be evicted before that. `StoreFull` if the record is too large for this
        database, or if there is no room and nothing may be evicted.
        """
        environment = self._environment
        words, need = environment.words, wanted.size
        if wanted.largest > self.largest:
            raise StoreFull(
                f"the record has {wanted.largest} bytes, and {environment.directory} takes up to {self.largest} "
                f"(a sixteenth of its size): raise max_size"
            )
        turn = words[TURN] = words[TURN] + 1
        if turn % _READER_CHECK_EVERY == 0:
            environment.handle.reader_check()
            if not environment.files.are_current():
                environment.abandon()
        self.reserve(need)
        written = max(self._grant - words[BUDGET], need)
        self.expire(txn)
        excess = self._excess(txn, need)
        if excess > 0 and not environment.evicts:
            self.sweep(txn)
            if self._excess(txn, need) > 0:
                raise StoreFull(
                    f"{environment.directory} is full, and evicts nothing: raise its max_size, or delete something"
                )
            excess = 0
        words[BUDGET] = max(self._grant, wanted.cost)
        return written * 5 // 4 + excess // 4 if excess > 0 else 0

    # -- space -----------------------------------------------------------------------------------------

    def used(self, txn: View) -> int:
        """Return the bytes of all pages that hold records."""
        main = txn.stat()
        self.databases = main["entries"] - 1  # the tick
        pages = 0
        for stat in (main, *map(txn.stat, self._environment.dbis)):
            pages += stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
        return pages * PAGE

    def _excess(self, txn: View, need: int) -> int:
        words = self._environment.words
        limit = (words[CEILING] or self._map_size) * 3 // 4
        used = self.used(txn)
        # Reads begin to say what they use when there is as much room left as is used.
        self._environment.control.mark_pressed(used > limit // 2)
        return used + need - limit

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
        if margin < need + (reserved >> 4) and (need > _WINDOW * PAGE or environment.has_reader_behind(_OLD_READER)):
            raise StoreFull(f"the file system of {environment.directory} is full")

    # -- records -----------------------------------------------------------------------------------------

    def expire(self, txn: View) -> None:
        """Delete the expired ones of the next records, and go on where they are many."""
        control, databases = self._environment.control, len(self._environment.dbis)
        for _ in range(_MOST_WINDOWS):
            database, start = control.hand
            seen = self._look(txn, database % databases, start, _WINDOW)
            if len(seen) == _WINDOW:
                control.hand = (database, seen[-1].key)
            else:
                control.hand = ((database + 1) % databases, b"")
            expired = [candidate for candidate in seen if candidate.used == _LONG_AGO]
            self._delete(txn, expired)
            if len(expired) * 4 < len(seen) or not seen:
                return

    def evict(self, txn: View, goal: int) -> int:
        """Delete the least recently used records of samples until `goal` bytes are free, or enough for one transaction.

        Return the bytes freed; 0 if there is nothing left to evict.
        """
        environment = self._environment
        stamps, mask = environment.control.stamps, environment.control.mask
        entries = [txn.stat(dbi)["entries"] for dbi in environment.dbis]
        last_page = environment.handle.info()["last_pgno"]
        freed = victims = 0
        while freed < goal and victims < self.most_changes and any(entries):
            sample = self._sample(txn, entries, last_page)
            # The best candidates of former samples stay in the pool: a larger sample for no more looks.
            self._pool = sorted({*self._pool, *sample})[:_POOL]
            oldest, self._pool = self._pool[:_VICTIMS], self._pool[_VICTIMS:]
            if not oldest:
                break
            unused = [one for one in oldest if one.used >= stamps[crc32(one.key) & mask] or one.used == _LONG_AGO]
            freed += self._delete(txn, unused)
            victims += len(oldest)
        return freed

    def _sample(self, txn: View, entries: list[int], last_page: int) -> list[Candidate]:
        environment = self._environment
        sample: list[Candidate] = []
        for database in self._random.choices(range(len(entries)), entries, k=_DRAWS):
            key = environment.files.random_key(last_page, self._random)
            if key is not None:
                sample += self._look(txn, database, key, _NEIGHBOURS)
                if len(sample) >= _SAMPLE:
                    return sample
        # Records with large values are hard to hit: most of their pages are no leaves.
        for database in range(len(entries)):
            sample += self._look(txn, database, b"", _SAMPLE)
        return sample

    def _look(self, txn: View, database: int, start: bytes, count: int) -> list[Candidate]:
        """Return the next records from a stored key on, or from the first after the last."""
        environment = self._environment
        stamps, mask = environment.control.stamps, environment.control.mask
        now = int(environment.clock() * 1000)
        cursor = txn.cursor(environment.dbis[database])
        seen: list[Candidate] = []
        if (start and cursor.set_range(start)) or cursor.first():
            for key_view, raw in islice(cursor.iternext(), count):
                key = bytes(key_view)
                expiry, _ = unpack_header(raw)
                used = _LONG_AGO if expiry <= now else stamps[crc32(key) & mask]
                seen.append(Candidate(used, len(raw) + len(key), database, key))
        return seen

    def _delete(self, txn: View, candidates: list[Candidate]) -> int:
        """Delete records, and return the bytes of those that were still there."""
        words, dbis = self._environment.words, self._environment.dbis
        freed = 0
        for candidate in candidates:
            if txn.delete(candidate.key, db=dbis[candidate.database]):
                words[EXPIRATIONS if candidate.used == _LONG_AGO else EVICTIONS] += 1
                freed += candidate.size
        return freed

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
