"""Following a master: what its update log tells is done here, too, each change once and in its order.

How far a database has followed is remembered in the transactions that follow, so that whoever is killed, at whatever
instant, goes on with the very next change. The time file says the same for people and for other servers; it counts
where the database itself knows nothing, because it was restored from a copy, say. One that is empty begins with all
that the master's log has. Source: the Kyoto Tycoon protocol reference, sections 9.2 and 9.4.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from kt_core.database.batch import Change
from kt_core.database.control import BUDGET
from kt_core.database.environment import Write
from kt_core.database.housekeeping import PUT_COST, RoomNeeded
from kt_core.database.record import NEVER
from kt_core.errors import ConnectionFailed, KTError, Misconfigured
from kt_core.server import log as logs
from kt_core.server.expiry import to_expiry
from kt_core.server.marks import FOLLOWED
from kt_core.server.served import ServedDatabase
from kt_core.server.timefile import TimeFile
from kt_core.wire.exchange import NeedData
from kt_core.wire.kt_binary import XT_MAX, ErrorReply
from kt_core.wire.kt_log import (
    ACK,
    Clear,
    Heartbeat,
    LogRecord,
    Progress,
    Remove,
    Set,
    StreamDecoder,
    Subscribe,
    Subscribed,
    encode_subscribe,
)

if TYPE_CHECKING:
    from kt_core.server.server import Server

logger = logging.getLogger("kt_core.server")

_CONNECTING: Final = 10.0  # seconds
_SILENCE: Final = 60.0  # seconds, after which a master counts as gone
_RETRIES: Final = (0.1, 0.5, 1.0, 2.0, 5.0)  # seconds; the last one for all that follow
_MOST: Final = 128  # changes in one transaction
_BYTES: Final = 64 << 10  # of records
_REMEMBER_EVERY: Final = 1.0  # seconds, in the file
_MARK_EVERY: Final = 10.0  # seconds, in databases that nothing was changed in
_CHUNK: Final = 1 << 18


class Slave:
    """Follows a master, and comes back to it whenever it goes away."""

    def __init__(self, server: Server, file: TimeFile, interval: float) -> None:
        self.host = ""
        """Of the master; empty while none is followed."""
        self.port = 0
        self.interval = interval
        """Milliseconds that it takes over each change, at least."""
        self.ts = file.read()
        """Up to where the master was followed."""
        self._server = server
        self._file = file
        self._marks: dict[int, int] = {}
        self._has_begun = False
        self._task: asyncio.Task[None] | None = None
        self._failures = 0
        self._remembered = self._marked = 0.0
        self._unknown: set[int] = set()
        try:
            file.write(self.ts)
        except OSError as error:
            raise Misconfigured(f"-rts {error.filename}: {error.strerror}; name a file that can be written") from error

    def follow(self, host: str, port: int, ts: int | None = None, interval: float | None = None) -> None:
        """Follow this master from now on, or with an empty host none; from `ts` on, or from where it is."""
        self.host, self.port = host, port
        if interval is not None and interval >= 0:
            self.interval = interval
        self._task = self._server.loop.create_task(self._run(self._task, ts))

    async def stop(self) -> None:
        """Follow no more, and remember how far."""
        self.host = ""
        await _end(self._task)
        self._write()

    async def _run(self, before: asyncio.Task[None] | None, ts: int | None) -> None:
        await _end(before)
        self._failures = 0
        self._marks.clear()
        if ts is not None:
            self.ts = ts
            self._marks = dict.fromkeys(range(len(self._server.databases)), ts)
            self._has_begun = True
            await self._mark()
            self._write()
        while self.host:
            try:
                await self._follow()
            except (OSError, KTError) as error:
                self._tell(error)
            except Exception:  # a fault of ours must not end it for ever
                logger.exception("following the master %s:%d failed", self.host, self.port)
            self._write()
            await asyncio.sleep(_RETRIES[min(self._failures, len(_RETRIES) - 1)])
            self._failures += 1

    def _tell(self, error: Exception) -> None:
        level = logs.SYSTEM if self._failures in (0, 1) else logging.DEBUG  # an outage is told once
        if isinstance(error, KTError) and not isinstance(error, ConnectionFailed):
            level = logging.ERROR
        reason = str(error) or "it is silent"
        logger.log(level, "the master %s:%d cannot be followed: %s", self.host, self.port, reason)

    async def _follow(self) -> None:
        if not self._marks:
            await self._look()
        async with asyncio.timeout(_CONNECTING):
            reader, writer = await asyncio.open_connection(self.host, self.port, limit=_CHUNK)
        try:
            writer.write(encode_subscribe(Subscribe(min(self._marks.values()), self._server.options.sid)))
            plain = {number for number, served in enumerate(self._server.databases) if not served.spec.expires}
            decoder = StreamDecoder(plain=plain)
            while True:
                async with asyncio.timeout(_SILENCE):
                    data = await reader.read(_CHUNK)
                if not data:
                    raise ConnectionFailed("it has closed the connection")
                await self._take(decoder, data, writer)
        finally:
            writer.close()

    async def _take(self, decoder: StreamDecoder, data: bytes, writer: asyncio.StreamWriter) -> None:
        """Do what a piece of the stream says."""
        records: list[LogRecord] = []
        ts = 0
        while not isinstance(message := decoder.feed(data), NeedData):
            data = b""
            if isinstance(message, LogRecord):
                records.append(message)
            elif isinstance(message, Heartbeat):
                writer.write(ACK)
            elif isinstance(message, Subscribed):
                since = min(self._marks.values())
                logger.log(logs.SYSTEM, "following the master %s:%d from %d on", self.host, self.port, since)
            elif isinstance(message, ErrorReply):
                raise ConnectionFailed("it keeps no update log: start it with -ulog and -sid")
            if isinstance(message, LogRecord | Progress | Heartbeat):
                ts = max(ts, message.ts)
        await self._make(records)
        if ts:  # of any database nothing is left below
            self._failures = 0
            self.ts = max(self.ts, ts)
            self._marks = {number: max(mark, ts) for number, mark in self._marks.items()}
        now = self._server.loop.time()
        if now > self._remembered + _REMEMBER_EVERY:
            self._write()
        if ts and not records and now > self._marked + _MARK_EVERY:
            await self._mark()
        if records and self.interval:
            await asyncio.sleep(len(records) * self.interval / 1000)

    # -- how far -----------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        """Find out how far each database is."""
        for number, served in enumerate(self._server.databases):
            mark = await self._ask(served)
            is_new = served.spec.kind.in_memory or (served.marks is not None and not served.database.count())
            if mark is None and is_new and not self._has_begun:
                mark = 0
                if self.ts:
                    logger.log(logs.SYSTEM, "database %d is new: it begins with all that the master has", number)
            self._marks[number] = self.ts if mark is None else mark
        self.ts = min(self._marks.values())
        self._has_begun = True

    async def _ask(self, served: ServedDatabase) -> int | None:
        marks = served.marks
        if marks is None:
            return None
        # Not before what was to be made is made.
        (mark,) = await self._server.turn.make(served, [Change(lambda txn: marks.get(FOLLOWED), (), 0)])
        if isinstance(mark, KTError):
            raise mark
        return None if mark is None else int(mark)

    async def _mark(self) -> None:
        """Have all databases remember how far they are."""
        self._marked = self._server.loop.time()
        for number, served in enumerate(self._server.databases):
            if served.marks is not None:
                change = Change(served.marks.put, (FOLLOWED, self._marks[number]), 0)
                await self._server.turn.make(served, [change])

    def _write(self) -> None:
        self._remembered = self._server.loop.time()
        try:
            self._file.write(self.ts)
        except OSError as error:
            logger.error("how far the master was followed cannot be written: %s", error)

    # -- changes -----------------------------------------------------------------------------------------------

    async def _make(self, records: Sequence[LogRecord]) -> None:
        """Make changes; the first error ends it, and what came before is made."""
        for number, those in groupby(records, lambda record: record.change.db):
            if number >= len(self._server.databases):
                if number not in self._unknown:
                    self._unknown.add(number)
                    logger.warning("the master has a database %d, which this server has not", number)
                continue
            served = self._server.databases[number]
            mark, own = self._marks[number], self._server.options.sid
            wanted = [record for record in those if record.ts > mark and record.sid != own]
            while wanted:
                some = wanted[: _fitting(wanted)]
                del wanted[: len(some)]
                size = sum(map(_size, some))
                (outcome,) = await self._server.turn.make(served, [Change(self._apply, (served, some, size), size)])
                if isinstance(outcome, KTError):
                    raise outcome
                self._marks[number] = some[-1].ts
                served.clears += any(isinstance(record.change, Clear) for record in some)

    def _apply(self, txn: Write, served: ServedDatabase, records: Sequence[LogRecord], size: int) -> None:
        if served.environment.words[BUDGET] < size:  # room for all of them is made before the first
            raise RoomNeeded(max(map(_size, records)), size, size)
        journal = served.journal
        try:
            for sid, those in groupby(records, lambda record: record.sid):
                if journal is not None:
                    journal.operations.sid = sid
                for kind, some in groupby([record.change for record in those], type):
                    _APPLY[kind](txn, served, list(some))
        finally:
            if journal is not None:
                journal.operations.sid = self._server.options.sid
        if served.marks is not None:
            served.marks.put(txn, FOLLOWED, records[-1].ts)


def _size(record: LogRecord) -> int:
    change = record.change
    return PUT_COST + (len(change.key) + len(change.value) if isinstance(change, Set) else 0)


def _fitting(records: Sequence[LogRecord]) -> int:
    """Return how many of the first records go into one transaction."""
    size = 0
    for count, record in enumerate(records[:_MOST]):
        size += _size(record)
        if size > _MOST * PUT_COST + _BYTES:
            return max(count, 1)
    return min(len(records), _MOST)


def _store(txn: Write, served: ServedDatabase, changes: Sequence[Set]) -> None:
    now = served.environment.clock()
    items = [(key, value, NEVER if xt in (None, XT_MAX) else to_expiry(-xt, now)) for _, key, value, xt in changes]
    served.operations.store_rows(txn, served.operations.prepare_all(items))


def _remove(txn: Write, served: ServedDatabase, changes: Sequence[Remove]) -> None:
    for change in changes:
        served.operations.remove(txn, change.key)


def _clear(txn: Write, served: ServedDatabase, changes: Sequence[Clear]) -> None:
    served.operations.clear(txn)


_APPLY: Final[dict[type, Callable[[Write, ServedDatabase, Sequence[Any]], None]]] = {
    Set: _store,
    Remove: _remove,
    Clear: _clear,
}


async def _end(task: asyncio.Task[None] | None) -> None:
    """End a task, and wait until it has."""
    if task is not None:
        task.cancel()
        await asyncio.wait([task])
