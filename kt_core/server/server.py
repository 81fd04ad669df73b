"""The server of Kyoto Tycoon's clients: its databases, and what its connections ask of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from kt_core.server import log, queues
from kt_core.server.connection import Connection
from kt_core.server.counters import NAMES
from kt_core.server.feed import Feed
from kt_core.server.memcached import COMMANDS, Memcached, MemcachedConnection, MemcachedOptions
from kt_core.server.quick import lanes
from kt_core.server.replication import Slave
from kt_core.server.report import PROTOCOL
from kt_core.server.scripting.scripts import Scripts
from kt_core.server.search import Search
from kt_core.server.served import ServedDatabase
from kt_core.server.service import Service, ServiceOptions
from kt_core.server.signals import Conditions
from kt_core.server.snapshots import Snapshots
from kt_core.server.specs import Spec
from kt_core.server.timefile import TimeFile
from kt_core.server.updates import UpdateLog
from kt_core.wire import http
from kt_core.wire.dates import format_date

_DIGITS: Final = 20  # in the time file
_NAME: Final = f"KyotoTycoon/{PROTOCOL}".encode()


@dataclass(frozen=True)
class ServerOptions(ServiceOptions):
    """How this server behaves."""

    databases: Sequence[str] = (":",)
    """Their specifications."""
    script: str | None = None
    """The path of a Lua script, or ``@`` and its text."""
    script_patience: float = 10.0
    """How long a call of the script may take."""
    script_memory: int = 256 << 20
    """The most bytes of each of its interpreters."""
    script_opened: bool = False
    """Whether it may use the whole library of Lua: files, programs, other modules."""
    threads: int = 16
    """How many calls of the script that take long are made at a time."""
    read_only: bool = False
    """Whether clients may change nothing."""
    synchronize_interval: float = 0.0
    """The seconds between the times that what is not on the disk yet is written there; 0 for never."""
    snapshot_directory: Path | None = None
    """Where snapshots of the databases are written, and read at the start."""
    snapshot_interval: float = 180.0
    """The seconds between them."""
    memcached: MemcachedOptions | None = None
    """How clients of memcached are served, if they are."""
    sid: int = 0
    """The number of the server among those that replicate."""
    log_directory: Path | None = None
    """Where the update log is, if there is one; it needs a `sid`."""
    log_limit: int = 256 << 20
    """The bytes after which another file of the log is begun."""
    log_interval: float = 0.0
    """The seconds between the times that the log is written to the disk; 0 for when the system sees fit."""
    time_path: Path | None = None
    """The file that remembers how far a master was followed; without it none can be followed."""
    master: tuple[str, int] = ("", 1978)
    """The host and the port of the server that this one follows; no host for none."""
    follow_interval: float = 0.0
    """The milliseconds that it takes over each change of its master, at least."""


class Server(Service):
    """A running server, once `start` has returned."""

    def __init__(self, options: ServerOptions, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(options, NAMES, clock=clock)
        self.options = options
        self.search = Search(options.timeout)
        self.conditions = Conditions()
        self.memcached_port = 0
        self.updates: UpdateLog | None = None
        self.feed: Feed | None = None
        self.slave: Slave | None = None
        self.scripts: Scripts | None = None
        self.snapshots: Snapshots | None = None
        self._names: dict[bytes, ServedDatabase] = {}
        self._dated = (0, b"")

    def _prepare(self) -> None:
        options = self.options
        if options.log_directory is not None:
            self.updates = UpdateLog(options.log_directory, options.sid, limit=options.log_limit, clock=self.clock)
        for number, text in enumerate(options.databases):
            self._open(Spec.parse(text), number)
        if self.updates is not None:
            self._begin_log(self.updates)
        if options.snapshot_directory is not None:
            snapshots = Snapshots(options.snapshot_directory)
            snapshots.apply(self.databases)
            self.snapshots = snapshots
            self.repeat(partial(snapshots.write, self.databases), options.snapshot_interval)
        if options.synchronize_interval > 0:
            self.repeat(self._write_to_disk, options.synchronize_interval)
        for served in self.databases:
            served.read_only = options.read_only
        self.lanes = lanes(self.databases, self.turn, self.counters)
        if options.script is not None:
            self.scripts = Scripts(self, options.script)
        if options.time_path is not None:
            self.slave = Slave(self, TimeFile(options.time_path, _DIGITS), options.follow_interval)
            self.slave.follow(*options.master)

    def _begin_log(self, log: UpdateLog) -> None:
        tails = [served.tail for served in self.databases if served.tail is not None]
        marks = {number: served.logged() for number, served in enumerate(self.databases)}
        log.recover(marks, [piece for tail in tails for piece in tail.pieces()])
        for tail in tails:
            tail.clear()
        self.feed = Feed(self, log)
        if any(served.durable for served in self.databases):
            for served in self.databases:  # they wait for each other at the log, and nobody is to wait here
                served.durable = True
        if self.options.log_interval > 0:
            self.repeat(partial(self.in_thread, log.synchronize), self.options.log_interval)

    async def _write_to_disk(self) -> None:
        for served in self.databases:
            if not served.durable:
                await self.in_thread(served.environment.synchronize)

    def _connection(self) -> Connection:
        return Connection(self)

    def _listen(self) -> None:
        super()._listen()
        options = self.options.memcached
        if options is not None:
            commands = queues.COMMANDS if options.queue else COMMANDS
            connection = partial(MemcachedConnection, Memcached(self, options, commands))
            self.memcached_port = self._listen_at(options.host or self.host, options.port, connection)
            self.log.log(log.SYSTEM, "clients of memcached are served on port %d", self.memcached_port)

    def whereabouts(self) -> dict[str, object]:
        return {**super().whereabouts(), **({"memcached": self.memcached_port} if self.memcached_port else {})}

    def _open(self, spec: Spec, number: int) -> None:
        for name in spec.unknown:
            self.log.warning("database %s: there is no option %r; it changes nothing", spec.path, name)
        remembers = self.options.time_path is not None
        served = ServedDatabase.open(spec, number, self._scratch, self.clock, self.updates, remembers=remembers)
        self.databases.append(served)
        self._names[served.name.encode()] = served

    def reload(self) -> None:
        if self.scripts is not None:
            self.scripts.reload()

    async def _part_ways(self) -> None:
        if self.slave is not None:
            await self.slave.stop()
        if self.scripts is not None:
            await self.in_thread(self.scripts.close)
        if self.snapshots is not None and self.has_started:  # else those that are there are the better ones
            await self.turn.drain()
            await self.snapshots.write(self.databases)

    def _clean_up(self) -> None:
        self.search.close()
        if self.snapshots is not None:
            self.snapshots.close()
        super()._clean_up()
        if self.updates is not None:
            self.updates.close()

    # -- what connections need -------------------------------------------------------------------------------

    def find(self, name: int | bytes) -> ServedDatabase | None:
        """Return the database of a number or a name."""
        if isinstance(name, int):
            return self.databases[name] if 0 <= name < len(self.databases) else None
        return self._names.get(name)

    def count(self, counters: Sequence[int], *, missed: bool) -> None:
        """Count an operation."""
        for counter in counters:
            self.counters[counter] += 1
            if missed and NAMES[counter] + "_misses" in NAMES:
                self.counters[counter + 1] += 1

    def encode(self, response: http.Response) -> bytes:
        """Return the bytes of a response."""
        second = int(self.clock())
        if second != self._dated[0]:
            self._dated = (second, format_date(second))
        return http.encode_response(response, _NAME, self._dated[1])

    async def run_on(self, served: ServedDatabase, command: bytes) -> bool:
        """Run a command of the command directory on a database's path; tell whether it succeeded."""
        return await self.run_command(command, served.spec.path, f"{int(self.clock() * 1e9):020d}")
