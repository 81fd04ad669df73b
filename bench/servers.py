"""Server processes that are measured: on private addresses of this machine, gone with the run."""

from __future__ import annotations

import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

READY_SECONDS = 10.0
STOP_SECONDS = 5.0
PORTS, TRIALS = range(16_384, 32_768), 100


class Address(NamedTuple):
    """Where a server listens: a unix socket's path and a port on 127.0.0.1, as far as it has them."""

    socket: str
    port: int


@dataclass(frozen=True)
class Program:
    """A server: the command that starts it at an address, and how to ask whether it answers."""

    name: str
    command: tuple[str, ...]  # templates over {socket}, {port} and the {folder} of the socket
    ping: bytes
    pong: bytes

    @property
    def has_socket(self) -> bool:
        """Whether it can listen on a unix socket."""
        return "{socket}" in self.command

    def installed(self) -> bool:
        return shutil.which(self.command[0]) is not None

    def version(self) -> str:
        said = subprocess.run([self.command[0], "--version"], capture_output=True, text=True, check=True).stdout
        number = re.search(r"\d+(\.\d+)+", said)
        return number[0] if number else said.strip()

    @contextmanager
    def run(self, *more: str) -> Iterator[Address]:
        """Yield where the server answers; stop the server on leaving."""
        if not self.installed():
            raise FileNotFoundError(f"{self.name} is not on PATH")
        # Not below the place of the data: a socket's path may have 107 bytes only.
        with tempfile.TemporaryDirectory(prefix="kt-bench-") as folder:
            address = Address(str(Path(folder, "socket")), _free_port())
            command = [part.format(folder=folder, **address._asdict()) for part in self.command]
            # Its own session: Ctrl-C reaches the benchmark alone, which then stops the server in order.
            process = subprocess.Popen(
                [*command, *more], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
            )
            try:
                self._wait(process, address)
                yield address
            finally:
                process.terminate()
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def _wait(self, process: subprocess.Popen[bytes], address: Address) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            try:
                with self._connect(address) as client:
                    client.sendall(self.ping)
                    if client.recv(64).startswith(self.pong):
                        return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"{self.name} did not answer at its address (exit code {process.poll()})")

    def _connect(self, address: Address) -> socket.socket:
        if not self.has_socket:
            return socket.create_connection(("127.0.0.1", address.port), timeout=1.0)
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(1.0)
        try:
            client.connect(address.socket)
        except OSError:
            client.close()
            raise
        return client


def _free_port() -> int:
    """A port below those that outgoing connections take; ktserver accepts none above 32767 anyway."""
    for port in random.sample(PORTS, TRIALS):
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    raise RuntimeError(f"no free port among {TRIALS} from {PORTS.start} to {PORTS.stop - 1}")


REDIS = Program(
    "redis-server",
    (
        *("redis-server", "--bind", "127.0.0.1", "--port", "{port}"),
        *("--unixsocket", "{socket}", "--unixsocketperm", "600", "--dir", "{folder}"),
        *("--appendonly", "no", "--save", "", "--loglevel", "warning"),
    ),
    b"PING\r\n",
    b"+PONG",
)
MEMCACHED = Program(
    "memcached",
    (
        *("memcached", "-s", "{socket}", "-a", "0600", "-U", "0", "-m", "256"),
        *(("-u", "root") if os.geteuid() == 0 else ()),
    ),
    b"version\r\n",
    b"VERSION",
)
# Kyoto Tycoon's binary protocol: no record asked for, no record found.
NO_KEYS, NO_RECORDS = b"\xba" + bytes(8), b"\xba" + bytes(4)
KTSERVER = Program("ktserver", ("ktserver", "-host", "127.0.0.1", "-port", "{port}", "-le", "*"), NO_KEYS, NO_RECORDS)


def bundled(database: str) -> Program:
    """The server of this package, serving one database."""
    listen = ("-host", "127.0.0.1", "-port", "{port}", "-sock", "{socket}")
    # The database is no template: its path may have braces.
    escaped = database.replace("{", "{{").replace("}", "}}")
    command = (sys.executable, "-m", "kt_core.server", *listen, "-le", escaped)
    return Program("bundled server", command, NO_KEYS, NO_RECORDS)


BUNDLED = bundled("*")


def with_log(program: Program) -> Program:
    """A server of Kyoto Tycoon's that keeps its update log beside its socket."""
    *head, database = program.command
    return replace(program, command=(*head, "-ulog", "{folder}/log", "-sid", "1", database))


MASTER = with_log(BUNDLED)


class RedisConnection:
    """A bare connection to Redis, for what no cache backend offers: its figures, and filling it fast."""

    def __init__(self, path: str) -> None:
        import hiredis

        self._pack: Callable[[Any], bytes] = hiredis.pack_command
        self._reader = hiredis.Reader()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)

    def call(self, *command: str | bytes | int) -> Any:
        return self.pipeline([command])[0]

    def pipeline(self, commands: Sequence[tuple[str | bytes | int, ...]]) -> list[Any]:
        """Send all commands, then read all replies (which must fit the socket's buffer)."""
        self._socket.sendall(b"".join(map(self._pack, commands)))
        return [self._reply() for _ in commands]

    def figure(self, name: str) -> int:
        """One number of INFO."""
        for line in self.call("INFO").decode().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.partition(":")[2])
        raise KeyError(name)

    def close(self) -> None:
        self._socket.close()

    def _reply(self) -> Any:
        while (reply := self._reader.gets()) is False:
            if not (data := self._socket.recv(65536)):
                raise ConnectionError("Redis closed the connection")
            self._reader.feed(data)
        if isinstance(reply, Exception):
            raise reply
        return reply
