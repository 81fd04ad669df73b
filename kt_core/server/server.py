"""The server of Kyoto Tycoon's clients: its databases, and what its connections ask of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from kt_core.server.connection import Connection
from kt_core.server.counters import NAMES
from kt_core.server.quick import lanes
from kt_core.server.report import PROTOCOL
from kt_core.server.search import Search
from kt_core.server.served import ServedDatabase
from kt_core.server.service import Service, ServiceOptions
from kt_core.server.specs import Spec
from kt_core.wire import http
from kt_core.wire.dates import format_date

_NAME: Final = f"KyotoTycoon/{PROTOCOL}".encode()


@dataclass(frozen=True)
class ServerOptions(ServiceOptions):
    """How this server behaves."""

    databases: Sequence[str] = (":",)
    """Their specifications."""


class Server(Service):
    """A running server, once `start` has returned."""

    def __init__(self, options: ServerOptions, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(options, NAMES, clock=clock)
        self.options = options
        self.search = Search(options.timeout)
        self._names: dict[bytes, ServedDatabase] = {}
        self._dated = (0, b"")

    def _prepare(self) -> None:
        for number, text in enumerate(self.options.databases):
            self._open(Spec.parse(text), number)
        self.lanes = lanes(self.databases, self.turn, self.counters)

    def _connection(self) -> Connection:
        return Connection(self)

    def _open(self, spec: Spec, number: int) -> None:
        for name in spec.unknown:
            self.log.warning("database %s: there is no option %r; it changes nothing", spec.path, name)
        served = ServedDatabase.open(spec, number, self._scratch, self.clock)
        self.databases.append(served)
        self._names[served.name.encode()] = served

    def _clean_up(self) -> None:
        self.search.close()
        super()._clean_up()

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
