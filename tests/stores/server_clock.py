"""Time that passes for the records of a server, whose own clock no test can move."""

from __future__ import annotations

import time

from kt_core.kyoto import operations as ops
from kt_core.transport import Address, Connection
from kt_core.wire.kt_binary import NEVER_XT, XT_MAX
from tests.clock import Clock


class ServerClock(Clock):
    """The real time; to let some pass, every record of the database is brought nearer to its expiry.

    To the server a record is then as old as the test wants it, and an expired one is still there to be reclaimed.
    """

    def __init__(self, address: Address, database: int) -> None:
        self._address = address
        self._database = database

    def __call__(self) -> float:
        return time.time()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        connection = Connection(self._address, 5)
        keys = connection.run(ops.match_prefix(self._database, b""))
        records = connection.run(ops.get_bulk([(self._database, key) for key in keys]))
        moved = [
            (database, key, value, NEVER_XT if xt == XT_MAX else -max(xt - int(seconds), 1))
            for database, key, value, xt in records
        ]
        assert connection.run(ops.set_bulk(moved)) == len(records)
        connection.close()
