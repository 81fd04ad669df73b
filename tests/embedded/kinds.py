"""The kinds of managers that the tests are run with: of stand-ins always, of real servers where there are any."""

from __future__ import annotations

import shutil
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kt_core.embedded import EmbeddedServer
from kt_core.embedded.manager import Manager
from kt_core.embedded.starting import Program, Settings
from kt_core.errors import ConnectionFailed
from kt_core.kyoto import KyotoTycoon

STAND_IN = str(Path(__file__).with_name("standin.py"))


class StandInClient:
    """Asks a stand-in for its process id, all that there is to ask."""

    def __init__(
        self, host: str, port: int, *, path: str | None = None, timeout: float | None = None, serializer: str = "none"
    ) -> None:
        self.serializer = serializer
        self.closed = 0
        self._address = (host, port)
        self._path = path
        self._timeout = timeout

    def ask(self) -> int:
        """Return the number that the stand-in tells."""
        with socket.socket(socket.AF_INET if self._path is None else socket.AF_UNIX) as connected:
            connected.settimeout(self._timeout)
            try:
                connected.connect(self._path or self._address)
                return int(connected.recv(100) or 0)
            except OSError as error:
                raise ConnectionFailed("there is no stand-in") from error

    def close(self) -> None:
        """Count that it was called."""
        self.closed += 1


SETTINGS = Settings(
    server=None,
    host="127.0.0.1",
    port=None,
    databases=("*",),
    arguments=(),
    path=None,
    timeout=30.0,
    restart_delays=(0.0, 0.0, 0.0),
    quiet=False,
)


def stand_in(
    *,
    foreign: bool,
    clock: Callable[[], float] = time.monotonic,
    has_database: Callable[[StandInClient], bool] = lambda client: True,
    **settings: Any,
) -> Manager[StandInClient]:
    """Make a manager of a stand-in: of one like the bundled server, or of one that knows nothing of being embedded."""
    program = Program(
        bundled=(STAND_IN,),
        flags=(STAND_IN,) if foreign else (),
        last_port=65534,
        bind_error="somebody is there",
        client=StandInClient,
        process_id=StandInClient.ask,
        has_database=has_database,
    )
    if foreign:
        settings["server"] = sys.executable
    return Manager(program, replace(SETTINGS, **settings), "none", clock=clock)


@dataclass(frozen=True)
class Kind:
    """How to make a manager, and how to ask the server that its client is bound to for its process id."""

    make: Callable[..., Manager[Any]]
    process_id: Callable[[Any], int]


def _reported(client: KyotoTycoon) -> int:
    return client.report().process_id


STAND_INS = {
    "stand-in": Kind(lambda **settings: stand_in(foreign=False, **settings), StandInClient.ask),
    "foreign stand-in": Kind(lambda **settings: stand_in(foreign=True, **settings), StandInClient.ask),
}
REAL = {"bundled": Kind(lambda **settings: EmbeddedServer(None, **settings), _reported)}
if shutil.which("ktserver"):
    REAL["ktserver"] = Kind(EmbeddedServer, _reported)
KINDS = STAND_INS | REAL
