"""Snapshots: files that hold what was in the databases at an instant, for those in memory to begin with again.

Each is written by a process of its own from one read transaction, so that nobody waits for it, and takes the place of
the last one when it is whole. Source: the Kyoto Tycoon protocol reference, section 9.6.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from kt_core.database import NEVER, Database
from kt_core.database.record import original_key, unpack_header, value_offset
from kt_core.errors import InvalidInput, KTError, Misconfigured
from kt_core.server import log, search
from kt_core.server.expiry import to_xt
from kt_core.server.served import ServedDatabase
from kt_core.wire.kt_binary import XT_MAX
from kt_core.wire.kt_snapshot import HEADER_SIZE, Snapshot, encode_header, encode_record, read_header, read_records

logger = logging.getLogger("kt_core.server")

_PATIENCE: Final = 3600.0  # seconds that one may take
_TOGETHER: Final = 4096  # records that are applied at once


class Snapshots:
    """The snapshots of a server's databases, in a directory."""

    def __init__(self, directory: Path) -> None:
        if not directory.is_dir():
            raise Misconfigured(f"{directory} is no directory that snapshots can be in: make it, or write another one")
        self._directory = directory
        self._writer = search.Search(_PATIENCE, __name__)

    def apply(self, databases: Sequence[ServedDatabase]) -> None:
        """Store what the snapshots hold in those databases that are empty; `Misconfigured` if one is damaged."""
        for number, served in enumerate(databases):
            path = self._path(number)
            if not path.exists():
                continue
            if served.database.count():
                logger.log(log.SYSTEM, "%s holds records: the snapshot %s is left alone", served.name, path)
                continue
            try:
                _apply(served, path)
            except (OSError, KTError) as error:
                raise Misconfigured(
                    f"the snapshot {path} cannot be applied ({error}): move it away to start without it"
                ) from error

    async def write(self, databases: Sequence[ServedDatabase]) -> None:
        """Write one of every database."""
        for number, served in enumerate(databases):
            path = self._path(number)
            now = served.environment.clock()
            try:
                await self._writer.run(served.database, "write", str(path), now, served.spec.expires)
            except KTError as error:
                logger.error("the snapshot %s cannot be written: %s", path, error)

    def close(self) -> None:
        """End the process that writes."""
        self._writer.close()

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:08}.ktss"


def _apply(served: ServedDatabase, path: Path) -> None:
    now = int(served.environment.clock())
    with path.open("rb") as file:
        said = read_header(file.read)
        logger.log(log.SYSTEM, "applying %s: %d records as of %d", path, said.records, said.ts // 10**9)
        records = (
            (key, value, (xt + 1) * 1000 if xt < XT_MAX else NEVER)
            for key, value, xt in read_records(file.read, expires=served.spec.expires)
            if xt >= now
        )
        while some := list(islice(records, _TOGETHER)):
            for outcome in served.change_all(served.stores(some)):
                if isinstance(outcome, KTError):
                    raise outcome


def write(database: Database, path: str, now: float, expires: bool) -> list[bytes]:
    """Write a snapshot of a database as of now, in seconds; nothing is found by that."""
    beside = f"{path}.tmp"
    count = size = 0
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with open(descriptor, "wb", buffering=1 << 20) as file:
            file.write(bytes(HEADER_SIZE))
            with database.environment.view(database.index) as txn:
                for stored, raw in txn.cursor().iternext():
                    expiry = unpack_header(raw)[0]
                    if expiry > now * 1000:
                        key, value = original_key(stored, raw), bytes(raw[value_offset(raw) :])
                        size += file.write(encode_record(key, value, to_xt(expiry) if expires else None))
                        count += 1
            file.seek(0)
            file.write(encode_header(Snapshot(int(now * 1e9), count, size)))
            file.flush()
            os.fsync(descriptor)
        os.replace(beside, path)
    except OSError as error:
        raise InvalidInput(str(error)) from error
    return []


def main() -> None:
    """Write what is asked for on the standard input, until it ends."""
    search.main({"write": write})
