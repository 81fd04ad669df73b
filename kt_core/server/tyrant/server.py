"""The server of Tokyo Tyrant's clients: its database, and what its connections ask of it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from kt_core.errors import KTError
from kt_core.server.interpreter import lua51
from kt_core.server.quick import Lane
from kt_core.server.service import Service, ServiceOptions
from kt_core.server.tyrant.connection import TyrantConnection
from kt_core.server.tyrant.counters import NAMES
from kt_core.server.tyrant.database import TyrantDatabase, change
from kt_core.server.tyrant.masks import Mask
from kt_core.server.tyrant.names import Name
from kt_core.server.tyrant.quick import lane
from kt_core.server.tyrant.replication import Slave, origin
from kt_core.server.tyrant.scripts import Scripts
from kt_core.server.tyrant.searching import Searching
from kt_core.server.tyrant.updates import Origin, UpdateLog
from kt_core.wire.tt_messages import Ext, Request

T = TypeVar("T")

_FAREWELL: Final = 5.0  # seconds that what is under way is given for its end


@dataclass(frozen=True)
class TyrantOptions(ServiceOptions):
    """How this server behaves."""

    database: str = "*"
    """The name of its database."""
    mask: frozenset[str] = frozenset()
    """The commands and groups of commands that are forbidden."""
    sid: int = 0
    """The number of the server among those that replicate; 0 for none."""
    log_directory: Path | None = None
    """Where the update log is; it needs a `sid`."""
    log_limit: int = 1 << 30
    """The bytes after which another file of the log is begun."""
    master: tuple[str, int] | None = None
    """The host and the port of the server that this one follows."""
    time_path: Path = Path("ttserver.rts")
    """The file that remembers how far."""
    checks: bool = False
    """Whether a master is followed no more where a change has another outcome here."""
    script: str | None = None
    """The path of a Lua script, or ``@`` and a script."""
    periodic: Sequence[tuple[str, float]] = ()
    """Functions of the script that are called regularly, and the seconds between the calls."""
    threads: int = 8
    """How many calls of the script run at a time."""


class TyrantServer(Service):
    """A running server, once `start` has returned."""

    database: TyrantDatabase

    def __init__(self, options: TyrantOptions, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(options, NAMES, clock=clock)
        self.options = options
        self.mask = Mask(options.mask)
        self.lane: Lane | None = None
        self.updates: UpdateLog | None = None
        self.slave: Slave | None = None
        self._following: asyncio.Task[None] | None = None
        self._scripts: Scripts | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._unfinished: set[asyncio.Task[Any]] = set()

    def _prepare(self) -> None:
        name = Name.parse(self.options.database)
        for unknown in name.unknown:
            self.log.warning("database %s: there is no option %r; it changes nothing", name.path, unknown)
        self.database = TyrantDatabase.open(name, self._scratch, self.clock, self.options.max_reply)
        self.databases.append(self.database.served)
        self.searching = Searching(self.database, self.options.timeout)
        if self.options.log_directory is not None:
            self.updates = UpdateLog(self.options.log_directory, self.options.log_limit, self.clock)
        else:
            self.lane = lane(self.database, self.turn, self.counters, self.mask)
        if self.options.script is not None:
            self._begin_script(self.options.script)
        if self.options.master is not None and not self.mask.forbids("slave"):
            self.follow(*self.options.master, since=0, checks=self.options.checks)

    def _begin_script(self, source: str) -> None:
        lua51()
        self._scripts = Scripts(self, source, self.options.threads)
        self._keep(self._scripts.run(b"_begin"))
        for function, seconds in self.options.periodic:
            self._keep(self._run_regularly(self._scripts, function.encode(), seconds))

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Have something done beside the connections, until the server ends."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run_regularly(self, scripts: Scripts, function: bytes, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            await scripts.run(function)

    async def _part_ways(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._unfinished:
            await asyncio.wait(self._unfinished, timeout=_FAREWELL)
        if self._scripts is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_FAREWELL):
                    await self._scripts.run(b"_end")
            await self.in_thread(self._scripts.close)

    def _clean_up(self) -> None:
        if self.databases:
            self.searching.close()
        if self.updates is not None:
            self.updates.close()
        super()._clean_up()

    def _connection(self) -> TyrantConnection:
        return TyrantConnection(self)

    # -- what commands and functions need ---------------------------------------------------------------------

    async def to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something that is to be in the log, even if whoever asked for it does not wait for its end."""
        if self.updates is None:
            return await work
        task = self.loop.create_task(work)
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        return await asyncio.shield(task)

    async def make(self, operation: Callable[..., Any], *arguments: Any) -> Any:
        """Run an operation at the end of this turn; return its result, or raise what it ended in."""
        (result,) = await self.turn.make(self.database.served, [change(operation, *arguments)])
        if isinstance(result, KTError):
            raise result
        return result

    async def vanish(self) -> bool:
        """Remove every record; tell whether that may be."""
        if self.database.read_only:
            return False
        self.database.iteration.end()
        return bool(await self.make(self.database.records.vanish))

    async def synchronize(self) -> bool:
        """Write everything to the disk."""
        await self.in_thread(self.database.served.environment.synchronize)
        return True

    async def copy(self, path: bytes) -> bool:
        """Copy the database to a path, or with ``@`` before it run a command of the command directory on it."""
        if not path.startswith(b"@"):
            return await self.in_thread(self.database.copy, os.fsdecode(path))
        stamp = str(int(self.clock() * 1e6))
        where = [] if self.database.kind.in_memory else [self.database.served.spec.path]
        return await self.run_command(path[1:], *where, stamp)

    def follow(self, host: str, port: int, *, since: int, checks: bool) -> None:
        """Follow a master from now on, from a time on if that is not 0; without a host none."""
        if self._following is not None:
            self._following.cancel()
        self.slave = self._following = None
        if host:
            self.slave = Slave(self, host, port, since=since, checks=checks)
            self._following = self._keep(self.slave.run())

    async def call_script(self, request: Ext) -> bytes | None:
        """Call a function of the script and return its result; None if it failed."""
        return await self._scripts.call(request) if self._scripts is not None else None

    def note(self, request: Request, done: bool) -> None:
        """Note a change, and whether it succeeded."""
        if self.updates is not None:
            self.updates.write(request, done, origin.get() or Origin(self.options.sid))
