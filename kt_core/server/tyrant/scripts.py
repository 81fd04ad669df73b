"""The server's script: Lua functions that clients call, and that are called regularly.

A script runs in threads of its own, each of which has an interpreter, as the original's have: a global variable of one
is none of another's. A call that takes longer than the patience is ended, even amid a loop that never ends.
Source: the Tokyo Tyrant protocol reference, section 10.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from kt_core.errors import KTError
from kt_core.server.interpreter import Interpreter, read_source
from kt_core.wire.tt_messages import LOCK_GLOBAL, LOCK_RECORD, Ext

if TYPE_CHECKING:
    from kt_core.server.tyrant.server import TyrantServer

logger = logging.getLogger("kt_core.server")

_BUCKETS: Final = 31  # mutexes, each for the keys of a hash


class Scripts:
    """The functions of a script, which clients call by name."""

    def __init__(self, server: TyrantServer, source: str, threads: int) -> None:
        self._server = server
        self._source = read_source(source, "-ext")
        self._patience = server.options.timeout
        self._threads = ThreadPoolExecutor(threads, "kt-script")
        self._own = threading.local()
        self._mutexes = [threading.Lock() for _ in range(_BUCKETS)]
        self._ending = threading.Event()
        self.number = threads
        """How many threads there are."""
        self.stash: dict[bytes, bytes] = {}
        """What scripts share, until the server ends."""
        self.locks: dict[bytes, threading.Lock] = {}
        self.chunks: list[bytes] = []
        """What `_eval` has every interpreter run before its next call."""

    async def call(self, request: Ext) -> bytes | None:
        """Call a function and return its result; None if it failed or has none."""
        if request.name.startswith(b"_"):
            return None
        return await self._server.loop.run_in_executor(self._threads, self._call, request)

    async def run(self, name: bytes) -> None:
        """Call a function of any name with nothing, if there is one."""
        await self._server.loop.run_in_executor(self._threads, self._call, Ext(name, 0, b"", b""))

    def close(self) -> None:
        """End the calls that are under way, and the threads."""
        self._ending.set()
        self._threads.shutdown(cancel_futures=True)

    def wait_for(self, lock: threading.Lock) -> bool:
        """Wait for a lock as long as this thread's call may take; tell whether it was got."""
        return lock.acquire(timeout=max(self._own.deadline - time.monotonic(), 0))

    def pause(self, seconds: float) -> bool:
        """Wait for so long; tell whether the call may go on."""
        rest = self._own.deadline - time.monotonic()
        return not self._ending.wait(min(seconds, max(rest, 0))) and seconds <= rest

    # -- in a thread ---------------------------------------------------------------------------------------

    def _call(self, request: Ext) -> bytes | None:
        own = self._own
        own.deadline = time.monotonic() + self._patience
        try:
            lua = self._interpreter()
            lua.watch()
            function = lua.names[request.name]
            if function is None or request.name in own.given:
                return None
            with self._locked(request.options, request.key):
                return to_bytes(function(request.key, request.value))
        except Exception as error:  # whatever a script does, and whatever becomes of it
            logger.warning("the script's function %r failed: %s", request.name, error)
            return None

    def _interpreter(self) -> Interpreter:
        """Return this thread's interpreter, which has run all that there is to be run."""
        own = self._own
        if not hasattr(own, "lua"):
            own.number = 0
            own.lua = self._begin()
        lua: Interpreter = own.lua
        while own.number < len(self.chunks):
            own.number += 1
            self._run(lua, self.chunks[own.number - 1])
        return lua

    def _run(self, lua: Interpreter, chunk: bytes) -> None:
        """Run what `_eval` was given; it fails alone."""
        try:
            lua.watch()
            lua.run(chunk)
        except Exception as error:
            logger.warning("what the script evaluates failed: %s", error)

    def _begin(self) -> Interpreter:
        from kt_core.server.tyrant.builtins import functions

        lua = Interpreter(self._expired)
        self._own.given = lua.builtin  # clients may call none of these: the library reads files, too
        lua.give(functions(self._server, self, lua))
        lua.run(self._source)
        return lua

    def _expired(self) -> bool:
        return self._ending.is_set() or time.monotonic() > self._own.deadline

    @contextmanager
    def _locked(self, options: int, key: bytes) -> Iterator[None]:
        """Keep out the other calls that want the same lock."""
        wanted = self._mutexes if options & LOCK_GLOBAL else []
        if not wanted and options & LOCK_RECORD:
            wanted = [self._mutexes[crc32(key) % _BUCKETS]]
        with ExitStack() as held:
            for mutex in wanted:
                if not self.wait_for(mutex):
                    raise KTError("another call holds the lock")
                held.callback(mutex.release)
            yield


def to_bytes(result: Any) -> bytes | None:
    """Return what a client is told of a function's result; None for nothing.

    Of several results the first one counts, and of a table its first element.
    """
    if isinstance(result, tuple):
        result = result[0] if result else None
    if hasattr(result, "keys"):
        result = result[1]
    if isinstance(result, bytes):
        return result
    if result is True:
        return b"true"
    return number_text(result) if isinstance(result, int | float) and result is not False else None


def number_text(number: float) -> bytes:
    """Return a number as Lua writes it."""
    return b"%.14g" % number
