"""The copy as its follower writes it: the master's records, and how far in the master's log they are.

The records are logical database 0. Database 1 has one record, the `Place`: it is written in the transaction of the
changes that it stands for, so whatever happens to a follower, the next one goes on where the records really are.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from kt_cache.stores.replica.words import EPOCH, REACHED, WHOLE
from kt_core.database import NEVER, Database, DatabaseOptions, Environment
from kt_core.database.batch import Change
from kt_core.database.control import EVICTIONS
from kt_core.errors import InvalidInput, KTError, StoreFull
from kt_core.wire import kt_log
from kt_core.wire.kt_binary import XT_MAX

_PLACE: Final = b"place"
_PLACE_SIZE: Final = 400
_SAME: Final = 0.01  # seconds
_LONG_AGO: Final = -(1 << 62)
# What goes into one transaction at most (`kt_core.database.batch`), less the place.
_CHANGES, _BYTES = 100, 64 << 10


@dataclass(frozen=True)
class Master:
    """One process of a server, and one of its databases: another process may have begun with nothing."""

    database: str
    """The server's address, and the number of the database."""
    process: int
    started: float
    """When the process was started, in seconds since the epoch as its own clock had them."""

    def is_same_as(self, other: Master) -> bool:
        """Tell whether it is the same process; the time is told with six digits."""
        return (self.database, self.process) == (other.database, other.process) and (
            abs(self.started - other.started) < _SAME
        )


@dataclass(frozen=True)
class Place:
    """Which master the records come from, up to which timestamp of its log, and whether they are all that it has."""

    master: Master
    position: int
    complete: bool

    def encode(self) -> bytes:
        """Return what is written of it."""
        master = self.master
        return json.dumps((master.database, master.process, master.started, self.position, self.complete)).encode()

    @classmethod
    def decode(cls, data: bytes) -> Place | None:
        """Return what was written, None if another version wrote it."""
        try:
            *master, position, complete = json.loads(data)
            return cls(Master(*master), position, complete)
        except (ValueError, TypeError, RecursionError):
            return None


def open_environment(directory: Path | str, max_size: int, clock: Callable[[], float] = time.time) -> Environment:
    """Open a copy's database in this process; `clock` gives seconds since the epoch."""
    return Environment.open(directory, DatabaseOptions(max_size, databases=2), clock=clock)


def may_be_filled(environment: Environment) -> bool:
    """Tell whether an environment has no records, or was a copy before."""
    if environment.words[EPOCH] or not Database(environment).count():
        return True
    return Database(environment, 1).check(_PLACE) is not None


class Records:
    """The copy, for its one follower; whatever fails here leaves it no copy."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._database = Database(environment)
        self._places = Database(environment, 1)
        found = self._places.get(_PLACE)
        self._place = None if found is None else Place.decode(found)
        self.ahead = 0.0
        """Seconds by which the master's clock is ahead of this machine's: a record expires by the master's."""

    def resume(self, master: Master) -> int | None:
        """Return the timestamp to go on from if the records are all of this master's, else None."""
        place = self._place
        if place is None or not place.complete or not place.master.is_same_as(master):
            return None
        words = self._environment.words
        if not words[EPOCH] & 1:  # the control file was made anew
            self.reach(_LONG_AGO)
            words[EPOCH] += 1
        return place.position

    def begin(self, master: Master, position: int) -> None:
        """Empty the copy, which is none until `finish`, to be filled with a state of the master after the position."""
        self.abandon()
        self._place = Place(master, position, complete=False)
        self._write([], self._place)
        self.clear()

    def clear(self) -> None:
        """Empty the copy that is being filled."""
        words = self._environment.words
        words[WHOLE] = 0
        self._database.clear()
        words[WHOLE] = words[EVICTIONS] + 1

    def add(self, records: Iterable[tuple[bytes, bytes, int]]) -> None:
        """Store keys, values and expiries (seconds, as the master has them) that were found on the master."""
        self._apply(((kt_log.Set(0, *record), None) for record in records), None)

    def apply(self, records: Iterable[kt_log.LogRecord], position: int) -> None:
        """Do what was done on the master, up to a timestamp of its log."""
        self._apply(((record.change, record.ts) for record in records), position)

    def _apply(self, changes: Iterable[tuple[kt_log.Change, int | None]], position: int | None) -> None:
        place = self._place
        if place is None:
            raise InvalidInput("there is no copy to change: begin one")
        if place.complete and self._environment.bypassed:
            raise StoreFull(f"{self._environment.directory} was damaged, and is empty")
        batch: list[Change] = []
        size, reached = 0, place.position
        most = min(_CHANGES, self._environment.housekeeper.most_changes - 1)
        for change, ts in changes:
            one = self._change(change)
            if batch and (len(batch) >= most or size + one.size > _BYTES):
                self._write(batch, replace(place, position=reached))
                batch, size = [], 0
            if ts is not None:
                reached = ts
            batch.append(one)
            size += one.size
        self._place = replace(place, position=reached if position is None else position)
        if batch or self._place != place:
            self._write(batch, self._place)

    def finish(self, reached: int) -> None:
        """Declare the records a copy of the master's, with all that it had acknowledged by a time."""
        if self._place is None:
            raise InvalidInput("there is no copy to finish: begin one")
        self._place = replace(self._place, complete=True)
        self._write([], self._place)
        self.reach(reached)
        self._environment.words[EPOCH] += 1

    def reach(self, reached: int) -> None:
        """Tell the workers that the copy has all that the master had acknowledged by a time."""
        self._environment.words[REACHED] = reached

    def abandon(self) -> None:
        """Declare the records no copy."""
        self._place = None
        words = self._environment.words
        if words[EPOCH] & 1:
            words[EPOCH] += 1

    # -- writing -----------------------------------------------------------------------------------------

    def _change(self, change: kt_log.Change) -> Change:
        operations = self._database.operations
        if isinstance(change, kt_log.Set):
            row = operations.prepare(change.key, change.value, self._expiry(change.xt))
            return Change(operations.store, row, len(row[1]))
        if isinstance(change, kt_log.Remove):
            return Change(operations.remove, (change.key,), 0)
        return Change(operations.clear, (), 0)

    def _expiry(self, xt: int | None) -> int:
        """Return when a record expires here: as the master's clock goes beyond the second `xt`."""
        return NEVER if xt is None or xt >= XT_MAX else int((xt + 1 - self.ahead) * 1000)

    def _write(self, changes: list[Change], place: Place) -> None:
        prepared = self._places.operations.prepare(_PLACE, place.encode(), NEVER)
        changes.append(Change(self._put_place, prepared, _PLACE_SIZE))
        store = self._database.operations.store
        for change, outcome in zip(changes, self._database.change_all(changes), strict=True):
            if isinstance(outcome, StoreFull) and change.operation == store:
                # Too large for this database: a worker that finds nothing asks the master.
                self._environment.words[WHOLE] = 0
                outcome = self._database.change_all([Change(self._drop, change.arguments[:1], 0)])[0]
            if isinstance(outcome, KTError):
                raise outcome

    def _put_place(self, txn: Any, stored: bytes, raw: bytes) -> None:
        txn.put(stored, raw, db=self._environment.dbis[self._places.index])

    def _drop(self, txn: Any, stored: bytes) -> None:
        txn.delete(stored)
