"""Keeps a server alive in one thread: starts it, waits for its end, and starts it again on the same port."""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from kt_core.embedded.child import Child, Stop
from kt_core.embedded.starting import PATIENCE
from kt_core.errors import ConnectionFailed, KTError
from kt_core.transport import Address

logger = logging.getLogger("kt_core.embedded")

RESTART_DELAYS: Final = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Seconds to wait before each try to start a server again that ended; after the last it is given up."""

STEADY: Final = 60.0
"""A server that has lived for so many seconds is worth all tries anew."""


_TURN: Final = 0.1


class Supervisor(threading.Thread):
    """One run of a server, from its first start until it is stopped or given up.

    The thread starts the process itself and lives longer: the kernel ends the process with the thread that started
    it, not only with the whole program.
    """

    def __init__(
        self,
        name: str,
        start: Callable[[int | None, Stop], tuple[Child, Address]],
        port: int | None,
        delays: Sequence[float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name="kt-embedded", daemon=True)
        self._server_name = name
        self._start_server = start
        self._port = port
        self._delays = tuple(delays)
        self._clock = clock
        self._stop_request = Stop()
        self._patience = PATIENCE
        # A queue and no event: while the thread that waits runs the handler of a signal it may hold an event's lock.
        self._outcome: SimpleQueue[BaseException | None] = SimpleQueue()
        self._has_served = False
        self._owner = os.getpid()
        self.address: Address | None = None
        """Where the server listens, from its first answer on."""
        self.pid: int | None = None
        """The process id of the server while it runs."""
        self.failure: BaseException | None = None
        """Why the server could not be started, or was given up."""
        self.over = False
        """Whether it was stopped or given up."""

    @property
    def inherited(self) -> bool:
        """Whether this is a forked child, in which the thread does not run: the parent goes on with the server."""
        return self._owner != os.getpid()

    def settle(self) -> None:
        """Wait until the server answers, once; raise what prevents it."""
        while True:
            # In short turns: a signal that arrives just before a wait begins is handled only after it.
            with suppress(Empty):
                failure = self._outcome.get(timeout=_TURN)
                break
        if failure is not None:
            raise failure

    def ask_to_end(self, patience: float) -> None:
        """Have the server ended, by force after so many seconds; any thread may ask, any number of times."""
        self._patience = patience
        self._stop_request.ask()

    def await_end(self) -> None:
        """Wait until the server, and this thread with it, has ended."""
        if self.ident is not None:  # the system may have had no thread to spare
            self.join()

    def run(self) -> None:
        """Do all the work of the thread."""
        try:
            self._keep()
        except BaseException as error:
            self.failure = error
            if self._has_served:
                logger.error("%s; it is given up", str(error), exc_info=not isinstance(error, ConnectionFailed))
        finally:
            self.over = True
            self._outcome.put(self.failure)

    def _keep(self) -> None:
        delays = iter(self._delays)
        while not self._stop_request.asked:
            began = self._clock()
            try:
                fate = self._serve()
            except (KTError, OSError) as error:
                if not self._has_served:
                    raise
                fate = f"cannot be started: {error}"
            else:
                if self._clock() - began >= STEADY:
                    delays = iter(self._delays)
            if self._stop_request.asked:
                return
            delay = next(delays, None)
            if delay is None:
                raise ConnectionFailed(f"{self._server_name} {fate}")
            logger.error("%s %s; it is started again in %g s", self._server_name, fate, delay)
            self._stop_request.wait(delay)

    def _serve(self) -> str:
        """Start the server, wait for its end, and return how it ended."""
        child, self.address = self._start_server(self._port, self._stop_request)
        try:
            self._port = self.address.port
            self.pid = child.pid
            logger.info("%s serves %s as process %d", self._server_name, self.address, child.pid)
            if not self._has_served:
                self._has_served = True
                self._outcome.put(None)
            child.wait(None, self._stop_request.fileno())
        finally:
            self.pid = None
            child.end(self._patience)
            self._remove_socket(self.address.path)
        return child.fate

    def _remove_socket(self, path: str | None) -> None:
        """Remove the socket that a killed server leaves behind."""
        if path is not None:
            with suppress(OSError):
                if stat.S_ISSOCK(os.lstat(path).st_mode):
                    Path(path).unlink()
