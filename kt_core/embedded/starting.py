"""Starts a server as a child process, and accepts it once it answers over its protocol and is that very child.

The bundled server binds a free port itself and reports it. Any other server has to be given a port, which somebody
else may take in the meantime: so what answers there has to give the child's process id, and if the port turns out
to be taken another one is tried.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import random
import shutil
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

from kt_core.embedded.child import Child, Stop
from kt_core.errors import ConnectionFailed, KTError, Misconfigured, ProtocolError, Timeout
from kt_core.transport import Address

logger = logging.getLogger("kt_core.embedded")

PATIENCE: Final = 10.0
"""Seconds that a server is given to end by itself before it is killed."""

_LAUNCHER: Final = Path(__file__).with_name("launch.py")
_PORTS: Final = 10
# Not from 32768 on: the system takes those for outgoing connections, so that a server which ended could lose its
# port to one before it is started again.
_FREE_PORTS: Final = range(16384, 32768)
_ASK_EVERY: Final = 0.01
_PROBE_TIMEOUT: Final = 1.0
_NAMES: Final = {"ERROR": logging.ERROR, "SYSTEM": logging.INFO, "INFO": logging.INFO, "DEBUG": logging.DEBUG}
_LEVELS: Final = {mark: level for name, level in _NAMES.items() for mark in (f"[{name}]", f"\t{name}\t")}
_OURS: Final = {
    "-host": "write host=",
    "-port": "write port=",
    "-sock": "write path=",
    "-dmn": "leave it out: a daemon would live on by itself",
}


class Closable(Protocol):
    """A client, as far as it is of interest here."""

    def close(self) -> None:
        """Close the connections that nobody uses."""


ClientT = TypeVar("ClientT", bound=Closable)


@dataclass(frozen=True)
class Program(Generic[ClientT]):
    """What one protocol's servers have that another's have not."""

    bundled: tuple[str, ...]
    """The interpreter's arguments that run the bundled server."""
    flags: tuple[str, ...]
    """The arguments with which a server logs errors alone."""
    last_port: int
    """The highest port that the original server takes."""
    bind_error: str
    """What the original server writes when its port is taken; by its end the port may be free again."""
    client: Callable[..., ClientT]
    """Takes host and port, and by name the `path` of a unix socket, a `serializer` and a `timeout`."""
    process_id: Callable[[ClientT], int]
    """Asks a server for its process id."""
    has_database: Callable[[ClientT], bool] = lambda client: True
    """Asks a server whether it could open its database."""


@dataclass(frozen=True)
class Settings:
    """Which server to run and how; see `EmbeddedServer`."""

    server: str | None
    host: str
    port: int | None
    databases: tuple[str, ...]
    arguments: tuple[str, ...]
    path: str | None
    timeout: float
    restart_delays: tuple[float, ...]
    quiet: bool

    def __post_init__(self) -> None:
        if self.port is not None and not 0 <= self.port < 65536:
            raise Misconfigured(f"port {self.port} is none: write one from 1 to 65535, or 0 or None for a free one")
        for argument in self.arguments:
            if argument in _OURS:
                raise Misconfigured(f"{argument!r} in server_args: {_OURS[argument]} instead")
        if self.server is not None and self.path is not None:
            raise Misconfigured("only the bundled server listens on a unix socket: write server=None with path=")
        for database in self.databases:
            if self.server is not None and database.startswith("embedded:"):
                raise Misconfigured(f"only the bundled server opens {database}: write server=None with it")


class PortTaken(Misconfigured):
    """Another process listens on the port."""


class Starter(Generic[ClientT]):
    """Starts the server that the settings ask for, any number of times."""

    def __init__(self, program: Program[ClientT], settings: Settings) -> None:
        self._program = program
        self._settings = settings
        self._cwd = os.getcwd()  # a later start has to find the same files
        self._executable = None if settings.server is None else _find(settings.server)
        self.name = self._executable or "the bundled server"
        if not self.bundled and (settings.port or 0) > program.last_port:
            raise Misconfigured(
                f"{self.name} takes no port above {program.last_port}: write a lower one, or server=None for the "
                "bundled server"
            )

    @property
    def bundled(self) -> bool:
        """Whether it is the bundled server that runs."""
        return self._executable is None

    def start(self, port: int | None, stop: Stop) -> tuple[Child, Address]:
        """Return a server that answers, and where; on any port when none is given.

        `PortTaken`; `ConnectionFailed` when the process ends, or a stop is asked for; `Timeout` when it does not
        answer in time. No process is left then.
        """
        if port or self.bundled:
            return self._try(port or 0, stop)
        for port in random.sample(_FREE_PORTS, _PORTS):
            with suppress(PortTaken):
                return self._try(port, stop)
        raise PortTaken(f"{_PORTS} ports of {self._settings.host} from {_FREE_PORTS} are all taken: write port=")

    def _try(self, port: int, stop: Stop) -> tuple[Child, Address]:
        settings = self._settings
        if port and _is_taken(settings.host, port):
            raise self._taken(port)
        deadline = time.monotonic() + settings.timeout
        reader, writer = os.pipe()
        try:
            try:
                child = Child(
                    self._command(port, writer), self._hear, cwd=self._cwd, pass_fds=(writer,) if self.bundled else ()
                )
            finally:
                os.close(writer)
            try:
                if self.bundled:
                    child.wait(deadline - time.monotonic(), reader, stop.fileno())
                    port = self._reported(reader, child, port, stop)
                address = Address(settings.host, port, settings.path)
                self._await_answer(child, address, deadline, stop)
            except BaseException:
                child.end(PATIENCE)
                raise
        finally:
            os.close(reader)
        return child, address

    def _command(self, port: int, ready: int) -> list[str]:
        settings = self._settings
        options = [*self._program.flags]
        if settings.path is None or settings.port is not None:
            options += ["-host", settings.host, "-port", str(port)]
        if self._executable is not None:
            begin = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), self._executable]
        else:
            begin = [sys.executable, *self._program.bundled]
            options += ["-ready", str(ready), "-parent", str(os.getpid())]
            if settings.path is not None:
                options += ["-sock", settings.path]
        return [*begin, *options, *settings.arguments, *settings.databases]

    def _hear(self, line: str) -> None:
        level = next((level for mark, level in _LEVELS.items() if mark in line), logging.WARNING)
        logger.log(logging.DEBUG if self._settings.quiet else level, "%s: %s", self.name, line)

    def _reported(self, reader: int, child: Child, port: int, stop: Stop) -> int:
        """Return the port that the bundled server says it listens on, 0 for none."""
        os.set_blocking(reader, False)
        try:
            report = os.read(reader, 4096)  # written at once, being shorter than the 4096 bytes that a pipe promises
        except BlockingIOError:
            raise self._failure(child, port, stop) from None
        if not report:
            child.wait(_PROBE_TIMEOUT, stop.fileno())  # a process closes its pipes a moment before it has ended
            raise self._failure(child, port, stop)
        try:
            return int(json.loads(report)["port"] or 0)
        except (ValueError, TypeError, KeyError) as error:
            raise ProtocolError(f"{self.name} reported {report!r} where a port was awaited") from error

    def _await_answer(self, child: Child, address: Address, deadline: float, stop: Stop) -> None:
        while True:
            with suppress(KTError, ValueError):  # who knows what it is that answers
                process_id, has_database = self._ask(address)
                if process_id == child.pid:
                    break
            if child.wait(_ASK_EVERY, stop.fileno()) or child.ended or time.monotonic() >= deadline:
                raise self._failure(child, address.port, stop)
        if not has_database:
            child.wait(_ASK_EVERY, stop.fileno())  # to hear what it has written
            raise ConnectionFailed(f"{self.name} cannot open its database{_said(child)}")

    def _ask(self, address: Address) -> tuple[int, bool]:
        client = self._program.client(address.host, address.port, path=address.path, timeout=_PROBE_TIMEOUT)
        try:
            return self._program.process_id(client), self._program.has_database(client)
        finally:
            client.close()

    def _failure(self, child: Child, port: int, stop: Stop) -> KTError:
        """Return the error that says why there was no answer."""
        if stop.asked:
            return ConnectionFailed(f"{self.name} was stopped before it answered")
        written = "\n".join(child.last_lines)
        if child.ended and port and (self._program.bind_error in written or _is_taken(self._settings.host, port)):
            return self._taken(port)
        if child.ended:
            return ConnectionFailed(f"{self.name} {child.fate} before it answered{_said(child)}")
        return Timeout(f"{self.name} did not answer within {self._settings.timeout:g} s{_said(child)}")

    def _taken(self, port: int) -> PortTaken:
        return PortTaken(
            f"port {port} of {self._settings.host} is taken: end the process that listens there, write another port, "
            "or None for a free one"
        )


def _said(child: Child) -> str:
    written = "\n".join(child.last_lines)
    return f":\n{written}" if written else "; it wrote nothing"


def _find(server: str) -> str | None:
    """Return the path of a program; None for a name that is not on PATH."""
    found = shutil.which(server)
    if found is not None:
        return os.path.abspath(found)
    if os.sep in server:
        raise Misconfigured(f"{server} is no program: write the path of one, or server=None for the bundled server")
    logger.info("there is no %s on PATH: the bundled server runs instead", server)
    return None


def _is_taken(host: str, port: int) -> bool:
    """Tell whether a server that listens there from now on would be refused for the sake of another."""
    with suppress(socket.gaierror):  # the server itself says what is wrong with the host
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
                try:
                    probe.bind(address)
                except OSError as error:
                    if error.errno == errno.EADDRINUSE:
                        return True
    return False
