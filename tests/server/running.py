"""A server in a thread of the test: its clock can be the test's, and it is gone when the test ends."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final

import uvloop

from kt_core.server import Server, ServerOptions
from kt_core.server.service import Service

LOOPS: Final[Mapping[str, Callable[[Coroutine[Any, Any, None]], None]]] = {"asyncio": asyncio.run, "uvloop": uvloop.run}
"""What runs a server; the program takes uvloop where it is installed."""


@contextmanager
def serving(
    *databases: str, clock: Callable[[], float] = time.time, loop: str = "uvloop", **options: Any
) -> Iterator[Server]:
    """Run a server on a free port; it is stopped at the end, gracefully."""
    options = {"port": 0, "timeout": 10.0, **options}
    server = Server(ServerOptions(databases=databases or ("%", "*"), **options), clock=clock)
    with running_service(server, loop):
        yield server


@contextmanager
def running_service(server: Service, loop: str = "uvloop") -> Iterator[None]:
    """Run any server; it is stopped at the end, gracefully."""
    started: Future[Callable[[], object]] = Future()

    async def run() -> None:
        try:
            await server.start()
        except BaseException as error:
            started.set_exception(error)
            return
        ended = asyncio.Event()
        started.set_result(lambda: server.loop.call_soon_threadsafe(ended.set))
        await ended.wait()
        await server.stop()

    thread = threading.Thread(target=LOOPS[loop], args=(run(),), name="server of a test")
    thread.start()
    try:
        end = started.result(30)
    except BaseException:
        thread.join()
        raise
    try:
        yield
    finally:
        end()
        thread.join(30)
        assert not thread.is_alive(), "the server does not end"


def in_loop(server: Service, work: Callable[[], Any]) -> Any:
    """Do something in the server's event loop, and return what it returns."""

    async def run() -> Any:
        return work()

    return asyncio.run_coroutine_threadsafe(run(), server.loop).result(10)
