"""Replication: a master tells its slaves what its update log says, and a slave makes the same changes.

Source: the Tokyo Tyrant protocol reference, sections 9.2 and 9.3.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kt_core.errors import ConnectionFailed, KTError
from kt_core.server.timefile import TimeFile
from kt_core.server.tyrant import commands
from kt_core.server.tyrant.updates import Origin, Reader
from kt_core.wire import tt_messages as tt
from kt_core.wire.exchange import NeedData
from kt_core.wire.tt_binary import ReplyDecoder, encode_reply, encode_request
from kt_core.wire.tt_log import Change, KeepAlive, LogRecord, StreamDecoder, StreamRecord, encode_stream_record

if TYPE_CHECKING:
    from kt_core.server.tyrant.server import TyrantServer

logger = logging.getLogger("kt_core.server")

_KEEP_ALIVE_EVERY: Final = 1.0  # seconds
_SILENCE: Final = 60.0  # seconds, after which a master counts as gone
_RETRY: Final = 1.0  # seconds
_CHUNK: Final = 1 << 16

origin: ContextVar[Origin | None] = ContextVar("origin", default=None)
"""Where the change began that is being made, if not here."""


class Inconsistent(KTError):
    """A change had another outcome here than where it was made first."""


async def stream(server: TyrantServer, request: tt.Repl, send: Callable[[bytes], Awaitable[None]]) -> None:
    """Tell a slave all changes from a time on, as they are made, until the server ends."""
    log, sid = server.updates, server.options.sid
    if request.time < 1 or request.sid < 1 or request.sid == sid:
        return
    await send(encode_reply(tt.Master(sid)))
    if log is None:
        return
    changed = asyncio.Event()
    log.changed.add(changed.set)
    try:
        reader = Reader(log.directory, request.time)
        while not server.is_ending:
            changed.clear()
            for record in reader.read():
                if request.sid not in (record.sid, record.mid):
                    await send(encode_stream_record(StreamRecord(record.time, record.sid, record.change)))
            with suppress(TimeoutError):
                async with asyncio.timeout(_KEEP_ALIVE_EVERY):
                    await changed.wait()
                    continue
            await send(encode_stream_record(KeepAlive()))
    finally:
        log.changed.discard(changed.set)


class Slave:
    """Follows a master: makes the changes that it tells of, and remembers how far."""

    def __init__(self, server: TyrantServer, host: str, port: int, *, since: int, checks: bool) -> None:
        self._server = server
        self.host = host
        self.port = port
        self._checks = checks
        self._file = TimeFile(server.options.time_path)
        self.time = since - 1 if since > 0 else self._file.read()
        """Of the last change that was made, in microseconds since 1970."""

    async def run(self) -> None:
        """Follow the master, and come back to it whenever it goes away."""
        while True:
            try:
                await self._follow()
            except Inconsistent as error:
                logger.error("the master %s:%d is followed no more: %s", self.host, self.port, error)
                return
            except (OSError, KTError) as error:
                logger.warning("the master %s:%d cannot be followed: %s", self.host, self.port, error)
            except Exception:  # a fault of ours must not end it for ever
                logger.exception("following the master %s:%d failed", self.host, self.port)
            await asyncio.sleep(_RETRY)

    async def _follow(self) -> None:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(encode_request(tt.Repl(self.time + 1, self._server.options.sid)))
            head = ReplyDecoder(tt.Master)
            master: tt.Master | tt.Failed | NeedData = head.feed(b"")
            while isinstance(master, NeedData):
                master = head.feed(await _receive(reader))
            assert isinstance(master, tt.Master)
            decoder = StreamDecoder()
            record = decoder.feed(head.rest)
            while True:
                while not isinstance(record, NeedData):
                    if isinstance(record, StreamRecord):
                        await self._make(record, master.sid)
                    record = decoder.feed(b"")
                self._remember()
                record = decoder.feed(await _receive(reader))
        finally:
            writer.close()

    async def _make(self, record: StreamRecord, master: int) -> None:
        await replay(self._server, record.change, Origin(record.sid, master), checks=self._checks)
        self.time = record.time

    def _remember(self) -> None:
        if self.time:
            self._file.write(self.time)


async def _receive(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(_SILENCE):
        data = await reader.read(_CHUNK)
    if not data:
        raise ConnectionFailed("it has closed the connection")
    return data


async def replay(server: TyrantServer, change: Change, began: Origin | None, *, checks: bool) -> None:
    """Make a change that was made before; with `checks`, `Inconsistent` if it has another outcome now."""
    token = origin.set(began)
    try:
        reply = await commands.perform(server, change.request)
    finally:
        origin.reset(token)
    done = not isinstance(reply, tt.Failed) and getattr(reply, "ok", True)
    if checks and done != change.ok:
        raise Inconsistent(f"{type(change.request).__name__}, which {'succeeded' if change.ok else 'failed'} there")


async def restore(server: TyrantServer, directory: Path, since: int, *, checks: bool) -> bool:
    """Make the changes in a log from a time on, in microseconds since 1970; tell whether it could be read."""
    try:
        for record in _recorded(server, directory, since):
            await replay(server, record.change, Origin(record.sid, record.mid), checks=checks)
    except (KTError, OSError) as error:
        logger.error("the log in %s cannot be restored: %s", directory, error)
        return False
    return True


def _recorded(server: TyrantServer, directory: Path, since: int) -> Iterable[LogRecord]:
    records = Reader(directory, since).read()
    directory.stat()  # OSError if there is none
    if server.updates is not None and server.updates.directory.samefile(directory):
        return list(records)  # else it would grow by what is made of it
    return records
