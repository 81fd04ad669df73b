"""One database as the server serves it: the embedded database of a specification, with the protocol's manners."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import lmdb

from kt_core.database import NEVER, Database, DatabaseOptions, Environment, resolve
from kt_core.database.batch import Change
from kt_core.database.housekeeping import BULK_COST
from kt_core.database.options import SMALLEST
from kt_core.database.place import free_space
from kt_core.errors import Misconfigured, NotSupported
from kt_core.server.expiry import to_expiry, to_xt
from kt_core.server.journal import LogJournal
from kt_core.server.marks import LOGGED, Marks
from kt_core.server.scratch import Scratch
from kt_core.server.specs import EMBEDDED, Spec
from kt_core.server.tail import Tail
from kt_core.server.updates import UpdateLog
from kt_core.wire.kt_binary import NEVER_XT, XT_MAX

ReadFailed: Final = lmdb.Error
"""What reading from a transaction of the environment can end in."""

_TOGETHER: Final = 32  # records of a long request that are stored at once
_CACHE_SIZE: Final = 1 << 30
_READ_ONLY: Final = "permission denied"  # in the words of the protocol
_LARGEST: Final = 1 << 36  # a sparse file of this size, of which only what is used takes room

# What `status` says of the original engine's tuning where this one has nothing of the kind.
_CONSTANT: Final = {
    "apow": "8", "chksum": "188", "cusage": "0", "dfunit": "0", "first": "1", "flags": "1", "fmtver": "5", "fpow": "10",
    "frgcnt": "0", "last": "1", "librev": "13", "libver": "16", "msiz": "0", "opts": "0", "recovered": "0",
    "reorganized": "0", "root": "1", "rcomp": "lexical", "trimmed": "0",
}  # fmt: skip


class ServedDatabase:
    """A database that clients reach by its number or its name."""

    def __init__(self, spec: Spec, database: Database) -> None:
        self.spec = spec
        self.name = spec.name
        self.ordered = spec.kind.ordered
        self.database = database
        self.operations = database.operations
        self.find = database.find
        self.environment = database.environment
        self.durable = database.environment.durable
        self.journal: LogJournal | None = None
        """What sees to it that its changes are in the update log."""
        self.marks: Marks | None = None
        """What it remembers of its part in replication, if it outlives the server."""
        self.tail: Tail | None = None
        """What it has of the end of the update log, if it is durable."""
        self.clears = 0
        """How often it was cleared: no cursor stands anywhere after that."""
        self.read_only = False
        """Whether clients may change nothing."""
        self._expires = spec.expires
        # What a binary reply tells of a record's expiry.
        self.xt: Callable[[int], int] = to_xt if spec.expires else _never
        self._clock = database.environment.clock
        self._count_limit = spec.count_limit
        if self._count_limit:
            database.count_uses()

    @classmethod
    def open(
        cls,
        spec: Spec,
        number: int,
        scratch: Scratch,
        clock: Callable[[], float],
        log: UpdateLog | None = None,
        *,
        remembers: bool = False,
    ) -> ServedDatabase:
        """Open the database of a specification; `number` tells those in memory apart.

        Its changes go into `log`, if there is one. One that `remembers` has marks, as one with a log has always, unless
        it is in memory.
        """
        if spec.path.startswith(EMBEDDED):
            if log is not None:
                raise Misconfigured(
                    f"{spec.path} cannot have an update log, which would lack what other processes change there: write "
                    "PATH.kct for a database of the server's own, or leave -ulog off"
                )
            directory, options, index = _embedded(spec)
            remembers = False
        else:
            directory = scratch.path / str(number) if spec.kind.in_memory else Path(spec.path).absolute()
            if directory.is_file():
                raise Misconfigured(
                    f"{spec.path} is a file of Kyoto Cabinet, which this server does not read: write another path, and "
                    "copy the records with `ktremotemgr list` and `import` from a ktserver that has it open"
                )
            remembers = (remembers or log is not None) and not spec.kind.in_memory
            options, index = replace(own_options(spec, directory), databases=2 if remembers else 1), 0
        environment = Environment.open(directory, options, clock=clock)
        marks = Marks(environment) if remembers else None
        tail = Tail(environment, marks) if marks is not None and log is not None and environment.durable else None
        journal = LogJournal(environment, log, number, marks, tail, expires=spec.expires) if log is not None else None
        served = cls(spec, Database(environment, index, journal))
        served.journal, served.marks, served.tail = journal, marks, tail
        return served

    # -- expiry ----------------------------------------------------------------------------------------

    def expiry(self, xt: int) -> int:
        """Return the expiry in milliseconds that an `xt` of a request means now."""
        if xt == NEVER_XT or not self._expires:
            return NEVER
        return to_expiry(xt, self._clock())

    def told_xt(self, expiry: int) -> dict[bytes, bytes]:
        """Return what the reply to a call tells of a record's expiry: nothing if it never expires."""
        xt = self.xt(expiry)
        return {b"xt": b"%d" % xt} if xt < XT_MAX else {}

    def logged(self) -> int | None:
        """Return the timestamp of the last change in the update log, or None if it knows of none."""
        return self.marks.get(LOGGED) if self.marks is not None else None

    # -- changes ---------------------------------------------------------------------------------------

    def stores(self, items: Iterable[tuple[bytes, bytes, int]]) -> list[Change]:
        """Return the changes that store keys, values and expiries; each of them results in how many it stored."""
        rows = self.operations.prepare_all(items)
        together = [rows[start : start + _TOGETHER] for start in range(0, len(rows), _TOGETHER)]
        store = self.operations.store_rows
        return [Change(store, (some,), sum([len(raw) + BULK_COST for _, raw in some])) for some in together]

    def change_all(self, changes: list[Any]) -> list[Any]:
        """Make changes; return their results, or the errors they ended in."""
        if self.read_only:
            return [NotSupported(_READ_ONLY)] * len(changes)
        outcomes = self.database.change_all(changes)
        if self._count_limit:
            self.database.trim(self._count_limit)
        return outcomes

    def vacuum(self) -> None:
        """Reclaim every expired record; `NotSupported` where clients may change nothing."""
        if self.read_only:
            raise NotSupported(_READ_ONLY)
        self.database.vacuum()

    def tidy(self) -> None:
        """Reclaim some expired records."""
        self.environment.tidy()

    def close(self) -> None:
        """Write everything to its place, and let go of it."""
        self.environment.synchronize()
        self.environment.close()

    # -- about it --------------------------------------------------------------------------------------

    def status(self, database: Database | None = None) -> dict[bytes, bytes]:
        """Return the fields of `status`, those that the kind of database has; as another view of it sees them."""
        figures = (database or self.database).status()
        spec = self.spec
        fields = {
            "count": figures["count"],
            "size": figures["size"],
            "path": spec.path,
            "type": spec.kind.number,
            "realtype": spec.kind.number,
            "ktopts": 0 if spec.expires else 2,
            "ktcapcnt": spec.number("ktcapcnt"),
            "ktcapsiz": spec.number("ktcapsiz"),
        }
        known = _CONSTANT | {
            "bnum": spec.number("bnum", 0),
            "capcnt": spec.number("capcnt"),
            "capsiz": spec.number("capsiz"),
            "icnt": figures["branch_pages"],
            "lcnt": figures["leaf_pages"],
            "pccap": 0,
            "pnum": figures["branch_pages"] + figures["leaf_pages"] + figures["overflow_pages"],
            "psiz": 4096,
            "realsize": figures["size"],
        }
        fields |= {name: known[name] for name in spec.kind.status}
        return {name.encode(): str(value).encode() for name, value in fields.items()}


def _never(expiry: int) -> int:
    return NEVER_XT


def own_options(spec: Spec, directory: Path) -> DatabaseOptions:
    """Return how a database of the server's own is made: as large as its place allows, unless it has a limit."""
    limited = bool(spec.size_limit or spec.count_limit)
    # Pages are rarely full, and a quarter of them is always kept free.
    size = spec.number("max_size", 0) or 2 * spec.size_limit
    if not size and limited:
        size = _CACHE_SIZE
    elif not size:  # on a disk the same at every start, however full it is by then
        size = free_space(directory) // 2 if spec.kind.in_memory else _LARGEST
    return DatabaseOptions(
        max_size=max(size, SMALLEST),
        durability=spec.options.get("durability", "process" if spec.kind.in_memory else "commit"),  # type: ignore[arg-type]
        eviction=spec.options.get("eviction", "lru" if limited else "none"),  # type: ignore[arg-type]
    )


def _embedded(spec: Spec) -> tuple[Path, DatabaseOptions, int]:
    """Return where the database of an embedded store is, and how that store makes it."""
    given: dict[str, Any] = {name: spec.options[name] for name in ("durability", "eviction") if name in spec.options}
    index = spec.number("database", 0)
    options = DatabaseOptions(**given, max_size=spec.number("max_size", DatabaseOptions.max_size), databases=index + 1)
    place = spec.path.removeprefix(EMBEDDED)
    if place.startswith("/"):
        return Path(place), options, index
    return resolve(place, durable=options.durability == "commit", max_size=options.max_size), options, index
