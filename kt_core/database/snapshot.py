"""A database as it is at one moment: read from a copy that LMDB makes of it while others go on writing.

To read the database itself in one transaction would keep every page that is given up meanwhile from being used again,
as long as the reader takes; the copy takes no longer than the disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import lmdb

from kt_core.database.environment import Environment
from kt_core.database.options import MAX_DATABASES
from kt_core.database.record import original_key, to_record, unpack_header


class Snapshot:
    """The copy of an environment in an empty directory, which holds it until it is removed."""

    def __init__(self, environment: Environment, directory: Path) -> None:
        environment.begin().abort()  # opens anew after a fork
        environment.handle.copy(str(directory), compact=True)
        self._now = int(environment.clock() * 1000)
        self._copy = lmdb.open(str(directory), readonly=True, lock=False, max_dbs=MAX_DATABASES)
        with self._copy.begin() as txn:
            names = [name for name, _ in txn.cursor() if name.isdigit()]
        self._databases = {int(name): self._copy.open_db(name, create=False) for name in names}

    @property
    def databases(self) -> list[int]:
        """The numbers of the logical databases."""
        return sorted(self._databases)

    def count(self) -> int:
        """Return the records of all of them, with those that had expired and were not collected yet."""
        with self._copy.begin() as txn:
            return sum(txn.stat(each)["entries"] for each in self._databases.values())

    def records(self, database: int) -> Iterator[tuple[bytes, bytes, int]]:
        """Yield key, value and expiry of every visible record, in the order of keys."""
        with self._copy.begin(self._databases[database], buffers=True) as txn:
            for stored, raw in txn.cursor():
                if unpack_header(raw)[0] > self._now:
                    yield original_key(stored, raw), *to_record(raw)

    def close(self) -> None:
        """Let go of the copy."""
        self._copy.close()
