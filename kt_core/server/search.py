"""Searches that look at every key, in a process of their own.

A regular expression can take for ever on a single key, and an edit distance takes long on many: neither may hold up
those who only want a record. The database can be opened by several processes, so one beside the server searches it,
and is killed when it takes too long. It ends with its standard input, or if it is searching when its server is killed,
by an alarm.
"""

from __future__ import annotations

import asyncio
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from struct import Struct
from typing import IO, Final, TypeAlias

import msgpack  # type: ignore[import-untyped]

from kt_core.database import Database, DatabaseOptions, Environment
from kt_core.errors import InvalidInput, KTError

_SIZE: Final = Struct(">Q")
_GRACE: Final = 1.0  # seconds that the server has to end a search before the alarm does
Methods: TypeAlias = "Mapping[str, Callable[..., list[bytes]]]"
"""What can be searched for: each is given a database, and the arguments."""

_METHODS: Final[Methods] = {
    "match_regex": Database.match_regex,
    "match_similar": lambda database, origin, distance, utf, limit: database.match_similar(
        origin, distance, utf=utf, limit=limit
    ),
}


class Search:
    """The process, started with the first search; one search at a time.

    It runs the `main` of a module, which knows the methods.
    """

    def __init__(self, patience: float, module: str = __name__) -> None:
        self._patience = patience
        self._program = f"from {module} import main; main()"
        self._thread = ThreadPoolExecutor(1, "kt-search")
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._lock = threading.Lock()  # of those two

    async def run(self, database: Database, method: str, *arguments: object) -> list[bytes]:
        """Return what a method of the database finds, called with these arguments there.

        `InvalidInput` if the expression is none; `KTError` if it takes longer than the patience, in seconds.
        """
        environment = database.environment
        options = environment.options
        made = (options.max_size, options.durability, options.eviction, options.databases)
        request = (self._patience, str(environment.directory), made, database.index, method, arguments)
        loop = asyncio.get_running_loop()
        found, failure = await loop.run_in_executor(self._thread, self._ask, msgpack.packb(request))
        if failure is not None:
            raise InvalidInput(failure)
        return list(found)

    def close(self) -> None:
        """End the process, and with it the search that it is at; those that wait for it are cancelled."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._end(close=True)
        self._thread.shutdown()

    def _begin(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise KTError("the server is ending")
            if self._process is not None and self._process.poll() is not None:
                self._process.communicate()
                self._process = None
            if self._process is None:
                self._process = subprocess.Popen(  # noqa: S603 - this interpreter
                    [sys.executable, "-c", self._program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
                )
            return self._process

    def _end(self, *, close: bool = False) -> None:
        with self._lock:
            process, self._process = self._process, None
            self._closed |= close
        if process is not None:
            process.kill()
            process.communicate()

    def _ask(self, request: bytes) -> tuple[list[bytes], str | None]:
        process = self._begin()
        deadline = time.monotonic() + self._patience
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(_SIZE.pack(len(request)) + request)
            (size,) = _SIZE.unpack(_read(process.stdout, _SIZE.size, deadline))
            found, failure = msgpack.unpackb(_read(process.stdout, size, deadline))
        except BaseException as error:
            self._end()
            if isinstance(error, OSError | ValueError):  # of a pipe that was closed
                raise KTError(f"the search failed: {error}") from error
            raise
        return found, failure


def _read(source: IO[bytes], size: int, deadline: float) -> bytes:
    data = bytearray()
    ready = select.poll()  # select itself takes no descriptor beyond 1024
    ready.register(source, select.POLLIN)
    while len(data) < size:
        if not ready.poll(max(deadline - time.monotonic(), 0) * 1000):
            raise KTError("the search took too long: ask for less, or raise -tout")
        piece = source.read(size - len(data))
        if not piece:
            raise KTError("the process that searches ended")
        data += piece
    return bytes(data)


def _answer(request: bytes, methods: Methods) -> tuple[list[bytes], str | None]:
    patience, directory, made, index, method, arguments = msgpack.unpackb(request)
    database = Database(Environment.open(Path(directory), DatabaseOptions(*made)), index)
    signal.setitimer(signal.ITIMER_REAL, patience + _GRACE)  # ends the process, even amid an expression
    try:
        return methods[method](database, *arguments), None
    except InvalidInput as error:
        return [], str(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def main(methods: Methods = _METHODS) -> None:
    """Answer what comes on the standard input, until it ends."""
    while head := sys.stdin.buffer.read(_SIZE.size):
        (size,) = _SIZE.unpack(head)
        answer = msgpack.packb(_answer(sys.stdin.buffer.read(size), methods))
        sys.stdout.buffer.write(_SIZE.pack(len(answer)) + answer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
