"""Masters, copies of them, and followers that run as long as a test does."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kt_cache.stores.replica.__main__ import wish
from kt_cache.stores.replica.following import Follower
from kt_cache.stores.replica.records import Records, open_environment
from kt_cache.stores.replica.words import EPOCH, REACHED, WANTED
from kt_core.database import Environment
from kt_core.transport import Address
from tests.fix_servers import MASTERS, running, with_log

SIZE = 16 << 20
PATIENCE = 20  # seconds


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    """Return the environment of a copy, empty."""
    with opened(tmp_path / "copy") as environment:
        yield environment


@contextmanager
def opened(directory: Path, max_size: int = SIZE, clock: Callable[[], float] = time.time) -> Iterator[Environment]:
    """Open the environment of a copy."""
    environment = open_environment(directory, max_size, clock)
    yield environment
    environment.close()


@pytest.fixture(scope="module", params=MASTERS)
def master(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """Return the address of a server that keeps an update log, one of each kind."""
    with running(request.param, *with_log(tmp_path_factory.mktemp("log"))) as address:
        yield address


@contextmanager
def followed(
    environment: Environment, master: Address, database: int = 0, *, every: float = 0.05, timeout: float = 5.0
) -> Iterator[None]:
    """Have a thread follow a master."""

    async def follow() -> None:
        follower = Follower(
            Records(environment), master, database, timeout=timeout, every=every, wanted=wish(environment)
        )
        running = asyncio.create_task(follower.run())
        ending = asyncio.create_task(ended.wait())
        await asyncio.wait([running, ending], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        for task in (running, ending):
            task.cancel()
        await asyncio.gather(running, ending, return_exceptions=True)

    runner = asyncio.Runner()
    loop, ended = runner.get_loop(), asyncio.Event()
    thread = threading.Thread(target=runner.run, args=(follow(),), name="follower of a test")
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the follower does not end"
        runner.close()


def settle(environment: Environment) -> None:
    """Wait until the copy has all that the master has acknowledged by now."""
    now = time.monotonic_ns()
    until(lambda: bool(environment.words[EPOCH] & 1 and environment.words[REACHED] > now), environment)


def until(holds: Callable[[], bool], environment: Environment | None = None) -> None:
    """Wait until something holds; whoever waits for a copy asks for markers meanwhile."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "what was waited for did not come"
        if environment is not None:
            environment.words[WANTED] = 1
        time.sleep(0.002)
