"""Keeping a copy of a master's database: fill it, then do what the master's log tells.

It is filled from the master while its log is already heard, from a first marker on, and what has come by the log is
not overwritten: so nothing is missed in between. What the log has from before that marker is not done, since the
process that logged it may not have been this one. It counts as a copy once another marker has come back, which was
sent after all that.

While the connection is lost the copy stays as it is, and workers see by `REACHED` how old it grows. If the server is
then still the same process, its log is heard from where it was left; another process may have begun with nothing,
and has the copy filled anew.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from itertools import count
from typing import Final

from kt_cache.stores.replica.markers import Markers, is_marker
from kt_cache.stores.replica.records import Master, Records
from kt_core.aio import AsyncConnection
from kt_core.errors import KTError, ProtocolError
from kt_core.kyoto import operations as ops
from kt_core.replication import AsyncChanges
from kt_core.transport import Address
from kt_core.wire.kt_log import Clear, LogRecord, Message, Remove

logger = logging.getLogger("kt_cache.stores")

MARKER_EVERY: Final = 0.05
"""Seconds between two markers while somebody waits for one."""

_RESTS: Final = (0.1, 0.2, 0.5, 1.0)  # seconds between attempts to connect; the last one from then on
_BACK: Final = 10 * 10**9  # nanoseconds before now from which on the log is asked for: its clock may have been set
_SILENCE: Final = 5.0  # seconds: a server that is busy is not given up for it, since markers tell how old the copy is
_FIRST_COPIED: Final = 8  # records
_COPYING: Final = 0.1  # seconds that a part of the copying should take
_NOTICED: Final = 0.1  # seconds between two clocks that may be those that the question took


class Follower:
    """One follower of one logical database of a master, in an event loop.

    `every` is the seconds between two markers while nobody waits for one, `timeout` what an exchange with the master
    may take. `wanted` tells whether a worker waits for a marker, and takes the
    wish back. `clock` gives nanoseconds, and is the one that workers measure the age of the copy by.
    """

    def __init__(
        self,
        records: Records,
        address: Address,
        database: int,
        *,
        timeout: float,
        every: float,
        wanted: Callable[[], bool],
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._records = records
        self._address = address
        self._database = database
        self._timeout = timeout
        self._every = every
        self._wanted = wanted
        self._clock = clock
        self._markers = Markers()
        self._reached = -1
        self._moved = asyncio.Event()
        self._failures = 0
        self._filling: set[bytes] | None = None
        self._deaf = False
        self._cleared = False

    async def run(self) -> None:
        """Follow the master for ever."""
        while True:
            try:
                await self._follow()
            except* KTError as group:
                self._report(group)
            self._filling = None
            await asyncio.sleep(_RESTS[min(self._failures, len(_RESTS) - 1)])
            self._failures += 1

    def _report(self, group: BaseExceptionGroup[KTError]) -> None:
        """Log an outage when it begins."""
        if not self._failures:
            error: BaseException = group
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            logger.error("the copy of %s/%d does not follow it: %s", self._address, self._database, error)

    async def _follow(self) -> None:
        command = await AsyncConnection.open(self._address, self._timeout)
        try:
            master, now = await self._meet(command)
            since = self._records.resume(master)
            if since is None:
                self._filling, self._deaf, self._cleared = set(), True, False
                self._markers = Markers()  # those sent before may be in the log that another process left
                since = now - _BACK
                self._records.begin(master, since)
            address = self._address
            stream = AsyncChanges(
                address.host,
                address.port,
                path=address.path,
                since=since,
                heartbeats=True,
                timeout=max(self._timeout, _SILENCE),
            )
            async with stream, asyncio.TaskGroup() as tasks:
                tasks.create_task(self._hear(stream))
                tasks.create_task(self._mark(command))
                if self._filling is not None:
                    tasks.create_task(self._fill())
        finally:
            command.close()

    async def _meet(self, command: AsyncConnection) -> tuple[Master, int]:
        """Return who the master is, and its time in nanoseconds; note by how much that is ahead of ours."""
        before = time.time()
        report = await command.run(ops.report())
        after = time.time()
        try:
            now, running = float(report[b"serv_current_time"]), float(report[b"serv_running_term"])
            master = Master(f"{self._address}/{self._database}", int(report[b"serv_proc_id"]), now - running)
        except (KeyError, ValueError) as error:
            raise ProtocolError(f"{self._address} does not report who it is: {error}") from error
        ahead = now - (before + after) / 2
        self._records.ahead = ahead if abs(ahead) > _NOTICED else 0.0
        return master, int(now * 10**9)

    # -- the log -----------------------------------------------------------------------------------------

    async def _hear(self, stream: AsyncChanges) -> None:
        while True:
            self._take(await stream.batch(), stream.position)

    def _take(self, messages: list[Message], position: int) -> None:
        """Do what the log tells, and then say how far that is."""
        changes: list[LogRecord] = []
        reached = self._reached
        for message in messages:
            if not isinstance(message, LogRecord) or message.change.db != self._database:
                continue
            change = message.change
            if isinstance(change, Remove) and is_marker(change.key):
                sent = self._markers.sent_at(change.key)
                if sent is not None:
                    reached, self._deaf = max(reached, sent), False
            elif not self._deaf:
                changes.append(message)
                if self._filling is not None:
                    if isinstance(change, Clear):
                        self._cleared = True
                    else:
                        self._filling.add(change.key)
        try:
            self._records.apply(changes, position)
        except KTError:
            self._records.abandon()
            raise
        if reached > self._reached:
            self._reached = reached
            self._moved.set()
            if self._filling is None:
                self._records.reach(reached)
                self._follows()

    def _follows(self) -> None:
        if self._failures:
            logger.warning("the copy of %s/%d follows it", self._address, self._database)
            self._failures = 0

    async def _mark(self, command: AsyncConnection) -> None:
        """Send markers: soon where somebody waits for one, else often enough to tell that the copy is not old."""
        waited = self._every
        while True:
            if self._wanted() or self._filling is not None or waited >= self._every:
                waited = 0.0
                await command.run(ops.remove_bulk([(self._database, self._markers.key(self._clock()))]))
            await asyncio.sleep(MARKER_EVERY)
            waited += MARKER_EVERY

    async def _pass(self) -> int:
        """Wait until the log is heard up to now; return the time that was reached."""
        now = self._clock()
        while self._reached <= now:
            self._moved.clear()
            await self._moved.wait()
        return self._reached

    # -- filling -----------------------------------------------------------------------------------------

    async def _fill(self) -> None:
        """Copy what the log has not told of, from when it is heard on, until a marker sent at the end has come."""
        began = time.monotonic()
        await self._pass()
        copied = await self._copy()
        reached = await self._pass()
        self._filling = None
        self._records.finish(reached)
        where = f"{self._address}/{self._database}"
        logger.info("%d records of %s were copied in %.1f s", copied, where, time.monotonic() - began)
        self._follows()

    async def _copy(self) -> int:
        """Store the records that the log has not told of; once the master was cleared it tells of all there are."""
        copied, size = 0, _FIRST_COPIED
        cursor = next(_cursors)
        connection = await AsyncConnection.open(self._address, max(self._timeout, _SILENCE))
        try:
            more = await connection.run(ops.cursor_jump(cursor, self._database))
            while more:
                asked = time.monotonic()
                entries = await connection.run(ops.scan_entries(cursor, size))
                told = self._filling
                if told is None or self._cleared:  # what has just come may be from before
                    break
                self._records.add((key, record.value, record.xt) for key, record in entries if key not in told)
                copied += len(entries)
                more = len(entries) == size
                # Large values come in small parts, for the master to have time for others.
                quick = time.monotonic() - asked < _COPYING
                size = min(2 * size, ops.SCAN_BATCH) if quick else max(size // 2, 1)
        finally:
            connection.close()  # and with it the cursor
        return copied


_cursors = count(1)
