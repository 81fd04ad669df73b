"""Server processes of the networked peers: on a private unix socket, keeping nothing, gone with the run."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

READY_SECONDS = 10.0
STOP_SECONDS = 5.0


@dataclass(frozen=True)
class Program:
    """A server binary: how to start it on a unix socket, and how to ask whether it answers."""

    name: str
    arguments: tuple[str, ...]
    ping: bytes
    pong: bytes

    def installed(self) -> bool:
        return shutil.which(self.name) is not None

    def version(self) -> str:
        said = subprocess.run([self.name, "--version"], capture_output=True, text=True, check=True).stdout
        number = re.search(r"\d+(\.\d+)+", said)
        return number[0] if number else said.strip()

    @contextmanager
    def run(self, *more: str) -> Iterator[str]:
        """Yield the path of the socket on which the server answers; stop the server on leaving."""
        # Not below the place of the data: a socket's path may have 107 bytes only.
        with tempfile.TemporaryDirectory(prefix="kt-bench-") as folder:
            path = str(Path(folder, "socket"))
            command = [
                self.name,
                *(part.format(socket=path, folder=folder) for part in self.arguments),
                *more,
            ]
            # Its own session: Ctrl-C reaches the benchmark alone, which then stops the server in order.
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
            )
            try:
                self._wait(process, path)
                yield path
            finally:
                process.terminate()
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def _wait(self, process: subprocess.Popen[bytes], path: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            try:
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(1.0)
                    client.connect(path)
                    client.sendall(self.ping)
                    if client.recv(64).startswith(self.pong):
                        return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"{self.name} did not answer on its socket (exit code {process.poll()})")


REDIS = Program(
    "redis-server",
    (
        *("--port", "0", "--unixsocket", "{socket}", "--unixsocketperm", "600", "--dir", "{folder}"),
        *("--appendonly", "no", "--save", "", "--loglevel", "warning"),
    ),
    b"PING\r\n",
    b"+PONG",
)
MEMCACHED = Program(
    "memcached",
    ("-s", "{socket}", "-a", "0600", "-U", "0", "-m", "256") + (("-u", "root") if os.geteuid() == 0 else ()),
    b"version\r\n",
    b"VERSION",
)


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
