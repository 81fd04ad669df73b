"""The manager of a server in a sub-process: what its user sees."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Self

from kt_core.embedded.child import Child, Stop
from kt_core.embedded.starting import PATIENCE, ClientT, Program, Settings, Starter
from kt_core.embedded.supervisor import Supervisor
from kt_core.errors import ConnectionFailed
from kt_core.transport import Address

logger = logging.getLogger("kt_core.embedded")


class Manager(Generic[ClientT]):
    """Runs a server in a sub-process, from `run()` to `stop()` or the end of the program, whatever ends it.

    A server that ends by itself is started again on the same port. In a forked child the client works as in the
    parent; the server stays the parent's: `stop()` and the end of the child leave it alone. Every method may be
    called from any thread.
    """

    def __init__(
        self,
        program: Program[ClientT],
        settings: Settings,
        serializer: Any,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._program = program
        self._settings = settings
        self._serializer = serializer
        self._clock = clock
        self._supervisor: Supervisor | None = None
        self._starter: Starter[ClientT] | None = None
        self._client: ClientT | None = None
        self._renew_lock()
        _managers.add(self)

    def _renew_lock(self) -> None:
        # Reentrant: the handler of a signal may call stop() while run() waits.
        self._lock = threading.RLock()

    def run(self) -> bool:
        """Start the server and return True once it answers, or False if it is running already.

        `Misconfigured`: the port is taken, or there is no such program. `ConnectionFailed`: the server ended at once;
        its last lines say why. `Timeout`: it did not answer in time. Nothing is left running then.
        """
        with self._lock:
            if self._is_managed():
                logger.warning("%r is running already", self)
                return False
            self.stop()  # what is left of a run that was given up
            starter = self._starter = Starter(self._program, self._settings)
            supervisor = self._supervisor = Supervisor(
                starter.name, self._start, self._settings.port, self._settings.restart_delays, self._clock
            )
            try:
                supervisor.start()
                supervisor.settle()
            except BaseException:
                self.stop()
                raise
            atexit.register(self.stop)
            return True

    def stop(self, patience: float = PATIENCE) -> bool:
        """End the server, by force if it takes more than `patience` seconds; return whether it was running.

        A `run()` that is still waiting for its server raises `ConnectionFailed`.
        """
        supervisor = self._supervisor
        if supervisor is None or supervisor.inherited:
            return False
        managed = not supervisor.over
        supervisor.ask_to_end(patience)
        with self._lock:
            if self._supervisor is not supervisor:  # another thread was faster
                return False
            supervisor.await_end()
            client, self._supervisor, self._client = self._client, None, None
            if client is not None:
                client.close()
            atexit.unregister(self.stop)
            return managed

    def _start(self, port: int | None, stop: Stop) -> tuple[Child, Address]:
        assert self._starter is not None
        started = self._starter.start(port, stop)
        if self._client is not None:
            self._client.close()  # its idle connections lead to the server that ended
        return started

    def _is_managed(self) -> bool:
        return self._supervisor is not None and not self._supervisor.over

    @property
    def client(self) -> ClientT:
        """A client bound to the server; `ConnectionFailed` when none is run."""
        supervisor = self._supervisor
        if supervisor is None or supervisor.address is None:
            raise ConnectionFailed(f"{self!r} is not running: call run() first")
        if supervisor.over:
            raise ConnectionFailed(f"{self!r} is not running any more: call run() again") from supervisor.failure
        if self._client is None:
            address = supervisor.address
            self._client = self._program.client(
                address.host, address.port, path=address.path, serializer=self._serializer
            )
        return self._client

    @property
    def host(self) -> str:
        """The host that the server listens on."""
        return self._settings.host

    @property
    def port(self) -> int | None:
        """The port that the server listens on; None for none, or while it is not known."""
        address = None if self._supervisor is None else self._supervisor.address
        return self._settings.port if address is None else address.port or None

    @property
    def path(self) -> str | None:
        """The path of the unix socket that the server listens on; None for none."""
        return self._settings.path

    @property
    def pid(self) -> int | None:
        """The server's process id; None while it does not run. In a forked child: what it was at the fork."""
        return None if self._supervisor is None else self._supervisor.pid

    @property
    def running(self) -> bool:
        """Whether the server runs and answers; it does not between its unexpected end and its next start."""
        return self.pid is not None

    @property
    def bundled(self) -> bool | None:
        """Whether it is the bundled server that runs; None before the first run."""
        return None if self._starter is None else self._starter.bundled

    def __enter__(self) -> Self:
        self.run()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "not running" if self.pid is None else f"process {self.pid}"
        return f"<{type(self).__name__} {self.path or f'{self.host}:{self.port or 0}'}, {state}>"


_managers: weakref.WeakSet[Manager[Any]] = weakref.WeakSet()


def _renew_locks() -> None:
    # A thread that is not in the child may have held one.
    for manager in list(_managers):
        manager._renew_lock()


os.register_at_fork(after_in_child=_renew_locks)
