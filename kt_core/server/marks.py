"""What a database remembers of its part in replication, changed in the very transactions that it tells of.

That is how far its changes went into the update log, and how far it has followed a master. It is kept in a logical
database beside the records, so only databases of the server's own have it.
"""

from __future__ import annotations

from struct import Struct
from typing import Final
from zlib import crc32

from kt_core.database.environment import Environment, Write
from kt_core.database.record import HEADER_SIZE, NEVER, pack_header

LOGGED: Final = b"logged"
"""The timestamp of the last change in the update log."""
FOLLOWED: Final = b"followed"
"""The timestamp of the last change that a master told of."""

_INDEX: Final = 1  # of the logical database
_TS = Struct(">Q")


class Marks:
    """The marks of one database."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def get(self, name: bytes) -> int | None:
        """Return a timestamp, or None if there is none."""
        raw = self.read(name)
        return int(_TS.unpack(raw)[0]) if raw is not None else None

    def put(self, txn: Write, name: bytes, ts: int) -> None:
        """Remember a timestamp when a transaction is committed."""
        self.write(txn, name, _TS.pack(ts))

    def read(self, name: bytes) -> bytes | None:
        """Return what is remembered under a name, or None."""
        environment = self._environment
        raw: bytes | None = environment.begin(environment.dbis[_INDEX]).get(name)
        return raw[HEADER_SIZE:] if raw is not None else None

    def write(self, txn: Write, name: bytes, content: bytes) -> None:
        """Remember something else than a timestamp when a transaction is committed."""
        environment = self._environment
        now = int(environment.clock() * 1000)
        txn.put(name, pack_header(NEVER, now << 8) + content, db=environment.dbis[_INDEX])
        environment.control.stamps[crc32(name) & environment.control.mask] = now

    def delete(self, txn: Write, name: bytes) -> None:
        """Forget what is remembered under a name when a transaction is committed."""
        txn.delete(name, db=self._environment.dbis[_INDEX])
